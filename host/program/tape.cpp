#include "program/tape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "program/program.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

bool streams_wanted() {
  const char* const wanted = std::getenv("SEA_STREAMS");
  return wanted == nullptr || std::string_view(wanted) != "0";
}

/// Runs `body` while `variable` has that value; what it had before comes back however `body` ends.
template <class Value>
void during(Value& variable, const Value& value, const std::function<void()>& body) {
  const Value outer = std::exchange(variable, value);
  try {
    body();
  } catch (...) {
    variable = outer;
    throw;
  }
  variable = outer;
}

}  // namespace

Tape::Tape(Program& program, std::string name, std::vector<Arena*> moves)
    : program_(program),
      name_(std::move(name)),
      moves_(std::move(moves)),
      has_streams_(program.backend_.has_streams() && streams_wanted()) {}

Backend& Tape::backend() const {
  return program_.backend_;
}

// ---- recording

void Tape::require_recording() const {
  if (program_.allocated_) throw Error("program: nothing can be recorded after allocate");
}

Tensor Tape::activation(std::int64_t rows, std::int64_t columns) {
  const int buffer = program_.add_buffer(Program::Kind::activation, rows, columns);
  program_.buffers_[buffer].tape = this;
  activations_.push_back(buffer);
  return {buffer, 0, 0, rows, columns};
}

void Tape::check(const Node& node) const {
  require_recording();
  const auto refuse = [&](const std::string& why) {
    throw Error(fmt::format("program: {} in the tape {}: {}", node.name, name_, why));
  };
  const auto inside = [](std::int64_t first, std::int64_t count, std::int64_t size) {
    return first >= 0 && count >= 0 && first + count <= size;
  };
  for (const std::vector<Tensor>* tensors :
       {&node.inputs, &node.constants, &node.outputs, &node.saved_for_backward, &node.backward_outputs,
        &node.updates}) {
    for (const Tensor& tensor : *tensors) {
      if (tensor.empty()) refuse("it declares an empty tensor");
      const Program::BufferRecord& buffer = program_.buffers_[tensor.buffer];
      if (!inside(tensor.first_row, tensor.rows, buffer.rows) ||
          !inside(tensor.first_column, tensor.columns, buffer.columns))
        refuse("a tensor reaches beyond its buffer");
      if (buffer.kind == Program::Kind::activation && buffer.tape != this)
        refuse(fmt::format("it reads an activation of the tape {}", buffer.tape->name()));
    }
  }
  for (const Tensor& output : node.outputs) {
    const Program::Kind kind = program_.buffers_[output.buffer].kind;
    if (kind == Program::Kind::constant || kind == Program::Kind::parameter)
      refuse("it writes a constant or a trained array");
  }
  for (const Tensor& tensor : node.updates) {
    const Program::BufferRecord& buffer = program_.buffers_[tensor.buffer];
    if (buffer.kind != Program::Kind::parameter || buffer.arena->settings().gradients != Gradients::fused)
      refuse("it updates what is no parameter of an arena with fused gradients");
  }
}

void Tape::add(Node node) {
  check(node);
  const Stream stream = has_streams_ ? node.stream.value_or(stream_) : Stream::main;
  const Stream in_forward = has_streams_ ? forward_stream_.value_or(stream) : Stream::main;
  nodes_.push_back({std::move(node), stream, in_forward});
}

void Tape::on(Stream stream, const std::function<void()>& body) {
  during(stream_, stream, body);
}

void Tape::on_in_forward(Stream stream, const std::function<void()>& body) {
  during(forward_stream_, std::optional(stream), body);
}

void Tape::add_draw(Node node) {
  check(node);
  const Stream stream = has_streams_ ? Stream::narrow : Stream::main;
  nodes_.push_back({std::move(node), stream, stream, true});
}

int Tape::loss_term(const std::string& name, float weight) {
  require_recording();
  const int term = program_.losses_.term(name, weight);
  if (std::find(terms_.begin(), terms_.end(), term) != terms_.end())
    throw Error(fmt::format("program: the tape {} has two loss terms {}", name_, name));
  terms_.push_back(term);
  return term;
}

