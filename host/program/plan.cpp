// How a tape lays out its memory: which gradients exist and who writes them, which stream waits for which,
// how long each array lives, and where it lies in the shared memory.

#include <algorithm>

#include "program/program.hpp"
#include "program/tape.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// Elements that two tensors of one buffer share.
std::int64_t shared_size(const Tensor& a, const Tensor& b) {
  const std::int64_t rows =
      std::min(a.first_row + a.rows, b.first_row + b.rows) - std::max(a.first_row, b.first_row);
  const std::int64_t columns = std::min(a.first_column + a.columns, b.first_column + b.columns) -
                               std::max(a.first_column, b.first_column);
  return std::max<std::int64_t>(rows, 0) * std::max<std::int64_t>(columns, 0);
}

bool overlap(const std::vector<Tensor>& some, const std::vector<Tensor>& others) {
  return std::any_of(some.begin(), some.end(), [&](const Tensor& a) {
    return std::any_of(others.begin(), others.end(),
                       [&](const Tensor& b) { return a.buffer == b.buffer && shared_size(a, b) > 0; });
  });
}

bool overlap(const std::vector<Indices>& some, const std::vector<Indices>& others) {
  return std::any_of(some.begin(), some.end(), [&](const Indices& a) {
    return std::any_of(others.begin(), others.end(), [&](const Indices& b) { return a.buffer == b.buffer; });
  });
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

std::size_t place_of(Stream stream) {
  return static_cast<std::size_t>(stream);
}

}  // namespace

bool Tape::moves(int buffer) const {
  const Program::BufferRecord& record = program_.buffers_[buffer];
  return record.kind == Program::Kind::parameter &&
         std::find(moves_.begin(), moves_.end(), record.arena) != moves_.end();
}

void Tape::plan() {
  plan_needed();
  moments_.resize(static_cast<std::size_t>(update_time()) + 1);
  plan_gradients();
  plan_clears();
  plan_accesses();
  plan_waits();
  plan_lifetimes();
  pack();
}

/// A node runs where it is a loss, moves or writes what outlives the tape, or computes what is kept or such a
/// node reads.
void Tape::plan_needed() {
  std::vector<bool> needed(program_.buffers_.size());
  for (const Tensor& tensor : kept_) needed[tensor.buffer] = true;
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    RecordedNode& recorded = nodes_[i];
    const Node& node = recorded.node;
    recorded.is_needed =
        node.is_loss || !node.updates.empty() || !node.index_writes.empty() ||
        std::any_of(node.outputs.begin(), node.outputs.end(), [&](const Tensor& output) {
          return needed[output.buffer] || program_.buffers_[output.buffer].kind == Program::Kind::state;
        });
    if (!recorded.is_needed) continue;
    for (const Tensor& input : node.inputs) needed[input.buffer] = true;
    for (const Tensor& input : node.constants) needed[input.buffer] = true;
    for (const Tensor& tensor : node.updates) {
      if (!moves(tensor.buffer))
        throw Error("program: " + node.name + " updates an arena that the tape " + name_ + " does not move");
    }
  }
}

std::vector<Tape::GradientWrite> Tape::gradient_writes() {
  // A gradient is wanted where a trained array stands behind it and a loss in front of it.
  std::vector<bool> trained(program_.buffers_.size()), reaches_loss(program_.buffers_.size());
  for (std::size_t b = 0; b < trained.size(); ++b) trained[b] = moves(static_cast<int>(b));
  const auto any = [](const std::vector<Tensor>& tensors, const std::vector<bool>& flags) {
    return std::any_of(tensors.begin(), tensors.end(), [&](const Tensor& t) { return flags[t.buffer]; });
  };
  const auto differentiable = [](const RecordedNode& recorded) {
    return recorded.is_needed && (recorded.node.is_loss || recorded.node.backward);
  };
  for (const RecordedNode& recorded : nodes_) {
    if (!differentiable(recorded) || !any(recorded.node.inputs, trained)) continue;
    for (const Tensor& output : recorded.node.outputs) trained[output.buffer] = true;
  }
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    RecordedNode& recorded = nodes_[i];
    recorded.targets.resize(recorded.node.inputs.size());
    if (!differentiable(recorded)) continue;
    const bool reaches = recorded.node.is_loss || any(recorded.node.outputs, reaches_loss);
    if (!reaches || !any(recorded.node.inputs, trained)) continue;
    recorded.has_backward = !recorded.node.is_loss;
    for (const Tensor& input : recorded.node.inputs) reaches_loss[input.buffer] = true;
  }

  std::vector<GradientWrite> writes;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i].node;
    if (!nodes_[i].has_backward && !(node.is_loss && nodes_[i].is_needed)) continue;
    for (std::size_t input = 0; input < node.inputs.size(); ++input) {
      const Program::BufferRecord& buffer = program_.buffers_[node.inputs[input].buffer];
      const bool fused =
          buffer.kind == Program::Kind::parameter && buffer.arena->settings().gradients == Gradients::fused;
      if (!trained[node.inputs[input].buffer] || fused) continue;
      writes.push_back({node.is_loss ? forward_time(i) : backward_time(i), i, input});
    }
  }
  std::stable_sort(writes.begin(), writes.end(),
                   [](const GradientWrite& a, const GradientWrite& b) { return a.time < b.time; });
  return writes;
}

