#include <algorithm>
#include <cmath>
#include <vector>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "sea/keyed_permutation.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/strided.hpp"
#include "support/variational_network.hpp"

using namespace sea;
using namespace sea::test;

namespace {

struct Problem {
  std::int64_t n, width, hidden;
  std::vector<float> generic, unique, parameters;
  std::vector<std::int32_t> permutation;
};

/// The mean over rows of ll(G, O) - ll(G, O of the permutation), halved, before the maximum with 0.
double signed_bound(const Problem& p, const ReferenceNetwork& q, const std::vector<double>& generic,
                    const std::vector<double>& unique) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < p.n; ++i) {
    const double* x = generic.data() + i * p.width;
    sum += q.log_likelihood(x, unique.data() + i * p.width) -
           q.log_likelihood(x, unique.data() + p.permutation[i] * p.width);
  }
  return sum / static_cast<double>(p.n) / 2.0;
}

ReferenceNetwork network_of(const Problem& p) {
  return {p.width, p.hidden, to_double(p.parameters)};
}

double signed_bound(const Problem& p) {
  return signed_bound(p, network_of(p), to_double(p.generic), to_double(p.unique));
}

Problem make_problem(std::int64_t n, std::int64_t width, std::int64_t hidden) {
  Problem p{n, width, hidden, random_values(n * width, 1), random_values(n * width, 2), {}, {}};
  p.parameters = random_values(VariationalNetworkView::parameter_count(width, hidden), 3);
  const KeyedPermutation permutation(0, RandomPurpose::permutation, 0, static_cast<std::uint32_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    p.permutation.push_back(static_cast<std::int32_t>(permutation(static_cast<std::uint32_t>(i))));
  }
  return p;
}

/// Each row's own and other partner change places: the bound changes its sign.
Problem partners_exchanged(const Problem& p) {
  Problem exchanged = p;
  for (std::int64_t i = 0; i < p.n; ++i) {
    std::copy_n(p.unique.begin() + p.permutation[i] * p.width, p.width,
                exchanged.unique.begin() + i * p.width);
    exchanged.permutation[p.permutation[i]] = static_cast<std::int32_t>(i);
  }
  return exchanged;
}

struct Result {
  float loss;
  std::vector<float> gradient;  // [d_generic ; d_unique]
};

Result run(Backend& backend, const Problem& p, float weight) {
  const StridedMatrix generic(backend, p.generic, p.n, p.width, 4), unique(backend, p.unique, p.n, p.width);
  const StridedMatrix d_generic(backend, p.n, p.width, 1), d_unique(backend, p.n, p.width, 6);
  const Buffer<float> parameters = to_device(backend, p.parameters);
  const Buffer<std::int32_t> permutation = to_device(backend, p.permutation);
  const Buffer<float> loss = garbage(backend, 1);
  const GarbageWorkspace workspace(backend, backend.club_workspace(p.n, p.width, p.hidden));
  backend.club(generic.view(), unique.view(), permutation.span(), {p.width, p.hidden, parameters.span()},
               weight, loss.data(), d_generic.view(), d_unique.view(), workspace);
  Result result{loss.download()[0], d_generic.values()};
  const std::vector<float> second = d_unique.values();
  result.gradient.insert(result.gradient.end(), second.begin(), second.end());
  return result;
}

}  // namespace