int Tape::reported_terms(const std::string& name, std::int64_t count) {
  int first = -1;
  for (std::int64_t i = 0; i < count; ++i) {
    const int term = loss_term(fmt::format("{}.{}", name, i), 0.0f);
    if (i == 0) first = term;
  }
  return first;
}

// ---- running

void Tape::clear_gradients(int time) {
  for (const int buffer : moment(time).clears) {
    const Program::BufferRecord& record = program_.buffers_[buffer];
    const MatrixView gradient = gradient_of({buffer, 0, 0, record.rows, record.columns});
    backend().fill_zero(gradient.data, static_cast<std::size_t>(gradient.size()) * sizeof(float));
  }
}

void Tape::add_temporaries(std::size_t node) {
  const RecordedNode& recorded = nodes_[node];
  for (std::size_t i = 0; i < recorded.targets.size(); ++i) {
    const int temporary = recorded.targets[i].temporary;
    if (temporary < 0 || !recorded.targets[i].wanted) continue;
    const MatrixView sum = gradient_of(recorded.node.inputs[i]);
    const Program::BufferRecord& part = program_.buffers_[temporary];
    backend().add(sum, ConstMatrixView(part.data, part.rows, part.columns), sum);
  }
}

/// What happens at one time, on its stream, after what it waits for.
void Tape::run_at(int time, const std::function<void()>& body) {
  const Moment& now = moment(time);
  for (const int mark : now.waits) backend().wait(now.stream, mark);
  if (now.stream == Stream::main) {
    body();
  } else {
    backend().on_stream(now.stream, body);
  }
  if (now.mark >= 0) backend().mark(now.stream, now.mark);
}

void Tape::run_node(std::size_t i, Pass pass) {
  const Node& node = nodes_[i].node;
  const NodeRun run(*this, i, pass);
  if (pass == Pass::update) return run_at(own_update_time(i), [&] { node.update(run); });
  const int time = pass == Pass::forward ? forward_time(i) : backward_time(i);
  run_at(time, [&] {
    const bool writes_gradients = pass == Pass::backward || node.is_loss;
    if (writes_gradients) clear_gradients(time);
    (pass == Pass::forward ? node.forward : node.backward)(run);
    if (writes_gradients) add_temporaries(i);
  });
}

void Tape::draw() {
  backend().fork();
  program_.observed("draw", "", [&] {
    run_at(0, [&] {
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (nodes_[i].is_draw && nodes_[i].is_needed)
          nodes_[i].node.forward(NodeRun(*this, i, Pass::forward));
      }
    });
  });
}

void Tape::forward() {
  backend().fork();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].is_draw || !nodes_[i].is_needed) continue;
    program_.observed("forward", nodes_[i].node.name, [&] { run_node(i, Pass::forward); });
  }
  if (moves_.empty()) backend().join();  // nothing follows
}

void Tape::backward() {
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    if (!nodes_[i].has_backward) continue;
    program_.observed("backward", nodes_[i].node.name, [&] { run_node(i, Pass::backward); });
  }
}

void Tape::update() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].is_needed || !nodes_[i].node.update) continue;
    program_.observed("update", nodes_[i].node.name, [&] { run_node(i, Pass::update); });
  }
  run_at(update_time(), [&] {
    clear_gradients(update_time());
    for (Arena* arena : moves_) {
      if (arena->settings().gradients == Gradients::fused) continue;
      program_.observed("update", "adam", [&] { arena->update(); });
    }
  });
}

MatrixView Tape::gradient_of(const Tensor& tensor) const {
  const Program::BufferRecord& buffer = program_.buffers_[tensor.buffer];
  if (buffer.kind == Program::Kind::parameter)
    return program_.view(buffer.arena->gradient_values_.data() + buffer.offset, tensor);
  return program_.view(program_.buffers_[gradients_.at(tensor.buffer).buffer].data, tensor);
}

// ---- what a node sees

