#include <algorithm>
#include <numeric>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace sea;
using namespace sea::test;

namespace {

std::vector<std::int32_t> random_indices(std::int64_t count, std::uint32_t bound, std::uint64_t seed) {
  std::vector<std::int32_t> values;
  for (std::int64_t i = 0; i < count; ++i) {
    const Philox4x32 bits = random_bits(seed, RandomPurpose::synthetic, 1, i);
    values.push_back(static_cast<std::int32_t>(uniform_below(bits, bound)));
  }
  return values;
}

void check_sorted(std::int64_t batch_size, std::int64_t count, std::int32_t users, std::uint32_t items) {
  for_each_backend([&](Backend& backend) {
    const auto host_users = random_indices(batch_size, static_cast<std::uint32_t>(users), 1);
    const auto host_positives = random_indices(batch_size, items, 2);
    const auto host_negatives = random_indices(batch_size, items, 3);
    const Buffer<std::int32_t> device_users = to_device(backend, host_users);
    const Buffer<std::int32_t> positives = to_device(backend, host_positives);
    const Buffer<std::int32_t> negatives = to_device(backend, host_negatives);
    const Buffer<std::int32_t> nodes(backend, 3 * batch_size), sources(backend, 3 * batch_size);
    const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{0, 0, 0, count}});
    const GarbageWorkspace workspace(backend, backend.sort_batch_workspace(batch_size));
    backend.sort_batch({device_users.span(), positives.span(), negatives.span()}, users, state.data(),
                       {nodes.span(), sources.span()}, workspace);

    std::vector<std::pair<std::int32_t, std::int32_t>> expected;
    for (std::int32_t role = 0; role < 3; ++role) {
      for (std::int32_t i = 0; i < count; ++i) {
        const std::int32_t node = role == 0   ? host_users[i]
                                  : role == 1 ? users + host_positives[i]
                                              : users + host_negatives[i];
        expected.emplace_back(node, role * static_cast<std::int32_t>(batch_size) + i);
      }
    }
    std::sort(expected.begin(), expected.end());
    const std::vector<std::int32_t> sorted_nodes = nodes.download(), sorted_sources = sources.download();
    std::vector<std::pair<std::int32_t, std::int32_t>> sorted;
    for (std::int64_t i = 0; i < 3 * count; ++i) sorted.emplace_back(sorted_nodes[i], sorted_sources[i]);
    CHECK(sorted == expected);
  });
}

}  // namespace

TEST_CASE("sort_batch orders nodes, equal ones by their source") {
  check_sorted(1, 1, 1, 1);
  check_sorted(100, 100, 7, 5);         // many equal nodes
  check_sorted(333, 333, 900, 1100);    // one digit
  check_sorted(2048, 2048, 9000, 800);  // two
  check_sorted(500, 500, 5000000, 2000000000u);
}

TEST_CASE("sort_batch of a batch that is not full leaves the rest out") {
  check_sorted(256, 101, 50, 40);
  check_sorted(256, 1, 50, 40);
  check_sorted(256, 0, 50, 40);
}

TEST_CASE("sort_batch refuses a count beyond the batch size and a small workspace") {
  CpuBackend backend(1);
  std::vector<std::int32_t> batch(4), order(12);
  StepState state{0, 0, 0, 5};
  const BatchView view{batch, batch, batch};
  const GarbageWorkspace memory(backend, backend.sort_batch_workspace(4));
  const auto refusal = [&](Workspace workspace) {
    return error_of([&] { backend.sort_batch(view, 1, &state, {order, order}, workspace); });
  };
  CHECK(refusal(memory) == "sort_batch: the count of the step state must not exceed the number of rows");
  state.count = 4;
  CHECK(refusal(memory).empty());
  CHECK(contains(refusal({Workspace(memory).data, 64}), "sort_batch: the workspace has 64 bytes"));
}
