#include <cmath>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr MatrixNorm all[] = {MatrixNorm::frobenius, MatrixNorm::mean_square, MatrixNorm::half_squares};

/// Of the first `count` rows; of all where it is -1, without a step state.
Operator matrix_norm(MatrixNorm norm, std::int64_t rows, std::int64_t columns, std::int64_t count = -1,
                     std::vector<float> values = {}) {
  constexpr double divisor = 2.5;
  constexpr float weight = 0.6f;
  const std::int64_t valid = count < 0 ? rows : count;
  if (values.empty()) values = random_values(rows * columns, 1);
  const auto terms = [=](const Values& in) {
    double square = 0.0;
    for (std::int64_t i = 0; i < valid * columns; ++i) square += in[0][i] * in[0][i];
    const auto elements = static_cast<double>(valid * columns);
    const double loss = norm == MatrixNorm::frobenius     ? std::sqrt(square)
                        : norm == MatrixNorm::mean_square ? square / elements
                                                          : square / 2.0;
    const double slope = norm == MatrixNorm::frobenius     ? (loss == 0.0 ? 0.0 : 1.0 / loss)
                         : norm == MatrixNorm::mean_square ? 2.0 / elements
                                                           : 1.0;
    Values results{{loss / divisor}, std::vector<double>(in[0].size())};
    for (std::int64_t i = 0; i < valid * columns; ++i)
      results[1][i] = static_cast<double>(weight) * slope / divisor * in[0][i];
    return results;
  };
  const Run run = [=](Backend& backend, const Views& in, const Views& out) {
    const DeviceState state(backend, count);
    const GarbageWorkspace workspace(backend, backend.matrix_norm_workspace(rows, columns));
    backend.matrix_norm(in[0], norm, divisor, state.get(), weight, out[0].data, out[1], workspace);
  };
  Operator described = loss_of(
      {{rows, columns, nan_behind(values, columns, valid)}}, {0}, weight,
      [=](const Values& in) { return terms(in)[0][0]; }, run, terms);
  if (rows * columns > 300) described.differences = nullptr;
  return described;
}

}  // namespace

TEST_CASE("matrix_norm: losses and gradients, which look at no row behind the batch") {
  for (const MatrixNorm norm : all) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 17}, {23, 7}, {41, 2}, {9, 20}, {9, 32}}) {
      check_operator(matrix_norm(norm, rows, columns));
      check_operator(matrix_norm(norm, rows, columns, (rows + 1) / 2));
    }
    for (const auto& [rows, columns] : {std::pair{61, 33}, {1, 4100}, {3, 2049}, {300, 9}})
      check_outputs(matrix_norm(norm, rows, columns, rows));
  }
  // More rows than one round of the blocks, in packs and not; more blocks than threads of one.
  check_outputs(matrix_norm(MatrixNorm::frobenius, 525, 1028));
  check_outputs(matrix_norm(MatrixNorm::mean_square, 520, 257));
}

TEST_CASE("matrix_norm of zeros has the gradient 0; squares beyond float") {
  for (const MatrixNorm norm : all) {
    Operator zeros = matrix_norm(norm, 3, 4, -1, std::vector<float>(12));
    zeros.differences = nullptr;
    check_outputs(zeros);
  }
  Operator large = matrix_norm(MatrixNorm::frobenius, 1, 2, -1, {3e30f, 4e30f});
  large.differences = nullptr;
  check_outputs(large);
}

TEST_CASE("matrix_norm gives the same bits on any number of threads") {
  for (const auto& [rows, columns] : {std::pair{2003, 33}, {30001, 2}}) {
    for (const MatrixNorm norm : all) check_threads(matrix_norm(norm, rows, columns, rows - 5));
  }
}

TEST_CASE("matrix_norm refuses shapes that do not fit") {
  check_refuses(matrix_norm(MatrixNorm::frobenius, 4, 3), {1});  // but the loss
  CpuBackend backend(1);
  const Buffer<float> m = garbage(backend, 12);
  const GarbageWorkspace workspace(backend, backend.matrix_norm_workspace(4, 3));
  const auto call = [&](double divisor, std::int64_t count, Workspace scratch) {
    const StepState state{0, 0, 0, count};
    backend.matrix_norm(m.matrix(4, 3), MatrixNorm::frobenius, divisor, &state, 1.0f, m.data(),
                        m.matrix(4, 3), scratch);
  };
  CHECK_THROWS_AS(call(0.0, 4, workspace), Error);
  CHECK_THROWS_AS(call(1.0, 5, workspace), Error);
  CHECK_THROWS_AS(call(1.0, 0, workspace), Error);
  CHECK_THROWS_AS(call(1.0, 4, Workspace{}), Error);
}
