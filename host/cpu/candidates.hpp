#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace sea::cpu {

/// The best of a stream of float scores with ascending ids, in memory of fixed size. Equal scores:
/// the lower id is the better one. Scores that are not numbers, and -infinity, are never taken.
class Candidates {
 public:
  static constexpr std::int64_t chunk = 16;
  static constexpr std::int64_t run = 8 * chunk;  ///< scores between two looks at how many there are
  static constexpr float no_score = -std::numeric_limits<float>::infinity();

  /// Values of each array for `wanted` candidates: room for as many again and a run, and for whole chunks.
  static constexpr std::int64_t capacity(std::int64_t wanted) { return 2 * wanted + run + 2 * chunk; }

  /// `scores` and `ids` have room for `capacity(wanted)` values each.
  Candidates(float* scores, std::int32_t* ids, std::int64_t wanted)
      : scores_(scores), ids_(ids), wanted_(wanted) {}

  std::int64_t count() const { return count_; }
  std::int32_t id(std::int64_t i) const { return ids_[i]; }
  /// No score that was left out is above this. -infinity: none was.
  float threshold() const { return threshold_; }

  /// Takes what matters of scores[0, count), which belong to first_id, first_id + 1, ... The scores up to the
  /// next multiple of `chunk` may be overwritten.
  void add(float* scores, std::int64_t count, std::int32_t first_id) {
    while (count % chunk != 0) scores[count++] = no_score;
    for (std::int64_t first = 0; first < count; first += run) {
      const std::int64_t end = std::min(first + run, count), before = count_;
      Taken taken{scores_, ids_, count_, threshold_};
      for (std::int64_t j = first; j < end; j += chunk) {
        if (many_ || taken.any_above(scores + j)) {
          taken.take_above(scores + j, first_id + static_cast<std::int32_t>(j));
        }
      }
      count_ = taken.count;
      // The next run has about as many. Where a branch would be guessed wrong, taking nothing costs less.
      many_ = count_ - before >= 2;
      if (count_ > 2 * wanted_) cut(wanted_ / 4);
    }
  }

  /// Leaves the best `wanted` of those that were taken.
  void finish() {
    if (count_ > wanted_) cut(0);
  }

 private:
  /// An integer for each float, in the same order; the two zeros are neighbours.
  static std::int32_t to_ordered(float score) {
    const auto bits = std::bit_cast<std::int32_t>(score);
    return bits ^ (bits >> 31 & 0x7FFFFFFF);
  }
  static float from_ordered(std::int32_t ordered) {
    return std::bit_cast<float>(ordered ^ (ordered >> 31 & 0x7FFFFFFF));
  }

  /// What a loop takes, on the loop's own stack: a member would be read again after every store.
  struct Taken {
    float* to_scores;
    std::int32_t* to_ids;
    std::int64_t count;
    float threshold;

    bool any_above(const float* scores) const {
#if defined(__AVX512F__)
      return _mm512_cmp_ps_mask(_mm512_loadu_ps(scores), _mm512_set1_ps(threshold), _CMP_GT_OQ) != 0;
#else
      int above = 0;
      for (int j = 0; j < chunk; ++j) above |= static_cast<int>(scores[j] > threshold);
      return above != 0;
#endif
    }

    void take(float score, std::int32_t id, bool wanted) {
      to_scores[count] = score;
      to_ids[count] = id;
      count += static_cast<std::int64_t>(wanted);
    }

    /// Those of a chunk's scores that are above the threshold.
    void take_above(const float* scores, std::int32_t first_id) {
#if defined(__AVX512F__)
      const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
      take_above(_mm512_loadu_ps(scores), _mm512_add_epi32(lane, _mm512_set1_epi32(first_id)));
#else
      for (int j = 0; j < chunk; ++j) take(scores[j], first_id + j, scores[j] > threshold);
#endif
    }

#if defined(__AVX512F__)
    void take_above(__m512 score, __m512i id) {
      const __mmask16 above = _mm512_cmp_ps_mask(score, _mm512_set1_ps(threshold), _CMP_GT_OQ);
      // Stored whole: compressing into memory is slow on some processors.
      _mm512_storeu_ps(to_scores + count, _mm512_maskz_compress_ps(above, score));
      _mm512_storeu_epi32(to_ids + count, _mm512_maskz_compress_epi32(above, id));
      count += std::popcount(static_cast<unsigned>(above));
    }
#endif
  };

