#include <limits>

#include "common/check.cuh"
#include "common/sort.cuh"

#if defined(SEA_SIMT)
#include "simt/sort.hpp"
#else
#include <cub/device/device_radix_sort.cuh>
#endif

namespace sea::cuda {

namespace {

constexpr int key_bits = 31;
constexpr const char* sorter = "sort_batch";  // the only operator that asks for a sort's bytes

int library_count(const char* operator_name, std::int64_t count) {
  require(count <= std::numeric_limits<int>::max(), operator_name, "fewer than 2^31 pairs can be sorted");
  return static_cast<int>(count);
}

}  // namespace

#if defined(SEA_SIMT)

std::size_t sort_pairs_bytes(std::int64_t count) {
  return simt::sort_pairs_bytes(library_count(sorter, count));
}

void sort_pairs(cudaStream_t stream, const char* operator_name, const std::int32_t* keys,
                std::int32_t* sorted_keys, const std::int32_t* values, std::int32_t* sorted_values,
                std::int64_t count, void* temporary, std::size_t temporary_bytes) {
  check(simt::sort_pairs(temporary, temporary_bytes, keys, sorted_keys, values, sorted_values,
                         library_count(operator_name, count), key_bits, stream),
        operator_name, "a sort");
}

#else

std::size_t sort_pairs_bytes(std::int64_t count) {
  std::size_t bytes = 0;
  const std::int32_t* in = nullptr;
  std::int32_t* out = nullptr;
  check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, in, out, in, out, library_count(sorter, count), 0,
                                        key_bits),
        sorter, "asking for the memory of a sort");
  return bytes;
}

void sort_pairs(cudaStream_t stream, const char* operator_name, const std::int32_t* keys,
                std::int32_t* sorted_keys, const std::int32_t* values, std::int32_t* sorted_values,
                std::int64_t count, void* temporary, std::size_t temporary_bytes) {
  check(cub::DeviceRadixSort::SortPairs(temporary, temporary_bytes, keys, sorted_keys, values, sorted_values,
                                        library_count(operator_name, count), 0, key_bits, stream),
        operator_name, "a sort");
}

#endif

}  // namespace sea::cuda
