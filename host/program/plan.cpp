// How a tape lays out its memory: which gradients exist and who writes them, when what runs beside is waited
// for, how long each array lives, and where it lies in the shared memory.

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

/// What one function of a node touches.
struct Access {
  std::vector<Tensor> reads, writes;
  std::vector<Indices> index_reads, index_writes;
};

bool conflict(const Access& a, const Access& b) {
  return overlap(a.reads, b.writes) || overlap(a.writes, b.reads) || overlap(a.writes, b.writes) ||
         overlap(a.index_reads, b.index_writes) || overlap(a.index_writes, b.index_reads) ||
         overlap(a.index_writes, b.index_writes);
}

Access forward_access(const Node& node) {
  Access access{node.inputs, node.outputs, node.index_reads, node.index_writes};
  access.reads.insert(access.reads.end(), node.constants.begin(), node.constants.end());
  access.writes.insert(access.writes.end(), node.updates.begin(), node.updates.end());
  return access;
}

Access backward_access(const Node& node) {
  Access access{node.inputs, node.backward_outputs, node.index_reads, {}};
  access.reads.insert(access.reads.end(), node.constants.begin(), node.constants.end());
  access.reads.insert(access.reads.end(), node.saved_for_backward.begin(), node.saved_for_backward.end());
  return access;
}

}  // namespace

bool Tape::moves(int buffer) const {
  const Program::BufferRecord& record = program_.buffers_[buffer];
  return record.kind == Program::Kind::parameter &&
         std::find(moves_.begin(), moves_.end(), record.arena) != moves_.end();
}

void Tape::use(int buffer, int time) {
  Program::BufferRecord& record = program_.buffers_[buffer];
  if (record.kind != Program::Kind::activation) return;
  record.first_use = record.first_use < 0 ? time : std::min(record.first_use, time);
  record.last_use = std::max(record.last_use, time);
}

void Tape::plan() {
  plan_needed();
  const auto times = static_cast<std::size_t>(update_time()) + 1;
  clears_.resize(times);
  joins_.resize(times);
  plan_gradients();
  plan_clears();
  plan_lifetimes();
  plan_joins();
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
      use(target.temporary, write.time);
      if (written < tensor.size()) {  // what nobody has written yet is added to zero
        record.cleared = true;
        record.regions = {{tensor.buffer, 0, 0, of.rows, of.columns}};
      }
    }
    if (of.kind != Program::Kind::activation) continue;
    if (record.buffer < 0) record.buffer = activation(of.rows, of.columns).buffer;
    use(record.buffer, write.time);
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    RecordedNode& recorded = nodes_[i];
    const bool is_loss = recorded.node.is_loss && recorded.is_needed;
    if (!is_loss && !(recorded.has_backward && recorded.node.writes_all_gradients)) continue;
    for (std::size_t input = 0; input < recorded.targets.size(); ++input) {
      if (recorded.targets[input].wanted) continue;
      const Tensor& tensor = recorded.node.inputs[input];
      recorded.targets[input].temporary = activation(tensor.rows, tensor.columns).buffer;
      use(recorded.targets[input].temporary, is_loss ? forward_time(i) : backward_time(i));
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
    if (!whole && !stays_zero) clears_[static_cast<std::size_t>(record.first_write)].push_back(buffer);
  }
  for (const auto& [arena, place] : program_.parameter_order_) {
    const int buffer = arena->parameters_[place].tensor.buffer;
    if (!moves(buffer) || arena->settings().gradients == Gradients::fused || only_tape_of(arena)) continue;
    if (gradients_.count(buffer) == 0) clears_[static_cast<std::size_t>(update_time())].push_back(buffer);
  }
}