  /// Leaves those that are above the threshold, and the first `equals` that equal it.
  void keep_above(std::int64_t equals) {
    Taken kept{scores_, ids_, 0, threshold_};
    std::int64_t i = 0;
#if defined(__AVX512F__)
    // What a chunk leaves goes no further than where the chunk was read.
    for (; equals == 0 && i < count_; i += chunk) {
      kept.take_above(_mm512_loadu_ps(scores_ + i), _mm512_loadu_si512(ids_ + i));
    }
#endif
    for (; i < count_; ++i) {
      const bool equal = equals > 0 && scores_[i] == threshold_;
      kept.take(scores_[i], ids_[i], equal || scores_[i] > threshold_);
      equals -= static_cast<std::int64_t>(equal);
    }
    count_ = kept.count;
  }

  /// Candidates above `value`; the last chunk has been padded with `no_score`.
  std::int64_t count_above(float value) const {
#if defined(__AVX512F__)
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < count_; i += chunk) {
      const __mmask16 above =
          _mm512_cmp_ps_mask(_mm512_loadu_ps(scores_ + i), _mm512_set1_ps(value), _CMP_GT_OQ);
      count += std::popcount(static_cast<unsigned>(above));
    }
    return count;
#else
    std::int32_t above[chunk] = {};
    for (std::int64_t i = 0; i < count_; i += chunk) {
      for (int j = 0; j < chunk; ++j) above[j] += static_cast<std::int32_t>(scores_[i + j] > value);
    }
    std::int64_t sum = 0;
    for (const std::int32_t lane : above) sum += lane;
    return sum;
#endif
  }

  float largest() const {
    float most[chunk];
    for (float& lane : most) lane = no_score;
    for (std::int64_t i = 0; i < count_; i += chunk) {
      for (int j = 0; j < chunk; ++j) most[j] = scores_[i + j] > most[j] ? scores_[i + j] : most[j];
    }
    float result = no_score;
    for (const float lane : most) result = lane > result ? lane : result;
    return result;
  }

  /// Raises the threshold until between `wanted` and `wanted + slack` candidates are above it, by bisection.
  /// Where too many are equal for that, those of the lowest ids among them stay too. A function of its own:
  /// within `add` it would take the registers of a loop that runs a hundred times as often.
  [[gnu::noinline]] void cut(std::int64_t slack) {
    for (std::int64_t i = count_; i % chunk != 0; ++i) scores_[i] = no_score;
    // At least `wanted` are above low: none lies below the threshold, though some may equal it after a cut
    // through ties. Fewer are above high.
    std::int64_t low = std::int64_t{to_ordered(threshold_)} - 1;
    std::int64_t high = to_ordered(largest());
    std::int64_t above_low = count_;
    while (above_low > wanted_ + slack && high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      const std::int64_t above = count_above(from_ordered(static_cast<std::int32_t>(middle)));
      if (above >= wanted_) {
        low = middle;
        above_low = above;
      } else {
        high = middle;
      }
    }
    const bool ties = above_low > wanted_ + slack;
    threshold_ = from_ordered(static_cast<std::int32_t>(ties ? high : low));
    keep_above(ties ? wanted_ - count_above(threshold_) : 0);
  }

  float* scores_;
  std::int32_t* ids_;
  std::int64_t wanted_;
  std::int64_t count_ = 0;
  float threshold_ = no_score;
  bool many_ = true;
};

}  // namespace sea::cpu
