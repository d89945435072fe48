#include <cmath>
#include <numeric>

#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr float epsilon = 1e-5f;

/// Mean and inverse deviation of each column.
Values statistics(const std::vector<double>& x, std::int64_t rows, std::int64_t columns) {
  Values found(2, std::vector<double>(static_cast<std::size_t>(columns)));
  for (std::int64_t j = 0; j < columns; ++j) {
    double variance = 0.0;
    for (std::int64_t i = 0; i < rows; ++i) found[0][j] += x[i * columns + j] / static_cast<double>(rows);
    for (std::int64_t i = 0; i < rows; ++i)
      variance += std::pow(x[i * columns + j] - found[0][j], 2) / static_cast<double>(rows);
    found[1][j] = 1.0 / std::sqrt(variance + static_cast<double>(epsilon));
  }
  return found;
}

/// X, scale and shift to mean, inverse deviation and Y.
Operator batch_norm(std::int64_t rows, std::int64_t columns, bool relu, float offset = 0.0f) {
  std::vector<float> values = random_values(rows * columns, 1);
  for (float& value : values) value += offset;
  Operator described;
  described.inputs = {{rows, columns, values}, {1, columns, {}, true}, {1, columns, {}, true}};
  described.outputs = {{1, columns, {}, true}, {1, columns, {}, true}, {rows, columns}};
  described.run = [=](Backend& backend, const Views& in, const Views& out) {
    const GarbageWorkspace workspace(backend, backend.batch_norm_workspace(rows, columns));
    backend.batch_norm(in[0], vector_of(in[1]), vector_of(in[2]), epsilon, relu, vector_of(out[0]),
                       vector_of(out[1]), out[2], workspace);
  };
  described.reference = [=](const Values& in) {
    Values results = statistics(in[0], rows, columns);
    results.emplace_back();
    for (std::size_t i = 0; i < in[0].size(); ++i) {
      const std::size_t j = i % static_cast<std::size_t>(columns);
      const double value = in[1][j] * (in[0][i] - results[0][j]) * results[1][j] + in[2][j];
      results[2].push_back(relu && value <= 0.0 ? 0.0 : value);
    }
    return results;
  };
  described.tolerance = 1e-5;
  return described;
}

/// What the forward left, behind the other inputs of a backward.
std::vector<Operand> with_statistics(std::vector<Operand> inputs, const Operator& forward) {
  const Values left =
      forward.reference({to_double(forward.inputs[0].values), to_double(forward.inputs[1].values),
                         to_double(forward.inputs[2].values)});
  for (const std::size_t k : {0, 1}) {
    const auto columns = static_cast<std::int64_t>(left[k].size());
    inputs.push_back({1, columns, {left[k].begin(), left[k].end()}, true});
  }
  return inputs;
}

Operator with_random_columns(Operator forward) {
  forward.inputs[1].values = random_values(forward.inputs[1].columns, 13);
  forward.inputs[2].values = random_values(forward.inputs[2].columns, 14);
  return forward;
}

/// X, Y, dY, scale, mean and inverse deviation to dX, dscale and dshift.
Operator batch_norm_backward(std::int64_t rows, std::int64_t columns, bool relu) {
  const Operator forward = with_random_columns(batch_norm(rows, columns, relu));
  const Values at = {to_double(forward.inputs[0].values), to_double(forward.inputs[1].values),
                     to_double(forward.inputs[2].values)};
  const std::vector<double> y = forward.reference(at)[2];
  Operator described;
  described.inputs = with_statistics(
      {forward.inputs[0], {rows, columns, {y.begin(), y.end()}}, {rows, columns}, forward.inputs[1]},
      forward);
  described.outputs = {{rows, columns}, {1, columns, {}, true}, {1, columns, {}, true}};
  described.run = [=](Backend& backend, const Views& in, const Views& out) {
    const GarbageWorkspace workspace(backend, backend.batch_norm_workspace(rows, columns));
    backend.batch_norm_backward(in[0], relu ? in[1] : MatrixView(), in[2], vector_of(in[3]), vector_of(in[4]),
                                vector_of(in[5]), relu, out[0], vector_of(out[1]), vector_of(out[2]),
                                workspace);
  };
  described.reference = [=](const Values& in) {
    Values results = {in[0], std::vector<double>(in[3].size()), std::vector<double>(in[3].size())};
    const auto passed = [&](std::size_t i) { return !relu || in[1][i] > 0.0 ? in[2][i] : 0.0; };
    const auto normal = [&](std::size_t i) {
      const std::size_t j = i % in[3].size();
      return (in[0][i] - in[4][j]) * in[5][j];
    };
    for (std::size_t i = 0; i < in[0].size(); ++i) {
      results[1][i % in[3].size()] += passed(i) * normal(i);
      results[2][i % in[3].size()] += passed(i);
    }
    for (std::size_t i = 0; i < in[0].size(); ++i) {
      const std::size_t j = i % in[3].size();
      const double common = results[2][j] + normal(i) * results[1][j];
      results[0][i] = in[3][j] * in[5][j] * (passed(i) - common / static_cast<double>(rows));
    }
    return results;
  };
  if (rows * columns < 300) {
    described.differences = [=](const Values& in) {
      Values gradients;
      for (const std::size_t input : {0, 1, 2}) {
        const auto loss = [&](const std::vector<double>& moved) {
          Values values = at;
          values[input] = moved;
          const std::vector<double> out = forward.reference(values)[2];
          return std::inner_product(out.begin(), out.end(), in[2].begin(), 0.0);
        };
        gradients.push_back(central_differences(loss, at[input]));
      }
      return gradients;
    };
  }
  described.tolerance = 1e-5;
  described.floor = 0.1;
  return described;
}

