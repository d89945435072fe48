#pragma once

#include "common/elementwise.cuh"
#include "sea/backend.hpp"

namespace sea::cuda {

namespace detail {

template <bool aligned, class Function>
__global__ void fill_random_kernel(Function function, std::uint64_t seed, RandomPurpose purpose,
                                   const StepState* state, std::uint32_t stream, MatrixView y) {
  const std::int64_t i = elementwise_row(), j = elementwise_column<4>();
  if (i >= y.rows || j >= y.columns) return;
  const std::int64_t draws_of_row = (y.columns + 3) / 4;
  const Philox4x32 bits = random_bits(seed, purpose, state->step, i * draws_of_row + j / 4, stream);
  if (aligned && j + 4 <= y.columns) {
    store_pack<4>(&y(i, j), {{function(bits.word[0]), function(bits.word[1]), function(bits.word[2]),
                              function(bits.word[3])}});
  } else {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (j + k < y.columns) y(i, j + k) = function(bits.word[k]);
    }
  }
}

}  // namespace detail

/// y(i, j) = function(32 random bits), as on every backend: four neighbouring columns of a row share one
/// draw, whose index counts those of a row, row after row. One thread a draw.
template <class Function>
void fill_random(cudaStream_t cuda_stream, const char* operator_name, std::uint64_t seed,
                 RandomPurpose purpose, const StepState* state, std::uint32_t stream, MatrixView y,
                 const Function& function) {
  launch(cuda_stream, operator_name, elementwise_grid(y.rows, y.columns, 4),
         rows_aligned(y) ? &detail::fill_random_kernel<true, Function>
                         : &detail::fill_random_kernel<false, Function>,
         function, seed, purpose, state, stream, y);
}

}  // namespace sea::cuda
