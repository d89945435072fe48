// Propagation on graphs.

#include "program/nodes.hpp"
#include "sea/error.hpp"

namespace sea {

Tensor propagate(Tape& tape, const CsrView& graph, const CsrView& transposed, Tensor x, std::int64_t count,
                 Layers layers) {
  if (count < 1) throw Error("propagate: at least one layer");
  const Tensor y = tape.activation(x.rows, x.columns);
  // The sum of all layers is evaluated by Horner's rule, X + A (X + A (...)): every product adds the same
  // residual. The last layer alone is a chain of plain products, of which only the final one adds X, if any.
  const bool every_adds = layers == Layers::all || layers == Layers::mean;
  const bool final_adds = layers != Layers::last;
  const auto apply = [=](Backend& backend, const CsrView& a, ConstMatrixView in, MatrixView out,
                         MatrixView first, MatrixView second) {
    ConstMatrixView current = in;
    for (std::int64_t layer = 1; layer <= count; ++layer) {
      const bool final = layer == count;
      const MatrixView next = final ? out : (layer % 2 == 1 ? first : second);
      backend.spmm(a, current, every_adds || (final && final_adds) ? in : ConstMatrixView(), next);
      current = next;
    }
    if (layers == Layers::mean) backend.scale(1.0f / static_cast<float>(count + 1), out, out);
  };
  // Two scratch matrices serve any number of layers; one direction's are dead in the other.
  Node node;
  node.name = "propagate";
  node.inputs = {x};
  node.outputs = {y};
  const Tensor forward_first = count > 1 ? tape.activation(x.rows, x.columns) : Tensor{};
  const Tensor forward_second = count > 2 ? tape.activation(x.rows, x.columns) : Tensor{};
  const Tensor backward_first = count > 1 ? tape.activation(x.rows, x.columns) : Tensor{};
  const Tensor backward_second = count > 2 ? tape.activation(x.rows, x.columns) : Tensor{};
  for (const Tensor& scratch : {forward_first, forward_second}) {
    if (!scratch.empty()) node.outputs.push_back(scratch);
  }
  for (const Tensor& scratch : {backward_first, backward_second}) {
    if (!scratch.empty()) node.backward_outputs.push_back(scratch);
  }
  node.forward = [=](const NodeRun& run) {
    apply(run.backend(), graph, run.value(x), run.value(y), run.value(forward_first),
          run.value(forward_second));
  };
  node.backward = [=](const NodeRun& run) {
    apply(run.backend(), transposed, run.gradient(y), run.input_gradient(0), run.value(backward_first),
          run.value(backward_second));
  };
  tape.add(std::move(node));
  return y;
}

void spmm(Tape& tape, const CsrView& graph, const CsrView& transposed, Tensor x, Tensor y) {
  tape.add({.name = "spmm",
            .inputs = {x},
            .outputs = {y},
            .forward = [=](const NodeRun& run) { run.backend().spmm(graph, run.value(x), {}, run.value(y)); },
            .backward =
                [=](const NodeRun& run) {
                  run.backend().spmm(transposed, run.gradient(y), {}, run.input_gradient(0));
                }});
}

Tensor spmm(Tape& tape, const CsrView& graph, const CsrView& transposed, Tensor x) {
  const Tensor y = tape.activation(graph.rows, x.columns);
  spmm(tape, graph, transposed, x, y);
  return y;
}

Tensor refine_layers(Tape& tape, const CsrView& graph, Tensor x, std::int64_t count) {
  if (count < 1) throw Error("refine_layers: at least one layer");
  const std::int64_t rows = x.rows, columns = x.columns;
  const Tensor y = tape.activation(rows, columns);
  const Tensor products = tape.activation(count * rows, columns);  // A H_(l-1), one below the other
  const Tensor refined = tape.activation(rows, columns);           // H_l from the second on
  const Tensor d_refined = tape.activation(rows, columns), d_product = tape.activation(rows, columns);
  const Tensor d_cosine = tape.activation(rows, columns), d_cosines = tape.activation(rows, columns);
  const auto product = [=](const NodeRun& run, std::int64_t layer) {
    return run.value(products.row_range(layer * rows, rows));
  };
  tape.add({.name = "refine_layers",
            .inputs = {x},
            .outputs = {y, products, refined},
            .saved_for_backward = {x, products},
            .backward_outputs = {d_refined, d_product, d_cosine, d_cosines},
            .forward =
                [=](const NodeRun& run) {
                  Backend& backend = run.backend();
                  backend.spmm(graph, run.value(x), {}, product(run, 0));
                  backend.cosine_scale(product(run, 0), run.value(x), run.value(y));
                  for (std::int64_t layer = 1; layer < count; ++layer) {
                    backend.spmm(graph, run.value(layer == 1 ? y : refined), {}, product(run, layer));
                    backend.cosine_scale(product(run, layer), run.value(x), run.value(refined));
                    backend.add(run.value(y), run.value(refined), run.value(y));
                  }
                },
            .backward =
                [=](const NodeRun& run) {
                  Backend& backend = run.backend();
                  const ConstMatrixView dy = run.gradient(y);
                  backend.cosine_scale_backward(product(run, count - 1), run.value(x), dy,
                                                run.value(d_product), run.value(d_cosines));
                  // A layer is read by the sum and by the layer after it.
                  for (std::int64_t layer = count - 2; layer >= 0; --layer) {
                    backend.spmm(graph, run.value(d_product), dy, run.value(d_refined));
                    backend.cosine_scale_backward(product(run, layer), run.value(x), run.value(d_refined),
                                                  run.value(d_product), run.value(d_cosine));
                    backend.add(run.value(d_cosines), run.value(d_cosine), run.value(d_cosines));
                  }
                  backend.spmm(graph, run.value(d_product), run.value(d_cosines), run.input_gradient(0));
                }});
  return y;
}

}  // namespace sea