void Tape::plan_gradients() {
  for (const GradientWrite& write : gradient_writes()) {
    const Tensor& tensor = nodes_[write.node].node.inputs[write.input];
    const Program::BufferRecord of = program_.buffers_[tensor.buffer];
    GradientTarget& target = nodes_[write.node].targets[write.input];
    target.wanted = true;
    GradientRecord& record = gradients_[tensor.buffer];
    if (record.regions.empty()) record.first_write = write.time;
    // The regions do not overlap: each element is written first by one of them.
    std::int64_t written = 0;
    for (const Tensor& region : record.regions) written += shared_size(region, tensor);
    if (written == 0) {
      record.regions.push_back(tensor);
    } else {
      target.temporary = activation(tensor.rows, tensor.columns).buffer;
      if (written < tensor.size()) {  // what nobody has written yet is added to zero
        record.cleared = true;
        record.regions = {{tensor.buffer, 0, 0, of.rows, of.columns}};
      }
    }
    if (of.kind != Program::Kind::activation) continue;
    if (record.buffer < 0) record.buffer = activation(of.rows, of.columns).buffer;
  }
  for (RecordedNode& recorded : nodes_) {
    const bool is_loss = recorded.node.is_loss && recorded.is_needed;
    if (!is_loss && !(recorded.has_backward && recorded.node.writes_all_gradients)) continue;
    for (std::size_t input = 0; input < recorded.targets.size(); ++input) {
      if (recorded.targets[input].wanted) continue;
      const Tensor& tensor = recorded.node.inputs[input];
      recorded.targets[input].temporary = activation(tensor.rows, tensor.columns).buffer;
    }
  }
}

void Tape::plan_clears() {
  const auto only_tape_of = [&](const Arena* arena) {
    return std::none_of(program_.tapes_.begin(), program_.tapes_.end(), [&](const Tape& other) {
      return &other != this &&
             std::find(other.moves_.begin(), other.moves_.end(), arena) != other.moves_.end();
    });
  };
  for (const auto& [buffer, record] : gradients_) {
    const Program::BufferRecord& of = program_.buffers_[buffer];
    std::int64_t covered = 0;
    for (const Tensor& region : record.regions) covered += region.size();
    const bool whole = covered == of.rows * of.columns && !record.cleared;
    // What nobody writes of a parameter's gradient is zero from the beginning, unless another tape writes it.
    const bool stays_zero = of.kind == Program::Kind::parameter && !record.cleared && only_tape_of(of.arena);
    if (!whole && !stays_zero) moment(record.first_write).clears.push_back(buffer);
  }
  for (const auto& [arena, place] : program_.parameter_order_) {
    const int buffer = arena->parameters_[place].tensor.buffer;
    if (!moves(buffer) || arena->settings().gradients == Gradients::fused || only_tape_of(arena)) continue;
    if (gradients_.count(buffer) == 0) moment(update_time()).clears.push_back(buffer);
  }
}

