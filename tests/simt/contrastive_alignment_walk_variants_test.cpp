#include <bit>
#include <cmath>

#include "contrastive_alignment_walk.cuh"
#include "sea/cuda.hpp"
#include "simt/variants.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;
using cuda::for_each_variant;
using simt::test::in_two_orders;
using simt::test::name_of;
namespace variants = sea::cuda::variants;
using cuda::blocks_of;

namespace {

struct WalkProblem {
  static constexpr std::int64_t queries = 200, keys = 170, width = cuda::tensor_walk_width;
  static constexpr double temperature = 0.1;
  std::vector<float> query = unit_rows(queries, width, 1), key = unit_rows(keys, width, 2);
  std::vector<float> query_factor = random_values(queries, 3), key_factor = random_values(keys, 4);

  /// Of a query: the sum of e, and behind it that of e * weight * key.
  std::vector<double> expected(cuda::WalkKind kind, std::int64_t i) const {
    std::vector<double> sums(1 + width);
    for (std::int64_t j = 0; j < keys; ++j) {
      double dot = 0.0;
      for (std::int64_t k = 0; k < width; ++k)
        dot += static_cast<double>(query[i * width + k]) * key[j * width + k];
      const double e = std::exp((dot - 1.0) / temperature);
      const double weight = kind == cuda::WalkKind::attend_by_keys   ? key_factor[j]
                            : kind == cuda::WalkKind::attend_by_both ? query_factor[i] + key_factor[j]
                                                                     : 1.0;
      sums[0] += e;
      for (std::int64_t k = 0; k < width; ++k) sums[1 + k] += e * weight * key[j * width + k];
    }
    return sums;
  }
};

/// Rows padded with rows of zeros, in two TF32 parts.
struct Packed {
  Buffer<float> values, rest;
  cuda::PackedRows rows;

  Packed(Backend& backend, std::vector<float> from, std::int64_t count) {
    rows = {nullptr, nullptr, count, cuda::tensor_walk_width};
    from.resize(static_cast<std::size_t>(rows.padded() * rows.width));
    std::vector<float> big, small;
    for (const float value : from) {
      const cuda::SplitFloat parts = cuda::split_tf32(value);
      big.push_back(std::bit_cast<float>(parts.big));
      small.push_back(std::bit_cast<float>(parts.small));
    }
    values = to_device(backend, big);
    rest = to_device(backend, small);
    rows.values = values.data();
    rows.rest = rest.data();
  }
};

/// Sums over all ranges of keys, attended rows behind them, and e of each query's positive, the key of its
/// own number.
template <class Tiling, cuda::WalkKind kind>
std::vector<std::vector<float>> walk(const WalkProblem& problem) {
  CudaBackend backend;
  const Packed queries(backend, problem.query, WalkProblem::queries),
      keys(backend, problem.key, WalkProblem::keys);
  const Buffer<float> query_factors = to_device(backend, problem.query_factor),
                      key_factors = to_device(backend, problem.key_factor);
  const std::int64_t tiles = blocks_of(WalkProblem::keys, Tiling::keys), each = blocks_of(tiles, 2),
                     splits = blocks_of(tiles, each), padded = queries.rows.padded();
  const Buffer<float> attended = garbage(backend, splits * padded * WalkProblem::width),
                      sums = garbage(backend, splits * padded), positives = garbage(backend, padded);
  const cuda::AlignmentWalk arguments{queries.rows,
                                      keys.rows,
                                      each,
                                      static_cast<float>(std::log2(std::exp(1.0)) / WalkProblem::temperature),
                                      nullptr,
                                      query_factors.data(),
                                      key_factors.data(),
                                      attended.data(),
                                      sums.data(),
                                      positives.data()};
  cuda::start_tensor_walk<Tiling, kind>(backend.stream(), "test", arguments, splits);
  const auto added = [&](const std::vector<float>& parts, std::int64_t width) {
    std::vector<float> total(static_cast<std::size_t>(WalkProblem::queries * width));
    for (std::int64_t split = 0; split < splits; ++split) {
      for (std::int64_t i = 0; i < WalkProblem::queries * width; ++i)
        total[i] += parts[split * padded * width + i];
    }
    return total;
  };
  std::vector<std::vector<float>> results(3);
  if (cuda::walk_sums<kind>) {
    results[0] = added(sums.download(), 1);
    const std::vector<float> all = positives.download();
    results[2] = {all.begin(), all.begin() + WalkProblem::keys};
  }
  if (kind != cuda::WalkKind::sums) results[1] = added(attended.download(), WalkProblem::width);
  return results;
}

template <class Tiling, cuda::WalkKind kind>
void check_walk(const WalkProblem& problem) {
  INFO(name_of<Tiling>() << ", kind " << static_cast<int>(kind));
  const auto results = in_two_orders([&] { return walk<Tiling, kind>(problem); });
  std::vector<double> sums, attended, positives;
  for (std::int64_t i = 0; i < WalkProblem::queries; ++i) {
    const std::vector<double> expected = problem.expected(kind, i);
    sums.push_back(expected[0]);
    attended.insert(attended.end(), expected.begin() + 1, expected.end());
    if (i >= WalkProblem::keys) continue;
    double dot = 0.0;
    for (std::int64_t k = 0; k < WalkProblem::width; ++k)
      dot += static_cast<double>(problem.query[i * WalkProblem::width + k]) *
             problem.key[i * WalkProblem::width + k];
    positives.push_back(std::exp((dot - 1.0) / WalkProblem::temperature));
  }
  if (cuda::walk_sums<kind>) {
    CHECK(relative_error(results[0], sums) < 2e-6);
    CHECK(relative_error(results[2], positives) < 2e-6);
  }
  if (kind != cuda::WalkKind::sums) CHECK(relative_error(results[1], attended) < 4e-6);
}

}  // namespace

TEST_CASE("variants: the walks of the alignment", "[variants]") {
  const WalkProblem problem;
  for_each_variant(variants::WalkTiling{}, [&]<class Tiling>() {
    check_walk<Tiling, cuda::WalkKind::sums>(problem);
    check_walk<Tiling, cuda::WalkKind::attend>(problem);
    check_walk<Tiling, cuda::WalkKind::attend_by_keys>(problem);
    check_walk<Tiling, cuda::WalkKind::attend_by_both>(problem);
  });
}

TEST_CASE("variants: ranges of keys of a walk hold all keys, and no range is empty", "[variants]") {
  for_each_variant(variants::WalkTiling{}, []<class Tiling>() {
    for (const std::int64_t queries : {1, 500, 7050, 23033}) {
      for (const std::int64_t keys : {1, 64, 257, 1000, 7050, 23033}) {
        INFO(name_of<Tiling>());
        CAPTURE(queries, keys);
        const auto splits = cuda::WalkSplits::of<Tiling>(queries, keys);
        CHECK(splits.count * splits.tiles_per_split * Tiling::keys >= keys);
        CHECK((splits.count - 1) * splits.tiles_per_split * Tiling::keys < keys);
        CHECK(splits.count <= 16);
      }
    }
  });
}
