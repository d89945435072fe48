#include "support/backends.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "support/catch.hpp"
#include "support/strided.hpp"

#if defined(SEA_TEST_CPU)
#include "sea/cpu.hpp"
#else
#include "sea/cuda.hpp"
#endif
#if defined(SEA_TEST_EMULATED)
#include "simt/runtime_api.hpp"
#endif

namespace sea::test {

namespace {

unsigned char workspace_garbage = 0xFF;

#if !defined(SEA_TEST_CPU)
void run_on_cuda(const std::function<void(Backend&)>& body, const CudaSettings& settings) {
  strided_matrices = 0;
  CudaBackend backend(settings);
  INFO("backend: " << backend.description());
  body(backend);
  backend.synchronize();
  CHECK(backend.allocated_bytes() == 0);
}

CudaSettings products_in(MatmulPrecision precision) {
  CudaSettings settings;
  settings.matmul_precision = precision;
  return settings;
}
#endif

}  // namespace

#if defined(SEA_TEST_EMULATED)

const bool emulated = true;

void for_each_backend(const std::function<void(Backend&)>& body) {
  std::uint64_t first_digest = 0;
#if defined(__SANITIZE_ADDRESS__)
  constexpr std::uint64_t seeds[] = {1, 2};  // which takes minutes as it is
#else
  constexpr std::uint64_t seeds[] = {1, 2, 3};
#endif
  for (const std::uint64_t seed : seeds) {
    INFO("schedule seed: " << seed);
    workspace_garbage = seed % 2 == 1 ? 0xFF : 0x7F;
    simt::set_schedule_seed(seed);
    static_cast<void>(simt::take_download_digest());
    run_on_cuda(body, {});
    const std::uint64_t digest = simt::take_download_digest();
    if (seed == 1) first_digest = digest;
    CHECK(digest == first_digest);
  }
}

void for_each_precision(const std::function<void(Backend&)>& body) {
  for_each_backend(body);
  INFO("products in float32");
  workspace_garbage = 0x7F;
  run_on_cuda(body, products_in(MatmulPrecision::float32));
}

#elif defined(SEA_TEST_CUDA)

const bool emulated = false;

void for_each_backend(const std::function<void(Backend&)>& body) {
  for (const unsigned char garbage_byte : {0xFF, 0x7F}) {
    workspace_garbage = garbage_byte;
    run_on_cuda(body, {});
  }
}

void for_each_precision(const std::function<void(Backend&)>& body) {
  for_each_backend(body);
  run_on_cuda(body, products_in(MatmulPrecision::float32));
  run_on_cuda(body, products_in(MatmulPrecision::tf32x3));
}

#else

const bool emulated = false;

void for_each_backend(const std::function<void(Backend&)>& body) {
  for (const int threads : {1, 3}) {
    workspace_garbage = threads == 1 ? 0xFF : 0x7F;
    CpuBackend backend(threads);
    INFO("backend: " << backend.description());
    body(backend);
    CHECK(backend.allocated_bytes() == 0);
  }
}

void for_each_precision(const std::function<void(Backend&)>& body) {
  for_each_backend(body);
}

#endif

std::vector<float> random_values(std::int64_t count, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = 2.0f * uniform_float(random_bits(seed, RandomPurpose::synthetic, 0, i).word[0]) - 1.0f;
  }
  return values;
}

GarbageWorkspace::GarbageWorkspace(Backend& backend, std::size_t bytes)
    : buffer_(backend, static_cast<std::int64_t>(bytes)) {
  buffer_.upload(std::vector<unsigned char>(bytes, workspace_garbage));
}

Buffer<float> garbage(Backend& backend, std::int64_t count) {
  return to_device(
      backend, std::vector<float>(static_cast<std::size_t>(count), std::numeric_limits<float>::quiet_NaN()));
}

double relative_error(const std::vector<float>& x, const std::vector<double>& reference, double floor) {
  REQUIRE(x.size() == reference.size());
  double difference = 0.0, norm = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += (x[i] - reference[i]) * (x[i] - reference[i]);
    norm += reference[i] * reference[i];
  }
  return std::sqrt(difference) / std::max(std::sqrt(norm), floor);
}

std::vector<double> central_differences(const std::function<double(const std::vector<double>&)>& f,
                                        std::vector<double> x, double step) {
  std::vector<double> gradient(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i];
    x[i] = at + step;
    const double above = f(x);
    x[i] = at - step;
    const double below = f(x);
    x[i] = at;
    gradient[i] = (above - below) / (2.0 * step);
  }
  return gradient;
}

}  // namespace sea::test
