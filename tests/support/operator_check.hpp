#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

namespace sea::test {

/// A matrix that an operator reads or writes, as its description has it.
struct Operand {
  std::int64_t rows = 0, columns = 0;
  std::vector<float> values = {};  ///< of an input; random where there are none
  bool dense = false;              ///< a vector or a single value: without gaps, from anywhere
};

/// One vector of elements for each matrix.
using Values = std::vector<std::vector<double>>;
using Views = std::vector<MatrixView>;
using Run = std::function<void(Backend&, const Views& in, const Views& out)>;
using Reference = std::function<Values(const Values& in)>;

/// What comes of an element of an input that is no number.
enum class NanCheck {
  as_reference,  ///< the outputs' elements that the reference has
  first_output,  ///< the first output, a loss; the others are not looked at
  none,
};

/// An operator on matrices of one shape, told once: the checks below follow from it.
struct Operator {
  std::vector<Operand> inputs = {}, outputs = {};
  Run run = nullptr;
  Reference reference = nullptr;    ///< in double precision; keeps what is no number
  double tolerance = 1e-6;          ///< of each output, relative to its norm
  double floor = 1e-3;              ///< what a norm counts as at least
  Reference differences = nullptr;  ///< what the reference must equal itself
  NanCheck nan = NanCheck::as_reference;
  bool products = false;  ///< takes dense products, whose precision may be chosen on CUDA
};

/// On every backend: the outputs are the reference's, however the rows lie, all matrices alike and each of
/// them alone out of line, each with a gap of its own; no gap is written; what is no number stays none.
void check_operator(const Operator& described);

/// On every backend, aligned and not: the outputs are the reference's. For large shapes.
void check_outputs(const Operator& described);

/// On every backend: each matrix in turn with a row or a column more is refused, but those that `free`
/// numbers, inputs first: they alone say how large something is.
void check_refuses(const Operator& described, const std::vector<std::size_t>& free = {});

/// The same bits on 1 to 4 threads.
void check_threads(const Operator& described);

/// On every backend: the only output may take the place of each of the inputs `inputs`, and has the same bits
/// there, aligned and not.
void check_in_place(const Operator& described, const std::vector<std::size_t>& inputs);

/// An operator on elements: `function` of the inputs' elements at a place gives the output's there.
Operator elementwise(std::int64_t rows, std::int64_t columns, std::size_t inputs, const Run& run,
                     const std::function<double(const std::vector<double>&)>& function);

/// Shapes on both sides of what elements are cut at: a pack, a block's packs, one above the other.
inline constexpr std::pair<int, int> element_shapes[] = {{1, 1}, {1, 37}, {77, 1}, {9, 20}, {33, 7}};
inline constexpr std::pair<int, int> wide_shapes[] = {{3, 255},  {3, 257},  {2, 1023},
                                                      {3, 1024}, {2, 1028}, {2, 4099}};

/// The outputs of one call.
std::vector<std::vector<float>> run_operator(Backend& backend, const Operator& described);

/// The backward of `forward`: its inputs and, behind them, an upstream gradient for each output, to the
/// gradients of the inputs `wanted`. They are central differences of the forward's reference, and what
/// `closed_form` says where there is one, for large shapes and for what is no number.
Operator gradient_of(const Operator& forward, const std::vector<std::size_t>& wanted, const Run& run,
                     const Reference& closed_form = nullptr);

/// A loss and the gradients of `weight` times it with respect to the inputs `wanted`, likewise. The loss is
/// the first output.
Operator loss_of(const std::vector<Operand>& inputs, const std::vector<std::size_t>& wanted, double weight,
                 const std::function<double(const Values&)>& loss, const Run& run,
                 const Reference& closed_form = nullptr);

/// A row without gaps as a vector.
inline VectorView vector_of(const MatrixView& row) {
  return {row.data, static_cast<std::size_t>(row.size())};
}

/// The state of a step whose batch has `count` valid rows, in a backend's memory. None for a negative count.
class DeviceState {
 public:
  DeviceState(Backend& backend, std::int64_t count)
      : count_(count), state_(to_device(backend, std::vector<StepState>{{5, 2, 9, count}})) {}
  const StepState* get() const { return count_ < 0 ? nullptr : state_.data(); }

 private:
  std::int64_t count_;
  Buffer<StepState> state_;
};

/// `values` with what is no number in all rows behind the first `count`.
std::vector<float> nan_behind(std::vector<float> values, std::int64_t columns, std::int64_t count);

}  // namespace sea::test
