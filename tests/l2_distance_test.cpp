#include <vector>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

struct Result {
  float loss;
  std::vector<float> d_generic, d_unique;
};

Result run(Backend& backend, const std::vector<float>& generic, const std::vector<float>& unique,
           std::int64_t n, std::int64_t width, float weight) {
  // Where the width allows it, rows aligned to 16 bytes; else rows that are not.
  const bool aligned = width % 4 == 0;
  const StridedMatrix g(backend, generic, n, width, aligned ? 4 : 2),
      o(backend, unique, n, width, aligned ? 0 : 5);
  const StridedMatrix dg(backend, n, width, aligned ? 8 : 1), d_o(backend, n, width, aligned ? 4 : 3);
  const Buffer<float> loss = garbage(backend, 1);
  const GarbageWorkspace workspace(backend, backend.l2_distance_workspace(n, width));
  backend.l2_distance(g.view(), o.view(), weight, loss.data(), dg.view(), d_o.view(), workspace);
  return {loss.download()[0], dg.values(), d_o.values()};
}

double reference(const std::vector<double>& generic, const std::vector<double>& unique) {
  double sum = 0.0;
  for (std::size_t i = 0; i < generic.size(); ++i) {
    sum += (generic[i] - unique[i]) * (generic[i] - unique[i]);
  }
  return -sum / static_cast<double>(generic.size());
}

}  // namespace

TEST_CASE("l2_distance: loss and gradients") {
  for_each_backend([&](Backend& backend) {
    for (const auto& [n, width] : {std::pair{1, 1}, std::pair{1, 17}, std::pair{23, 7}, std::pair{601, 33},
                                   std::pair{39, 32}, std::pair{2, 4100}, std::pair{3, 20001}}) {
      CAPTURE(n, width);
      const std::vector<float> generic = random_values(n * width, 1), unique = random_values(n * width, 2);
      const std::vector<double> g = to_double(generic), o = to_double(unique);
      const float weight = 0.6f;
      const Result result = run(backend, generic, unique, n, width, weight);
      CHECK(result.loss == Approx(reference(g, o)).epsilon(1e-6));
      std::vector<double> d_generic, d_unique;
      if (n * width < 1000) {
        d_generic =
            central_differences([&](const std::vector<double>& at) { return weight * reference(at, o); }, g);
        d_unique =
            central_differences([&](const std::vector<double>& at) { return weight * reference(g, at); }, o);
      } else {
        for (std::size_t i = 0; i < g.size(); ++i) {
          d_generic.push_back(-2.0 * weight * (g[i] - o[i]) / static_cast<double>(g.size()));
          d_unique.push_back(-d_generic.back());
        }
      }
      CHECK(relative_error(result.d_generic, d_generic) < 1e-6);
      CHECK(relative_error(result.d_unique, d_unique) < 1e-6);
    }
  });
}

TEST_CASE("l2_distance: the same bits on any number of threads") {
  const std::vector<float> generic = random_values(2003 * 33, 1), unique = random_values(2003 * 33, 2);
  CpuBackend one(1);
  const Result expected = run(one, generic, unique, 2003, 33, 1.0f);
  for (const int threads : {2, 3, 4}) {
    CpuBackend backend(threads);
    const Result result = run(backend, generic, unique, 2003, 33, 1.0f);
    CHECK(result.loss == expected.loss);
    CHECK(result.d_generic == expected.d_generic);
    CHECK(result.d_unique == expected.d_unique);
  }
}

TEST_CASE("l2_distance refuses shapes that do not fit") {
  CpuBackend backend(1);
  const Buffer<float> m = garbage(backend, 12);
  const GarbageWorkspace workspace(backend, backend.l2_distance_workspace(4, 3));
  CHECK_THROWS_AS(backend.l2_distance(m.matrix(4, 3), m.matrix(3, 4), 1.0f, m.data(), m.matrix(4, 3),
                                      m.matrix(4, 3), workspace),
                  Error);
  CHECK_THROWS_AS(
      backend.l2_distance(m.matrix(4, 3), m.matrix(4, 3), 1.0f, m.data(), m.matrix(4, 3), m.matrix(4, 3), {}),
      Error);
}
