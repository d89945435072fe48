// Elementwise functions and softmax.

#include "program/nodes.hpp"

namespace sea {

Tensor multiply(Tape& tape, Tensor a, Tensor b) {
  const Tensor y = tape.activation(a.rows, a.columns);
  tape.add({.name = "multiply",
            .inputs = {a, b},
            .outputs = {y},
            .saved_for_backward = {a, b},
            .forward =
                [=](const NodeRun& run) { run.backend().multiply(run.value(a), run.value(b), run.value(y)); },
            .backward =
                [=](const NodeRun& run) {
                  for (const std::size_t input : {0, 1}) {
                    const MatrixView gradient = run.input_gradient(input);
                    if (!gradient.empty())
                      run.backend().multiply(run.gradient(y), run.value(input == 0 ? b : a), gradient);
                  }
                }});
  return y;
}

Tensor activate(Tape& tape, Activation activation, Tensor x) {
  const Tensor y = tape.activation(x.rows, x.columns);
  tape.add(
      {.name = "activate",
       .inputs = {x},
       .outputs = {y},
       .saved_for_backward = {y},
       .forward = [=](const NodeRun& run) { run.backend().activate(activation, run.value(x), run.value(y)); },
       .backward =
           [=](const NodeRun& run) {
             run.backend().activate_backward(activation, run.value(y), run.gradient(y),
                                             run.input_gradient(0));
           }});
  return y;
}

Tensor softmax(Tape& tape, Tensor x, float scale) {
  const Tensor y = tape.activation(x.rows, x.columns);
  tape.add({.name = "softmax",
            .inputs = {x},
            .outputs = {y},
            .saved_for_backward = {y},
            .forward = [=](const NodeRun& run) { run.backend().softmax(run.value(x), scale, run.value(y)); },
            .backward =
                [=](const NodeRun& run) {
                  run.backend().softmax_backward(run.value(y), run.gradient(y), scale, run.input_gradient(0));
                }});
  return y;
}

}  // namespace sea
