#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sea/backend.hpp"
#include "sea/buffer.hpp"

namespace sea::test {

/// Calls `body` with every backend present, on several numbers of threads where that applies; each failure
/// names the backend. Every operator test runs inside. Emulated, on several schedules, which must bring the
/// same bits back to the host.
void for_each_backend(const std::function<void(Backend&)>& body);

/// The same, and on CUDA in other precisions of dense products too: for what takes such products.
void for_each_precision(const std::function<void(Backend&)>& body);

/// Whether the backends are kernels run on the CPU, where some sizes would take minutes.
extern const bool emulated;

/// Values uniform in [-1, 1), from a fixed generator.
std::vector<float> random_values(std::int64_t count, std::uint64_t seed);

/// A workspace of at least `bytes`, filled with garbage, so that an operator that reads what it did not write
/// is seen: NaN bytes, which are -1 as well, or in every other run of `for_each_backend` large numbers.
class GarbageWorkspace {
 public:
  GarbageWorkspace(Backend& backend, std::size_t bytes);
  operator Workspace() const { return {reinterpret_cast<std::byte*>(buffer_.data()), buffer_.bytes()}; }

 private:
  Buffer<unsigned char> buffer_;
};

/// An output buffer filled with NaN, so that an element nobody wrote is seen.
Buffer<float> garbage(Backend& backend, std::int64_t count);

/// ||x - reference|| / max(||reference||, floor).
double relative_error(const std::vector<float>& x, const std::vector<double>& reference,
                      double floor = 1e-30);

/// Central differences of `f` at `x` in every coordinate, in double precision.
std::vector<double> central_differences(const std::function<double(const std::vector<double>&)>& f,
                                        std::vector<double> x, double step = 1e-5);

inline std::vector<double> to_double(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

}  // namespace sea::test