/// The gradients that a node writes at this time, those that are zeroed first, and where parts lie that are
/// added.
void Tape::add_gradient_writes(std::size_t node, int time, Access& access) {
  const auto gradient = [&](Tensor tensor) {
    const bool of_parameter = program_.buffers_[tensor.buffer].kind == Program::Kind::parameter;
    tensor.buffer = of_parameter ? ~tensor.buffer : gradients_.at(tensor.buffer).buffer;
    return tensor;
  };
  const auto whole = [&](int buffer) {
    return Tensor{buffer, 0, 0, program_.buffers_[buffer].rows, program_.buffers_[buffer].columns};
  };
  const RecordedNode& recorded = nodes_[node];
  for (std::size_t i = 0; i < recorded.targets.size(); ++i) {
    const GradientTarget& target = recorded.targets[i];
    if (target.wanted) access.writes.push_back(gradient(recorded.node.inputs[i]));
    if (target.temporary >= 0) access.writes.push_back(whole(target.temporary));
  }
  for (const int buffer : moment(time).clears) access.writes.push_back(gradient(whole(buffer)));
}

/// What is read and written at each time.
void Tape::plan_accesses() {
  const auto outlives = [&](const Tensor& tensor) {
    return program_.buffers_[tensor.buffer].kind != Program::Kind::activation;
  };
  const auto begin = [&](int time, Stream stream) -> Access& {
    moment(time).happens = true;
    moment(time).stream = stream;
    return moment(time).access;
  };
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const auto& [node, stream, forward_stream, is_draw, is_needed, has_backward, targets] = nodes_[i];
    if (!is_needed) continue;
    for (const Stream used : {stream, forward_stream}) {
      std::size_t& workspace = workspace_bytes_[place_of(used)];
      workspace = std::max(workspace, node.workspace);
    }
    Access& forward = begin(forward_time(i), forward_stream);
    append(forward.reads, node.inputs);
    append(forward.reads, node.constants);
    append(forward.writes, node.outputs);
    append(forward.writes, node.updates);
    append(forward.index_reads, node.index_reads);
    append(forward.index_writes, node.index_writes);
    if (node.is_loss) add_gradient_writes(i, forward_time(i), forward);

    std::vector<Tensor> constants;  // what later passes may read without its having been saved
    for (const auto* tensors : {&node.inputs, &node.constants, &node.outputs})
      std::copy_if(tensors->begin(), tensors->end(), std::back_inserter(constants), outlives);
    if (has_backward) {
      Access& backward = begin(backward_time(i), stream);
      append(backward.reads, constants);
      append(backward.reads, node.saved_for_backward);
      append(backward.index_reads, node.index_reads);
      append(backward.index_reads, node.index_writes);
      append(backward.writes, node.backward_outputs);
      for (Tensor output : node.outputs) {
        const auto gradient = gradients_.find(output.buffer);
        if (gradient == gradients_.end()) continue;
        output.buffer = gradient->second.buffer;
        backward.reads.push_back(output);
      }
      add_gradient_writes(i, backward_time(i), backward);
    }
    if (node.update) {
      Access& update = begin(own_update_time(i), stream);
      append(update.reads, constants);
      append(update.reads, node.backward_outputs);
      append(update.index_reads, node.index_reads);
      append(update.writes, node.updates);
    }
  }
  Access& update = begin(update_time(), Stream::main);
  for (const auto& [arena, place] : program_.parameter_order_) {
    Tensor parameter = arena->parameters_[place].tensor;
    if (!moves(parameter.buffer) || arena->settings().gradients == Gradients::fused) continue;
    update.writes.push_back(parameter);
    parameter.buffer = ~parameter.buffer;
    update.writes.push_back(parameter);
  }
}

/// A stream waits for another one before it touches what that has written, or writes what that touches. What
/// is asked of one stream is done in order, and what a stream has waited for, whoever waits for it has too.
void Tape::plan_waits() {
  const auto conflict = [](const Access& a, const Access& b) {
    return overlap(a.reads, b.writes) || overlap(a.writes, b.reads) || overlap(a.writes, b.writes) ||
           overlap(a.index_reads, b.index_writes) || overlap(a.index_writes, b.index_reads) ||
           overlap(a.index_writes, b.index_writes);
  };
  std::array<Times, stream_count> done;
  for (Times& times : done) times.fill(-1);
  int marks = 0;
  for (int time = 0; time <= update_time(); ++time) {
    Moment& now = moment(time);
    if (!now.happens) continue;
    Times& known = done[place_of(now.stream)];
    for (int earlier = time - 1; earlier >= 0; --earlier) {
      Moment& other = moment(earlier);
      if (!other.happens || earlier <= known[place_of(other.stream)] || other.stream == now.stream) continue;
      if (!conflict(now.access, other.access)) continue;
      if (other.mark < 0) other.mark = marks++;
      now.waits.push_back(other.mark);
      for (std::size_t s = 0; s < known.size(); ++s) known[s] = std::max(known[s], other.up_to[s]);
    }
    now.before = known;
    known[place_of(now.stream)] = time;
    now.up_to = known;
  }
}