bool Tape::declares(const Node& node, Pass pass, const Tensor& tensor) const {
  const auto in = [&](const std::vector<Tensor>& declared) {
    return std::any_of(declared.begin(), declared.end(), [&](const Tensor& d) {
      return d.buffer == tensor.buffer && d.first_row <= tensor.first_row &&
             d.first_column <= tensor.first_column &&
             tensor.first_row + tensor.rows <= d.first_row + d.rows &&
             tensor.first_column + tensor.columns <= d.first_column + d.columns;
    });
  };
  if (pass == Pass::forward)
    return in(node.inputs) || in(node.constants) || in(node.outputs) || in(node.updates);
  const bool outlives = program_.buffers_[tensor.buffer].kind != Program::Kind::activation;
  if (outlives && (in(node.inputs) || in(node.constants) || in(node.updates) || in(node.outputs)))
    return true;
  return in(node.backward_outputs) || (pass == Pass::backward && in(node.saved_for_backward));
}

MatrixView NodeRun::value(const Tensor& tensor) const {
  if (tensor.empty()) return {};
  const Node& node = tape_.nodes_[node_].node;
  if (!tape_.declares(node, pass_, tensor)) {
    throw Error(fmt::format("program: {} reads or writes a tensor in its {} that it has not declared for it",
                            node.name,
                            pass_ == Pass::forward    ? "forward"
                            : pass_ == Pass::backward ? "backward"
                                                      : "update"));
  }
  return tape_.program_.value(tensor);
}

VectorView NodeRun::vector(const Tensor& tensor) const {
  return {value(tensor).data, static_cast<std::size_t>(tensor.size())};
}

IndexView NodeRun::indices(const Indices& indices) const {
  if (indices.empty()) return {};
  const Node& node = tape_.nodes_[node_].node;
  for (const std::vector<Indices>* declared : {&node.index_reads, &node.index_writes}) {
    for (const Indices& candidate : *declared) {
      if (candidate.buffer == indices.buffer) return tape_.program_.value(indices);
    }
  }
  throw Error(fmt::format("program: {} reads or writes indices that it has not declared", node.name));
}

MatrixView NodeRun::gradient(const Tensor& output) const {
  return tape_.gradient_of(output);
}

MatrixView NodeRun::input_gradient(std::size_t i) const {
  const Tape::GradientTarget& target = tape_.nodes_[node_].targets[i];
  if (!target.wanted && target.temporary < 0) return {};
  if (target.temporary >= 0) {
    const Program::BufferRecord& buffer = tape_.program_.buffers_[target.temporary];
    return {buffer.data, buffer.rows, buffer.columns};
  }
  return tape_.gradient_of(tape_.nodes_[node_].node.inputs[i]);
}

VectorView NodeRun::input_gradient_vector(std::size_t i) const {
  const MatrixView gradient = input_gradient(i);
  return {gradient.data, static_cast<std::size_t>(gradient.size())};
}

OptimizedParameter NodeRun::optimized(const Tensor& parameter) const {
  const Program::BufferRecord& buffer = tape_.program_.buffers_[parameter.buffer];
  static_cast<void>(value(parameter));  // refuses what is not declared
  const ParameterView arrays = buffer.arena->flat();
  const auto part = [&](float* array) { return tape_.program_.view(array + buffer.offset, parameter); };
  return {part(arrays.value), part(arrays.first_moment), part(arrays.second_moment), buffer.arena->adam(),
          buffer.arena->state()};
}

float* NodeRun::loss(int term) const {
  return tape_.program_.losses_.value(term);
}

const StepState* NodeRun::step() const {
  return tape_.program_.step_state_.data();
}

std::uint64_t NodeRun::seed() const {
  return tape_.program_.seed_;
}

Workspace NodeRun::workspace() const {
  const Tape::RecordedNode& recorded = tape_.nodes_[node_];
  const auto stream =
      static_cast<std::size_t>(pass_ == Pass::forward ? recorded.forward_stream : recorded.stream);
  const Buffer<std::byte>& memory = tape_.program_.workspaces_[stream];
  return {memory.data(), memory.bytes()};
}

Backend& NodeRun::backend() const {
  return tape_.program_.backend_;
}

}  // namespace sea
