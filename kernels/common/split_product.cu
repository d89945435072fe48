#include <algorithm>

#include "common/half_product_kernel.cuh"
#include "common/split_product.cuh"
#include "common/split_product_kernel.cuh"
#include "tuned.cuh"

// Dense products on the tensor cores with split operands.
//
// Floor: three products of m n k multiply-adds; A, B and C once from memory. A block forms a tile of C. It
// takes 32 of k after the other through buffers of shared memory, filled in the background, and splits
// operands in registers, four instructions per element that serve two to four products. The tensor cores
// round a running sum towards zero, so that sums over eight of k are added to the others outside them,
// rounded to nearest.
//
// Where tiles are too few for a device, k is cut in parts, whose sums go to scratch memory and are added in
// order by a second kernel. How many parts, and which of two tiles, is what a simple model of a large device
// finds fastest: it depends on the shapes only, and the bits with it.
//
// Operands stay in shared memory as they are stored, along k or across it, with rows so long that the lanes
// of a warp read different banks. A lane takes two neighbouring elements of k where an instruction's operands
// have k four apart: for both operands alike, so that the sum is the same.

namespace sea::cuda {

namespace {

/// Of fp16x3 large tiles are split into halves, the others, as all of tf32x3, into TF32 parts.
enum class Tiles { small, large, halves };

/// How a product is cut, and what that takes by the model, in the time that the tensor cores of one
/// multiprocessor of an H200 need for a step of a small tile: a third of a microsecond.
struct Plan {
  Tiles tiles = Tiles::small;
  std::int64_t parts = 1, k_of_part = 0;
  double time = 0.0;
};

static_assert(sizeof(split::Buffer<tuned::LargeTiling, true, true>[tuned::LargeTiling::buffers]) <=
                      least_shared_memory &&
                  sizeof(split::HalfShared<tuned::HalfTiling, true, true>) <= least_shared_memory,
              "larger tiles need more of a device: least_shared_memory, and what cuda.hpp and README.md say");

constexpr double time_of_launch = 8.0;  // of one more kernel

template <class Tile>
void consider(Plan& best, Tiles kind, double step_time, const split::Product& product) {
  const std::int64_t m = product.c.rows, n = product.c.columns, k = product.k;
  constexpr std::int64_t multiprocessors = 132, most_parts = 64;
  constexpr double beside_steps = 3.0;  // of a tile: the first copies, and its end
  const std::int64_t tiles = blocks_of(m, Tile::rows) * blocks_of(n, Tile::columns),
                     steps = blocks_of(k, split::depth);
  for (std::int64_t parts = 1; parts <= std::min(most_parts, steps); ++parts) {
    if (parts > 1 && parts * m * (n + 1) > split_product_floats) break;
    const std::int64_t each = blocks_of(steps, parts);
    if (blocks_of(steps, each) != parts) continue;
    const std::int64_t wave = multiprocessors * Tile::blocks_per_multiprocessor;
    // The last wave is paid by the blocks of its fullest multiprocessor.
    const std::int64_t blocks = tiles * parts;
    const std::int64_t in_turn =
        blocks / wave * Tile::blocks_per_multiprocessor + blocks_of(blocks % wave, multiprocessors);
    // Parts are written and read again, and a second kernel is started.
    const double sums = parts > 1 ? time_of_launch + static_cast<double>(parts * m * n) / 2.5e5 : 0.0;
    const double time =
        static_cast<double>(in_turn) * (static_cast<double>(each) + beside_steps) * step_time + sums;
    if (best.k_of_part == 0 || time < best.time) best = {kind, parts, each * split::depth, time};
  }
}

/// As planned; `scratch` for parts.
split::Product planned(split::Product product, const Plan& plan, float* scratch) {
  product.k_of_part = plan.k_of_part;
  product.parts = plan.parts > 1 ? scratch : nullptr;
  return product;
}

/// Whether all rows of both operands can be copied 16 bytes at a time.
bool is_aligned(const split::Product& product) {
  return copies_aligned(product.a) && copies_aligned(product.b);
}

Plan plan_of_small_tiles(const split::Product& product) {
  Plan plan;
  consider<tuned::SmallTiling>(plan, Tiles::small, tuned::small_step_time, product);
  return plan;
}

Plan plan_of(const split::Product& product, bool halves) {
  Plan plan;
  if (halves && is_aligned(product)) {
    consider<tuned::HalfTiling>(plan, Tiles::halves, tuned::half_step_time, product);
  } else {
    consider<tuned::LargeTiling>(plan, Tiles::large, tuned::large_step_time, product);
  }
  consider<tuned::SmallTiling>(plan, Tiles::small, tuned::small_step_time, product);
  return plan;
}

void run(cudaStream_t stream, const char* operator_name, bool a_along, bool b_along,
         const split::Product& unplanned, const Plan& plan, float* scratch) {
  const split::Product product = planned(unplanned, plan, scratch);
  const auto with = [&](const auto& start) {
    if (a_along) {
      b_along ? start.template operator()<true, true>() : start.template operator()<true, false>();
    } else {
      b_along ? start.template operator()<false, true>() : start.template operator()<false, false>();
    }
  };
  const auto in_tf32 = [&]<class Tile>() {
    with([&]<bool a_rows, bool b_rows>() {
      is_aligned(product) ? split::start<Tile, a_rows, b_rows, 4>(stream, operator_name, product, plan.parts)
                          : split::start<Tile, a_rows, b_rows, 1>(stream, operator_name, product, plan.parts);
    });
  };
  switch (plan.tiles) {
    case Tiles::small:
      return in_tf32.template operator()<tuned::SmallTiling>();
    case Tiles::large:
      return in_tf32.template operator()<tuned::LargeTiling>();
    case Tiles::halves:
      return with([&]<bool a_rows, bool b_rows>() {
        split::start_halves<tuned::HalfTiling, a_rows, b_rows>(stream, operator_name, product, plan.parts);
      });
  }
}

split::Product product_with_sums(ConstMatrixView a, ConstMatrixView b, MatrixView c, float* sums) {
  split::Product product{a, b, c, nullptr, 1.0f, 0.0f, a.rows};
  product.row_sums = sums;
  return product;
}

}  // namespace

void split_product(cudaStream_t stream, const char* operator_name, bool halves, Transpose transpose_a,
                   Transpose transpose_b, float alpha, ConstMatrixView a, ConstMatrixView b, float beta,
                   MatrixView c, const float* bias, float* scratch) {
  const bool a_along = transpose_a == Transpose::no, b_along = transpose_b == Transpose::yes;
  const split::Product product{a, b, c, bias, alpha, beta, a_along ? a.columns : a.rows};
  run(stream, operator_name, a_along, b_along, product, plan_of(product, halves), scratch);
}

void split_product_with_sums(cudaStream_t stream, const char* operator_name, bool halves, ConstMatrixView a,
                             ConstMatrixView b, MatrixView c, float* sums, float* scratch) {
  const split::Product product = product_with_sums(a, b, c, sums);
  run(stream, operator_name, false, false, product, plan_of(product, halves), scratch);
}

void split_linear_backward(cudaStream_t stream, const char* operator_name, bool halves, ConstMatrixView x,
                           ConstMatrixView weight, ConstMatrixView dy, MatrixView dx, MatrixView dweight,
                           float* sums, float* scratch) {
  const split::Product first = product_with_sums(dy, x, dweight, sums);
  const split::Product second{dy, weight, dx, nullptr, 1.0f, 0.0f, dy.columns};
  const Plan of_first = plan_of(first, halves), of_second = plan_of(second, halves);
  const Plan small_first = plan_of_small_tiles(first), small_second = plan_of_small_tiles(second);
  const double apart = of_first.time + of_second.time + time_of_launch;
  if (small_second.parts > 1 || small_first.time + small_second.time > apart) {
    run(stream, operator_name, false, false, first, of_first, scratch);
    run(stream, operator_name, true, false, second, of_second, scratch);
    return;
  }
  const split::TwoProducts both{planned(first, small_first, scratch), planned(second, small_second, nullptr),
                                small_first.parts, small_second.parts};
  is_aligned(first) && is_aligned(second)
      ? split::start_two<tuned::SmallTiling, 4>(stream, operator_name, both)
      : split::start_two<tuned::SmallTiling, 1>(stream, operator_name, both);
}

}  // namespace sea::cuda
