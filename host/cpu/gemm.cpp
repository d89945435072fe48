#include "cpu/gemm.hpp"

#include <dlfcn.h>
#include <dnnl.h>
#include <fmt/format.h>

#include "sea/error.hpp"

namespace sea::cpu {

namespace {

/// oneDNN may have been built with an OpenMP runtime of its own. Threads are this library's business: on the
/// calling thread OpenMP is told to use one, for as long as the product takes.
class SingleThreaded {
 public:
  SingleThreaded() : before_(get() != nullptr ? get()() : 1) {
    if (before_ != 1) set()(1);
  }
  ~SingleThreaded() {
    if (before_ != 1) set()(before_);
  }
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  using Get = int (*)();
  using Set = void (*)(int);
  static Get get() {
    static const Get function = reinterpret_cast<Get>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
    return function;
  }
  static Set set() {
    static const Set function = reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
    return function;
  }
  int before_;
};

}  // namespace

void gemm(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta,
          float* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) {  // the library leaves C as it is
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == 0.0f ? 0.0f : beta * c[i * ldc + j];
    }
    return;
  }
  const SingleThreaded guard;
  const dnnl_status_t status =
      dnnl_sgemm(transpose_a == Transpose::yes ? 'T' : 'N', transpose_b == Transpose::yes ? 'T' : 'N', m, n,
                 k, alpha, a, lda, b, ldb, beta, c, ldc);
  if (status == dnnl_out_of_memory) throw Error(fmt::format("matmul {} x {} x {}: out of memory", m, n, k));
  if (status != dnnl_success) {
    throw Error(fmt::format("matmul {} x {} x {}: the library refused (status {})", m, n, k,
                            static_cast<int>(status)));
  }
}

std::string gemm_library() {
  const dnnl_version_t* version = dnnl_version();
  const char* isa = "other instructions";
  const auto effective = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
  if ((effective & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core) {
    isa = "AVX-512";
  } else if ((effective & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2) {
    isa = "AVX2";
  } else if ((effective & dnnl_cpu_isa_sse41) == dnnl_cpu_isa_sse41) {
    isa = "SSE4.1";
  }
  return fmt::format("oneDNN {}.{}.{} {}", version->major, version->minor, version->patch, isa);
}

}  // namespace sea::cpu
