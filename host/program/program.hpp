#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sea/backend.hpp"
#include "sea/buffer.hpp"

namespace sea {

/// A rectangle of one of a Program's buffers. Halves of a concatenation are ranges of one buffer: nothing is
/// copied.
struct Tensor {
  int buffer = -1;
  std::int64_t first_row = 0;
  std::int64_t first_column = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;

  /// Rows [first, first + count).
  Tensor row_range(std::int64_t first, std::int64_t count) const {
    return {buffer, first_row + first, first_column, count, columns};
  }
  /// Columns [first, first + count).
  Tensor column_range(std::int64_t first, std::int64_t count) const {
    return {buffer, first_row, first_column + first, rows, count};
  }
  bool empty() const { return buffer < 0; }
};

class Program;

/// What a node sees while it runs: views of its tensors and its scratch memory.
class NodeRun {
 public:
  NodeRun(const Program& program, std::size_t node, bool represents = false)
      : program_(program), node_(node), represents_(represents) {}

  /// Whether this is `Program::represent` and no training step.
  bool represents() const { return represents_; }

  MatrixView value(const Tensor& tensor) const;
  VectorView vector(const Tensor& tensor) const;
  /// Gradient of one of the node's outputs.
  MatrixView gradient(const Tensor& output) const;
  /// Where the gradient with respect to the node's i-th input goes; empty where nobody wants it.
  MatrixView input_gradient(std::size_t i) const;
  VectorView input_gradient_vector(std::size_t i) const;
  Workspace workspace() const;
  Backend& backend() const;

 private:
  const Program& program_;
  std::size_t node_;
  bool represents_;
};

/// One recorded operation. `forward` and `backward` are called with views of fixed buffers: the same ones
/// each time.
struct Node {
  std::string name;
  std::vector<Tensor> inputs;            ///< what forward reads, and what backward may write gradients of
  std::vector<Tensor> outputs;           ///< what forward writes
  std::vector<Tensor> kept;              ///< values of inputs and outputs that backward reads
  std::vector<Tensor> written_backward;  ///< activations that backward writes, for an update to read
  std::size_t workspace = 0;             ///< bytes of scratch either direction needs
  /// A loss writes its inputs' gradients in its forward, and has no backward.
  bool is_loss = false;
  /// Runs beside the nodes that follow, up to the first loss: reads and writes no tensors, and has its
  /// scratch memory for itself.
  bool concurrent = false;
  std::function<void(const NodeRun&)> forward;
  std::function<void(const NodeRun&)> backward;
};

/// A named trained array, as checkpoints, tests and golden replay see it.
struct ParameterView {
  std::string name;
  std::int64_t rows = 0, columns = 0;
  float* value = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
  float* gradient =
      nullptr;  ///< null where the gradient is never materialised, or fitted apart from the model

  std::int64_t size() const { return rows * columns; }
};

/// The initial values of a parameter, row-major, drawn on the host; `index` is the parameter's number.
using Initializer = std::function<std::vector<float>(std::int64_t rows, std::int64_t columns, int index)>;

/// A training step as a list of operator calls on buffers of fixed shape. A model records nodes once; then
/// `sample`, `forward`, `fit`, `backward` and `update`, in this order, are one step, and allocate nothing.
/// Activations and their gradients share one arena by liveness; parameters, gradients and Adam's moments are
/// flat arenas, so that the optimizer is one call.
class Program {
 public:
  explicit Program(Backend& backend) : backend_(backend) {}
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Backend& backend() const { return backend_; }

  // ---- recording

  /// An activation, not yet written by anyone.
  Tensor activation(std::int64_t rows, std::int64_t columns);
  /// A matrix in device memory that outlives the program and is never trained.
  Tensor constant(ConstMatrixView matrix);
  /// A trained array. Its gradient is written by the nodes that read it.
  Tensor parameter(const std::string& name, std::int64_t rows, std::int64_t columns,
                   const Initializer& initial);
  /// A trained array whose gradient is never materialised: `update` (see `on_update`) works on its three
  /// arrays.
  Tensor fused_parameter(const std::string& name, std::int64_t rows, std::int64_t columns,
                         const Initializer& initial);
  /// Trained arrays, one after the other without gaps, that something else than the loss fits.
  struct FittedShape {
    std::string name;
    std::int64_t rows, columns;
    Initializer initial;
  };
  /// Number of the group.
  int fitted_parameters(const std::vector<FittedShape>& shapes);

