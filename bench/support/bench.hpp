#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "data/host_matrix.hpp"
#include "sea/backend.hpp"
#include "sea/buffer.hpp"
#include "sea/device_csr.hpp"
#include "sea/error.hpp"
#include "support/device.hpp"

// What an operator's file is made of: sizes, inputs, and rows. A row is one call on one size and backend.
namespace sea::bench {

struct Size {
  std::string name;  ///< "baby", "items:1000"
  std::int64_t users = 0, items = 0, pairs = 0;
  std::int64_t batch = 2048;
  std::int64_t elements = 0;  ///< of a flat arena; 0: as many as SEA's at this size
};

/// The paper's data sets: users, items and training pairs of Baby, Sports and Clothing.
const std::vector<Size>& paper_sizes();
/// Widths of their raw features.
constexpr std::int64_t visual_width = 4096, textual_width = 384;
/// The paper's sizes, then NAME:1000, NAME:10000, ... up to `largest`, with the other numbers in the paper's
/// proportions.
std::vector<Size> growing_items(std::int64_t largest);
std::vector<Size> growing_edges(std::int64_t largest);
/// Likewise, on Baby's users and items.
std::vector<Size> growing_batch(std::int64_t largest);
std::vector<Size> growing_elements(std::int64_t largest);

/// What a call must do at least, as its file states: bytes of inputs read once and outputs written once, and
/// floating-point operations, a multiply-add being two.
struct Work {
  double bytes = 0.0;
  double operations = 0.0;
};

/// The inputs of one row, and the call. The numbers are the same in every run.
class Case {
 public:
  Case(Device& device_, Size size_) : device(device_), backend(device_.backend()), size(std::move(size_)) {}

  Device& device;
  Backend& backend;
  const Size size;

  /// Uniform in [-1, 1).
  MatrixView random(std::int64_t rows, std::int64_t columns);
  VectorView random(std::int64_t count);
  /// Rows of length 1.
  MatrixView random_unit_rows(std::int64_t rows, std::int64_t columns);
  /// Zeros, to be written.
  MatrixView matrix(std::int64_t rows, std::int64_t columns);
  VectorView vector(std::int64_t count);
  IndexView indices(std::int64_t count);
  /// [0, count) in a mixed order.
  IndexView random_permutation(std::int64_t count);
  Workspace workspace(std::size_t bytes);
  StepState* state();
  OptimizerState* optimizer_state();
  /// A batch of the size's, drawn from its interactions, and its order.
  BatchView batch();
  BatchOrderView batch_order(const BatchView& batch);
  SamplingView sampling();
  /// The size's interactions, users x items, with long-tailed degrees on both sides.
  HostCsr interactions() const;
  CsrView upload(const HostCsr& csr);
  template <class T>
  T* buffer(std::int64_t count) {
    return static_cast<T*>(allocate(static_cast<std::size_t>(count) * sizeof(T)));
  }

  /// What this row times. Called once, last.
  void time(const Work& work, std::function<void()> call) { time(work, Yardstick{"", std::move(call)}); }
  void time(const Work& work, Yardstick yardstick) {
    work_ = work;
    timed_ = std::move(yardstick);
  }
  const Work& work() const { return work_; }
  const Yardstick& timed() const { return timed_; }

 private:
  void* allocate(std::size_t bytes);
  void fill_random(float* values, std::int64_t count);

  std::vector<Buffer<std::byte>> buffers_;
  std::vector<DeviceCsr> graphs_;
  std::int64_t streams_ = 0;
  Work work_;
  Yardstick timed_;
};

struct Row {
  std::string name;  ///< the method of Backend; after a colon, what is special about the call
  std::function<void(Case&)> prepare;
  std::string yardstick = {};  ///< where not empty: another way to the same result
};

/// All rows of an operator; a file has one, in namespace scope.
class Operator {
 public:
  Operator(std::string name, std::vector<Size> sizes, std::vector<Row> rows);
};

struct OperatorRows {
  std::string name;
  std::vector<Size> sizes;
  std::vector<Row> rows;
};
/// Every operator in this program, by name.
std::vector<OperatorRows>& operators();

}  // namespace sea::bench
