#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sea/buffer.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

namespace sea::test {

/// A call with one argument that does not fit, and what is said of it.
struct Refusal {
  std::string message;
  std::function<void()> call;
};

/// Arguments of any shape, on a backend; what they hold is never looked at.
class Arguments {
 public:
  explicit Arguments(Backend& backend)
      : backend_(backend),
        floats_(garbage(backend, 256)),
        doubles_(to_device(backend, std::vector<double>(8))),
        integers_(to_device(backend, std::vector<std::int32_t>(64))),
        offsets_(to_device(backend, std::vector<std::int64_t>(16))),
        state_(to_device(backend, std::vector<StepState>{{0, 0, 0, 1}})),
        optimizer_(to_device(backend, std::vector<OptimizerState>(1))),
        workspace_(backend, 1 << 16) {}

  std::vector<Refusal> steps();
  std::vector<Refusal> dense();
  std::vector<Refusal> norms();
  std::vector<Refusal> rows();
  std::vector<Refusal> graphs();
  std::vector<Refusal> losses();

 private:
  MatrixView m(std::int64_t rows, std::int64_t columns) { return {floats_.data(), rows, columns}; }
  VectorView v(std::size_t size) { return {floats_.data(), size}; }
  IndexView i(std::size_t size) { return {integers_.data(), size}; }
  CsrView csr(std::int64_t rows, std::int64_t columns) {
    return {{rows, columns, offsets_.data(), integers_.data()}, floats_.data()};
  }
  BatchView batch(std::size_t users = 2, std::size_t positives = 2, std::size_t negatives = 2) {
    return {i(users), i(positives), i(negatives)};
  }
  BatchOrderView order(std::size_t nodes = 6, std::size_t sources = 6) { return {i(nodes), i(sources)}; }
  std::vector<LinearHead> head(std::int64_t first_column = 0, std::size_t bias = 2) {
    return {{m(2, 3), v(bias), first_column}};
  }
  std::vector<LinearHeadGradient> head_gradient(std::int64_t columns = 3, std::size_t bias = 2) {
    return {{m(2, columns), v(bias)}};
  }

  Backend& backend_;
  Buffer<float> floats_;
  Buffer<double> doubles_;
  Buffer<std::int32_t> integers_;
  Buffer<std::int64_t> offsets_;
  Buffer<StepState> state_;
  Buffer<OptimizerState> optimizer_;
  GarbageWorkspace workspace_;
};

/// Each backend refuses all of `list`, in these words.
inline void check_refusals(std::vector<Refusal> (Arguments::*list)()) {
  for_each_backend([&](Backend& backend) {
    Arguments arguments(backend);
    for (const Refusal& refusal : (arguments.*list)()) CHECK(error_of(refusal.call) == refusal.message);
  });
}

}  // namespace sea::test
