#pragma once

// What may be chosen freely in the kernels that decide a training step, as template arguments: a matter of
// speed alone, but for the order of sums. Each kernel has a list of choices, from the simpler to the less
// simple: bench/variants.cu times them against each other, tests/simt/*_variants_test.cpp hold all of them
// to one reference, and tuned.cuh names the one of each list that the library is built with.

namespace sea::cuda {

namespace split {

/// Of split_product_kernel.cuh and half_product_kernel.cuh: a block's tile, how its warps share it, and in
/// how many buffers of shared memory its operands come.
template <int rows_, int columns_, int warp_rows_, int warp_columns_, int blocks_, int buffers_>
struct Tiling {
  static constexpr const char* type = "split::Tiling";  ///< in tuned.cuh
  static constexpr int rows = rows_, columns = columns_;
  static constexpr int warp_rows = warp_rows_, warp_columns = warp_columns_;  ///< of a warp's part
  static constexpr int threads = rows / warp_rows * (columns / warp_columns) * 32;
  static constexpr int blocks_per_multiprocessor = blocks_;
  static constexpr int buffers = buffers_;
};

}  // namespace split

/// Of factored_linear_update.cuh: a block's tile of dW, of which a warp has 32 x 32, and in how many buffers
/// of how many rows its operands come.
template <int rows_, int columns_, int depth_, int buffers_, int blocks_>
struct UpdateTiling {
  static constexpr const char* type = "cuda::UpdateTiling";  ///< in tuned.cuh
  static constexpr int rows = rows_, columns = columns_, warp_tile = 32;
  static constexpr int threads = rows / warp_tile * (columns / warp_tile) * 32;
  static constexpr int depth = depth_, buffers = buffers_;
  static constexpr int blocks_per_multiprocessor = blocks_;
};

/// Of contrastive_alignment_walk.cuh: a block's queries, 32 per warp, and the keys of one buffer.
template <int queries_, int keys_, int blocks_>
struct WalkTiling {
  static constexpr const char* type = "cuda::WalkTiling";  ///< in tuned.cuh
  static constexpr int queries = queries_, keys = keys_, threads = queries;
  static constexpr int blocks_per_multiprocessor = blocks_;
};

/// Of club_fit_tiles.cuh: the rows of a tile, and in how many parts at most the gradient is summed.
template <int rows_, int most_chunks_>
struct FitTiling {
  static constexpr const char* type = "cuda::FitTiling";  ///< in tuned.cuh
  static constexpr int rows = rows_, most_chunks = most_chunks_;
  static constexpr int threads = 4 * rows;
};

/// Of spmm.cuh: a block's threads, and how many rows of X a thread asks for before it needs the first.
template <int threads_, int edges_in_flight_>
struct SpmmTiling {
  static constexpr const char* type = "cuda::SpmmTiling";  ///< in tuned.cuh
  static constexpr int threads = threads_, edges_in_flight = edges_in_flight_;
};

template <class... Choices>
struct Variants {};

/// Calls `body<Choice>()` for each.
template <class... Choices, class Body>
void for_each_variant(Variants<Choices...>, const Body& body) {
  (body.template operator()<Choices>(), ...);
}

namespace variants {

using LargeTiling = Variants<split::Tiling<128, 128, 64, 32, 1, 3>, split::Tiling<128, 128, 64, 32, 1, 4>,
                             split::Tiling<128, 64, 64, 32, 2, 3>>;
using SmallTiling = Variants<split::Tiling<64, 64, 32, 32, 3, 3>, split::Tiling<64, 64, 32, 32, 2, 4>>;
using HalfTiling = Variants<split::Tiling<128, 128, 64, 32, 1, 2>, split::Tiling<128, 128, 64, 32, 1, 3>,
                            split::Tiling<128, 128, 32, 64, 1, 2>>;
using UpdateTiling = Variants<cuda::UpdateTiling<64, 128, 16, 3, 2>, cuda::UpdateTiling<64, 128, 16, 4, 2>,
                              cuda::UpdateTiling<64, 64, 16, 3, 4>, cuda::UpdateTiling<128, 128, 16, 3, 1>>;
using WalkTiling = Variants<cuda::WalkTiling<128, 64, 3>, cuda::WalkTiling<128, 32, 3>,
                            cuda::WalkTiling<128, 64, 2>, cuda::WalkTiling<64, 64, 6>>;
using FitTiling = Variants<cuda::FitTiling<64, 64>, cuda::FitTiling<64, 56>, cuda::FitTiling<32, 64>,
                           cuda::FitTiling<128, 64>>;
using SpmmTiling = Variants<cuda::SpmmTiling<256, 8>, cuda::SpmmTiling<256, 16>, cuda::SpmmTiling<128, 8>>;

}  // namespace variants

}  // namespace sea::cuda