  /// `count` integers in device memory.
  IndexView indices(std::int64_t count);

  void add(Node node);
  /// Runs in `sample`, before `forward`: draws of this step, for losses to read.
  void on_sample(std::function<void()> action) { sample_.push_back(std::move(action)); }
  /// Runs in `fit`, and may read `inputs` (forward's values).
  void on_fit(std::vector<Tensor> inputs, std::size_t workspace, std::function<void(Workspace)> action);
  /// Runs in `update` before Adam, and may read `inputs`: written in backward, alive until then.
  void on_update(std::vector<Tensor> inputs, std::size_t workspace, std::function<void(Workspace)> action);

  /// How the gradient of a fused parameter is written out for those who ask (see `download_gradient`).
  void on_materialize(const Tensor& fused, std::function<void(MatrixView, Workspace)> action);

  /// The number of a new term of the loss, L = sum of weight * term; 0 is only reported.
  int loss_term(const std::string& name, float weight);
  /// `count` terms in a row, named NAME.0, NAME.1, ...; only reported. Number of the first.
  int reported_terms(const std::string& name, std::int64_t count);

  /// Keeps a value readable after `represent`.
  void mark_output(const Tensor& tensor) { outputs_.push_back(tensor); }

  /// Keeps a value readable after `forward`.
  void keep(const Tensor& tensor) { kept_.push_back(tensor); }

  /// Lays out memory, allocates it and writes the initial values. Nothing may be recorded after.
  void finish(const AdamSettings& adam, std::int64_t pairs, std::int64_t batch_size);

  // ---- running

  void sample();
  void forward();
  void fit();
  void backward();
  /// Adam, the fused updates, the sums of the losses, and on to the next batch.
  void update();
  /// One training step. From the second on it is replayed as one piece of work, where the backend can do
  /// that.
  void step();
  /// Is told when a part of a step begins and ends, by its phase and name ("backward", "linear"): for
  /// profiles.
  using Observer = std::function<void(const std::string& phase, const std::string& name, bool begins)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

  /// Computes the outputs (see `mark_output`) from the present parameters, and nothing else.
  void represent();

  // ---- looking

  const AdamSettings& adam() const { return adam_; }
  /// The state of the coming step, in device memory.
  StepState* state() const { return state_.data(); }
  StepState download_state() const { return state_.download().front(); }
  void upload_state(const StepState& state) { state_.upload({&state, 1}); }

  const std::vector<std::string>& loss_names() const { return loss_names_; }
  /// The last step's terms, parallel to `loss_names`; the last one is the total.
  std::vector<float> download_losses() const { return losses_.download(); }
  /// Sums of the terms over the steps since `reset_loss_sums`.
  std::vector<double> download_loss_sums() const { return loss_sums_.download(); }
  void upload_loss_sums(const std::vector<double>& sums) { loss_sums_.upload(sums); }
  void reset_loss_sums() { loss_sums_.fill_zero(); }
  float* loss_pointer(int term) const { return losses_.data() + term; }

  /// Every trained array, in recording order.
  std::vector<ParameterView> parameters() const;
  /// The gradient of a named parameter after `backward`, before `update`; empty for a fitted one.
  std::vector<float> download_gradient(const std::string& name) const;
  /// Value and moments of a fused parameter, or of a group of fitted ones.
  ParameterView fused(const Tensor& tensor) const;
  ParameterView fitted(int group) const;

  MatrixView value(const Tensor& tensor) const;

  /// Bytes of the shared activation arena, and what they would be without sharing.
  std::size_t activation_bytes() const { return activations_.bytes(); }
  std::size_t unshared_activation_bytes() const { return unshared_bytes_; }

 private:
  friend class NodeRun;

