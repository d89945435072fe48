#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

struct Case {
  std::int64_t rows, blocks, width;
};
const std::vector<Case> cases{{1, 1, 1}, {1, 2, 33}, {53, 2, 1}, {19, 3, 21}, {201, 2, 64}};

std::vector<double> weighted(const std::vector<double>& x, const std::vector<double>& weight, const Case& c) {
  std::vector<double> y(x.size());
  for (std::int64_t i = 0; i < c.rows; ++i) {
    for (std::int64_t j = 0; j < c.blocks * c.width; ++j) {
      const std::int64_t at = i * c.blocks * c.width + j;
      y[at] = x[at] * weight[i * c.blocks + j / c.width];
    }
  }
  return y;
}

}  // namespace

TEST_CASE("modality_weight scales the blocks of each row") {
  for_each_backend([](Backend& backend) {
    for (const Case& c : cases) {
      const std::int64_t columns = c.blocks * c.width;
      const std::vector<float> values = random_values(c.rows * columns, 1);
      const std::vector<float> weights = random_values(c.rows * c.blocks, 2);
      const StridedMatrix x(backend, values, c.rows, columns), weight(backend, weights, c.rows, c.blocks, 1);
      const StridedMatrix y(backend, c.rows, columns, 9);
      backend.modality_weight(x.view(), weight.view(), y.view());
      CHECK(relative_error(y.values(), weighted(to_double(values), to_double(weights), c)) < 1e-7);
    }
  });
}

TEST_CASE("modality_weight_backward equals central differences") {
  for_each_backend([](Backend& backend) {
    for (const Case& c : {cases[0], cases[1], cases[2], cases[3]}) {
      const std::int64_t columns = c.blocks * c.width;
      const std::vector<float> values = random_values(c.rows * columns, 1);
      const std::vector<float> weights = random_values(c.rows * c.blocks, 2);
      const std::vector<float> upstream = random_values(c.rows * columns, 3);
      const StridedMatrix x(backend, values, c.rows, columns), weight(backend, weights, c.rows, c.blocks);
      const StridedMatrix dy(backend, upstream, c.rows, columns, 1);
      const StridedMatrix dx(backend, c.rows, columns), dweight(backend, c.rows, c.blocks, 2);
      backend.modality_weight_backward(x.view(), weight.view(), dy.view(), dx.view(), dweight.view());

      const auto loss = [&](const std::vector<double>& at, const std::vector<double>& scale) {
        const std::vector<double> y = weighted(at, scale, c);
        double sum = 0.0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * upstream[i];
        return sum;
      };
      const std::vector<double> x0 = to_double(values), w0 = to_double(weights);
      CHECK(relative_error(dx.values(),
                           central_differences([&](const auto& at) { return loss(at, w0); }, x0)) < 1e-6);
      CHECK(relative_error(dweight.values(),
                           central_differences([&](const auto& at) { return loss(x0, at); }, w0)) < 1e-6);
    }
  });
}

TEST_CASE("modality_weight gives the same bits on any number of threads") {
  const std::vector<float> values = random_values(900 * 134, 1), weights = random_values(900 * 2, 2);
  check_same_bits([&](Backend& backend) {
    const StridedMatrix x(backend, values, 900, 134), weight(backend, weights, 900, 2);
    const StridedMatrix y(backend, 900, 134), dx(backend, 900, 134), dweight(backend, 900, 2);
    backend.modality_weight(x.view(), weight.view(), y.view());
    backend.modality_weight_backward(x.view(), weight.view(), y.view(), dx.view(), dweight.view());
    return std::pair{dx.values(), dweight.values()};
  });
}

TEST_CASE("modality_weight refuses blocks that do not divide the columns") {
  CpuBackend backend(1);
  std::vector<float> values(30);
  const MatrixView x(values.data(), 2, 5), weight(values.data(), 2, 2), other(values.data(), 3, 5);
  CHECK_THROWS_AS(backend.modality_weight(x, weight, x), Error);
  CHECK_THROWS_AS(backend.modality_weight(x, other, x), Error);
  CHECK_THROWS_AS(backend.modality_weight_backward(x, weight, x, x, weight), Error);
}
