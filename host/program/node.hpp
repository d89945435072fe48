#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "program/tensor.hpp"
#include "sea/backend.hpp"

namespace sea {

class Tape;

/// When a node's function runs.
enum class Pass { forward, backward, update };

/// The three arrays of a trained array, and what moves them.
struct OptimizedParameter {
  MatrixView value, first_moment, second_moment;
  const AdamSettings& settings;
  const OptimizerState* state;
};

/// What a node sees while it runs: views of the tensors and indices that it declared, and its scratch memory.
class NodeRun {
 public:
  NodeRun(const Tape& tape, std::size_t node, Pass pass) : tape_(tape), node_(node), pass_(pass) {}

  /// A tensor's value; empty for an empty tensor. Throws Error where the node has not declared it: in the
  /// forward its inputs, constants, outputs and `updates`; in the backward and the update
  /// `saved_for_backward`, `backward_outputs`, and those of the others that are no activations.
  MatrixView value(const Tensor& tensor) const;
  VectorView vector(const Tensor& tensor) const;
  /// Indices among `index_reads` and `index_writes`.
  IndexView indices(const Indices& indices) const;
  /// Gradient of one of the node's outputs.
  MatrixView gradient(const Tensor& output) const;
  /// Where the gradient with respect to the node's i-th input goes; empty where nobody wants it.
  MatrixView input_gradient(std::size_t i) const;
  VectorView input_gradient_vector(std::size_t i) const;
  /// A trained array that the node moves itself.
  OptimizedParameter optimized(const Tensor& parameter) const;
  /// The value of a loss term, see Tape::loss_term.
  float* loss(int term) const;
  /// Which step and batch this is, in device memory.
  const StepState* step() const;
  std::uint64_t seed() const;
  Workspace workspace() const;
  Backend& backend() const;

 private:
  const Tape& tape_;
  std::size_t node_;
  Pass pass_;
};

/// One recorded operation. Its functions are called with views of fixed buffers: the same ones each time.
struct Node {
  std::string name;
  std::vector<Tensor> inputs = {};              ///< what forward reads, and backward may write gradients of
  std::vector<Tensor> constants = {};           ///< what forward reads and no gradient flows into
  std::vector<Tensor> outputs = {};             ///< what forward writes
  std::vector<Indices> index_reads = {};        ///< integers that it reads
  std::vector<Indices> index_writes = {};       ///< integers that its forward writes
  std::vector<Tensor> saved_for_backward = {};  ///< values of the three above that backward reads
  std::vector<Tensor> backward_outputs = {};    ///< activations that backward writes, for `update` to read
  std::vector<Tensor> updates = {};             ///< trained arrays that forward or `update` moves itself
  std::size_t workspace = 0;                    ///< bytes of scratch memory, enough for each function
  /// A loss writes its inputs' gradients in its forward, and has no backward.
  bool is_loss = false;
  /// Its backward writes every input's gradient, as a loss does: those that nobody wants go to scratch
  /// memory. Else `input_gradient` is empty for them.
  bool writes_all_gradients = false;
  /// Where its functions run, if not on the stream that is the tape's when it is added. Nodes of different
  /// streams run side by side, but for what follows from what they read and write.
  std::optional<Stream> stream = {};
  std::function<void(const NodeRun&)> forward = {};
  std::function<void(const NodeRun&)> backward = {};
  /// Moves `updates` in place of their arena, after the whole backward.
  std::function<void(const NodeRun&)> update = {};
  /// Writes the gradient of the first of `updates` out, for those who ask (Program::download_gradient).
  std::function<void(const NodeRun&, MatrixView)> materialize_gradient = {};
};

}  // namespace sea
