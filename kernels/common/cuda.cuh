#pragma once

// The one header through which kernels see CUDA: the toolkit under nvcc; under SEA_SIMT, where the same files
// are compiled as C++, the layer in tests/simt that runs them on the CPU. Both have the same names.
//
// CUDA itself as it is, less static __shared__, float atomics, block- and warp-wide library calls; and these
// helpers, each with a plain meaning:
//
// clang-format off
//   shared_memory<Shared>()          the block's shared memory, the size the launch asked for
//   grid_sync()                      a barrier of all threads of a cooperative launch
//   copy_async_16(shared, global)    16 bytes to shared memory in the background; zeros where `valid` is false
//   copy_async_4(shared, global)     likewise 4 bytes
//   copy_async_commit()              closes a group of the copies that this thread started
//   copy_async_wait<n>()             waits for all groups of this thread but the newest n
//   to_tf32(x)                       x rounded to TF32 (ten bits of mantissa), as the tensor cores want it
//   mma_m16n8k8_tf32(d, a, b)        d += a b on the tensor cores, by all lanes of a warp
// clang-format on

#if defined(SEA_SIMT)

#include "simt/cuda.hpp"

#else

#include <cooperative_groups.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace sea::cuda {

#if defined(__CUDACC__)

extern __shared__ __align__(16) unsigned char dynamic_shared_memory[];

template <class Shared>
__device__ __forceinline__ Shared& shared_memory() {
  static_assert(alignof(Shared) <= 16, "shared memory is aligned to 16 bytes");
  return *reinterpret_cast<Shared*>(dynamic_shared_memory);
}

__device__ __forceinline__ void grid_sync() {
  cooperative_groups::this_grid().sync();
}

__device__ __forceinline__ void copy_async_16(void* shared, const void* global, bool valid = true) {
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes) : "memory");
}

__device__ __forceinline__ void copy_async_4(void* shared, const void* global, bool valid = true) {
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int bytes = valid ? 4 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(global), "r"(bytes) : "memory");
}

__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int newest>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(newest) : "memory");
}

__device__ __forceinline__ std::uint32_t to_tf32(float x) {
  std::uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

// Which elements a lane holds: with group = lane / 4 and place = lane % 4, of A (16 x 8) the rows group and
// group + 8 and the columns place and place + 4, in the order (row, column), (row + 8, column), (row,
// column + 4), (row + 8, column + 4); of B (8 x 8) the rows place and place + 4 of column group; of D (16 x
// 8) the columns 2 place and 2 place + 1 of row group, then of row group + 8. PTX ISA, mma.m16n8k8.
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                                 const std::uint32_t (&b)[2]) {
  // Volatile: the compiler must not move it to where a warp has diverged.
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

}  // namespace sea::cuda

#endif

namespace sea::cuda {

/// All lanes of a warp.
inline constexpr unsigned full_warp = 0xFFFFFFFFu;

}  // namespace sea::cuda
