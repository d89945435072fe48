#pragma once

#include "variants.cuh"

// Of each list of variants.cuh the choice that the library is built with. bench/gpu_check.sh times the lists
// and writes this file anew into its results; it is taken over by hand.
//
// GPU: none yet; predicted for an H200 by bench/sass_report.

namespace sea::cuda::tuned {

using LargeTiling = split::Tiling<128, 128, 64, 32, 1, 3>;
using SmallTiling = split::Tiling<64, 64, 32, 32, 3, 3>;
using HalfTiling = split::Tiling<128, 128, 64, 32, 1, 2>;
using UpdateTiling = cuda::UpdateTiling<64, 128, 16, 3, 2>;
using WalkTiling = cuda::WalkTiling<128, 64, 3>;
using FitTiling = cuda::FitTiling<64, 64>;
using SpmmTiling = cuda::SpmmTiling<256, 8>;

/// Time that 32 of k take in a tile, in thirds of a microsecond: what the tensor cores need for a small one.
/// Small tiles read more from the second-level cache than it gives in that time; halves are bound by shared
/// memory.
inline constexpr double large_step_time = 4.0, small_step_time = 1.2, half_step_time = 3.0;

}  // namespace sea::cuda::tuned
