#pragma once

#include <cstdint>

#include "simt/grid.hpp"

// What the helpers of kernels/common/half.cuh mean on the CPU.

namespace sea::cuda {

std::uint32_t to_halves(float2 x);
float2 from_halves(std::uint32_t bits);
void mma_m16n8k16_f16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                      simt::Site site = simt::Site::current());
void load_matrices_of_warp(std::uint32_t (&to)[4], const std::uint32_t* row, bool transposed,
                           simt::Site site);

template <bool transposed>
void load_matrices(std::uint32_t (&to)[4], const std::uint32_t* row,
                   simt::Site site = simt::Site::current()) {
  load_matrices_of_warp(to, row, transposed, site);
}

}  // namespace sea::cuda
