#include "program/program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sea/error.hpp"

namespace sea {

int Program::add_buffer(Kind kind, std::int64_t rows, std::int64_t columns) {
  if (allocated_) throw Error("program: nothing can be recorded after allocate");
  BufferRecord record;
  record.kind = kind;
  record.rows = rows;
  record.columns = columns;
  buffers_.push_back(record);
  return static_cast<int>(buffers_.size()) - 1;
}

Arena& Program::arena(const std::string& name, const ArenaSettings& settings) {
  for (const Arena& arena : arenas_) {
    if (arena.name() == name) throw Error(fmt::format("program: there are two arenas {}", name));
  }
  return arenas_.emplace_back(backend_, name, settings);
}

Tensor Program::parameter(Arena& arena, const std::string& name, std::int64_t rows, std::int64_t columns,
                          const Initializer& initial) {
  for (const auto& [owner, place] : parameter_order_) {
    const Arena::Parameter& present = owner->parameters_[place];
    if (present.name != name) continue;
    if (owner != &arena || present.rows != rows || present.columns != columns) {
      throw Error(
          fmt::format("program: the parameter {} is {} x {} in the arena {}, and {} x {} in {} elsewhere",
                      name, present.rows, present.columns, owner->name(), rows, columns, arena.name()));
    }
    return present.tensor;
  }
  const int buffer = add_buffer(Kind::parameter, rows, columns);
  buffers_[buffer].arena = &arena;
  buffers_[buffer].offset = arena.size_;
  parameter_order_.emplace_back(&arena, arena.parameters_.size());
  return arena.add(name, {buffer, 0, 0, rows, columns}, initial);
}

Tensor Program::constant(ConstMatrixView matrix) {
  if (!matrix.contiguous()) throw Error("program: a constant has no gaps between its rows");
  const int buffer = add_buffer(Kind::constant, matrix.rows, matrix.columns);
  buffers_[buffer].data = const_cast<float*>(matrix.data);  // never written: no node may have it as an output
  return {buffer, 0, 0, matrix.rows, matrix.columns};
}

Tensor Program::state(const std::string& name, std::int64_t rows, std::int64_t columns,
                      const Initializer& initial) {
  for (const State& state : states_) {
    if (state.name == name) throw Error(fmt::format("program: there are two states {}", name));
  }
  const Tensor tensor{add_buffer(Kind::state, rows, columns), 0, 0, rows, columns};
  states_.push_back({name, tensor, initial, {}});
  return tensor;
}

Indices Program::indices(std::int64_t count) {
  if (allocated_) throw Error("program: nothing can be recorded after allocate");
  indices_.emplace_back(backend_, count);
  return {static_cast<int>(indices_.size()) - 1, count};
}

Indices Program::indices(const std::vector<std::int32_t>& values) {
  const Indices indices = this->indices(static_cast<std::int64_t>(values.size()));
  indices_.back().upload(values);
  return indices;
}

Tape& Program::tape(const std::string& name, std::vector<Arena*> moves) {
  return tapes_.emplace_back(*this, name, std::move(moves));
}

Step& Program::step(const std::string& name, std::vector<Tape*> tapes, std::int64_t pairs,
                    std::int64_t batch_size, std::vector<Arena*> without_gradient) {
  return steps_.emplace_back(*this, name, std::move(tapes), pairs, batch_size, std::move(without_gradient));
}

void Program::allocate() {
  std::int64_t activation_count = 0;
  std::array<std::size_t, stream_count> workspaces{};
  for (Tape& tape : tapes_) {
    tape.plan();
    activation_count = std::max(activation_count, tape.packed_size_);
    for (std::size_t s = 0; s < workspaces.size(); ++s)
      workspaces[s] = std::max(workspaces[s], tape.workspace_bytes_[s]);
  }
  allocated_ = true;
  allocate_memory(activation_count, workspaces);
  losses_.allocate(backend_);
  for (Step& step : steps_) step.find_unwritten_terms();
  step_state_ = Buffer<StepState>(backend_, 1);
  StepState start;
  if (!steps_.empty()) start.count = std::min(steps_.front().pairs(), steps_.front().batch_size());
  step_state_.upload({&start, 1});
  for (Tape& tape : tapes_) tape.place(activations_.data());
  for (Arena& arena : arenas_) arena.write_initial_values(seed_);
  for (State& state : states_) {
    const std::vector<float> initial =
        state.initial(state.tensor.rows, state.tensor.columns, initial_draws(seed_, state.name));
    if (static_cast<std::int64_t>(initial.size()) != state.tensor.size()) {
      throw Error(fmt::format("program: {} initial values for {}, which has {}", initial.size(), state.name,
                              state.tensor.size()));
    }
    state.values.upload(initial);
    state.initial = {};
  }
}

void Program::allocate_memory(std::int64_t activation_count,
                              const std::array<std::size_t, stream_count>& workspaces) {
  std::size_t needed = static_cast<std::size_t>(activation_count) * sizeof(float);
  for (const std::size_t bytes : workspaces) needed += bytes;
  for (const Arena& arena : arenas_) needed += arena.bytes();
  for (const State& state : states_) needed += static_cast<std::size_t>(state.tensor.size()) * sizeof(float);
  try {
    activations_ = Buffer<float>(backend_, activation_count);
    for (Arena& arena : arenas_) arena.allocate();
    for (State& state : states_) {
      state.values = Buffer<float>(backend_, state.tensor.size());
      buffers_[state.tensor.buffer].data = state.values.data();
    }
    for (std::size_t s = 0; s < workspaces.size(); ++s)
      workspaces_[s] = Buffer<std::byte>(backend_, static_cast<std::int64_t>(workspaces[s]));
  } catch (const Error& error) {
    throw Error(fmt::format("training needs {:.1f} MB beside the features and graphs: {}",
                            static_cast<double>(needed) / 1e6, error.what()));
  }
  for (BufferRecord& buffer : buffers_) {
    if (buffer.kind == Kind::parameter) buffer.data = buffer.arena->values_.data() + buffer.offset;
  }
}

MatrixView Program::view(float* data, const Tensor& tensor) const {
  const std::int64_t leading_dimension = buffers_[tensor.buffer].columns;
  return {data + tensor.first_row * leading_dimension + tensor.first_column, tensor.rows, tensor.columns,
          leading_dimension};
}

MatrixView Program::value(const Tensor& tensor) const {
  if (tensor.empty()) return {};
  return view(buffers_[tensor.buffer].data, tensor);
}

IndexView Program::value(const Indices& indices) const {
  if (indices.empty()) return {};
  return indices_[static_cast<std::size_t>(indices.buffer)].span();
}

std::vector<ParameterView> Program::parameters() const {
  std::vector<ParameterView> views;
  for (const auto& [arena, place] : parameter_order_) views.push_back(arena->parameters()[place]);
  return views;
}

std::vector<StateView> Program::states() const {
  std::vector<StateView> views;
  for (const State& state : states_)
    views.push_back({state.name, state.tensor.rows, state.tensor.columns, state.values.data()});
  return views;
}

std::vector<float> Program::download_gradient(const std::string& name) const {
  backend_.join();  // what writes it may be on another stream
  for (const auto& [arena, place] : parameter_order_) {
    const Arena::Parameter& parameter = arena->parameters_[place];
    if (parameter.name != name) continue;
    std::vector<float> gradient(static_cast<std::size_t>(parameter.tensor.size()));
    if (arena->settings_.gradients == Gradients::stored) {
      backend_.copy_to_host(gradient.data(), arena->gradient_values_.data() + parameter.offset,
                            gradient.size() * sizeof(float));
      return gradient;
    }
    if (!parameter.materialize) return {};
    Buffer<float> written(backend_, parameter.tensor.size());
    parameter.materialize(written.matrix(parameter.rows, parameter.columns));
    return written.download();
  }
  throw Error(fmt::format("program: there is no parameter {}", name));
}

}  // namespace sea
