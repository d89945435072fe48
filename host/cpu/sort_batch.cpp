#include <algorithm>
#include <cstring>
#include <utility>

#include "cpu/check.hpp"
#include "cpu/scratch.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/steps.hpp"

namespace sea {

namespace {

constexpr int digit_bits = 11;
constexpr std::int64_t digits = std::int64_t{1} << digit_bits;

}  // namespace

std::size_t CpuBackend::sort_batch_workspace(std::int64_t batch_size) const {
  return 2 * cpu::scratch_bytes<std::int32_t>(3 * batch_size) + cpu::scratch_bytes<std::int32_t>(digits);
}

// A stable radix sort, least significant digit first: sources start in ascending order and stay so among
// equal nodes. A batch's few thousand nodes are sorted in less time than a second thread takes to wake.
void CpuBackend::sort_batch(const BatchView& batch, std::int64_t users, const StepState* state,
                            const BatchOrderView& order, Workspace workspace) {
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  checks::sort_batch(batch, users, order);
  const std::int64_t count = state->count;
  cpu::require_count("sort_batch", count, 0, batch_size);
  cpu::require_batch("sort_batch", batch, count, users, (std::int64_t{1} << 31) - users);
  cpu::Scratch scratch("sort_batch", workspace);
  std::int32_t* nodes = order.nodes.data();
  std::int32_t* sources = order.sources.data();
  std::int32_t* other_nodes = scratch.take<std::int32_t>(3 * batch_size);
  std::int32_t* other_sources = scratch.take<std::int32_t>(3 * batch_size);
  std::int32_t* places = scratch.take<std::int32_t>(digits);

  const auto first_item = static_cast<std::int32_t>(users);
  for (std::int64_t i = 0; i < count; ++i) {
    nodes[i] = batch.users[i];
    nodes[count + i] = first_item + batch.positives[i];
    nodes[2 * count + i] = first_item + batch.negatives[i];
    for (std::int64_t role = 0; role < 3; ++role) {
      sources[role * count + i] = static_cast<std::int32_t>(role * batch_size + i);
    }
  }
  std::int32_t largest = 0;
  for (std::int64_t i = 0; i < 3 * count; ++i) largest = std::max(largest, nodes[i]);

  for (int shift = 0; shift < 31 && largest >> shift > 0; shift += digit_bits) {
    std::fill_n(places, digits, 0);
    for (std::int64_t i = 0; i < 3 * count; ++i) ++places[nodes[i] >> shift & (digits - 1)];
    for (std::int64_t digit = 0, sum = 0; digit < digits; ++digit) {
      sum += std::exchange(places[digit], static_cast<std::int32_t>(sum));
    }
    for (std::int64_t i = 0; i < 3 * count; ++i) {
      const std::int32_t place = places[nodes[i] >> shift & (digits - 1)]++;
      other_nodes[place] = nodes[i];
      other_sources[place] = sources[i];
    }
    std::swap(nodes, other_nodes);
    std::swap(sources, other_sources);
  }
  if (nodes != order.nodes.data() && count > 0) {
    const std::size_t bytes = static_cast<std::size_t>(3 * count) * sizeof(std::int32_t);
    std::memcpy(order.nodes.data(), nodes, bytes);
    std::memcpy(order.sources.data(), sources, bytes);
  }
}

}  // namespace sea
