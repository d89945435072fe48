// Products on the tensor cores with operands rounded to TF32.

#include "common/tensor_core.cuh"
#include "sea/cuda.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

std::vector<double> rounded(const std::vector<float>& values) {
  std::vector<double> to;
  for (const float value : values) to.push_back(std::bit_cast<float>(cuda::to_tf32(value)));
  return to;
}

}  // namespace

TEST_CASE("matmul_precision tf32 multiplies the rounded operands, and is coarser than tf32x3", "[tf32]") {
  constexpr std::int64_t m = 40, n = 24, k = 64;
  const std::vector<float> a = random_values(m * k, 1), b = random_values(k * n, 2);
  const auto product = [&](MatmulPrecision precision) {
    CudaSettings settings;
    settings.matmul_precision = precision;
    CudaBackend backend(settings);
    const Buffer<float> left = to_device(backend, a), right = to_device(backend, b), out(backend, m * n);
    backend.matmul(Transpose::no, Transpose::no, 1.0f, left.matrix(m, k), right.matrix(k, n), 0.0f,
                   out.matrix(m, n));
    return out.download();
  };
  const std::vector<double> exact = naive_product(to_double(a), to_double(b), m, k, n),
                            coarse = naive_product(rounded(a), rounded(b), m, k, n);
  const std::vector<float> tf32 = product(MatmulPrecision::tf32);
  // The tensor cores add towards zero; that is far below what rounding the operands costs.
  CHECK(relative_error(tf32, coarse) < 5e-6);
  CHECK(relative_error(tf32, exact) > 1e-5);
  CHECK(relative_error(tf32, exact) < 1e-3);
  CHECK(relative_error(product(MatmulPrecision::tf32x3), exact) < 1e-6);
  CHECK(relative_error(product(MatmulPrecision::float32), exact) < 1e-6);
}
