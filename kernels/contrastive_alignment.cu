// Contrastive alignment, forward and backward, without the n x n matrix.
//
// SoloSim is two walks over the logits (contrastive_alignment_walk.cuh): by text rows, for the row sums and,
// as an attention output, the gradient of the text; then by the keys' rows, for theirs, with the finished row
// sums. InfoNCE walks twice for the sums of rows and of columns and twice for the gradients. Floor: two
// products of 64 n^2 operations and n^2 exponentials a walk with gradient, one product a walk without: 12.7
// GFLOP on 7,050 rows, 136 on 23,033. In three TF32 products (logits reach 22, a single one is too coarse)
// that is 38 and 408 GFLOP: 0.1 and 1.0 ms at 400 TFLOP/s. Memory O(n): the packed rows, and the results of
// each range of keys, which are added in order. Operands are split into TF32 parts once, where they are
// packed.
//
// Wider rows than 32 go through plain float32 tiles.

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/context.cuh"
#include "common/sum_partials.cuh"
#include "contrastive_alignment_walk.cuh"
#include "sea/detail/checks/losses.hpp"
#include "tuned.cuh"

namespace sea {

namespace {

using cuda::alignment_rows;
using cuda::AlignmentWalk;
using cuda::blocks_of;
using cuda::PackedRows;
using cuda::WalkKind;
using cuda::WalkSplits;
using cuda::tuned::WalkTiling;

constexpr const char* name = "contrastive_alignment";
constexpr int block_threads = 256;
constexpr int warps = block_threads / 32;
constexpr int rows_per_block = 4 * warps;

bool on_tensor_cores(std::int64_t width) {
  return width <= cuda::tensor_walk_width;
}

std::int64_t packed_width(std::int64_t width) {
  return on_tensor_cores(width) ? cuda::tensor_walk_width
                                : blocks_of(width, cuda::plain_walk_slice) * cuda::plain_walk_slice;
}

std::int64_t padded_rows(std::int64_t count) {
  return blocks_of(count, alignment_rows) * alignment_rows;
}

WalkSplits splits_of(std::int64_t queries, std::int64_t keys, std::int64_t width) {
  return on_tensor_cores(width) ? WalkSplits::of<WalkTiling>(queries, keys)
                                : WalkSplits::of<cuda::PlainWalkTiling>(queries, keys);
}

/// Calls `row(i)` for the rows of this thread's warp.
template <class Function>
__device__ __forceinline__ void for_each_warp_row(std::int64_t rows, const Function& row) {
  for (int k = static_cast<int>(threadIdx.x) / 32; k < rows_per_block; k += warps) {
    const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * rows_per_block + k;
    if (i < rows) row(i);
  }
}

__device__ __forceinline__ std::int64_t row_number(const std::int32_t* samples, std::int64_t i) {
  return samples != nullptr ? samples[i] : i;
}

/// A matrix whose rows are packed, all or those that `samples` names, and where to.
struct Packing {
  ConstMatrixView matrix;
  const std::int32_t* samples;
  PackedRows packed;
  float *values, *rest;
  std::int32_t* positions;  ///< of each row, its place among the samples; null where nobody asks
};

/// The two of a walk, in one launch.
struct Packings {
  Packing of[2];
};

__global__ void __launch_bounds__(block_threads) pack_kernel(const __grid_constant__ Packings packings) {
  const Packing& packing = packings.of[blockIdx.y];
  const PackedRows& packed = packing.packed;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for_each_warp_row(packed.padded(), [&](std::int64_t i) {
    const bool valid = i < packed.count;
    const std::int64_t source = valid ? row_number(packing.samples, i) : 0;
#pragma unroll 1  // one trip in the narrow path; unrolled it spills
    for (std::int64_t k = lane; k < packed.width; k += 32) {
      const float value = valid && k < packing.matrix.columns ? packing.matrix(source, k) : 0.0f;
      const std::int64_t to = i * packed.width + k;
      if (packing.rest != nullptr) {
        const cuda::SplitFloat split = cuda::split_tf32(value);
        packing.values[to] = __uint_as_float(split.big);
        packing.rest[to] = __uint_as_float(split.small);
      } else {
        packing.values[to] = value;
      }
    }
    if (packing.positions != nullptr && valid && lane == 0) {
      packing.positions[source] = static_cast<std::int32_t>(i);
    }
  });
}

/// One direction of the loss; row i of `partners` is the positive of query i.
struct Direction {
  ConstMatrixView queries, partners;
  MatrixView d_queries, d_partners;
  bool accumulate;  ///< add to the gradients that are there
};

/// What the splits of a walk left.
struct WalkResult {
  std::int64_t splits, padded, width;
  const float* attended;  ///< null after WalkKind::sums
  const float* sums;
  const float* positives;

