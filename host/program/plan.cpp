// How a Program lays out its memory: which gradients exist and who writes them, how long each array lives,
// and where it lies in the shared arena.

#include <fmt/format.h>

#include <algorithm>

#include "program/program.hpp"
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

}  // namespace

void Program::use(int record, int time) {
  BufferRecord& buffer = records_[record];
  if (buffer.kind != Kind::activation) return;
  buffer.first_use = buffer.first_use < 0 ? time : std::min(buffer.first_use, time);
  buffer.last_use = std::max(buffer.last_use, time);
}

std::vector<Program::GradientWrite> Program::gradient_writes() {
  // A gradient is wanted where a trained array stands behind it and a loss in front of it.
  std::vector<bool> trained(records_.size()), reaches_loss(records_.size());
  for (std::size_t r = 0; r < records_.size(); ++r) {
    trained[r] = records_[r].kind == Kind::parameter || records_[r].kind == Kind::fused;
  }
  const auto any = [](const std::vector<Tensor>& tensors, const std::vector<bool>& flags) {
    return std::any_of(tensors.begin(), tensors.end(), [&](const Tensor& t) { return flags[t.buffer]; });
  };
  for (const Node& node : nodes_) {
    if (!any(node.inputs, trained)) continue;
    for (const Tensor& output : node.outputs) trained[output.buffer] = true;
  }
  has_backward_.assign(nodes_.size(), false);
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    const Node& node = nodes_[i];
    const bool reaches = node.is_loss || any(node.outputs, reaches_loss);
    if (!reaches || !any(node.inputs, trained)) continue;
    has_backward_[i] = !node.is_loss;
    for (const Tensor& input : node.inputs) reaches_loss[input.buffer] = true;
  }

  std::vector<GradientWrite> writes;
  targets_.resize(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    targets_[i].resize(nodes_[i].inputs.size());
    if (!has_backward_[i] && !nodes_[i].is_loss) continue;
    for (std::size_t input = 0; input < nodes_[i].inputs.size(); ++input) {
      const int record = nodes_[i].inputs[input].buffer;
      // A fused parameter's gradient is its own update's affair.
      if (!trained[record] || records_[record].kind == Kind::fused) continue;
      writes.push_back({nodes_[i].is_loss ? static_cast<int>(i) : backward_time(i), i, input});
    }
  }
  std::stable_sort(writes.begin(), writes.end(),
                   [](const GradientWrite& a, const GradientWrite& b) { return a.time < b.time; });
  return writes;
}

void Program::plan_gradients() {
  clears_.resize(static_cast<std::size_t>(update_time()) + 1);
  const std::vector<GradientWrite> writes = gradient_writes();
  for (const GradientWrite& write : writes) {
    const Tensor& tensor = nodes_[write.node].inputs[write.input];
    GradientTarget& target = targets_[write.node][write.input];
    target.wanted = true;
    std::vector<Tensor>& regions = records_[tensor.buffer].gradient_regions;
    // The regions do not overlap: each element is written first by one of them.
    std::int64_t written = 0;
    for (const Tensor& region : regions) written += shared_size(region, tensor);
    if (written == 0) {
      regions.push_back(tensor);
    } else if (written == tensor.rows * tensor.columns) {
      target.temporary = add_record(Kind::activation, tensor.rows, tensor.columns);
      use(target.temporary, write.time);
    } else {
      throw Error(fmt::format(
          "program: {} reads more than the parts that operations before it in the backward read; split "
          "it the same way, or record it earlier",
          nodes_[write.node].name));
    }
    if (records_[tensor.buffer].kind == Kind::activation) {
      if (records_[tensor.buffer].gradient < 0) {
        const int gradient =
            add_record(Kind::activation, records_[tensor.buffer].rows, records_[tensor.buffer].columns);
        records_[tensor.buffer].gradient = gradient;
      }
      use(records_[tensor.buffer].gradient, write.time);
    }
  }
  for (const BufferRecord& record : records_) {
    if (record.gradient < 0) continue;
    std::int64_t covered = 0;
    for (const Tensor& region : record.gradient_regions) covered += region.rows * region.columns;
    if (covered < record.rows * record.columns) {
      clears_[records_[record.gradient].first_use].push_back(record.gradient);
    }
  }
}

void Program::plan_lifetimes() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    std::size_t& bytes = node.concurrent ? side_workspace_bytes_ : workspace_bytes_;
    bytes = std::max(bytes, node.workspace);
    for (const Tensor& tensor : node.inputs) use(tensor.buffer, static_cast<int>(i));
    for (const Tensor& tensor : node.outputs) use(tensor.buffer, static_cast<int>(i));
    if (!has_backward_[i]) continue;
    for (const Tensor& tensor : node.kept) use(tensor.buffer, backward_time(i));
    for (const Tensor& tensor : node.written_backward) use(tensor.buffer, backward_time(i));
    for (const Tensor& tensor : node.outputs) {
      if (records_[tensor.buffer].gradient >= 0) use(records_[tensor.buffer].gradient, backward_time(i));
    }
  }
  for (const Tensor& tensor : outputs_) use(tensor.buffer, fit_time());
  for (const Tensor& tensor : kept_) use(tensor.buffer, fit_time());
  // The fit may run beside the backward: what it reads stays until the update.
  for (const LateAction& late : fit_) {
    side_workspace_bytes_ = std::max(side_workspace_bytes_, late.workspace);
    for (const Tensor& tensor : late.inputs) use(tensor.buffer, update_time());
  }
  for (const LateAction& late : update_) {
    workspace_bytes_ = std::max(workspace_bytes_, late.workspace);
    for (const Tensor& tensor : late.inputs) use(tensor.buffer, update_time());
  }
}

void Program::plan_needed_for_outputs() {
  std::vector<bool> needed(records_.size());
  for (const Tensor& tensor : outputs_) needed[tensor.buffer] = true;
  needed_for_outputs_.assign(nodes_.size(), false);
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    const Node& node = nodes_[i];
    needed_for_outputs_[i] = std::any_of(node.outputs.begin(), node.outputs.end(),
                                         [&](const Tensor& output) { return needed[output.buffer]; });
    if (!needed_for_outputs_[i]) continue;
    for (const Tensor& input : node.inputs) needed[input.buffer] = true;
  }
}

std::int64_t Program::pack() {
  std::vector<int> order;
  for (std::size_t r = 0; r < records_.size(); ++r) {
    if (records_[r].kind == Kind::activation && records_[r].first_use >= 0)
      order.push_back(static_cast<int>(r));
  }
  const auto size = [&](int r) { return (records_[r].rows * records_[r].columns + 15) / 16 * 16; };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return size(a) > size(b); });

  // Largest first, each at the lowest offset that is free for as long as it lives.
  std::vector<int> placed;
  std::int64_t total = 0;
  for (const int record : order) {
    std::vector<std::pair<std::int64_t, std::int64_t>> taken;
    for (const int other : placed) {
      if (records_[other].first_use <= records_[record].last_use &&
          records_[record].first_use <= records_[other].last_use) {
        taken.emplace_back(records_[other].offset, records_[other].offset + size(other));
      }
    }
    std::sort(taken.begin(), taken.end());
    std::int64_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (begin - offset >= size(record)) break;
      offset = std::max(offset, end);
    }
    records_[record].offset = offset;
    placed.push_back(record);
    total = std::max(total, offset + size(record));
    unshared_bytes_ += static_cast<std::size_t>(size(record)) * sizeof(float);
  }
  return total;
}

}  // namespace sea