void Tape::plan_lifetimes() {
  const auto use = [&](const Tensor& tensor, int time) {
    if (tensor.buffer < 0 || program_.buffers_[tensor.buffer].kind != Program::Kind::activation) return;
    const Moment& now = moment(time);
    Life& life = lives_[tensor.buffer];
    if (!life.used) life.before = now.before;
    life.used = true;
    for (std::size_t s = 0; s < life.before.size(); ++s)
      life.before[s] = std::min(life.before[s], now.before[s]);
    int& last = life.last[place_of(now.stream)];
    last = std::max(last, time);
  };
  for (int time = 0; time <= update_time(); ++time) {
    const Access& access = moment(time).access;
    for (const Tensor& tensor : access.reads) use(tensor, time);
    for (const Tensor& tensor : access.writes) use(tensor, time);
  }
  for (const Tensor& tensor : kept_) use(tensor, update_time());
  for (const RecordedNode& recorded : nodes_) {
    if (!recorded.is_needed || !recorded.node.update) continue;
    // Whoever asks for the gradient reads them after the step.
    for (const Tensor& tensor : recorded.node.backward_outputs) use(tensor, update_time());
  }
}

void Tape::pack() {
  const auto size = [&](int b) {
    return (program_.buffers_[b].rows * program_.buffers_[b].columns + 15) / 16 * 16;
  };
  // Two arrays may share memory where all that touches the one is done before all that touches the other.
  const auto ends_before = [](const Life& a, const Life& b) {
    for (std::size_t s = 0; s < a.last.size(); ++s) {
      if (a.last[s] > b.before[s]) return false;
    }
    return true;
  };
  std::vector<int> order;
  std::copy_if(activations_.begin(), activations_.end(), std::back_inserter(order),
               [&](int b) { return lives_.count(b) != 0; });
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return size(a) > size(b); });

  // Largest first, each at the lowest offset that is free for as long as it lives.
  std::vector<int> placed;
  for (const int buffer : order) {
    Program::BufferRecord& record = program_.buffers_[buffer];
    const Life& life = lives_.at(buffer);
    std::vector<std::pair<std::int64_t, std::int64_t>> taken;
    for (const int other : placed) {
      const Life& other_life = lives_.at(other);
      if (ends_before(life, other_life) || ends_before(other_life, life)) continue;
      const std::int64_t offset = program_.buffers_[other].offset;
      taken.emplace_back(offset, offset + size(other));
    }
    std::sort(taken.begin(), taken.end());
    std::int64_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (begin - offset >= size(buffer)) break;
      offset = std::max(offset, end);
    }
    record.offset = offset;
    placed.push_back(buffer);
    packed_size_ = std::max(packed_size_, offset + size(buffer));
    unshared_bytes_ += static_cast<std::size_t>(size(buffer)) * sizeof(float);
  }
}

void Tape::place(float* activations) {
  for (const int buffer : activations_) {
    Program::BufferRecord& record = program_.buffers_[buffer];
    if (lives_.count(buffer) != 0) record.data = activations + record.offset;
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i].node;
    if (!nodes_[i].is_needed || !node.materialize_gradient) continue;
    Arena& arena = *program_.buffers_[node.updates.front().buffer].arena;
    for (Arena::Parameter& parameter : arena.parameters_) {
      if (parameter.tensor.buffer != node.updates.front().buffer) continue;
      parameter.materialize = [this, i](MatrixView gradient) {
        nodes_[i].node.materialize_gradient(NodeRun(*this, i, Pass::update), gradient);
      };
    }
  }
}

}  // namespace sea
