#include "support/backends.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "sea/cpu.hpp"
#include "support/catch.hpp"

namespace sea::test {

void for_each_backend(const std::function<void(Backend&)>& body) {
  for (const int threads : {1, 3}) {
    CpuBackend backend(threads);
    INFO("backend: " << backend.description());
    body(backend);
    CHECK(backend.allocated_bytes() == 0);
  }
}

std::vector<float> random_values(std::int64_t count, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = 2.0f * uniform_float(random_bits(seed, RandomPurpose::synthetic, 0, i).word[0]) - 1.0f;
  }
  return values;
}

GarbageWorkspace::GarbageWorkspace(Backend& backend, std::size_t bytes)
    : buffer_(backend, static_cast<std::int64_t>(bytes)) {
  buffer_.upload(std::vector<unsigned char>(bytes, 0xFF));
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