  __device__ float attended_at(std::int64_t i, std::int64_t k) const {
    float sum = 0.0f;
    for (std::int64_t split = 0; split < splits; ++split) {
      sum += attended[(split * padded + i) * width + k];
    }
    return sum;
  }
};

struct Shared {
  double warp_sums[32];
};

/// After a walk by queries: the sums, the loss, the queries' gradient as far as it is known (all of
/// SoloSim's, the positives' part of InfoNCE's), and what the positives themselves get as partners.
__global__ void __launch_bounds__(block_threads)
    finish_queries_kernel(Direction direction, WalkResult walk, const std::int32_t* positions,
                          float inverse_temperature, float scale, float* inverse_sums, double* losses) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t width = direction.queries.columns;
  double loss = 0.0;
  for_each_warp_row(direction.queries.rows, [&](std::int64_t i) {
    const float* query = direction.queries.row(i);
    const float* partner = direction.partners.row(i);
    // A query whose positive is not among the keys brings it along as one key more. The positive's logit is
    // the logarithm of the very number that the sum holds, so that a loss is never negative.
    float own = 0.0f, positive;
    if (positions != nullptr && positions[i] < 0) {
      float dot = 0.0f;
      for (std::int64_t k = lane; k < width; k += 32) dot = __fmaf_rn(query[k], partner[k], dot);
      const float exponent = __fmaf_rn(cuda::warp_sum(dot), inverse_temperature, -inverse_temperature);
      own = cuda::exp2_approx(0x1.715476p0f * exponent);
      positive = own;
    } else {
      positive = walk.positives[i];
    }
    double sum = static_cast<double>(own);
    for (std::int64_t split = 0; split < walk.splits; ++split) {
      sum += static_cast<double>(walk.sums[split * walk.padded + i]);
    }
    if (lane == 0) loss += log(sum) - log(static_cast<double>(positive));

    const float inverse_sum = static_cast<float>(1.0 / sum);
    if (lane == 0) inverse_sums[i] = inverse_sum;
    const float of_partner = scale * (own * inverse_sum - 1.0f);
    const float of_keys = scale * inverse_sum;
    for (std::int64_t k = lane; k < width; k += 32) {
      float to_query = of_partner * partner[k];
      float to_partner = of_partner * query[k];
      if (walk.attended != nullptr) to_query += of_keys * walk.attended_at(i, k);
      if (direction.accumulate) {
        to_query += direction.d_queries(i, k);
        to_partner += direction.d_partners(i, k);
      }
      direction.d_queries(i, k) = to_query;
      direction.d_partners(i, k) = to_partner;
    }
  });
  loss = cuda::block_sum<block_threads>(loss, cuda::shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0) losses[blockIdx.x] = loss;
}

/// *loss = scale * the sum of what the blocks of `finish_queries_kernel` left.
struct LossSum {
  const double* partials;
  std::int64_t count;
  double scale;
  float* loss;  ///< null: not yet
};

/// After a walk with the finished sums: the gradient of each of its queries' rows += scale * what it
/// attended. The first block writes the loss as well, where this is the last launch.
__global__ void __launch_bounds__(block_threads)
    add_attended_kernel(WalkResult walk, std::int64_t count, const std::int32_t* samples, float scale,
                        MatrixView gradient, LossSum sum) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for_each_warp_row(count, [&](std::int64_t i) {
    float* row = gradient.row(row_number(samples, i));
    for (std::int64_t k = lane; k < gradient.columns; k += 32) {
      row[k] = __fmaf_rn(scale, walk.attended_at(i, k), row[k]);
    }
  });
  if (sum.loss == nullptr || blockIdx.x > 0) return;
  const double total =
      cuda::sum_of_partials<block_threads>(sum.partials, sum.count, cuda::shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0) *sum.loss = static_cast<float>(sum.scale * total);
}

cuda::Grid grid_of_rows(std::int64_t rows) {
  return {dim3(cuda::grid_size(blocks_of(rows, rows_per_block))), dim3(block_threads), sizeof(Shared)};
}

