#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "program/arena.hpp"
#include "program/losses.hpp"
#include "program/node.hpp"
#include "program/step.hpp"
#include "program/tape.hpp"
#include "program/tensor.hpp"

namespace sea {

/// A model's trained arrays, recorded operations and training steps, and the memory they share. A model makes
/// arenas, parameters, tapes and steps once; after `allocate` nothing is recorded and nothing allocated.
class Program {
 public:
  /// `seed` keys every draw.
  Program(Backend& backend, std::uint64_t seed) : backend_(backend), seed_(seed) {}
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Backend& backend() const { return backend_; }
  std::uint64_t seed() const { return seed_; }

  // ---- recording

  Arena& arena(const std::string& name, const ArenaSettings& settings);
  /// The trained array of this name, made where it is not there yet: several tapes may read it. Throws Error
  /// where it is there in another arena or shape.
  Tensor parameter(Arena& arena, const std::string& name, std::int64_t rows, std::int64_t columns,
                   const Initializer& initial);
  /// A matrix in device memory that outlives the program and is never trained.
  Tensor constant(ConstMatrixView matrix);
  /// An array that is not trained, outlives a step, and is saved with the parameters.
  Tensor state(const std::string& name, std::int64_t rows, std::int64_t columns, const Initializer& initial);
  Indices indices(std::int64_t count);
  /// Integers that are never written again.
  Indices indices(const std::vector<std::int32_t>& values);
  /// A tape whose gradients move these arenas.
  Tape& tape(const std::string& name, std::vector<Arena*> moves);
  /// A step over batches of `batch_size` of `pairs` training pairs. An arena among `without_gradient` is
  /// updated with gradients of zero: what PyTorch before 2.0 does with a parameter that had a gradient in an
  /// earlier step.
  Step& step(const std::string& name, std::vector<Tape*> tapes, std::int64_t pairs, std::int64_t batch_size,
             std::vector<Arena*> without_gradient = {});
  /// Lays out memory, allocates it and writes the initial values.
  void allocate();

  // ---- looking

  MatrixView value(const Tensor& tensor) const;
  IndexView value(const Indices& indices) const;
  const std::deque<Arena>& arenas() const { return arenas_; }
  std::deque<Arena>& arenas() { return arenas_; }
  /// Every trained array, in recording order, whatever its arena.
  std::vector<ParameterView> parameters() const;
  std::vector<StateView> states() const;
  /// The gradient of a named parameter after `backward`, before `update`; empty where there is none to show.
  std::vector<float> download_gradient(const std::string& name) const;
  Losses& losses() { return losses_; }
  const Losses& losses() const { return losses_; }
  /// Step and batch of the coming step.
  Buffer<StepState>& step_state() { return step_state_; }
  const Buffer<StepState>& step_state() const { return step_state_; }

  /// Is told when a part of a step begins and ends, by its phase and name ("backward", "linear"): for
  /// profiles. Steps are not captured then.
  using Observer = std::function<void(const std::string& phase, const std::string& name, bool begins)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

 private:
  friend class Arena;
  friend class NodeRun;
  friend class Step;
  friend class Tape;

  enum class Kind { activation, constant, parameter, state };
  struct BufferRecord {
    Kind kind;
    std::int64_t rows = 0, columns = 0;
    float* data = nullptr;
    Arena* arena = nullptr;      ///< of parameters
    std::int64_t offset = 0;     ///< of parameters in their arena, of activations in the shared memory
    const Tape* tape = nullptr;  ///< of activations
  };
  struct State {
    std::string name;
    Tensor tensor;
    Initializer initial;
    Buffer<float> values;
  };

  int add_buffer(Kind kind, std::int64_t rows, std::int64_t columns);
  MatrixView view(float* data, const Tensor& tensor) const;
  void allocate_memory(std::int64_t activation_count,
                       const std::array<std::size_t, stream_count>& workspaces);
  template <class Body>
  void observed(const char* phase, const std::string& name, const Body& body) {
    if (observer_) observer_(phase, name, true);
    body();
    if (observer_) observer_(phase, name, false);
  }

  Backend& backend_;
  std::uint64_t seed_;
  bool allocated_ = false;
  std::vector<BufferRecord> buffers_;
  std::deque<Arena> arenas_;
  std::deque<Tape> tapes_;
  std::deque<Step> steps_;
  std::deque<State> states_;
  std::vector<Buffer<std::int32_t>> indices_;
  std::vector<std::pair<Arena*, std::size_t>> parameter_order_;
  Losses losses_;
  Observer observer_;
  Buffer<float> activations_;
  Buffer<StepState> step_state_;
  std::array<Buffer<std::byte>, stream_count> workspaces_;  ///< of each stream
};

}  // namespace sea
