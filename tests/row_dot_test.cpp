#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

struct Shape {
  std::int64_t rows, width, blocks;
};
constexpr Shape shapes[] = {{1, 1, 1}, {9, 3, 5}, {8, 64, 4}, {33, 33, 2}, {5, 130, 1}};

Operator row_dot(const Shape& s) {
  Operator described;
  described.inputs = {{s.rows, s.width}, {s.rows, s.blocks * s.width}};
  described.outputs = {{s.rows, s.blocks}};
  described.run = [](Backend& backend, const Views& in, const Views& out) {
    backend.row_dot(in[0], in[1], out[0]);
  };
  described.reference = [s](const Values& in) {
    std::vector<double> y(static_cast<std::size_t>(s.rows * s.blocks));
    for (std::int64_t k = 0; k < s.rows * s.blocks; ++k) {
      for (std::int64_t j = 0; j < s.width; ++j)
        y[k] += in[0][k / s.blocks * s.width + j] * in[1][k * s.width + j];
    }
    return Values{y};
  };
  return described;
}

/// The gradients that are asked for.
Operator row_dot_backward(const Shape& s, bool of_a, bool of_b) {
  std::vector<std::size_t> wanted;
  if (of_a) wanted.push_back(0);
  if (of_b) wanted.push_back(1);
  const Run run = [=](Backend& backend, const Views& in, const Views& out) {
    backend.row_dot_backward(in[0], in[1], in[2], of_a ? out.front() : MatrixView(),
                             of_b ? out.back() : MatrixView());
  };
  return gradient_of(row_dot(s), wanted, run, [=](const Values& in) {
    std::vector<double> da(in[0].size()), db(in[1].size());
    for (std::int64_t k = 0; k < s.rows * s.blocks; ++k) {
      for (std::int64_t j = 0; j < s.width; ++j) {
        da[k / s.blocks * s.width + j] += in[2][k] * in[1][k * s.width + j];
        db[k * s.width + j] = in[2][k] * in[0][k / s.blocks * s.width + j];
      }
    }
    Values gradients;
    if (of_a) gradients.push_back(da);
    if (of_b) gradients.push_back(db);
    return gradients;
  });
}

}  // namespace

TEST_CASE("row_dot and its gradients") {
  for (const Shape& shape : shapes) {
    check_operator(row_dot(shape));
    check_operator(row_dot_backward(shape, true, true));
    check_operator(row_dot_backward(shape, true, false));
    check_operator(row_dot_backward(shape, false, true));
  }
}

TEST_CASE("row_dot gives the same bits on any number of threads") {
  check_threads(row_dot({2000, 65, 2}));
  check_threads(row_dot_backward({2000, 65, 2}, true, true));
}

TEST_CASE("row_dot refuses shapes that do not fit") {
  check_refuses(row_dot({2, 2, 3}));
  check_refuses(row_dot_backward({2, 2, 3}, true, true));
}
