#include <cmath>
#include <vector>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/strided.hpp"
#include "support/variational_network.hpp"

using namespace sea;
using namespace sea::test;

namespace {

struct Problem {
  std::int64_t n, width, hidden, steps;
  std::vector<std::vector<float>> x, y;  // of each pair
  std::vector<float> parameters, first_moment, second_moment;
  AdamSettings settings;
  OptimizerState state;
};

Problem make_problem(std::int64_t n, std::int64_t width, std::int64_t hidden, std::size_t pairs,
                     std::int64_t steps) {
  const std::int64_t count = VariationalNetworkView::parameter_count(width, hidden);
  Problem p{n, width, hidden, steps, {}, {}, random_values(count, 1), random_values(count, 2), {}, {}, {}};
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    p.x.push_back(random_values(n * width, 10 + pair));
    p.y.push_back(random_values(n * width, 20 + pair));
  }
  for (float& value : p.parameters) value *= 0.5f;
  for (float& value : p.first_moment) value *= 0.01f;
  for (const float value : random_values(count, 3)) p.second_moment.push_back(0.01f + 0.001f * value);
  p.state.learning_rate = 0.02f;
  p.state.step = 3;
  return p;
}

/// -(the sum over pairs of the mean ll), and its gradient.
double loss_of(const Problem& p, const ReferenceNetwork& q, std::vector<double>* gradient) {
  if (gradient != nullptr) gradient->assign(q.parameters.size(), 0.0);
  double sum = 0.0;
  for (std::size_t pair = 0; pair < p.x.size(); ++pair) {
    const std::vector<double> x = to_double(p.x[pair]), y = to_double(p.y[pair]);
    for (std::int64_t i = 0; i < p.n; ++i) {
      sum -= q.log_likelihood(x.data() + i * p.width, y.data() + i * p.width);
      if (gradient == nullptr) continue;
      q.add_gradient(x.data() + i * p.width, y.data() + i * p.width, -1.0 / static_cast<double>(p.n),
                     *gradient);
    }
  }
  return sum / static_cast<double>(p.n);
}

struct Reference {
  std::vector<double> parameters, first_moment, second_moment, losses;
};

/// Adam in double precision.
Reference fit(const Problem& p) {
  Reference r{to_double(p.parameters), to_double(p.first_moment), to_double(p.second_moment), {}};
  for (std::int64_t step = 0; step < p.steps; ++step) {
    std::vector<double> gradient;
    r.losses.push_back(loss_of(p, {p.width, p.hidden, r.parameters}, &gradient));
    const auto t = static_cast<double>(p.state.step * p.steps + step + 1);
    const double beta1 = p.settings.beta1, beta2 = p.settings.beta2;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      r.first_moment[i] = beta1 * r.first_moment[i] + (1.0 - beta1) * gradient[i];
      r.second_moment[i] = beta2 * r.second_moment[i] + (1.0 - beta2) * gradient[i] * gradient[i];
      const double mean = r.first_moment[i] / (1.0 - std::pow(beta1, t));
      const double variance = r.second_moment[i] / (1.0 - std::pow(beta2, t));
      r.parameters[i] -= p.state.learning_rate * mean / (std::sqrt(variance) + p.settings.epsilon);
    }
  }
  return r;
}

struct Result {
  std::vector<float> parameters, first_moment, second_moment, losses;
};

/// `alone`: the number of a matrix, x and y of each pair, that is out of line where the others are not.
Result run(Backend& backend, const Problem& p, std::size_t alone = 99) {
  std::vector<StridedMatrix> matrices;
  matrices.reserve(2 * p.x.size());
  std::vector<PairView> pairs;
  // Rows that are aligned to 16 bytes, and rows that are not.
  const bool aligned = p.width % 4 == 0 && (p.n % 4 == 0 || alone < 2 * p.x.size());
  for (std::size_t pair = 0; pair < p.x.size(); ++pair) {
    const auto gap = [&](std::int64_t of) { return of + (matrices.size() == alone ? 1 : 0); };
    const StridedMatrix& x = matrices.emplace_back(backend, p.x[pair], p.n, p.width, gap(aligned ? 4 : 1));
    const StridedMatrix& y = matrices.emplace_back(backend, p.y[pair], p.n, p.width, gap(aligned ? 8 : 5));
    pairs.push_back({x.view(), y.view()});
  }
  const Buffer<float> parameters = to_device(backend, p.parameters);
  const Buffer<float> first = to_device(backend, p.first_moment);
  const Buffer<float> second = to_device(backend, p.second_moment);
  const Buffer<OptimizerState> state = to_device(backend, std::vector<OptimizerState>{p.state});
  const Buffer<float> losses = garbage(backend, p.steps);
  const GarbageWorkspace workspace(backend, backend.club_fit_workspace(p.n, p.width, p.hidden));
  backend.club_fit(pairs, p.hidden, parameters.span(), first.span(), second.span(), p.settings, state.data(),
                   losses.span(), workspace);
  return {parameters.download(), first.download(), second.download(), losses.download()};
}

std::vector<float> change(const std::vector<float>& after, const std::vector<float>& before) {
  std::vector<float> difference;
  for (std::size_t i = 0; i < after.size(); ++i) difference.push_back(after[i] - before[i]);
  return difference;
}

}  // namespace

