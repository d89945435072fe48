#pragma once

#include <cstddef>
#include <cstdint>

#include "simt/runtime_api.hpp"

namespace sea::simt {

/// What CUB's device-wide radix sort does, by the standard library: a stable sort by the keys' `key_bits`
/// lowest bits when the stream gets there. All of `temporary` is spoiled.
std::size_t sort_pairs_bytes(int count);
cudaError_t sort_pairs(void* temporary, std::size_t temporary_bytes, const std::int32_t* keys,
                       std::int32_t* sorted_keys, const std::int32_t* values, std::int32_t* sorted_values,
                       int count, int key_bits, cudaStream_t stream);

}  // namespace sea::simt
