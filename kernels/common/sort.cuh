#pragma once

#include <cstddef>
#include <cstdint>

#include "common/cuda.cuh"

namespace sea::cuda {

/// Device memory that `sort_pairs` needs for `count` pairs.
std::size_t sort_pairs_bytes(std::int64_t count);

/// Sorts pairs by key, equal keys in the order they had. Keys are in [0, 2^31). `temporary` holds
/// `sort_pairs_bytes(count)` bytes; the outputs are other memory than the inputs.
void sort_pairs(cudaStream_t stream, const char* operator_name, const std::int32_t* keys,
                std::int32_t* sorted_keys, const std::int32_t* values, std::int32_t* sorted_values,
                std::int64_t count, void* temporary, std::size_t temporary_bytes);

}  // namespace sea::cuda