void Tape::plan_lifetimes() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const RecordedNode& recorded = nodes_[i];
    const Node& node = recorded.node;
    if (!recorded.is_needed) continue;
    std::size_t& bytes = node.concurrent ? side_workspace_bytes_ : workspace_bytes_;
    bytes = std::max(bytes, node.workspace);
    for (const Tensor& tensor : node.inputs) use(tensor.buffer, forward_time(i));
    for (const Tensor& tensor : node.constants) use(tensor.buffer, forward_time(i));
    for (const Tensor& tensor : node.outputs) use(tensor.buffer, forward_time(i));
    if (node.update) {
      for (const Tensor& tensor : node.backward_outputs) use(tensor.buffer, update_time());
    }
    if (!recorded.has_backward) continue;
    for (const Tensor& tensor : node.saved_for_backward) use(tensor.buffer, backward_time(i));
    for (const Tensor& tensor : node.backward_outputs) use(tensor.buffer, backward_time(i));
    for (const Tensor& tensor : node.outputs) {
      const auto gradient = gradients_.find(tensor.buffer);
      if (gradient != gradients_.end()) use(gradient->second.buffer, backward_time(i));
    }
  }
  for (const Tensor& tensor : kept_) use(tensor.buffer, update_time());
}

/// What runs beside is waited for before the first node that touches what it writes, or writes what it reads;
/// the rest at the end of the step. Until then its arrays live.
void Tape::plan_joins() {
  std::vector<std::size_t> beside;
  const auto join_at = [&](int time) {
    for (const std::size_t i : beside) {
      for (const Tensor& tensor : nodes_[i].node.inputs) use(tensor.buffer, time);
      for (const Tensor& tensor : nodes_[i].node.constants) use(tensor.buffer, time);
      for (const Tensor& tensor : nodes_[i].node.outputs) use(tensor.buffer, time);
    }
    beside.clear();
  };
  const auto meet = [&](const Access& access, int time) {
    const bool conflicts = std::any_of(beside.begin(), beside.end(), [&](std::size_t i) {
      return conflict(access, forward_access(nodes_[i].node));
    });
    if (!conflicts) return;
    joins_[static_cast<std::size_t>(time)] = true;
    join_at(time);
  };
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].is_needed && nodes_[i].is_draw) beside.push_back(i);
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].is_needed || nodes_[i].is_draw) continue;
    if (!nodes_[i].node.concurrent) meet(forward_access(nodes_[i].node), forward_time(i));
    if (nodes_[i].node.concurrent) beside.push_back(i);
  }
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    if (nodes_[i].has_backward) meet(backward_access(nodes_[i].node), backward_time(i));
  }
  Access update;
  for (const auto& [arena, place] : program_.parameter_order_) {
    const Tensor& parameter = arena->parameters_[place].tensor;
    if (moves(parameter.buffer) && arena->settings().gradients == Gradients::stored)
      update.writes.push_back(parameter);
  }
  for (const RecordedNode& recorded : nodes_) {
    if (!recorded.is_needed || !recorded.node.update) continue;
    const Node& node = recorded.node;
    update.writes.insert(update.writes.end(), node.updates.begin(), node.updates.end());
    update.reads.insert(update.reads.end(), node.backward_outputs.begin(), node.backward_outputs.end());
    update.index_reads.insert(update.index_reads.end(), node.index_reads.begin(), node.index_reads.end());
  }
  meet(update, update_time());
  join_at(update_time());
}

void Tape::pack() {
  const auto lives = [&](int b) { return program_.buffers_[b].first_use >= 0; };
  const auto size = [&](int b) {
    return (program_.buffers_[b].rows * program_.buffers_[b].columns + 15) / 16 * 16;
  };
  std::vector<int> order;
  std::copy_if(activations_.begin(), activations_.end(), std::back_inserter(order), lives);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return size(a) > size(b); });

  // Largest first, each at the lowest offset that is free for as long as it lives.
  std::vector<int> placed;
  for (const int buffer : order) {
    Program::BufferRecord& record = program_.buffers_[buffer];
    std::vector<std::pair<std::int64_t, std::int64_t>> taken;
    for (const int other : placed) {
      const Program::BufferRecord& neighbour = program_.buffers_[other];
      if (neighbour.first_use <= record.last_use && record.first_use <= neighbour.last_use)
        taken.emplace_back(neighbour.offset, neighbour.offset + size(other));
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
    if (record.first_use >= 0) record.data = activations + record.offset;
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