/// Floats of a packed matrix.
std::int64_t packed_size(std::int64_t count, std::int64_t width) {
  return (on_tensor_cores(width) ? 2 : 1) * padded_rows(count) * packed_width(width);
}

/// Rows of results that a walk needs, over its splits.
std::int64_t result_rows(std::int64_t queries, std::int64_t keys, std::int64_t width) {
  return splits_of(queries, keys, width).count * padded_rows(queries);
}

/// One call: its arguments, its arrays, and the pieces of which both losses are made.
class Alignment {
 public:
  Alignment(cudaStream_t stream, Workspace workspace, std::int64_t n, std::int64_t width,
            ConstIndexView samples, float temperature, float scale, double share, float* loss)
      : stream_(stream),
        n_(n),
        width_(width),
        samples_(samples.empty() ? nullptr : samples.data()),
        sample_count_(static_cast<std::int64_t>(samples.size())),
        inverse_temperature_(1.0f / temperature),
        scale_(scale),
        share_(share),
        loss_(loss),
        scratch_(name, workspace) {
    const std::int64_t keys = samples.empty() ? n : sample_count_;
    const std::int64_t rows = std::max(result_rows(n, keys, width), result_rows(keys, n, width));
    attended_ = scratch_.take<float>(rows * packed_width(width));
    sums_ = scratch_.take<float>(rows);
    positives_ = scratch_.take<float>(padded_rows(n));
    for (float*& inverse_sums : inverse_sums_) inverse_sums = scratch_.take<float>(n);
    losses_ = scratch_.take<double>(2 * loss_blocks());
    if (sampled()) positions_ = scratch_.take<std::int32_t>(n);
  }

  static std::size_t workspace(std::int64_t n, std::int64_t width, std::int64_t samples) {
    const std::int64_t keys = samples > 0 ? samples : n;
    const std::int64_t rows = std::max(result_rows(n, keys, width), result_rows(keys, n, width));
    return cuda::scratch_bytes<float>(rows * packed_width(width)) + cuda::scratch_bytes<float>(rows) +
           cuda::scratch_bytes<float>(padded_rows(n)) + 2 * cuda::scratch_bytes<float>(n) +
           cuda::scratch_bytes<double>(2 * blocks_of(n, rows_per_block)) +
           2 * cuda::scratch_bytes<float>(packed_size(n, width)) +
           (samples > 0 ? cuda::scratch_bytes<std::int32_t>(n) +
                              2 * cuda::scratch_bytes<float>(packed_size(samples, width))
                        : 0);
  }

  bool sampled() const { return samples_ != nullptr; }

  /// The loss of one direction, of all rows or the sampled ones, and both of its gradients.
  void solosim(const Direction& direction, bool last) {
    if (sampled()) {
      cuda::check(
          cudaMemsetAsync(positions_, 0xFF, static_cast<std::size_t>(n_) * sizeof(std::int32_t), stream_),
          name, "filling");
    }
    const auto [queries, keys] =
        pack(packing(direction.queries, nullptr, n_, nullptr),
             packing(direction.partners, samples_, sampled() ? sample_count_ : n_, positions_));
    finish_queries(direction, walk<WalkKind::attend>(queries, keys), 0);
    add_attended(direction.d_partners,
                 walk<WalkKind::attend_by_keys>(keys, queries, nullptr, inverse_sums_[0]), keys, last);
  }

  /// The loss of both directions, of which `direction` is one, over all keys, and its gradients.
  void infonce(const Direction& direction) {
    const Direction back{direction.partners, direction.queries, direction.d_partners, direction.d_queries,
                         true};
    const auto [queries, keys] = pack(packing(direction.queries, nullptr, n_, nullptr),
                                      packing(direction.partners, nullptr, n_, nullptr));
    finish_queries(direction, walk<WalkKind::sums>(queries, keys), 0);
    finish_queries(back, walk<WalkKind::sums>(keys, queries), 1);
    add_attended(direction.d_queries,
                 walk<WalkKind::attend_by_both>(queries, keys, inverse_sums_[0], inverse_sums_[1]), queries,
                 false);
    add_attended(direction.d_partners,
                 walk<WalkKind::attend_by_both>(keys, queries, inverse_sums_[1], inverse_sums_[0]), keys,
                 true);
  }

 private:
  std::int64_t loss_blocks() const { return blocks_of(n_, rows_per_block); }

