// *loss = -mean((G - O)^2) and its gradients, -+ 2 weight (G - O) / size.
//
// Floor: G and O are read and their gradients written once, 16 bytes per element, 3 operations; 3.6 MB on
// 7,050 x 32, below a microsecond: what it costs is two launches. One thread takes four neighbouring columns,
// a block's sum of squares goes to its own place in double precision, a second kernel adds those in order.

#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "common/sum_partials.cuh"
#include "sea/detail/checks/losses.hpp"

namespace sea {

namespace {

constexpr const char* name = "l2_distance";
constexpr int block_threads = 256;

struct Shared {
  double warp_sums[32];
};

/// `across` threads beside each other in a row, a power of two; the others take the rows below.
template <int width>
__global__ void __launch_bounds__(block_threads)
    l2_distance_kernel(ConstMatrixView generic, ConstMatrixView unique, float slope, int across,
                       MatrixView d_generic, MatrixView d_unique, double* partials) {
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * (block_threads / across) + thread / across;
  const std::int64_t first = (static_cast<std::int64_t>(blockIdx.y) * across + thread % across) * width;
  double sum = 0.0;
  const auto differentiate = [&]<int count>(std::int64_t j, std::integral_constant<int, count>) {
    const cuda::Pack<count> g = cuda::load_pack<count>(&generic(i, j));
    const cuda::Pack<count> o = cuda::load_pack<count>(&unique(i, j));
    cuda::Pack<count> to_generic, to_unique;
#pragma unroll
    for (int k = 0; k < count; ++k) {
      const float difference = g.value[k] - o.value[k];
      sum += static_cast<double>(difference) * static_cast<double>(difference);
      to_generic.value[k] = slope * difference;
      to_unique.value[k] = -to_generic.value[k];
    }
    cuda::store_pack<count>(&d_generic(i, j), to_generic);
    cuda::store_pack<count>(&d_unique(i, j), to_unique);
  };
  if (i < generic.rows) {
    if (first + width <= generic.columns) {
      differentiate(first, std::integral_constant<int, width>());
    } else {
      for (std::int64_t j = first; j < generic.columns; ++j) {
        differentiate(j, std::integral_constant<int, 1>());
      }
    }
  }
  sum = cuda::block_sum<block_threads>(sum, cuda::shared_memory<Shared>().warp_sums);
  if (thread == 0) partials[static_cast<std::int64_t>(blockIdx.x) * gridDim.y + blockIdx.y] = sum;
}

/// How the matrix is cut into blocks.
struct Tiling {
  int across = 1;
  std::int64_t down, right;

  Tiling(std::int64_t rows, std::int64_t columns, int width) {
    const std::int64_t packs = cuda::blocks_of(columns, width);
    while (across < packs && across < block_threads) across *= 2;
    down = cuda::blocks_of(rows, block_threads / across);
    right = cuda::blocks_of(packs, across);
  }
  std::int64_t blocks() const { return down * right; }
};

}  // namespace

void CudaBackend::l2_distance(ConstMatrixView generic, ConstMatrixView unique, float weight, float* loss,
                              MatrixView d_generic, MatrixView d_unique, Workspace workspace) {
  const std::int64_t n = generic.rows;
  const std::int64_t width = generic.columns;
  checks::l2_distance(generic, unique, d_generic, d_unique);

  const double size = static_cast<double>(n) * static_cast<double>(width);
  const auto slope = static_cast<float>(-2.0 * static_cast<double>(weight) / size);
  const auto start = [&](auto kernel, int pack) {
    const Tiling tiling(n, width, pack);
    double* partials = cuda::Scratch(name, workspace).take<double>(tiling.blocks());
    const dim3 blocks(cuda::grid_size(tiling.down), cuda::grid_size(tiling.right));
    cuda::launch(context_->stream, name, {blocks, dim3(block_threads), sizeof(Shared)}, kernel, generic,
                 unique, slope, tiling.across, d_generic, d_unique, partials);
    cuda::write_loss(context_->stream, name, partials, tiling.blocks(), -1.0 / size, loss);
  };
  if (cuda::rows_aligned(generic) && cuda::rows_aligned(unique) && cuda::rows_aligned(d_generic) &&
      cuda::rows_aligned(d_unique)) {
    start(&l2_distance_kernel<4>, 4);
  } else {
    start(&l2_distance_kernel<1>, 1);
  }
}

std::size_t CudaBackend::l2_distance_workspace(std::int64_t n, std::int64_t width) const {
  return cuda::scratch_bytes<double>(Tiling(n, width, 1).blocks());
}

}  // namespace sea
