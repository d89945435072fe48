#pragma once

#include <cmath>
#include <cstdint>

#include "simt/grid.hpp"

// What the helpers of kernels/common/cuda.cuh mean on the CPU.

namespace sea::simt {

/// As the tensor cores round a sum.
inline float toward_zero(double sum) {
  const auto rounded = static_cast<float>(sum);
  return std::fabs(static_cast<double>(rounded)) > std::fabs(sum) ? std::nextafter(rounded, 0.0f) : rounded;
}

}  // namespace sea::simt

namespace sea::cuda {

/// The block's shared memory as a `Shared`; its bytes are NaN until written.
template <class Shared>
Shared& shared_memory(simt::Site site = simt::Site::current()) {
  return *static_cast<Shared*>(simt::shared_memory_of(sizeof(Shared), alignof(Shared), site));
}

inline void grid_sync(simt::Site site = simt::Site::current()) {
  simt::grid_barrier(site);
}

inline void copy_async_16(void* shared, const void* global, bool valid = true,
                          simt::Site site = simt::Site::current()) {
  simt::start_copy(shared, global, 16, valid, site);
}
inline void copy_async_4(void* shared, const void* global, bool valid = true,
                         simt::Site site = simt::Site::current()) {
  simt::start_copy(shared, global, 4, valid, site);
}
inline void copy_async_commit() {
  simt::commit_copies();
}
template <int newest>
void copy_async_wait() {
  simt::wait_for_copies(newest);
}

std::uint32_t to_tf32(float x);
void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                      simt::Site site = simt::Site::current());

}  // namespace sea::cuda