/// dX of batch_norm without ReLU.
std::vector<double> naive_backward(const std::vector<double>& x, const std::vector<double>& dy,
                                   const std::vector<double>& scale, std::int64_t rows,
                                   std::int64_t columns) {
  const Values known = statistics(x, rows, columns);
  const Operator backward = batch_norm_backward(rows, columns, false);
  return backward.reference({x, {}, dy, scale, known[0], known[1]})[0];
}

/// X, dY, G, scale, mean and inverse deviation to ddY, dX and dscale.
Operator batch_norm_double_backward(std::int64_t rows, std::int64_t columns, float offset = 0.0f) {
  const Operator forward = with_random_columns(batch_norm(rows, columns, false, offset));
  Operator described;
  described.inputs = with_statistics({forward.inputs[0],
                                      {rows, columns, random_values(rows * columns, 22)},
                                      {rows, columns},
                                      forward.inputs[1]},
                                     forward);
  described.outputs = {{rows, columns}, {rows, columns}, {1, columns, {}, true}};
  described.run = [=](Backend& backend, const Views& in, const Views& out) {
    const GarbageWorkspace workspace(backend, backend.batch_norm_workspace(rows, columns));
    backend.batch_norm_double_backward(in[0], in[1], in[2], vector_of(in[3]), vector_of(in[4]),
                                       vector_of(in[5]), out[0], out[1], vector_of(out[2]), workspace);
  };
  described.reference = [=](const Values& in) {
    Values gradients;
    for (const std::size_t input : {1, 0, 3}) {
      const auto loss = [&](const std::vector<double>& moved) {
        Values values = in;
        values[input] = moved;
        const std::vector<double> out = naive_backward(values[0], values[1], values[3], rows, columns);
        return std::inner_product(out.begin(), out.end(), in[2].begin(), 0.0);
      };
      gradients.push_back(central_differences(loss, in[input]));
    }
    return gradients;
  };
  // Of two rows what is left are differences of nearly equal numbers.
  described.tolerance = 1e-5;
  described.floor = 1.0;
  described.nan = NanCheck::none;
  return described;
}

}  // namespace

TEST_CASE("batch_norm equals a naive loop, far from zero too") {
  for (const bool relu : {false, true}) {
    for (const auto& [rows, columns] : {std::pair{1, 3}, {2, 1}, {30, 8}, {140, 2}}) {
      check_operator(with_random_columns(batch_norm(rows, columns, relu)));
      check_outputs(with_random_columns(batch_norm(rows, columns, relu, 20.0f)));
    }
    for (const auto& [rows, columns] : {std::pair{700, 1}, {1025, 21}, {128, 33}, {129, 32}})
      check_outputs(with_random_columns(batch_norm(rows, columns, relu, 20.0f)));
  }
}

TEST_CASE("batch_norm: squares that a float cannot hold, or cancels") {
  check_outputs(with_random_columns(batch_norm(30, 8, false, 60.0f)));
  Operator large = with_random_columns(batch_norm(30, 3, false));
  for (float& value : large.inputs[0].values) value *= 3e19f;
  large.floor = 1e-30;  // the deviations are tiny
  check_outputs(large);
}

TEST_CASE("batch_norm_backward equals central differences") {
  for (const bool relu : {false, true}) {
    for (const auto& [rows, columns] : {std::pair{5, 1}, {23, 4}, {140, 8}})
      check_operator(batch_norm_backward(rows, columns, relu));
    for (const auto& [rows, columns] : {std::pair{128, 33}, {129, 32}, {1100, 3}})
      check_outputs(batch_norm_backward(rows, columns, relu));
  }
}

TEST_CASE("batch_norm_double_backward equals central differences of the backward") {
  for (const auto& [rows, columns] : {std::pair{2, 1}, {5, 3}, {23, 4}})
    check_operator(batch_norm_double_backward(rows, columns));
}

TEST_CASE("batch_norm_double_backward over several blocks of rows, columns far from zero") {
  constexpr std::int64_t rows = 300, columns = 37;
  const Operator described = batch_norm_double_backward(rows, columns, 20.0f);
  const std::vector<double> x = to_double(described.inputs[0].values),
                            dy = to_double(described.inputs[1].values),
                            scale = to_double(described.inputs[3].values),
                            g = to_double(random_values(rows * columns, 3)),
                            direction = to_double(random_values(rows * columns, 26));
  // The backward is its own transpose: the gradient of dY is the backward of G. That of X is taken from a
  // difference along one direction.
  const std::vector<double> ddy = naive_backward(x, g, scale, rows, columns);
  const auto moved = [&](double step) {
    std::vector<double> at = x;
    for (std::size_t i = 0; i < at.size(); ++i) at[i] += step * direction[i];
    const std::vector<double> out = naive_backward(at, dy, scale, rows, columns);
    return std::inner_product(out.begin(), out.end(), g.begin(), 0.0);
  };
  const double slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
  for_each_backend([&](Backend& backend) {
    const std::vector<std::vector<float>> result = run_operator(backend, described);
    CHECK(relative_error(result[0], ddy) < 1e-5);
    CHECK(std::inner_product(direction.begin(), direction.end(), result[1].begin(), 0.0) ==
          Approx(slope).epsilon(1e-4));
  });
}

TEST_CASE("batch_norm gives the same bits on any number of threads") {
  check_threads(batch_norm(1700, 19, true));
  check_threads(batch_norm_backward(1700, 19, true));
  check_threads(batch_norm_double_backward(1700, 19));
}

TEST_CASE("batch_norm and its backwards refuse shapes that do not fit") {
  check_refuses(batch_norm(2, 3, true));
  check_refuses(batch_norm_backward(2, 3, true));
  check_refuses(batch_norm_double_backward(2, 3));
}
