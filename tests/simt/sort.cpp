#include "simt/sort.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

namespace sea::simt {

std::size_t sort_pairs_bytes(int count) {
  return 8 * static_cast<std::size_t>(count) + 1024;
}

cudaError_t sort_pairs(void* temporary, std::size_t temporary_bytes, const std::int32_t* keys,
                       std::int32_t* sorted_keys, const std::int32_t* values, std::int32_t* sorted_values,
                       int count, int key_bits, cudaStream_t stream) {
  if (temporary_bytes < sort_pairs_bytes(count)) return cudaErrorInvalidValue;
  const auto sort = [=] {
    std::vector<int> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    const auto key = [&](int i) { return static_cast<std::uint32_t>(keys[i]) << (32 - key_bits); };
    std::stable_sort(order.begin(), order.end(), [&](int i, int j) { return key(i) < key(j); });
    std::memset(temporary, 0xFF, temporary_bytes);
    for (int i = 0; i < count; ++i) {
      sorted_keys[i] = keys[order[i]];
      sorted_values[i] = values[order[i]];
    }
  };
  return enqueue_library_call("cub::DeviceRadixSort::SortPairs", sort, stream);
}

}  // namespace sea::simt