  enum class Kind { activation, constant, parameter, fused };
  struct BufferRecord {
    Kind kind;
    std::int64_t rows = 0, columns = 0;
    float* data = nullptr;
    std::int64_t offset = 0;               ///< of parameters, in their arena
    int gradient = -1;                     ///< record of the gradient, where it is an activation
    std::vector<Tensor> gradient_regions;  ///< what of the gradient is written
    int first_use = -1, last_use = -1;     ///< of activations, in the order of a step
  };
  struct NamedParameter {
    std::string name;
    Tensor tensor;
    Initializer initial;
    int fitted_group = -1;
    std::int64_t fitted_offset = 0;
  };
  /// Where a node's gradient of one input goes: nowhere, straight to the input's gradient, or, where another
  /// node has written that before, to a temporary that is added to it.
  struct GradientTarget {
    bool wanted = false;
    int temporary = -1;
  };
  /// One place that writes the gradient of a tensor, in the order of a step.
  struct GradientWrite {
    int time;
    std::size_t node, input;
  };
  struct LateAction {
    std::vector<Tensor> inputs;
    std::size_t workspace;
    std::function<void(Workspace)> action;
  };
  struct FittedGroup {
    std::int64_t size = 0;
    Buffer<float> value, first_moment, second_moment;
  };
  struct FusedArrays {
    int buffer;
    Buffer<float> value, first_moment, second_moment;
    std::function<void(MatrixView, Workspace)> materialize;
  };

  int add_record(Kind kind, std::int64_t rows, std::int64_t columns);
  void use(int record, int time);
  /// A step in time: forward of node i at i, fit at n, backward of node i at 2 n - i, update at 2 n + 1.
  int fit_time() const { return static_cast<int>(nodes_.size()); }
  int backward_time(std::size_t node) const { return 2 * fit_time() - static_cast<int>(node); }
  int update_time() const { return 2 * fit_time() + 1; }
  void plan_gradients();
  std::vector<GradientWrite> gradient_writes();
  void plan_lifetimes();
  void plan_needed_for_outputs();
  std::int64_t pack();
  void allocate(std::int64_t activation_count);
  void write_initial_values();
  void step_by_parts();
  Workspace side_workspace() const { return {side_workspace_.data(), side_workspace_.bytes()}; }
  void run(const std::function<void(const NodeRun&)>& direction, std::size_t node, int time,
           bool writes_gradients);
  template <class Body>
  void observed(const char* phase, const std::string& name, const Body& body) {
    if (observer_) observer_(phase, name, true);
    body();
    if (observer_) observer_(phase, name, false);
  }
  const FusedArrays& fused_arrays(const Tensor& tensor) const;
  MatrixView view(float* data, const Tensor& tensor) const;
  MatrixView gradient_of(const Tensor& tensor) const;

  Backend& backend_;
  bool finished_ = false;
  std::vector<BufferRecord> records_;
  std::vector<Node> nodes_;
  std::vector<std::vector<GradientTarget>> targets_;
  std::vector<std::vector<int>>
      clears_;  ///< by time: gradients to zero first, since nobody writes all of them
  std::vector<bool> has_backward_, needed_for_outputs_;
  std::vector<NamedParameter> parameters_;
  std::vector<std::function<void()>> sample_;
  std::vector<LateAction> fit_, update_;
  std::vector<Tensor> outputs_, kept_;
  std::vector<FusedArrays> fused_;
  std::vector<FittedGroup> fitted_;
  std::vector<Buffer<std::int32_t>> indices_;
  std::vector<std::string> loss_names_;
  std::vector<float> loss_weights_;
  Observer observer_;

  AdamSettings adam_;
  std::int64_t pairs_ = 0, batch_size_ = 0;
  std::int64_t parameter_count_ = 0;
  std::size_t workspace_bytes_ = 0, side_workspace_bytes_ = 0, unshared_bytes_ = 0;
  Buffer<float> activations_, values_, gradients_, first_moments_, second_moments_;
  Buffer<float> losses_, loss_weight_values_;
  Buffer<double> loss_sums_;
  Buffer<StepState> state_;
  Buffer<std::byte> workspace_, side_workspace_;
  bool recorded_ = false;
  std::unique_ptr<CapturedGraph> recording_;
};

}  // namespace sea
