#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "program/arena.hpp"
#include "program/node.hpp"
#include "program/tensor.hpp"

namespace sea {

class Program;

/// Recorded operations with their activations, differentiated with respect to the parameters of the arenas
/// that the tape moves; every other parameter is a constant in it. A tape that moves nothing and has no loss
/// is for evaluation. Made by Program::tape; nothing is recorded after Program::allocate.
class Tape {
 public:
  Tape(Program& program, std::string name, std::vector<Arena*> moves);
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  const std::string& name() const { return name_; }
  Program& program() const { return program_; }
  Backend& backend() const;
  /// The arenas whose parameters this tape's gradients move.
  const std::vector<Arena*>& moves() const { return moves_; }
  /// One more of them.
  void move(Arena& arena) { moves_.push_back(&arena); }
  /// Whether `parameter` is in one of them.
  bool moves(const Tensor& parameter) const { return moves(parameter.buffer); }

  // ---- recording

  /// An array of this tape, not yet written by anyone. Its memory is shared with others that live at other
  /// times.
  Tensor activation(std::int64_t rows, std::int64_t columns);
  void add(Node node);
  /// Nodes that `body` adds run on `stream`, unless they name one themselves.
  void on(Stream stream, const std::function<void()>& body);
  /// Only the forward of the nodes that `body` adds does.
  void on_in_forward(Stream stream, const std::function<void()>& body);
  /// A node that draws: it runs in `draw`, before the forward and beside it.
  void add_draw(Node node);
  /// The number of a term of the loss, L = sum of weight * term; 0 is only reported. Terms of one name in
  /// several tapes are one term.
  int loss_term(const std::string& name, float weight);
  /// `count` terms in a row, named NAME.0, NAME.1, ...; only reported. Number of the first.
  int reported_terms(const std::string& name, std::int64_t count);
  /// Keeps a value readable after `forward`, until another tape runs.
  void keep(const Tensor& tensor) { kept_.push_back(tensor); }

  // ---- running

  void draw();
  void forward();
  void backward();
  /// The updates of nodes, then those of the arenas.
  void update();

  /// Bytes of this tape's activations, and what they would be without sharing.
  std::size_t activation_bytes() const { return static_cast<std::size_t>(packed_size_) * sizeof(float); }
  std::size_t unshared_activation_bytes() const { return unshared_bytes_; }

 private:
  friend class NodeRun;
  friend class Program;
  friend class Step;

  /// Where a node's gradient of one input goes: nowhere, straight to the input's gradient, or to a temporary:
  /// one that is added to the gradient, where another node has written that before, or one that nobody reads,
  /// where it is not wanted.
  struct GradientTarget {
    bool wanted = false;
    int temporary = -1;
  };
  /// One place that writes the gradient of a tensor, in the order of a step.
  struct GradientWrite {
    int time;
    std::size_t node, input;
  };
  /// What of a buffer's gradient is written in this tape, and where it lies.
  struct GradientRecord {
    int buffer = -1;  ///< of activations
    std::vector<Tensor> regions;
    bool cleared = false;  ///< zero before the first write
    int first_write = -1;
  };
  struct RecordedNode {
    Node node;
    Stream stream, forward_stream;
    bool is_draw = false;
    bool is_needed =
        false;  ///< something that is kept, or a loss, or a write that outlives the tape, needs it
    bool has_backward = false;
    std::vector<GradientTarget> targets = {};
  };

  /// What one function of a node touches: buffers, and gradients of parameters as ~buffer.
  struct Access {
    std::vector<Tensor> reads, writes;
    std::vector<Indices> index_reads, index_writes;
  };
  /// For each stream the last time that counts, -1 for none.
  using Times = std::array<int, stream_count>;
  /// What happens at one time of a pass.
  struct Moment {
    bool happens = false;
    Stream stream = Stream::main;
    Access access;
    std::vector<int> waits;                       ///< marks
    int mark = -1;                                ///< that notes it, where another stream waits for it
    Times before{-1, -1, -1}, up_to{-1, -1, -1};  ///< what is done when it begins, and when it has ended
    std::vector<int> clears;                      ///< buffers whose gradients are zeroed first
  };
  /// When an activation is used: at last, and what is done before its first use.
  struct Life {
    bool used = false;
    Times last{-1, -1, -1}, before{};
  };

  // A pass over the tape in time: draws at 0, the forward of node i at 1 + i, then the turn, the backward of
  // node i at 2 turn - 1 - i, its own update at 2 turn + i, and the arenas' update.
  int turn_time() const { return 1 + static_cast<int>(nodes_.size()); }
  int forward_time(std::size_t node) const { return nodes_[node].is_draw ? 0 : 1 + static_cast<int>(node); }
  int backward_time(std::size_t node) const { return 2 * turn_time() - 1 - static_cast<int>(node); }
  int own_update_time(std::size_t node) const { return 2 * turn_time() + static_cast<int>(node); }
  int update_time() const { return 3 * turn_time() - 1; }

  bool moves(int buffer) const;
  Moment& moment(int time) { return moments_[static_cast<std::size_t>(time)]; }
  void require_recording() const;
  void check(const Node& node) const;
  void plan();
  void plan_needed();
  std::vector<GradientWrite> gradient_writes();
  void plan_gradients();
  void plan_clears();
  void plan_accesses();
  void add_gradient_writes(std::size_t node, int time, Access& access);
  void plan_waits();
  void plan_lifetimes();
  void pack();
  void place(float* activations);

  void run_node(std::size_t node, Pass pass);
  void run_at(int time, const std::function<void()>& body);
  void clear_gradients(int time);
  void add_temporaries(std::size_t node);
  MatrixView gradient_of(const Tensor& tensor) const;
  bool declares(const Node& node, Pass pass, const Tensor& tensor) const;

  Program& program_;
  std::string name_;
  std::vector<Arena*> moves_;
  bool has_streams_;  ///< else all nodes run on the main one
  std::vector<RecordedNode> nodes_;
  std::vector<Tensor> kept_;
  std::vector<int> terms_;                   ///< of the loss that this tape writes
  std::map<int, GradientRecord> gradients_;  ///< by buffer
  std::vector<Moment> moments_;              ///< by time
  std::map<int, Life> lives_;                ///< by buffer
  Stream stream_ = Stream::main;             ///< of nodes that are added now
  std::optional<Stream> forward_stream_;     ///< of their forward, if another one
  std::vector<int> activations_;             ///< the buffers that are this tape's
  std::int64_t packed_size_ = 0;
  std::array<std::size_t, stream_count> workspace_bytes_{};
  std::size_t unshared_bytes_ = 0;
};

}  // namespace sea