  Packing packing(ConstMatrixView matrix, const std::int32_t* samples, std::int64_t count,
                  std::int32_t* positions) {
    float* values = scratch_.take<float>(packed_size(count, width_));
    const std::int64_t width = packed_width(width_);
    float* rest = on_tensor_cores(width_) ? values + padded_rows(count) * width : nullptr;
    return {matrix, samples, {values, rest, count, width}, values, rest, positions};
  }

  std::pair<PackedRows, PackedRows> pack(const Packing& queries, const Packing& keys) {
    cuda::Grid grid = grid_of_rows(std::max(queries.packed.padded(), keys.packed.padded()));
    grid.blocks.y = 2;
    cuda::launch(stream_, name, grid, &pack_kernel, Packings{{queries, keys}});
    return {queries.packed, keys.packed};
  }

  template <WalkKind kind>
  WalkResult walk(const PackedRows& queries, const PackedRows& keys, const float* query_factors = nullptr,
                  const float* key_factors = nullptr) {
    const WalkSplits splits = splits_of(queries.count, keys.count, width_);
    const AlignmentWalk arguments{queries,
                                  keys,
                                  splits.tiles_per_split,
                                  inverse_temperature_ * 0x1.715476p0f,
                                  positions_,
                                  query_factors,
                                  key_factors,
                                  attended_,
                                  sums_,
                                  positives_};
    on_tensor_cores(width_)
        ? cuda::start_tensor_walk<WalkTiling, kind>(stream_, name, arguments, splits.count)
        : cuda::start_plain_walk<kind>(stream_, name, arguments, splits.count);
    return {splits.count, queries.padded(), queries.width, kind == WalkKind::sums ? nullptr : attended_,
            sums_,        positives_};
  }

  /// Its sums are kept as `inverse_sums_[place]`.
  void finish_queries(const Direction& direction, const WalkResult& result, int place) {
    cuda::launch(stream_, name, grid_of_rows(n_), &finish_queries_kernel, direction, result, positions_,
                 inverse_temperature_, scale_, inverse_sums_[place], losses_ + finished_ * loss_blocks());
    ++finished_;
  }

  /// The last of all writes the loss, the mean over the rows of all that was finished.
  void add_attended(MatrixView gradient, const WalkResult& result, const PackedRows& queries, bool last) {
    const std::int32_t* samples = sampled() ? samples_ : nullptr;
    const LossSum sum{losses_, finished_ * loss_blocks(), share_ / static_cast<double>(n_),
                      last ? loss_ : nullptr};
    cuda::launch(stream_, name, grid_of_rows(std::max<std::int64_t>(queries.count, 1)), &add_attended_kernel,
                 result, queries.count, samples, scale_, gradient, sum);
  }

  cudaStream_t stream_;
  std::int64_t n_, width_;
  const std::int32_t* samples_;
  std::int64_t sample_count_;
  float inverse_temperature_, scale_;
  double share_;  ///< of a direction in the loss
  float* loss_;
  cuda::Scratch scratch_;
  float *attended_, *sums_, *positives_;
  float* inverse_sums_[2];
  double* losses_;
  std::int32_t* positions_ = nullptr;  ///< of each row, its place among the samples, or -1
  std::int64_t finished_ = 0;          ///< directions
};

}  // namespace

void CudaBackend::contrastive_alignment(ConstMatrixView text, ConstMatrixView visual, float temperature,
                                        bool symmetric, ConstIndexView samples, float weight, float* loss,
                                        MatrixView d_text, MatrixView d_visual, Workspace workspace) {
  const std::int64_t n = text.rows;
  const std::int64_t width = text.columns;
  checks::contrastive_alignment(text, visual, temperature, samples, d_text, d_visual);

  const float share = symmetric ? 0.5f : 1.0f;
  const float scale = weight * share / (static_cast<float>(n) * temperature);
  Alignment alignment(context_->stream, workspace, n, width, samples, temperature, scale, share, loss);
  const Direction to_visual{text, visual, d_text, d_visual, false};
  if (symmetric && !alignment.sampled()) return alignment.infonce(to_visual);
  alignment.solosim(to_visual, !symmetric);
  // With a sample of keys the two directions have no logits in common but the positives'.
  if (symmetric) alignment.solosim({visual, text, d_visual, d_text, true}, true);
}

std::size_t CudaBackend::contrastive_alignment_workspace(std::int64_t n, std::int64_t width,
                                                         std::int64_t samples) const {
  return Alignment::workspace(n, width, samples);
}

}  // namespace sea
