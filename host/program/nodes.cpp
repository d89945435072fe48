#include "program/nodes.hpp"

namespace sea {

Tensor linear(Program& program, Tensor x, Tensor weight, Tensor bias) {
  const Tensor y = program.activation(x.rows, weight.rows);
  linear(program, x, weight, bias, y);
  return y;
}

void linear(Program& program, Tensor x, Tensor weight, Tensor bias, Tensor y) {
  program.add({.name = "linear",
               .inputs = {x, weight, bias},
               .outputs = {y},
               .kept = {x},
               .written_backward = {},
               .workspace = program.backend().linear_backward_workspace(x.rows, x.columns, weight.rows),
               .forward =
                   [=](const NodeRun& run) {
                     run.backend().linear(run.value(x), run.value(weight), run.vector(bias), run.value(y));
                   },
               .backward =
                   [=](const NodeRun& run) {
                     run.backend().linear_backward(run.value(x), run.value(weight), run.gradient(y),
                                                   run.input_gradient(0), run.input_gradient(1),
                                                   run.input_gradient_vector(2), run.workspace());
                   }});
}

void copy(Program& program, Tensor x, Tensor y) {
  program.add(
      {.name = "copy",
       .inputs = {x},
       .outputs = {y},
       .kept = {},
       .written_backward = {},
       .forward = [=](const NodeRun& run) { run.backend().scale(1.0f, run.value(x), run.value(y)); },
       .backward =
           [=](const NodeRun& run) { run.backend().scale(1.0f, run.gradient(y), run.input_gradient(0)); }});
}

void add(Program& program, Tensor a, Tensor b, Tensor y) {
  program.add(
      {.name = "add",
       .inputs = {a, b},
       .outputs = {y},
       .kept = {},
       .written_backward = {},
       .forward = [=](const NodeRun& run) { run.backend().add(run.value(a), run.value(b), run.value(y)); },
       .backward =
           [=](const NodeRun& run) {
             for (const std::size_t input : {0, 1}) {
               const MatrixView gradient = run.input_gradient(input);
               if (!gradient.empty()) run.backend().scale(1.0f, run.gradient(y), gradient);
             }
           }});
}

namespace {

std::vector<LinearReader> reader_views(const Program& program, const std::vector<Reader>& readers) {
  std::vector<LinearReader> views;
  for (const Reader& reader : readers) {
    const MatrixView bias = program.value(reader.bias);
    views.push_back({program.value(reader.weight),
                     {bias.data, static_cast<std::size_t>(bias.columns)},
                     reader.first_column});
  }
  return views;
}

}  // namespace

Tensor factored_linear(Program& program, Tensor x, Tensor weight, Tensor bias,
                       const std::vector<Reader>& readers) {
  std::int64_t outputs = 0;
  for (const Reader& reader : readers) outputs += reader.weight.rows;
  const Tensor y = program.activation(x.rows, outputs);
  const Tensor m = program.activation(outputs, x.columns);
  const Tensor dm = program.activation(outputs, x.columns);
  const std::size_t workspace =
      program.backend().factored_linear_workspace(x.rows, weight.rows, x.columns, outputs);

  std::vector<Tensor> inputs = {x, weight, bias};
  for (const Reader& reader : readers) {
    inputs.push_back(reader.weight);
    inputs.push_back(reader.bias);
  }
  program.add(
      {.name = "factored_linear",
       .inputs = inputs,
       .outputs = {y, m},
       .kept = {x},
       .written_backward = {dm},
       .workspace = workspace,
       .forward =
           [=, &program](const NodeRun& run) {
             run.backend().factored_linear(run.value(x), run.value(weight), run.vector(bias),
                                           reader_views(program, readers), run.value(m), run.value(y),
                                           run.workspace());
           },
       .backward =
           [=, &program](const NodeRun& run) {
             std::vector<LinearReaderGradient> gradients;
             for (std::size_t r = 0; r < readers.size(); ++r) {
               gradients.push_back({run.input_gradient(3 + 2 * r), run.input_gradient_vector(4 + 2 * r)});
             }
             run.backend().factored_linear_backward(
                 run.value(x), run.value(weight), run.vector(bias), reader_views(program, readers),
                 run.gradient(y), run.value(dm), gradients, run.input_gradient_vector(2), run.workspace());
           }});
  program.on_update({dm}, workspace, [=, &program](Workspace scratch) {
    const ParameterView arrays = program.fused(weight);
    program.backend().factored_linear_update(
        reader_views(program, readers), program.value(dm), {arrays.value, arrays.rows, arrays.columns},
        {arrays.first_moment, arrays.rows, arrays.columns},
        {arrays.second_moment, arrays.rows, arrays.columns}, program.adam(), program.state(), scratch);
  });
  program.on_materialize(weight, [=, &program](MatrixView gradient, Workspace scratch) {
    program.backend().factored_linear_weight_gradient(reader_views(program, readers), program.value(dm),
                                                      gradient, scratch);
  });
  return y;
}

Tensor leaky_relu(Program& program, Tensor x, float slope) {
  const Tensor y = program.activation(x.rows, x.columns);
  program.add(
      {.name = "leaky_relu",
       .inputs = {x},
       .outputs = {y},
       .kept = {y},
       .written_backward = {},
       .forward = [=](const NodeRun& run) { run.backend().leaky_relu(run.value(x), slope, run.value(y)); },
       .backward =
           [=](const NodeRun& run) {
             run.backend().leaky_relu_backward(run.value(y), run.gradient(y), slope, run.input_gradient(0));
           }});
  return y;
}

Tensor batch_norm(Program& program, Tensor x, Tensor scale, Tensor shift, bool relu) {
  constexpr float epsilon = 1e-5f;
  const Tensor y = program.activation(x.rows, x.columns);
  const Tensor mean = program.activation(1, x.columns);
  const Tensor inverse_deviation = program.activation(1, x.columns);
  program.add({.name = "batch_norm",
               .inputs = {x, scale, shift},
               .outputs = {y, mean, inverse_deviation},
               .kept = {x, y, mean, inverse_deviation},
               .written_backward = {},
               .workspace = program.backend().batch_norm_workspace(x.rows, x.columns),
               .forward =
                   [=](const NodeRun& run) {
                     run.backend().batch_norm(run.value(x), run.vector(scale), run.vector(shift), epsilon,
                                              relu, run.vector(mean), run.vector(inverse_deviation),
                                              run.value(y), run.workspace());
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

void row_normalize(Program& program, Tensor x, Tensor y) {
  const Tensor inverse_norms = program.activation(1, x.rows);
  program.add({.name = "row_normalize",
               .inputs = {x},
               .outputs = {y, inverse_norms},
               .kept = {y, inverse_norms},
               .written_backward = {},
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

Tensor modality_weight(Program& program, Tensor x, Tensor weight) {
  const Tensor y = program.activation(x.rows, x.columns);
  program.add({.name = "modality_weight",
               .inputs = {x, weight},
               .outputs = {y},
               .kept = {x},
               .written_backward = {},
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
