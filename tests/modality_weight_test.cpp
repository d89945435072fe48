#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

struct Shape {
  std::int64_t rows, blocks, width;
};
constexpr Shape shapes[] = {{1, 1, 1}, {1, 2, 33}, {53, 2, 1}, {19, 3, 21}, {7, 2, 68}};

Operator modality_weight(const Shape& s) {
  Operator described;
  described.inputs = {{s.rows, s.blocks * s.width}, {s.rows, s.blocks}};
  described.outputs = {{s.rows, s.blocks * s.width}};
  described.run = [](Backend& backend, const Views& in, const Views& out) {
    backend.modality_weight(in[0], in[1], out[0]);
  };
  described.reference = [s](const Values& in) {
    std::vector<double> y = in[0];
    for (std::size_t i = 0; i < y.size(); ++i) y[i] *= in[1][i / s.width];
    return Values{y};
  };
  return described;
}

Operator modality_weight_backward(const Shape& s) {
  const Run run = [](Backend& backend, const Views& in, const Views& out) {
    backend.modality_weight_backward(in[0], in[1], in[2], out[0], out[1]);
  };
  return gradient_of(modality_weight(s), {0, 1}, run, [s](const Values& in) {
    std::vector<double> dx = in[2], dweight(in[1].size());
    for (std::size_t i = 0; i < dx.size(); ++i) {
      dx[i] *= in[1][i / s.width];
      dweight[i / s.width] += in[2][i] * in[0][i];
    }
    return Values{dx, dweight};
  });
}

}  // namespace

TEST_CASE("modality_weight scales the blocks of each row, and its gradients") {
  for (const Shape& shape : shapes) {
    check_operator(modality_weight(shape));
    check_operator(modality_weight_backward(shape));
  }
  check_outputs(modality_weight({201, 2, 64}));
}

TEST_CASE("modality_weight gives the same bits on any number of threads") {
  check_threads(modality_weight({900, 2, 67}));
  check_threads(modality_weight_backward({900, 2, 67}));
}

TEST_CASE("modality_weight refuses shapes that do not fit") {
  check_refuses(modality_weight({2, 3, 2}));
  check_refuses(modality_weight_backward({2, 3, 2}));
}
