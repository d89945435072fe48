#pragma once

#include <cstdint>

#include "common/reduce.cuh"

namespace sea::cuda {

/// The best of a stream of float scores with ascending ids, kept by one warp in memory of fixed size; the
/// GPU's twin of host/cpu/candidates.hpp. Equal scores: the lower id is the better one. Scores that are not
/// numbers, and -infinity, are never taken. Every member is called by all lanes with the same arguments.
class Candidates {
 public:
  /// Scores of one row that `add` looks at in one go; rows have room for whole chunks.
  static constexpr int chunk = 128;

  /// Room for `wanted` candidates, as many again before a cut, and what one look adds.
  static constexpr std::int64_t capacity(std::int64_t wanted) { return 2 * wanted + 32 + chunk; }

  /// -infinity, below every score.
  __device__ static float no_score() { return __uint_as_float(0xFF800000u); }

  struct State {
    int count;
    float threshold;
  };
  __device__ static State empty() { return {0, no_score()}; }

  /// `scores` and `ids` have room for `capacity(wanted)` values each.
  __device__ Candidates(float* scores, std::int32_t* ids, int wanted, State state)
      : scores_(scores),
        ids_(ids),
        wanted_(wanted),
        lane_(static_cast<int>(threadIdx.x) % 32),
        count_(state.count),
        threshold_(state.threshold) {}

  __device__ State state() const { return {count_, threshold_}; }

  /// Takes what matters of scores[0, count), which belong to first_id, first_id + 1, ... `scores` is aligned
  /// to 16 bytes and may be read up to the next multiple of `chunk`.
  __device__ void add(const float* scores, int count, std::int32_t first_id) {
    for (int first = 0; first < count; first += chunk) {
      const float4 four = *reinterpret_cast<const float4*>(scores + first + 4 * lane_);
      const float score[4] = {four.x, four.y, four.z, four.w};
      const int left = count - first - 4 * lane_;
      bool above[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) above[e] = e < left && score[e] > threshold_;
      if (__any_sync(full_warp, above[0] || above[1] || above[2] || above[3]) == 0) continue;
      append(above, score, first_id + first + 4 * lane_);
    }
  }

  /// Leaves the best `wanted` of those that were taken.
  __device__ void finish() {
    if (count_ > wanted_) cut(0);
  }

 private:
  /// An integer for each float, in the same order; the two zeros are neighbours.
  __device__ static int to_ordered(float score) {
    const int bits = __float_as_int(score);
    return bits ^ (bits >> 31 & 0x7FFFFFFF);
  }
  __device__ static float from_ordered(long long ordered) {
    const int bits = static_cast<int>(ordered);
    return __int_as_float(bits ^ (bits >> 31 & 0x7FFFFFFF));
  }

  __device__ int lanes_before(unsigned lanes) const {
    return __popc(lanes & ((1u << lane_) - 1u));
  }

  /// Each lane brings four neighbours, of which some are taken; they are added in the order of their ids.
  __device__ void append(const bool (&taken)[4], const float (&score)[4], std::int32_t first_id) {
    int at = count_;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const unsigned lanes = __ballot_sync(full_warp, taken[e]);
      at += lanes_before(lanes);
      count_ += __popc(lanes);
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      if (!taken[e]) continue;
      scores_[at] = score[e];
      ids_[at++] = first_id + e;
    }
    if (count_ > 2 * wanted_ + 32) cut(wanted_ / 4);
  }

  __device__ int count_above(float value) const {
    int above = 0;
    for (int i = lane_; i < count_; i += 32) above += scores_[i] > value ? 1 : 0;
    return __reduce_add_sync(full_warp, above);
  }

  __device__ int largest() const {
    int most = to_ordered(no_score());
    for (int i = lane_; i < count_; i += 32) most = max(most, to_ordered(scores_[i]));
    return __reduce_max_sync(full_warp, most);
  }

  /// Raises the threshold until between `wanted` and `wanted + slack` candidates are above it, by bisection.
  /// Where too many are equal for that, those of the lowest ids among them stay too.
  __device__ void cut(int slack) {
    __syncwarp();
    // At least `wanted` are above low: none lies below the threshold, though some may equal it after a cut
    // through ties. Fewer are above high.
    long long low = to_ordered(threshold_) - 1LL, high = largest();
    int above_low = count_;
    while (above_low > wanted_ + slack && high - low > 1) {
      const long long middle = low + (high - low) / 2;
      const int above = count_above(from_ordered(middle));
      if (above >= wanted_) {
        low = middle;
        above_low = above;
      } else {
        high = middle;
      }
    }
    const bool ties = above_low > wanted_ + slack;
    threshold_ = from_ordered(ties ? high : low);
    keep_best(ties ? wanted_ - count_above(threshold_) : 0);
  }

  /// Drops what is not above the threshold, but for the first `equals` of those that equal it.
  __device__ void keep_best(int equals) {
    int kept = 0;
    for (int first = 0; first < count_; first += 32) {
      const bool there = first + lane_ < count_;
      const float score = there ? scores_[first + lane_] : no_score();
      const std::int32_t id = there ? ids_[first + lane_] : 0;
      const bool equal = there && score == threshold_;
      const unsigned equal_lanes = __ballot_sync(full_warp, equal);
      const bool keep = score > threshold_ || (equal && lanes_before(equal_lanes) < equals);
      equals = max(0, equals - __popc(equal_lanes));
      const unsigned lanes = __ballot_sync(full_warp, keep);
      __syncwarp();  // all have read what the lines below overwrite
      if (keep) {
        scores_[kept + lanes_before(lanes)] = score;
        ids_[kept + lanes_before(lanes)] = id;
      }
      kept += __popc(lanes);
    }
    count_ = kept;
    __syncwarp();
  }

  float* scores_;
  std::int32_t* ids_;
  int wanted_;
  int lane_;
  int count_;
  float threshold_;
};

}  // namespace sea::cuda
