#include "program/nodes.hpp"

#include <utility>

namespace sea {

Tensor linear(Tape& tape, Tensor x, Tensor weight, Tensor bias) {
  const Tensor y = tape.activation(x.rows, weight.rows);
  linear(tape, x, weight, bias, y);
  return y;
}

void linear(Tape& tape, Tensor x, Tensor weight, Tensor bias, Tensor y) {
  tape.add({.name = "linear",
            .inputs = {x, weight, bias},
            .outputs = {y},
            .saved_for_backward = {x},
            .workspace = tape.backend().linear_backward_workspace(x.rows, x.columns, weight.rows),
            .forward =
                [=](const NodeRun& run) {
                  run.backend().linear(run.value(x), run.value(weight), run.vector(bias), run.value(y));
                },
            .backward =
                [=](const NodeRun& run) {
                  const MatrixView dx = run.input_gradient(0), dweight = run.input_gradient(1);
                  if (dweight.empty()) {  // of a tape that does not move this layer
                    run.backend().matmul(Transpose::no, Transpose::no, 1.0f, run.gradient(y),
                                         run.value(weight), 0.0f, dx);
                    return;
                  }
                  run.backend().linear_backward(run.value(x), run.value(weight), run.gradient(y), dx, dweight,
                                                run.input_gradient_vector(2), run.workspace());
                }});
}

void copy(Tape& tape, Tensor x, Tensor y) {
  tape.add(
      {.name = "copy",
       .inputs = {x},
       .outputs = {y},
       .forward = [=](const NodeRun& run) { run.backend().scale(1.0f, run.value(x), run.value(y)); },
       .backward =
           [=](const NodeRun& run) { run.backend().scale(1.0f, run.gradient(y), run.input_gradient(0)); }});
}

void add(Tape& tape, Tensor a, Tensor b, Tensor y) {
  tape.add(
      {.name = "add",
       .inputs = {a, b},
       .outputs = {y},
       .forward = [=](const NodeRun& run) { run.backend().add(run.value(a), run.value(b), run.value(y)); },
       .backward =
           [=](const NodeRun& run) {
             for (const std::size_t input : {0, 1}) {
               const MatrixView gradient = run.input_gradient(input);
               if (!gradient.empty()) run.backend().scale(1.0f, run.gradient(y), gradient);
             }
           }});
}

Tensor add(Tape& tape, Tensor a, Tensor b) {
  const Tensor y = tape.activation(a.rows, a.columns);
  add(tape, a, b, y);
  return y;
}

Tensor scale(Tape& tape, float factor, Tensor x) {
  const Tensor y = tape.activation(x.rows, x.columns);
  tape.add(
      {.name = "scale",
       .inputs = {x},
       .outputs = {y},
       .forward = [=](const NodeRun& run) { run.backend().scale(factor, run.value(x), run.value(y)); },
       .backward =
           [=](const NodeRun& run) { run.backend().scale(factor, run.gradient(y), run.input_gradient(0)); }});
  return y;
}

Tensor matmul(Tape& tape, Transpose transpose_a, Transpose transpose_b, Tensor a, Tensor b) {
  const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
  const auto flag = [](bool transposed) { return transposed ? Transpose::yes : Transpose::no; };
  const Tensor c = tape.activation(ta ? a.columns : a.rows, tb ? b.rows : b.columns);
  tape.add({.name = "matmul",
            .inputs = {a, b},
            .outputs = {c},
            .saved_for_backward = {a, b},
            .forward =
                [=](const NodeRun& run) {
                  run.backend().matmul(transpose_a, transpose_b, 1.0f, run.value(a), run.value(b), 0.0f,
                                       run.value(c));
                },
            .backward =
                [=](const NodeRun& run) {
                  const ConstMatrixView dc = run.gradient(c);
                  const MatrixView da = run.input_gradient(0), db = run.input_gradient(1);
                  Backend& backend = run.backend();
                  // dop(A) = dC op(B)^T, dop(B) = op(A)^T dC.
                  if (!da.empty() && !ta)
                    backend.matmul(flag(false), flag(!tb), 1.0f, dc, run.value(b), 0.0f, da);
                  if (!da.empty() && ta)
                    backend.matmul(flag(tb), flag(true), 1.0f, run.value(b), dc, 0.0f, da);
                  if (!db.empty() && !tb)
                    backend.matmul(flag(!ta), flag(false), 1.0f, run.value(a), dc, 0.0f, db);
                  if (!db.empty() && tb)
                    backend.matmul(flag(true), flag(ta), 1.0f, dc, run.value(a), 0.0f, db);
                }});
  return c;
}

namespace {

std::vector<LinearHead> head_views(const NodeRun& run, const std::vector<Head>& heads) {
  std::vector<LinearHead> views;
  for (const Head& head : heads)
    views.push_back({run.value(head.weight), run.vector(head.bias), head.first_column});
  return views;
}

}  // namespace

Tensor factored_linear(Tape& tape, Tensor x, Tensor weight, Tensor bias, const std::vector<Head>& heads) {
  std::int64_t outputs = 0;
  for (const Head& head : heads) outputs += head.weight.rows;
  const Tensor y = tape.activation(x.rows, outputs);
  const Tensor m = tape.activation(outputs, x.columns);
  const Tensor dm = tape.activation(outputs, x.columns);
  std::vector<Tensor> inputs = {x, weight, bias};
  for (const Head& head : heads) {
    inputs.push_back(head.weight);
    inputs.push_back(head.bias);
  }
  Node node{
      .name = "factored_linear",
      .inputs = inputs,
      .outputs = {y, m},
      .saved_for_backward = {x},
      .backward_outputs = {dm},
      .workspace = tape.backend().factored_linear_workspace(x.rows, weight.rows, x.columns, outputs),
      .forward =
          [=](const NodeRun& run) {
            run.backend().factored_linear(run.value(x), run.value(weight), run.vector(bias),
                                          head_views(run, heads), run.value(m), run.value(y),
                                          run.workspace());
          },
      .backward =
          [=](const NodeRun& run) {
            std::vector<LinearHeadGradient> gradients;
            for (std::size_t r = 0; r < heads.size(); ++r) {
              gradients.push_back({run.input_gradient(3 + 2 * r), run.input_gradient_vector(4 + 2 * r)});
            }
            run.backend().factored_linear_backward(run.value(x), run.value(weight), run.vector(bias),
                                                   head_views(run, heads), run.gradient(y), run.value(dm),
                                                   gradients, run.input_gradient_vector(2), run.workspace());
          }};
  if (tape.moves(weight)) {
    node.updates = {weight};
    node.update = [=](const NodeRun& run) {
      const OptimizedParameter w = run.optimized(weight);
      run.backend().factored_linear_update(head_views(run, heads), run.value(dm), w.value, w.first_moment,
                                           w.second_moment, w.settings, w.state, run.workspace());
    };
    node.materialize_gradient = [=](const NodeRun& run, MatrixView gradient) {
      run.backend().factored_linear_weight_gradient(head_views(run, heads), run.value(dm), gradient,
                                                    run.workspace());
    };
  }
  tape.add(std::move(node));
  return y;
}

Tensor leaky_relu(Tape& tape, Tensor x, float slope) {
  const Tensor y = tape.activation(x.rows, x.columns);
  leaky_relu(tape, x, slope, y);
  return y;
}

void leaky_relu(Tape& tape, Tensor x, float slope, Tensor y) {
  tape.add(
      {.name = "leaky_relu",
       .inputs = {x},
       .outputs = {y},
       .saved_for_backward = {y},
       .forward = [=](const NodeRun& run) { run.backend().leaky_relu(run.value(x), slope, run.value(y)); },
       .backward =
           [=](const NodeRun& run) {
             run.backend().leaky_relu_backward(run.value(y), run.gradient(y), slope, run.input_gradient(0));
           }});
}

Tensor batch_norm(Tape& tape, Tensor x, Tensor scale, Tensor shift, bool relu) {
  constexpr float epsilon = 1e-5f;
  const Tensor y = tape.activation(x.rows, x.columns);
  const Tensor mean = tape.activation(1, x.columns);
  const Tensor inverse_deviation = tape.activation(1, x.columns);
  tape.add({.name = "batch_norm",
            .inputs = {x, scale, shift},
            .outputs = {y, mean, inverse_deviation},
            .saved_for_backward = {x, y, mean, inverse_deviation},
            .workspace = tape.backend().batch_norm_workspace(x.rows, x.columns),
            .writes_all_gradients = true,
            .forward =
                [=](const NodeRun& run) {
                  run.backend().batch_norm(run.value(x), run.vector(scale), run.vector(shift), epsilon, relu,
                                           run.vector(mean), run.vector(inverse_deviation), run.value(y),
                                           run.workspace());
                },
            .backward =
                [=](const NodeRun& run) {
                  run.backend().batch_norm_backward(
                      run.value(x), run.value(y), run.gradient(y), run.vector(scale), run.vector(mean),
                      run.vector(inverse_deviation), relu, run.input_gradient(0),
                      run.input_gradient_vector(1), run.input_gradient_vector(2), run.workspace());
                }});
  return y;
}

ColumnStatistics batch_norm(Tape& tape, Tensor x, Tensor scale, Tensor shift, Tensor y) {
  constexpr float epsilon = 1e-5f;
  const Tensor mean = tape.activation(1, x.columns), inverse_deviation = tape.activation(1, x.columns);
  tape.add({.name = "batch_norm",
            .inputs = {x, scale, shift},
            .outputs = {y, mean, inverse_deviation},
            .saved_for_backward = {x, mean, inverse_deviation},
            .workspace = tape.backend().batch_norm_workspace(x.rows, x.columns),
            .writes_all_gradients = true,
            .forward =
                [=](const NodeRun& run) {
                  run.backend().batch_norm(run.value(x), run.vector(scale), run.vector(shift), epsilon, false,
                                           run.vector(mean), run.vector(inverse_deviation), run.value(y),
                                           run.workspace());
                },
            .backward =
                [=](const NodeRun& run) {
                  run.backend().batch_norm_backward(run.value(x), {}, run.gradient(y), run.vector(scale),
                                                    run.vector(mean), run.vector(inverse_deviation), false,
                                                    run.input_gradient(0), run.input_gradient_vector(1),
                                                    run.input_gradient_vector(2), run.workspace());
                }});
  return {mean, inverse_deviation};
}

Tensor batch_norm_gradient(Tape& tape, Tensor x, Tensor dy, Tensor scale,
                           const ColumnStatistics& statistics) {
  const auto [mean, inverse_deviation] = statistics;
  const Tensor dx = tape.activation(x.rows, x.columns);
  // The gradients of scale and shift that come with it are nobody's.
  const Tensor dscale = tape.activation(1, x.columns), dshift = tape.activation(1, x.columns);
  tape.add({.name = "batch_norm_gradient",
            .inputs = {x, dy, scale},
            .constants = {mean, inverse_deviation},
            .outputs = {dx, dscale, dshift},
            .saved_for_backward = {x, dy, mean, inverse_deviation},
            .workspace = tape.backend().batch_norm_workspace(x.rows, x.columns),
            .writes_all_gradients = true,
            .forward =
                [=, mean = mean, inverse_deviation = inverse_deviation](const NodeRun& run) {
                  run.backend().batch_norm_backward(run.value(x), {}, run.value(dy), run.vector(scale),
                                                    run.vector(mean), run.vector(inverse_deviation), false,
                                                    run.value(dx), run.vector(dscale), run.vector(dshift),
                                                    run.workspace());
                },
            .backward =
                [=, mean = mean, inverse_deviation = inverse_deviation](const NodeRun& run) {
                  run.backend().batch_norm_double_backward(
                      run.value(x), run.value(dy), run.gradient(dx), run.vector(scale), run.vector(mean),
                      run.vector(inverse_deviation), run.input_gradient(1), run.input_gradient(0),
                      run.input_gradient_vector(2), run.workspace());
                }});
  return dx;
}

void row_dot(Tape& tape, Tensor a, Tensor b, Tensor y) {
  tape.add({.name = "row_dot",
            .inputs = {a, b},
            .outputs = {y},
            .saved_for_backward = {a, b},
            .forward =
                [=](const NodeRun& run) { run.backend().row_dot(run.value(a), run.value(b), run.value(y)); },
            .backward =
                [=](const NodeRun& run) {
                  run.backend().row_dot_backward(run.value(a), run.value(b), run.gradient(y),
                                                 run.input_gradient(0), run.input_gradient(1));
                }});
}

Tensor row_dot(Tape& tape, Tensor a, Tensor b) {
  const Tensor y = tape.activation(a.rows, b.columns / a.columns);
  row_dot(tape, a, b, y);
  return y;
}

Tensor row_normalize(Tape& tape, Tensor x) {
  const Tensor y = tape.activation(x.rows, x.columns);
  row_normalize(tape, x, y);
  return y;
}

void row_normalize(Tape& tape, Tensor x, Tensor y) {
  const Tensor inverse_norms = tape.activation(1, x.rows);
  tape.add({.name = "row_normalize",
            .inputs = {x},
            .outputs = {y, inverse_norms},
            .saved_for_backward = {y, inverse_norms},
            .forward =
                [=](const NodeRun& run) {
                  run.backend().row_normalize(run.value(x), run.value(y), run.vector(inverse_norms));
                },
            .backward =
                [=](const NodeRun& run) {
                  run.backend().row_normalize_backward(run.value(y), run.vector(inverse_norms),
                                                       run.gradient(y), run.input_gradient(0));
                }});
}

Tensor modality_weight(Tape& tape, Tensor x, Tensor weight) {
  const Tensor y = tape.activation(x.rows, x.columns);
  tape.add({.name = "modality_weight",
            .inputs = {x, weight},
            .outputs = {y},
            .saved_for_backward = {x, weight},
            .writes_all_gradients = true,
            .forward =
                [=](const NodeRun& run) {
                  run.backend().modality_weight(run.value(x), run.value(weight), run.value(y));
                },
            .backward =
                [=](const NodeRun& run) {
                  run.backend().modality_weight_backward(run.value(x), run.value(weight), run.gradient(y),
                                                         run.input_gradient(0), run.input_gradient(1));
                }});
  return y;
}

}  // namespace sea