TEST_CASE("club: loss and gradients against central differences") {
  // The activations of the last two do not fit in the shared memory of a block.
  for (const auto& [n, width, hidden] :
       {std::tuple{2, 1, 5}, std::tuple{9, 4, 3}, std::tuple{35, 32, 8}, std::tuple{141, 5, 2},
        std::tuple{2, 703, 2}, std::tuple{35, 3, 351}}) {
    Problem p = make_problem(n, width, hidden);
    if (signed_bound(p) <= 0.0) p = partners_exchanged(p);
    const double bound = signed_bound(p);
    REQUIRE(bound > 0.0);
    const float weight = 0.3f;
    const ReferenceNetwork q = network_of(p);
    const auto split = static_cast<std::ptrdiff_t>(p.generic.size());
    std::vector<double> x = to_double(p.generic);
    x.insert(x.end(), p.unique.begin(), p.unique.end());
    const std::vector<double> differences = central_differences(
        [&](const std::vector<double>& at) {
          return weight *
                 signed_bound(p, q, {at.begin(), at.begin() + split}, {at.begin() + split, at.end()});
        },
        x, 1e-6);  // of thousands of hidden units, none may pass 0 within a step
    for_each_backend([&](Backend& backend) {
      CAPTURE(n, width, hidden);
      const Result result = run(backend, p, weight);
      CHECK(result.loss == Approx(bound).epsilon(1e-5).margin(1e-6));
      CHECK(relative_error(result.gradient, differences, 1e-3) < 1e-5);
    });
  }
}

TEST_CASE("club: a bound that is not positive is 0 and has no gradient") {
  Problem p = make_problem(150, 7, 3);
  if (signed_bound(p) > 0.0) p = partners_exchanged(p);
  REQUIRE(signed_bound(p) < 0.0);
  Problem identity = p;
  for (std::int64_t i = 0; i < p.n; ++i) identity.permutation[i] = static_cast<std::int32_t>(i);
  for_each_backend([&](Backend& backend) {
    for (const Problem& problem : {p, identity, make_problem(1, 3, 2)}) {
      const Result result = run(backend, problem, 1.0f);
      CHECK(result.loss == 0.0f);
      CHECK(std::all_of(result.gradient.begin(), result.gradient.end(), [](float x) { return x == 0.0f; }));
    }
  });
}

TEST_CASE("club: more rows than blocks have activations of their own") {
  Problem p = make_problem(8225, 703, 1);
  if (signed_bound(p) <= 0.0) p = partners_exchanged(p);
  CpuBackend cpu(1);
  const Result expected = run(cpu, p, 1.0f);
  REQUIRE(expected.loss > 0.0f);
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p, 1.0f);
    CHECK(result.loss == Approx(expected.loss).epsilon(1e-5));
    CHECK(relative_error(result.gradient, to_double(expected.gradient)) < 1e-5);
  });
}

TEST_CASE("club: what is not a number stays one") {
  for (const auto& [width, hidden] : {std::pair{4, 3}, {32, 8}}) {
    const Problem clean = make_problem(20, width, hidden);
    for (const std::size_t place : {0, 1, 2}) {
      Problem p = clean;
      (place == 0 ? p.generic : place == 1 ? p.unique : p.parameters)[13] = std::nanf("");
      for_each_backend([&](Backend& backend) { CHECK(std::isnan(run(backend, p, 1.0f).loss)); });
    }
  }
}

TEST_CASE("club: the same bits on any number of threads") {
  Problem p = make_problem(1391, 32, 8);
  if (signed_bound(p) <= 0.0) p = partners_exchanged(p);
  CpuBackend one(1);
  const Result expected = run(one, p, 1.0f);
  for (const int threads : {2, 3, 4}) {
    CpuBackend backend(threads);
    const Result result = run(backend, p, 1.0f);
    CHECK(result.loss == expected.loss);
    CHECK(result.gradient == expected.gradient);
  }
}

TEST_CASE("club refuses what it cannot compute") {
  CpuBackend backend(1);
  Problem p = make_problem(6, 4, 3);
  p.permutation[2] = 6;
  CHECK_THROWS_AS(run(backend, p, 1.0f), Error);
  p.permutation[2] = -1;
  CHECK_THROWS_AS(run(backend, p, 1.0f), Error);
  p = make_problem(6, 4, 3);
  p.parameters.pop_back();
  CHECK_THROWS_AS(run(backend, p, 1.0f), Error);
  p = make_problem(6, 4, 3);
  p.permutation.pop_back();
  CHECK_THROWS_AS(run(backend, p, 1.0f), Error);
}
