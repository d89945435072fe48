#include <dlfcn.h>
#include <dnnl.h>
#include <fmt/format.h>

#include <Eigen/Core>
#include <Eigen/SparseCore>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "cpu/gemm.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/scratch.hpp"
#include "sea/error.hpp"
#include "support/device.hpp"

namespace sea::bench {

namespace {

using Clock = std::chrono::steady_clock;
using detail::blocks_of;

constexpr std::int64_t block_rows = 64;

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(int threads) : backend_(threads), pool_(backend_.threads()) {}

  std::string name() const override { return "cpu"; }
  Backend& backend() override { return backend_; }
  double shortest_timing() const override { return 20e-6; }

  std::function<double()> timer(const std::function<void()>& call, std::int64_t calls) override {
    return [call, calls] {
      const Clock::time_point start = Clock::now();
      for (std::int64_t i = 0; i < calls; ++i) call();
      return std::chrono::duration<double>(Clock::now() - start).count();
    };
  }

  void copy(std::byte* to, const std::byte* from, std::size_t bytes) override {
    constexpr std::size_t piece = 4 << 20;
    pool_.parallel_for(static_cast<std::int64_t>((bytes + piece - 1) / piece),
                       [&](std::int64_t block, int /*slot*/) {
                         const std::size_t first = static_cast<std::size_t>(block) * piece;
                         std::memcpy(to + first, from + first, std::min(piece, bytes - first));
                       });
  }

  Yardstick dense_product(ConstMatrixView a, ConstMatrixView b, MatrixView c) override {
    // oneDNN's own threads, where it was built with them.
    using SetThreads = void (*)(int);
    const auto set_threads = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
    const int threads = set_threads != nullptr ? backend_.threads() : 1;
    return {fmt::format("dnnl_sgemm, {} thread{}", threads, threads == 1 ? "" : "s"), [=] {
              if (set_threads != nullptr) set_threads(threads);
              const dnnl_status_t status =
                  dnnl_sgemm('N', 'T', a.rows, b.rows, a.columns, 1.0f, a.data, a.leading_dimension, b.data,
                             b.leading_dimension, 0.0f, c.data, c.leading_dimension);
              if (status != dnnl_success) throw Error("dnnl_sgemm refused");
            }};
  }

  Yardstick sparse_product(const CsrView& a, ConstMatrixView x, MatrixView y) override {
    using Dense = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Sparse = Eigen::SparseMatrix<float, Eigen::RowMajor, int>;
    // Eigen wants one type for offsets and columns; its threads are OpenMP's, so the rows are split here.
    auto offsets = std::make_shared<std::vector<int>>();
    for (std::int64_t i = 0; i <= a.rows; ++i) offsets->push_back(static_cast<int>(a.row_offsets[i]));
    return {fmt::format("Eigen {}.{}.{}, {} rows per block", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION,
                        EIGEN_MINOR_VERSION, 8 * block_rows),
            [=, this] {
              const Eigen::Map<const Sparse> sparse(a.rows, a.columns, offsets->back(), offsets->data(),
                                                    a.column_indices, a.values);
              const Eigen::Map<const Dense> dense(x.data, x.rows, x.columns);
              Eigen::Map<Dense> product(y.data, y.rows, y.columns);
              pool_.parallel_for(blocks_of(a.rows, 8 * block_rows), [&](std::int64_t block, int /*slot*/) {
                const std::int64_t first = block * 8 * block_rows,
                                   count = std::min(8 * block_rows, a.rows - first);
                product.middleRows(first, count).noalias() = sparse.middleRows(first, count) * dense;
              });
            }};
  }

  Yardstick plain_adam(VectorView parameters, ConstVectorView gradients, VectorView first_moment,
                       VectorView second_moment) override {
    return {"a loop split over the threads", [=, this] {
              constexpr std::int64_t piece = 1 << 14;
              constexpr float beta1 = 0.9f, beta2 = 0.999f, rate = 1e-4f, epsilon = 1e-8f;
              const auto count = static_cast<std::int64_t>(parameters.size());
              pool_.parallel_for(blocks_of(count, piece), [&](std::int64_t block, int /*slot*/) {
                const std::int64_t last = std::min(count, (block + 1) * piece);
                for (std::int64_t i = block * piece; i < last; ++i) {
                  first_moment[i] = beta1 * first_moment[i] + (1.0f - beta1) * gradients[i];
                  second_moment[i] = beta2 * second_moment[i] + (1.0f - beta2) * gradients[i] * gradients[i];
                  const float mean = first_moment[i] / (1.0f - beta1),
                              variance = second_moment[i] / (1.0f - beta2);
                  parameters[i] -= rate * mean / (std::sqrt(variance) + epsilon);
                }
              });
            }};
  }

  Yardstick brute_force_topk(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                             const CsrPatternView& excluded) override {
    auto scores = std::make_shared<std::vector<float>>(
        static_cast<std::size_t>(pool_.threads() * block_rows * keys.rows));
    auto ids =
        std::make_shared<std::vector<std::int32_t>>(static_cast<std::size_t>(pool_.threads() * keys.rows));
    return {"product of 64 rows, std::partial_sort", [=, this] {
              pool_.parallel_for(blocks_of(queries.rows, block_rows), [&](std::int64_t block, int slot) {
                const std::int64_t first = block * block_rows,
                                   count = std::min(block_rows, queries.rows - first), n = keys.rows;
                float* const tile = scores->data() + slot * block_rows * n;
                std::int32_t* const order = ids->data() + slot * n;
                cpu::gemm(Transpose::no, Transpose::yes, count, n, keys.columns, 1.0f, queries.row(first),
                          queries.leading_dimension, keys.data, keys.leading_dimension, 0.0f, tile, n);
                for (std::int64_t i = 0; i < count; ++i) {
                  float* const row = tile + i * n;
                  for (std::int64_t e = excluded.row_offsets[first + i];
                       e < excluded.row_offsets[first + i + 1]; ++e)
                    row[excluded.column_indices[e]] = -std::numeric_limits<float>::infinity();
                  std::iota(order, order + n, 0);
                  std::partial_sort(order, order + k, order + n,
                                    [&](std::int32_t a, std::int32_t b) { return row[a] > row[b]; });
                }
              });
            }};
  }

  void softmax_gradient(MatrixView logits, VectorView losses) override {
    pool_.parallel_for(blocks_of(logits.rows, block_rows), [&](std::int64_t block, int /*slot*/) {
      for (std::int64_t i = block * block_rows; i < std::min(logits.rows, (block + 1) * block_rows); ++i) {
        float* const row = logits.row(i);
        const float largest = *std::max_element(row, row + logits.columns), diagonal = row[i];
        float sum = 0.0f;
        for (std::int64_t j = 0; j < logits.columns; ++j) {
          row[j] = std::exp(row[j] - largest);
          sum += row[j];
        }
        for (std::int64_t j = 0; j < logits.columns; ++j) row[j] /= sum;
        row[i] -= 1.0f;
        losses[i] = largest + std::log(sum) - diagonal;
      }
    });
  }

 private:
  CpuBackend backend_;
  ThreadPool pool_;  ///< of the yardsticks; the backend's is its own
};

}  // namespace

std::unique_ptr<Device> open_cpu_device(int threads) {
  return std::make_unique<CpuDevice>(threads);
}

#if !defined(SEA_WITH_CUDA)
std::unique_ptr<Device> open_cuda_device() {
  return nullptr;
}
#endif

}  // namespace sea::bench
