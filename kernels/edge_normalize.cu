#include "common/context.cuh"
#include "common/reduce.cuh"
#include "common/warp_rows.cuh"
#include "sea/detail/checks/graphs.hpp"

// A learned graph over the roots of its row sums, forward and backward.
//
// Floor: forward an entry's value and column read twice and its result written, 20 bytes; backward 32 bytes
// and one gathered value or root for each entry of the pattern and of its transpose (20 entries per row on
// Baby's 7,050 items: 2.8 and 6 MB): below two microseconds, what it costs is two launches. One warp per row,
// lane l takes its entries l, l + 32, ...; sums in double precision. First the rows' sums, then, when all are
// known, the entries.

namespace sea {

namespace {

/// Calls `entry(e)` for the entries [offsets[i], offsets[i + 1]) that are this lane's.
template <class Function>
__device__ void for_each_entry(const std::int64_t* offsets, std::int64_t i, const Function& entry) {
  const std::int64_t end = offsets[i + 1];
  for (std::int64_t e = offsets[i] + threadIdx.x % 32; e < end; e += 32) entry(e);
}

__global__ void __launch_bounds__(cuda::warp_row_threads)
    inverse_roots_kernel(CsrPatternView pattern, const float* values, float* inverse_roots) {
  const std::int64_t i = cuda::warp_row();
  if (i >= pattern.rows) return;
  double sum = 0.0;
  for_each_entry(pattern.row_offsets, i, [&](std::int64_t e) { sum += static_cast<double>(values[e]); });
  sum = cuda::warp_sum(sum);
  if (threadIdx.x % 32 == 0) inverse_roots[i] = sum <= 0.0 ? 0.0f : static_cast<float>(1.0 / sqrt(sum));
}

__global__ void __launch_bounds__(cuda::warp_row_threads)
    normalize_kernel(CsrPatternView pattern, const float* values, const float* inverse_roots,
                     float* normalized) {
  const std::int64_t i = cuda::warp_row();
  if (i >= pattern.rows) return;
  const float root = inverse_roots[i];
  for_each_entry(pattern.row_offsets, i, [&](std::int64_t e) {
    normalized[e] = values[e] * root * inverse_roots[pattern.column_indices[e]];
  });
}

/// Of every row, d_i^3 / 2 times the gradient with respect to d_i.
__global__ void __launch_bounds__(cuda::warp_row_threads)
    inward_kernel(CsrPatternView pattern, CsrPatternView transpose, const std::int32_t* permutation,
                  const float* values, const float* inverse_roots, const float* dnormalized, float* inward) {
  const std::int64_t i = cuda::warp_row();
  if (i >= pattern.rows) return;
  double sum = 0.0;
  const auto add = [&](std::int64_t e, std::int32_t other) {
    sum = __fma_rn(static_cast<double>(dnormalized[e]) * static_cast<double>(values[e]),
                   static_cast<double>(inverse_roots[other]), sum);
  };
  for_each_entry(pattern.row_offsets, i, [&](std::int64_t e) { add(e, pattern.column_indices[e]); });
  for_each_entry(transpose.row_offsets, i,
                 [&](std::int64_t t) { add(permutation[t], transpose.column_indices[t]); });
  sum = cuda::warp_sum(sum);
  if (threadIdx.x % 32 != 0) return;
  const double root = inverse_roots[i];
  // A row whose sum is not positive has a constant 0 there.
  inward[i] = root == 0.0 ? 0.0f : static_cast<float>(sum * root * root * root / 2.0);
}

__global__ void __launch_bounds__(cuda::warp_row_threads)
    normalize_backward_kernel(CsrPatternView pattern, const float* inverse_roots, const float* dnormalized,
                              const float* inward, float* dvalues) {
  const std::int64_t i = cuda::warp_row();
  if (i >= pattern.rows) return;
  const float root = inverse_roots[i], own = inward[i];
  for_each_entry(pattern.row_offsets, i, [&](std::int64_t e) {
    dvalues[e] = __fmaf_rn(dnormalized[e] * root, inverse_roots[pattern.column_indices[e]], -own);
  });
}

}  // namespace

void CudaBackend::edge_normalize(const CsrPatternView& pattern, ConstVectorView values, VectorView normalized,
                                 VectorView inverse_roots) {
  constexpr const char* name = "edge_normalize";
  checks::edge_normalize(pattern, inverse_roots);
  const cuda::Grid grid = cuda::warp_row_grid(pattern.rows);
  cuda::launch(context_->stream, name, grid, &inverse_roots_kernel, pattern, values.data(),
               inverse_roots.data());
  cuda::launch(context_->stream, name, grid, &normalize_kernel, pattern, values.data(), inverse_roots.data(),
               normalized.data());
}

std::size_t CudaBackend::edge_normalize_workspace(std::int64_t rows) const {
  return cuda::scratch_bytes<float>(rows);
}

void CudaBackend::edge_normalize_backward(const CsrPatternView& pattern, const CsrPatternView& transpose,
                                          ConstIndexView permutation, ConstVectorView values,
                                          ConstVectorView inverse_roots, ConstVectorView dnormalized,
                                          VectorView dvalues, Workspace workspace) {
  constexpr const char* name = "edge_normalize_backward";
  checks::edge_normalize_backward(pattern, transpose, inverse_roots);
  float* inward = cuda::Scratch(name, workspace).take<float>(pattern.rows);
  const cuda::Grid grid = cuda::warp_row_grid(pattern.rows);
  cuda::launch(context_->stream, name, grid, &inward_kernel, pattern, transpose, permutation.data(),
               values.data(), inverse_roots.data(), dnormalized.data(), inward);
  cuda::launch(context_->stream, name, grid, &normalize_backward_kernel, pattern, inverse_roots.data(),
               dnormalized.data(), inward, dvalues.data());
}

}  // namespace sea