TEST_CASE("club_fit: parameters, moments and losses after several Adam steps") {
  for (const auto& [n, width, hidden, pairs, steps] :
       {std::tuple{1, 4, 3, 1, 4}, std::tuple{23, 1, 1, 2, 3}, std::tuple{141, 5, 2, 1, 6},
        std::tuple{23, 32, 8, 2, 7}, std::tuple{150, 37, 9, 2, 3}, std::tuple{1400, 32, 8, 2, 3}}) {
    CAPTURE(n, width, hidden, pairs, steps);
    const Problem p = make_problem(n, width, hidden, pairs, steps);
    const Reference expected = fit(p);
    std::vector<double> moved = expected.parameters;
    for (std::size_t i = 0; i < moved.size(); ++i) moved[i] -= p.parameters[i];
    for_each_backend([&](Backend& backend) {
      const Result result = run(backend, p);
      CHECK(relative_error(change(result.parameters, p.parameters), moved) < 2e-5);
      CHECK(relative_error(result.first_moment, expected.first_moment) < 1e-5);
      CHECK(relative_error(result.second_moment, expected.second_moment) < 1e-5);
      for (std::int64_t step = 0; step < p.steps; ++step) {
        CHECK(result.losses[step] == Approx(expected.losses[step]).epsilon(1e-5));
      }
    });
  }
}

TEST_CASE("club_fit: more rows than stay in the shared memory of a GPU, as one CPU thread fits them") {
  const Problem p = make_problem(emulated ? 1411 : 21011, 32, 8, 2, 3);
  CpuBackend one(1);
  const Result expected = run(one, p);
  const std::vector<float> moved = change(expected.parameters, p.parameters);
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p);
    CHECK(relative_error(change(result.parameters, p.parameters), to_double(moved)) < 2e-5);
    CHECK(relative_error(result.first_moment, to_double(expected.first_moment)) < 1e-5);
    CHECK(relative_error(result.losses, to_double(expected.losses)) < 1e-6);
  });
}

TEST_CASE("club_fit: each matrix alone out of line") {
  const Problem p = make_problem(70, 32, 8, 2, 2);
  const Reference expected = fit(p);
  for_each_backend([&](Backend& backend) {
    for (std::size_t alone = 0; alone < 4; ++alone) {
      const Result result = run(backend, p, alone);
      CHECK(relative_error(result.first_moment, expected.first_moment) < 1e-5);
      CHECK(result.losses[1] == Approx(expected.losses[1]).epsilon(1e-5));
    }
  });
}

TEST_CASE("club_fit: more tiles than parts of the sum, and more steps than the corrections of a block") {
  for (const auto& [n, width, hidden, steps] :
       {std::tuple{4200, 2, 1, 2}, std::tuple{4200, 32, 8, 2}, std::tuple{70, 32, 8, 67}}) {
    CAPTURE(n, width, hidden, steps);
    const Problem p = make_problem(n, width, hidden, 1, steps);
    const Reference expected = fit(p);
    for_each_backend([&](Backend& backend) {
      const Result result = run(backend, p);
      CHECK(relative_error(result.first_moment, expected.first_moment) < 1e-5);
      CHECK(result.losses.back() == Approx(expected.losses.back()).epsilon(1e-5));
    });
  }
}

TEST_CASE("club_fit: what is no number reaches the losses") {
  for (const auto& [width, hidden] : {std::pair{4, 3}, {32, 8}}) {
    for (const bool in_x : {true, false}) {
      Problem p = make_problem(9, width, hidden, 2, 2);
      (in_x ? p.x : p.y)[1][7] = std::nanf("");
      for_each_backend([&](Backend& backend) {
        const Result result = run(backend, p);
        CHECK(std::isnan(result.losses[0]));
        CHECK(std::isnan(result.losses[1]));
      });
    }
  }
}

TEST_CASE("club_fit: the reference's gradient is that of its loss") {
  const Problem p = make_problem(11, 4, 3, 2, 1);
  const ReferenceNetwork q{p.width, p.hidden, to_double(p.parameters)};
  std::vector<double> gradient;
  loss_of(p, q, &gradient);
  const std::vector<double> differences = central_differences(
      [&](const std::vector<double>& at) {
        return loss_of(p, {p.width, p.hidden, at}, nullptr);
      },
      q.parameters);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    CHECK(gradient[i] == Approx(differences[i]).epsilon(1e-6).margin(1e-8));
  }
}

TEST_CASE("club_fit: no steps change nothing") {
  const Problem p = make_problem(8, 4, 3, 1, 0);
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p);
    CHECK(result.parameters == p.parameters);
    CHECK(result.first_moment == p.first_moment);
    CHECK(result.second_moment == p.second_moment);
  });
}

TEST_CASE("club_fit: the same bits on any number of threads") {
  const Problem p = make_problem(1391, 32, 8, 2, 5);
  CpuBackend one(1);
  const Result expected = run(one, p);
  for (const int threads : {2, 3, 4}) {
    CpuBackend backend(threads);
    const Result result = run(backend, p);
    CHECK(result.parameters == expected.parameters);
    CHECK(result.first_moment == expected.first_moment);
    CHECK(result.second_moment == expected.second_moment);
    CHECK(result.losses == expected.losses);
  }
}

TEST_CASE("club_fit refuses what it cannot compute") {
  CpuBackend backend(1);
  CHECK_THROWS_AS(run(backend, make_problem(5, 4, 3, 0, 1)), Error);
  CHECK_THROWS_AS(run(backend, make_problem(5, 4, 3, 3, 1)), Error);
  Problem p = make_problem(5, 4, 3, 2, 1);
  p.second_moment.pop_back();
  CHECK_THROWS_AS(run(backend, p), Error);
}
