#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "program/tensor.hpp"
#include "sea/buffer.hpp"

namespace sea {

/// Where the gradients of an arena's parameters go.
enum class Gradients {
  stored,  ///< into an array beside the parameters, for the arena's own update
  fused,   ///< nowhere: the node that reads a parameter updates it in the same pass
};

struct ArenaSettings {
  double learning_rate = 1e-3;
  AdamSettings adam = {};
  Gradients gradients = Gradients::stored;
  /// Without gaps between parameters, for operators that read all of them as one array. Else each begins on
  /// its own cache line.
  bool packed = false;
};

/// Parameters that one optimizer moves together: flat arrays of values, gradients and Adam's two moments,
/// with the number of finished updates and the learning rate in device memory, so that a captured step
/// follows a schedule. Made by Program::arena.
class Arena {
 public:
  Arena(Backend& backend, std::string name, const ArenaSettings& settings);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  const std::string& name() const { return name_; }
  const ArenaSettings& settings() const { return settings_; }

  /// In recording order.
  std::vector<ParameterView> parameters() const;
  /// All of them as one flat array, with the gaps that aligning leaves; its gradient is null where none is
  /// stored.
  ParameterView flat() const;

  /// The learning rate of the updates to come; `settings` keep the one that the arena was made with.
  void set_learning_rate(double rate);
  /// Likewise the weight decay, which a captured step keeps as it was when it was captured.
  void set_weight_decay(double decay) { adam_.weight_decay = decay; }
  /// Adam's settings for the updates to come.
  const AdamSettings& adam() const { return adam_; }

  /// The optimizer's state in device memory.
  OptimizerState* state() const { return state_.data(); }
  OptimizerState download_state() const { return state_.download().front(); }
  void upload_state(const OptimizerState& state);

  /// Sets both moments and the number of updates to 0, as at the start.
  void forget_moments();

  /// One Adam update from the stored gradients; nothing where gradients are fused.
  void update();
  /// One Adam update with gradients of zero: the moments decay and still move the parameters.
  void update_without_gradient();

 private:
  friend class Program;
  friend class Tape;

  struct Parameter {
    std::string name;
    std::int64_t rows, columns, offset;
    Tensor tensor;
    Initializer initial;
    /// Writes the gradient out where none is stored.
    std::function<void(MatrixView)> materialize = {};
  };

  std::size_t bytes() const;
  Tensor add(const std::string& name, const Tensor& tensor, const Initializer& initial);
  void allocate();
  void write_initial_values(std::uint64_t seed);

  Backend& backend_;
  std::string name_;
  ArenaSettings settings_;
  double learning_rate_;
  AdamSettings adam_;
  std::vector<Parameter> parameters_;
  std::int64_t size_ = 0;
  Buffer<float> values_, gradient_values_, first_moments_, second_moments_;
  Buffer<OptimizerState> state_;
};

/// The draws of the initial values of a parameter or state of this name.
InitialDraws initial_draws(std::uint64_t seed, const std::string& name);

}  // namespace sea
