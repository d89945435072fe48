// Graphs whose values are computed, and differentiated, in the step.

#include "program/nodes.hpp"

namespace sea {

namespace {

/// A matrix of one row, zeroed where the pattern leaves a rest of it unwritten.
VectorView cleared(const NodeRun& run, MatrixView values) {
  run.backend().fill_zero(values.data, static_cast<std::size_t>(values.columns) * sizeof(float));
  return {values.data, static_cast<std::size_t>(values.columns)};
}

}  // namespace

Tensor sddmm(Tape& tape, const LearnedPattern& graph, Tensor mask, Tensor x, Tensor y) {
  const Tensor values = tape.activation(1, graph.capacity);
  const Tensor masked = tape.activation(1, graph.capacity), transposed = tape.activation(1, graph.capacity);
  Node node{.name = "sddmm",
            .inputs = {x, y},
            .outputs = {values},
            .saved_for_backward = {x, y},
            .backward_outputs = {masked, transposed}};
  if (!mask.empty()) {
    node.constants = {mask};
    node.saved_for_backward.push_back(mask);
  }
  node.forward = [=](const NodeRun& run) {
    const VectorView written = cleared(run, run.value(values));
    run.backend().sddmm({graph.pattern, run.value(mask).data}, run.value(x), run.value(y), written);
  };
  node.backward = [=](const NodeRun& run) {
    Backend& backend = run.backend();
    const MatrixView dx = run.input_gradient(0), dy = run.input_gradient(1);
    const float* dv = run.gradient(values).data;
    if (!mask.empty()) {
      backend.multiply(run.value(mask), run.gradient(values), run.value(masked));
      dv = run.value(masked).data;
    }
    if (!dx.empty()) backend.spmm({graph.pattern, dv}, run.value(y), {}, dx);
    if (dy.empty()) return;
    const auto count = static_cast<std::size_t>(graph.capacity);
    backend.transpose_values(graph.transposed, graph.permutation, {dv, count}, run.vector(transposed));
    backend.spmm({graph.transposed, run.value(transposed).data}, run.value(x), {}, dy);
  };
  tape.add(std::move(node));
  return values;
}

Tensor edge_normalize(Tape& tape, const LearnedPattern& graph, Tensor values) {
  const Tensor normalized = tape.activation(1, graph.capacity),
               inverse_roots = tape.activation(1, graph.pattern.rows);
  tape.add({.name = "edge_normalize",
            .inputs = {values},
            .outputs = {normalized, inverse_roots},
            .saved_for_backward = {values, inverse_roots},
            .workspace = tape.backend().edge_normalize_workspace(graph.pattern.rows),
            .forward =
                [=](const NodeRun& run) {
                  run.backend().edge_normalize(graph.pattern, run.vector(values),
                                               cleared(run, run.value(normalized)),
                                               run.vector(inverse_roots));
                },
            .backward =
                [=](const NodeRun& run) {
                  const MatrixView gradient = run.gradient(normalized);
                  run.backend().edge_normalize_backward(
                      graph.pattern, graph.transposed, graph.permutation, run.vector(values),
                      run.vector(inverse_roots), {gradient.data, static_cast<std::size_t>(gradient.columns)},
                      cleared(run, run.input_gradient(0)), run.workspace());
                }});
  return normalized;
}

Tensor spmm(Tape& tape, const LearnedPattern& graph, Tensor values, Tensor x) {
  const Tensor y = tape.activation(graph.pattern.rows, x.columns);
  const Tensor transposed = tape.activation(1, graph.capacity);
  tape.add(
      {.name = "spmm",
       .inputs = {values, x},
       .outputs = {y},
       .saved_for_backward = {values, x},
       .backward_outputs = {transposed},
       .forward =
           [=](const NodeRun& run) {
             run.backend().spmm({graph.pattern, run.value(values).data}, run.value(x), {}, run.value(y));
           },
       .backward =
           [=](const NodeRun& run) {
             Backend& backend = run.backend();
             const MatrixView dvalues = run.input_gradient(0), dx = run.input_gradient(1);
             if (!dvalues.empty())
               backend.sddmm({graph.pattern, nullptr}, run.gradient(y), run.value(x), cleared(run, dvalues));
             if (dx.empty()) return;
             backend.transpose_values(graph.transposed, graph.permutation, run.vector(values),
                                      run.vector(transposed));
             backend.spmm({graph.transposed, run.value(transposed).data}, run.gradient(y), {}, dx);
           }});
  return y;
}

}  // namespace sea
