#include "program/program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sea/error.hpp"

namespace sea {

// ---- recording

int Program::add_record(Kind kind, std::int64_t rows, std::int64_t columns) {
  if (finished_) throw Error("program: nothing can be recorded after finish");
  BufferRecord record;
  record.kind = kind;
  record.rows = rows;
  record.columns = columns;
  records_.push_back(record);
  return static_cast<int>(records_.size()) - 1;
}

Tensor Program::activation(std::int64_t rows, std::int64_t columns) {
  return {add_record(Kind::activation, rows, columns), 0, 0, rows, columns};
}

Tensor Program::constant(ConstMatrixView matrix) {
  if (!matrix.contiguous()) throw Error("program: a constant has no gaps between its rows");
  const int record = add_record(Kind::constant, matrix.rows, matrix.columns);
  records_[record].data = const_cast<float*>(matrix.data);  // never written: no node has it as an output
  return {record, 0, 0, matrix.rows, matrix.columns};
}

Tensor Program::parameter(const std::string& name, std::int64_t rows, std::int64_t columns,
                          const Initializer& initial) {
  const int record = add_record(Kind::parameter, rows, columns);
  records_[record].offset = parameter_count_;
  parameter_count_ += (rows * columns + 15) / 16 * 16;  // each starts on its own cache line
  const Tensor tensor{record, 0, 0, rows, columns};
  parameters_.push_back({name, tensor, initial, -1, 0});
  return tensor;
}

Tensor Program::fused_parameter(const std::string& name, std::int64_t rows, std::int64_t columns,
                                const Initializer& initial) {
  const int record = add_record(Kind::fused, rows, columns);
  const Tensor tensor{record, 0, 0, rows, columns};
  parameters_.push_back({name, tensor, initial, -1, 0});
  fused_.push_back({record, {}, {}, {}, {}});
  return tensor;
}

int Program::fitted_parameters(const std::vector<FittedShape>& shapes) {
  const int group = static_cast<int>(fitted_.size());
  FittedGroup fitted;
  for (const FittedShape& shape : shapes) {
    parameters_.push_back(
        {shape.name, {-1, 0, 0, shape.rows, shape.columns}, shape.initial, group, fitted.size});
    fitted.size += shape.rows * shape.columns;
  }
  fitted.value = Buffer<float>(backend_, fitted.size);
  fitted.first_moment = Buffer<float>(backend_, fitted.size);
  fitted.second_moment = Buffer<float>(backend_, fitted.size);
  fitted_.push_back(std::move(fitted));
  return group;
}

IndexView Program::indices(std::int64_t count) {
  indices_.emplace_back(backend_, count);
  return indices_.back().span();
}

void Program::add(Node node) {
  if (finished_) throw Error("program: nothing can be recorded after finish");
  nodes_.push_back(std::move(node));
}

void Program::on_fit(std::vector<Tensor> inputs, std::size_t workspace,
                     std::function<void(Workspace)> action) {
  for (const Tensor& input : inputs) {
    const Kind kind = records_[input.buffer].kind;
    // The update may change them while the fit still runs beside it.
    if (kind == Kind::parameter || kind == Kind::fused)
      throw Error("program: a fit reads no trained array itself");
  }
  fit_.push_back({std::move(inputs), workspace, std::move(action)});
}

void Program::on_update(std::vector<Tensor> inputs, std::size_t workspace,
                        std::function<void(Workspace)> action) {
  update_.push_back({std::move(inputs), workspace, std::move(action)});
}

void Program::on_materialize(const Tensor& fused, std::function<void(MatrixView, Workspace)> action) {
  const_cast<FusedArrays&>(fused_arrays(fused)).materialize = std::move(action);
}

int Program::loss_term(const std::string& name, float weight) {
  loss_names_.push_back(name);
  loss_weights_.push_back(weight);
  return static_cast<int>(loss_names_.size()) - 1;
}

int Program::reported_terms(const std::string& name, std::int64_t count) {
  const int first = static_cast<int>(loss_names_.size());
  for (std::int64_t i = 0; i < count; ++i) loss_term(fmt::format("{}.{}", name, i), 0.0f);
  return first;
}

// ---- memory

void Program::finish(const AdamSettings& adam, std::int64_t pairs, std::int64_t batch_size) {
  adam_ = adam;
  pairs_ = pairs;
  batch_size_ = batch_size;
  plan_gradients();
  plan_lifetimes();
  plan_needed_for_outputs();
  const std::int64_t activation_count = pack();
  finished_ = true;
  allocate(activation_count);
  write_initial_values();
}

void Program::allocate(std::int64_t activation_count) {
  std::size_t needed = static_cast<std::size_t>(activation_count + 4 * parameter_count_) * sizeof(float) +
                       workspace_bytes_ + side_workspace_bytes_;
  for (const FusedArrays& arrays : fused_) {
    const BufferRecord& record = records_[arrays.buffer];
    needed += static_cast<std::size_t>(3 * record.rows * record.columns) * sizeof(float);
  }
  try {
    activations_ = Buffer<float>(backend_, activation_count);
    values_ = Buffer<float>(backend_, parameter_count_);
    gradients_ = Buffer<float>(backend_, parameter_count_);
    first_moments_ = Buffer<float>(backend_, parameter_count_);
    second_moments_ = Buffer<float>(backend_, parameter_count_);
    for (FusedArrays& arrays : fused_) {
      const std::int64_t size = records_[arrays.buffer].rows * records_[arrays.buffer].columns;
      arrays.value = Buffer<float>(backend_, size);
      arrays.first_moment = Buffer<float>(backend_, size);
      arrays.second_moment = Buffer<float>(backend_, size);
      arrays.first_moment.fill_zero();
      arrays.second_moment.fill_zero();
      records_[arrays.buffer].data = arrays.value.data();
    }
    workspace_ = Buffer<std::byte>(backend_, static_cast<std::int64_t>(workspace_bytes_));
    side_workspace_ = Buffer<std::byte>(backend_, static_cast<std::int64_t>(side_workspace_bytes_));
  } catch (const Error& error) {
    throw Error(fmt::format("training needs {:.1f} MB beside the features and graphs: {}",
                            static_cast<double>(needed) / 1e6, error.what()));
  }
  loss_names_.push_back("total");
  const auto terms = static_cast<std::int64_t>(loss_names_.size());
  losses_ = Buffer<float>(backend_, terms);
  loss_sums_ = Buffer<double>(backend_, terms);
  loss_weight_values_ = to_device(backend_, loss_weights_);
  state_ = Buffer<StepState>(backend_, 1);
  gradients_.fill_zero();
  first_moments_.fill_zero();
  second_moments_.fill_zero();
  values_.fill_zero();
  losses_.fill_zero();
  loss_sums_.fill_zero();
  upload_state({0, 0, 0, std::min(pairs_, batch_size_)});
  for (BufferRecord& record : records_) {
    if (record.kind == Kind::activation && record.first_use >= 0)
      record.data = activations_.data() + record.offset;
    if (record.kind == Kind::parameter) record.data = values_.data() + record.offset;
  }
}

void Program::write_initial_values() {
  for (FittedGroup& group : fitted_) {
    group.first_moment.fill_zero();
    group.second_moment.fill_zero();
  }
  const std::vector<ParameterView> views = parameters();
  for (std::size_t i = 0; i < views.size(); ++i) {
    const std::vector<float> initial =
        parameters_[i].initial(views[i].rows, views[i].columns, static_cast<int>(i));
    if (static_cast<std::int64_t>(initial.size()) != views[i].size()) {
      throw Error(fmt::format("program: {} initial values for {}, which has {}", initial.size(),
                              views[i].name, views[i].size()));
    }
    backend_.copy_to_device(views[i].value, initial.data(), initial.size() * sizeof(float));
    parameters_[i].initial = {};  // it may hold the values themselves
  }
}

// ---- running

void Program::run(const std::function<void(const NodeRun&)>& direction, std::size_t node, int time,
                  bool writes_gradients) {
  if (writes_gradients) {
    for (const int record : clears_[time]) {
      const BufferRecord& gradient = records_[record];
      backend_.fill_zero(gradient.data,
                         static_cast<std::size_t>(gradient.rows * gradient.columns) * sizeof(float));
    }
  }
  direction(NodeRun(*this, node));
  if (!writes_gradients) return;
  for (std::size_t i = 0; i < targets_[node].size(); ++i) {
    const int temporary = targets_[node][i].temporary;
    if (temporary < 0) continue;
    const MatrixView sum = gradient_of(nodes_[node].inputs[i]);
    const BufferRecord& part = records_[temporary];
    backend_.add(sum, ConstMatrixView(part.data, part.rows, part.columns), sum);
  }
}

void Program::step_by_parts() {
  sample();
  forward();
  fit();
  backward();
  update();
}

void Program::step() {
  const bool observed = observer_ != nullptr;
  if (!observed && recording_ != nullptr) return recording_->replay();
  step_by_parts();
  // After the first step, so that what a backend sets up once is not part of the recording.
  if (!observed && !recorded_) {
    recording_ = backend_.capture([this] { step_by_parts(); });
    recorded_ = true;
  }
}

void Program::sample() {
  observed("sample", "", [&] {
    backend_.fork([&] {
      for (const auto& action : sample_) action();
    });
  });
}

void Program::forward() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const auto body = [&] { run(node.forward, i, static_cast<int>(i), node.is_loss); };
    observed("forward", node.name, [&] {
      if (node.is_loss) backend_.join();
      if (node.concurrent) {
        backend_.fork(body);
      } else {
        body();
      }
    });
  }
}

void Program::represent() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (needed_for_outputs_[i]) nodes_[i].forward(NodeRun(*this, i, true));
  }
}

void Program::fit() {
  observed("fit", "", [&] {
    if (fit_.empty()) return;
    backend_.fork([&] {
      for (const LateAction& late : fit_) late.action(side_workspace());
    });
  });
}

void Program::backward() {
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    if (!has_backward_[i]) continue;
    observed("backward", nodes_[i].name, [&] { run(nodes_[i].backward, i, backward_time(i), true); });
  }
}

void Program::update() {
  observed("update", "fused parameters", [&] {
    for (const LateAction& late : update_) late.action({workspace_.data(), workspace_.bytes()});
  });
  observed("update", "adam", [&] {
    backend_.adam(values_.span(), gradients_.span(), first_moments_.span(), second_moments_.span(), adam_,
                  state());
  });
  backend_.join();
  backend_.accumulate_losses(losses_.span(), loss_weight_values_.span(), loss_sums_.span());
  backend_.advance_step(state(), pairs_, batch_size_);
}

}  // namespace sea
