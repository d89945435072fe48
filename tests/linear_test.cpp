#include "support/operator_check.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

Operator linear(std::int64_t n, std::int64_t in_columns, std::int64_t out_columns) {
  Operator described;
  described.inputs = {{n, in_columns}, {out_columns, in_columns}, {1, out_columns, {}, true}};
  described.outputs = {{n, out_columns}};
  described.products = true;
  described.run = [](Backend& backend, const Views& in, const Views& out) {
    backend.linear(in[0], in[1], vector_of(in[2]), out[0]);
  };
  described.reference = [=](const Values& in) {
    std::vector<double> y = naive_product(in[0], in[1], n, in_columns, out_columns, false, true);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += in[2][i % in[2].size()];
    return Values{y};
  };
  return described;
}

/// With the gradient of X, or without it.
Operator linear_backward(std::int64_t n, std::int64_t in_columns, std::int64_t out_columns, bool of_x) {
  std::vector<std::size_t> wanted = {1, 2};
  if (of_x) wanted.push_back(0);
  const Run run = [=](Backend& backend, const Views& in, const Views& out) {
    const GarbageWorkspace workspace(backend, backend.linear_backward_workspace(n, in_columns, out_columns));
    backend.linear_backward(in[0], in[1], in[3], of_x ? out[2] : MatrixView(), out[0], vector_of(out[1]),
                            workspace);
  };
  const Reference closed_form = [=](const Values& in) {
    const std::vector<double> ones(static_cast<std::size_t>(n), 1.0);
    Values gradients = {naive_product(in[3], in[0], out_columns, n, in_columns, true),
                        naive_product(ones, in[3], 1, n, out_columns)};
    if (of_x) gradients.push_back(naive_product(in[3], in[1], n, out_columns, in_columns));
    return gradients;
  };
  Operator described = gradient_of(linear(n, in_columns, out_columns), wanted, run, closed_form);
  if (n * in_columns > 300) described.differences = nullptr;
  return described;
}

}  // namespace

TEST_CASE("linear equals a naive loop") {
  check_operator(linear(1, 1, 1));
  check_operator(linear(3, 5, 1));
  check_operator(linear(9, 8, 12));
  check_outputs(linear(1000, 6, 7));
  check_outputs(linear(1025, 33, 16));
  Operator in_parts = linear(5, 2100, 6);  // a sum that CUDA cuts in parts
  in_parts.tolerance = 4e-6;
  check_outputs(in_parts);
}

TEST_CASE("linear_backward equals central differences, with and without the input's gradient") {
  for (const bool of_x : {true, false}) {
    check_operator(linear_backward(1, 1, 1, of_x));
    check_operator(linear_backward(7, 3, 5, of_x));
    check_operator(linear_backward(6, 8, 12, of_x));
    check_operator(linear_backward(4, 5, 5, of_x));
  }
}

TEST_CASE("linear_backward sums several blocks of rows") {
  Operator described = linear_backward(1300, 5, 4, false);
  described.tolerance = 4e-6;  // a sum so long in tensor cores, which round towards zero
  check_outputs(described);
}

// On CUDA both products are in one launch, unless the second one is cut in parts (common/split_product.cu).
TEST_CASE("linear_backward: several tiles of both products, either one in parts, rows in line or not") {
  for (const auto& [n, in_columns, out_columns] : {std::tuple{130, 70, 66}, {130, 68, 132}, {68, 68, 700}}) {
    check_outputs(linear_backward(n, in_columns, out_columns, true));
  }
  Operator long_sums = linear_backward(1300, 68, 64, true);
  long_sums.tolerance = 4e-6;  // as above
  check_outputs(long_sums);
}

TEST_CASE("linear_backward of a large weight") {
  check_outputs(linear_backward(3, 1100, 1000, true));
  check_threads(linear_backward(3, 1100, 1000, false));
}

TEST_CASE("linear refuses shapes that do not fit") {
  check_refuses(linear(3, 2, 4));
  check_refuses(linear_backward(3, 2, 4, true), {2});  // the backward has no bias
}
