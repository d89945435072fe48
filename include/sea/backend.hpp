#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "sea/detail/check.hpp"
#include "sea/matrix.hpp"
#include "sea/philox.hpp"

namespace sea {

/// Scratch memory of one operator call: its contents mean nothing before and after. Sized by the operator's
/// `..._workspace` function; aligned to 64 bytes, as `Backend::allocate` does it.
struct Workspace {
  std::byte* data = nullptr;
  std::size_t size = 0;
};

enum class Transpose : bool { no, yes };

/// Where operators are asked for: those of one stream are done in their order.
enum class Stream {
  main,    ///< where they go unless another is named
  beside,  ///< wide work that does not depend on the main stream's
  narrow,  ///< long work of few blocks, which goes before that of the other two
};
inline constexpr int stream_count = 3;

/// Everything that changes between two training steps, in device memory, so that a recorded step holds no
/// value of the host. A training begins at {0, 0, 0, min(pairs, batch size)}, which the caller writes. A step
/// then calls its operators, from `sample_batch` to `adam`, on one and the same state, and `advance_step`
/// last, with every optimizer that was used: called first it skips the first batch and Adam's t begins at 2,
/// and an optimizer left out stays at t = 1; neither is an error.
struct StepState {
  std::int64_t step = 0;   ///< steps finished since the start of training
  std::int64_t epoch = 0;  ///< epochs finished
  std::int64_t first = 0;  ///< position of this batch's first pair in the epoch's shuffled order
  std::int64_t count = 0;  ///< pairs in this batch
};

/// Training pairs and what negatives are drawn from. Device memory. Fewer than 2^31 pairs.
struct SamplingView {
  /// users x items: what is never a negative of a user, ascending and distinct, all of it in `candidates`.
  CsrPatternView history;
  /// The users of the pairs to visit in an epoch; none whose history holds every candidate.
  ConstIndexView pair_users;
  ConstIndexView pair_items;  ///< the positives, parallel to `pair_users`
  /// What negatives are drawn from, ascending and distinct, at least one: the items of any pair, or all
  /// items.
  ConstIndexView candidates;
};

/// Users and the items that batches of users are drawn from. Device memory.
struct UserSamplingView {
  CsrPatternView history;  ///< users x items, the training items of each user, ascending
  ConstIndexView users;    ///< those to be drawn: each has a training item, none has every item
};

/// A batch of triples. All three have the batch size as their length; the first `StepState::count` are valid.
struct BatchView {
  IndexView users, positives, negatives;
};

/// The 3 x batch node numbers of a batch in ascending order, equal ones in order of their source: so that
/// rows which a batch hits more than once are summed in a fixed order. Node of a user u is u, of an item i is
/// users + i. A source is `role * batch size + position`, role 0 user, 1 positive, 2 negative. The first `3 *
/// count` are valid.
struct BatchOrderView {
  IndexView nodes, sources;
};

/// How BPR sums up a batch's -log(sigmoid(difference of scores)): the mean of base-2 logarithms (SEA), or the
/// mean or the sum of natural ones.
enum class BprSum { mean_log2, mean, sum };

/// What `embedding_norm` takes of the three matrices of a batch's rows: the sum of their Frobenius norms,
/// over the batch's count, or half the sum of their squares.
enum class EmbeddingNorm { norms, half_squares };

/// What `contrastive` computes beside the logits.
struct ContrastiveSettings {
  float temperature = 1.0f;  ///< positive and finite
  bool intra = false;        ///< a query's denominator also runs over the other queries
  bool mean = true;          ///< over the queries; else their sum
  float epsilon = 0.0f;      ///< added inside the logarithm, not negative
};

/// The lists of a batch, in the order of its sources, see BatchOrderView.
enum class BatchRole { user, positive, negative };

/// What `activate` makes of an element.
enum class Activation { sigmoid, tanh };

/// What `random_noise` fills a matrix with: numbers uniform in (0, 1), or -log(-log(u)) of such a number u,
/// the standard Gumbel distribution.
enum class Noise { uniform, gumbel };

/// What `matrix_norm` takes of a matrix: the root of the sum of its squares, that sum over the number of
/// elements, or half of it.
enum class MatrixNorm { frobenius, mean_square, half_squares };

/// What `reduce` makes of a matrix: the mean of its elements, the sum of softplus(x) = log(1 + e^x) or of
/// softplus(-x) over them, or the mean over its rows of (||x_i|| - 1)^2.
enum class Reduction { mean, softplus, softplus_of_negative, unit_norm_gap };

/// Adam (Kingma and Ba, 2015, Algorithm 1), with weight decay: coupled, where `weight_decay` times the
/// parameter is added to its gradient, or decoupled (Loshchilov and Hutter, "Decoupled Weight Decay
/// Regularization", ICLR 2019), where the parameter is multiplied by 1 - learning rate * weight_decay before
/// the step.
struct AdamSettings {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  bool decoupled = false;
};

/// What changes between two updates of an optimizer, in device memory, so that a captured step follows a
/// schedule. Begins at {0, learning rate}, which the caller writes; `advance_step` counts the updates.
struct OptimizerState {
  std::int64_t step = 0;  ///< updates finished; Adam's t is `step + 1`
  double learning_rate = 1e-3;
};

/// One linear layer that reads columns [first_column, first_column + weight.columns) of the factored layer's
/// output: weight is (outputs x width), bias (outputs).
struct LinearHead {
  ConstMatrixView weight;
  ConstVectorView bias;
  std::int64_t first_column = 0;
};

/// Gradients of one LinearHead, of the same shapes.
struct LinearHeadGradient {
  MatrixView weight;
  VectorView bias;
};

/// The variational network q of CLUB (SEA, Eq. 15): mean = W2 relu(W1 x + b1) + b2 and
/// log variance = tanh(W4 relu(W3 x + b3) + b4). `parameters` holds, row-major and without gaps,
/// W1 (hidden x width), b1, W2 (width x hidden), b2, W3, b3, W4, b4.
struct VariationalNetworkView {
  std::int64_t width = 0;
  std::int64_t hidden = 0;
  ConstVectorView parameters;

  static std::int64_t parameter_count(std::int64_t width, std::int64_t hidden) {
    return 2 * (2 * width * hidden + hidden + width);
  }
};

/// Two equally shaped matrices whose rows belong together.
struct PairView {
  ConstMatrixView x, y;
};

/// Operators that a backend has captured (Backend::capture), to be done again as one piece of work. Does not
/// outlive the backend.
class CapturedGraph {
 public:
  virtual ~CapturedGraph() = default;
  CapturedGraph() = default;
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;
  /// Does the captured operators, on the memory they were captured with. Asynchronous.
  virtual void replay() = 0;
};

/// The operators of SEA, forward and backward, and the memory they work on. Every operator `name` is defined
/// in one file of its name per backend: `host/cpu/name.cpp`, `kernels/name.cu`. Matrices are float32,
/// row-major; any may have gaps between its rows, which are neither read nor written. Outputs overwrite what
/// was there; inputs and outputs do not overlap unless an operator says so. Operators are asynchronous (on
/// the CPU they have finished when they return), allocate nothing, keep no state between calls, and give the
/// same bits for the same inputs, whatever the number of threads.
///
/// What views and pointers name, `*loss`, the sums of losses, states and workspaces too, lies in memory that
/// the device can reach: on the CPU any of the process, on a GPU its own, from `allocate` or the caller's.
/// Spans of structures (`heads`, `gradients`, `pairs`, `optimizers`) lie in the host's and are read during
/// the call alone.
///
/// What does not fit is a programming error and throws Error with the operator's name. Shapes, sizes and
/// settings are checked in the same words on every backend (detail/checks/), what lies in the device's memory
/// on the CPU alone, which can read it: batches, lists of rows, permutations, rows of excluded keys, and
/// `StepState::count`, which is at most the batch's rows, and at least 1 for a loss. Columns of other sparse
/// matrices, the samplers' histories and a BatchOrderView are not checked. A loss needs a row and a column.
/// Where `state` may be null, an operator says so. One object serves one thread at a time.
///
/// Losses are written unweighted to `*loss`; the gradients that a fused loss operator writes are those of
/// `weight * loss`.
class Backend {
 public:
  virtual ~Backend() = default;
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  // ---- memory

  /// One line for people: device, threads, libraries.
  virtual std::string description() const = 0;
  /// `bytes` of device memory, aligned to 64 bytes, not initialised. Throws Error that says how much was
  /// asked for and how much there is.
  virtual void* allocate(std::size_t bytes) = 0;
  /// Frees what `allocate` gave for `bytes`, after the operators before it, of all streams; nothing for a
  /// null pointer.
  virtual void deallocate(void* pointer, std::size_t bytes) noexcept = 0;
  /// Bytes allocated at present, and the most there ever were.
  virtual std::size_t allocated_bytes() const = 0;
  virtual std::size_t peak_allocated_bytes() const = 0;
  /// Returns when the source may be changed. After the operators before it.
  virtual void copy_to_device(void* destination, const void* host_source, std::size_t bytes) = 0;
  /// Waits for the operators before it.
  virtual void copy_to_host(void* host_destination, const void* source, std::size_t bytes) = 0;
  /// Asynchronous, in the order of the operators.
  virtual void fill_zero(void* destination, std::size_t bytes) = 0;
  /// Returns when everything asked for has been done.
  virtual void synchronize() = 0;
  /// Whether the host may read this memory where it lies, after `synchronize`: then no copy is needed.
  virtual bool host_readable() const { return false; }

  // ---- order

  /// Whether operators of different streams may run side by side. Where not, the functions below call their
  /// bodies and do nothing else.
  virtual bool has_streams() const { return false; }
  /// The operators of `body` go to `stream`. No copies are among them. What they share with operators of
  /// other streams is kept in order by the four calls below. Memory that is allocated in it is that stream's
  /// at once, the main one's after a join, the third one's after a join and a fork. Not inside of another
  /// such body.
  virtual void on_stream(Stream /*stream*/, const std::function<void()>& body) { body(); }
  /// What follows on the other streams begins after all that was asked of the main one so far. Memory that is
  /// allocated later is theirs after another fork.
  virtual void fork() {}
  /// What follows on the main stream begins after all that was asked of the others so far. Copies and
  /// `synchronize` join first.
  virtual void join() {}
  /// Notes by a small number, from 0, what was asked of `stream` so far; a later call with that number
  /// replaces it. Marks of a capture's body mean nothing outside of it, and those of before stay.
  virtual void mark(Stream /*stream*/, int number) { require_mark("mark", number); }
  /// What follows on `stream` begins after what was noted. Nothing where nothing was.
  virtual void wait(Stream /*stream*/, int number) { require_mark("wait", number); }
  /// Captures the operators of `body` without doing them: no copy to or from the host may be among them, no
  /// memory may be allocated or given back, and each of them has been done once before, on the same stream.
  /// It begins after all that was asked of every stream so far, as after a join and a fork. Null where
  /// capturing is of no use: where operators are done as they are asked for.
  virtual std::unique_ptr<CapturedGraph> capture(const std::function<void()>& body) {
    static_cast<void>(body);
    return nullptr;
  }

  // ---- steps and sampling

  /// Ends a step: sets `*state` to the next batch, one step further, the next `batch_size` of `pairs` pairs,
  /// or the first ones of the next epoch. `state->count` becomes the number of pairs of that batch. Counts
  /// one more update of each of `optimizers`, at most 8, all different.
  virtual void advance_step(StepState* state, std::int64_t pairs, std::int64_t batch_size,
                            std::span<OptimizerState* const> optimizers = {}) = 0;

  /// The batch of `*state`: pairs in the epoch's keyed order, and for each one negative, uniform over
  /// `sampling.candidates` outside the user's history: up to 32 draws are rejected, then the r-th candidate
  /// outside the history is taken, r drawn by attempt 32. Draws: philox.hpp, purposes `shuffle` and
  /// `negative`.
  virtual void sample_batch(const SamplingView& sampling, std::uint64_t seed, const StepState* state,
                            const BatchView& batch) = 0;

  /// A batch of users, one training item of each, uniform, and one negative each, uniform over all items
  /// outside the history, also those that nobody has. The users are distinct: the first images of the keyed
  /// permutation of `sampling.users` of step `state->step`; where the batch is larger than that, each is
  /// drawn uniformly, with replacement. Up to 32 draws of a negative are rejected, then the r-th item outside
  /// the history is taken, r drawn by attempt 32. `state->count` triples are written; epoch and position do
  /// not matter. Draws: philox.hpp, purposes `batch_user`, `batch_item` and `negative`. MICRO (Zhang et al.,
  /// "Latent Structure Mining with Contrastive Modality Fusion for Multimedia Recommendation", TKDE 2022),
  /// MMSSL.
  virtual void sample_user_batch(const UserSamplingView& sampling, std::uint64_t seed, const StepState* state,
                                 const BatchView& batch) = 0;

  /// Sorts the nodes of a batch (see BatchOrderView), of fewer than 2^31 / 3 triples. `users` is the number
  /// of users; users + items < 2^31.
  virtual void sort_batch(const BatchView& batch, std::int64_t users, const StepState* state,
                          const BatchOrderView& order, Workspace workspace) = 0;
  virtual std::size_t sort_batch_workspace(std::int64_t batch_size) const = 0;

  /// The first `output.size()` images of the keyed permutation of [0, size) of step `state->step`
  /// (keyed_permutation.hpp): all of it, or that many distinct samples. 1 <= output.size() <= size < 2^31.
  virtual void permutation(std::uint64_t seed, RandomPurpose purpose, const StepState* state,
                           std::int64_t size, IndexView output) = 0;

  // ---- dense

  /// C = alpha op(A) op(B) + beta C; op transposes where asked. Where beta is 0, C is not read.
  virtual void matmul(Transpose transpose_a, Transpose transpose_b, float alpha, ConstMatrixView a,
                      ConstMatrixView b, float beta, MatrixView c) = 0;

  /// Y = A + B, all of one shape. Y may be A or B.
  virtual void add(ConstMatrixView a, ConstMatrixView b, MatrixView y) = 0;

  /// Y = factor X; a copy where `factor` is 1. Y may be X.
  virtual void scale(float factor, ConstMatrixView x, MatrixView y) = 0;

  /// Y = X W^T + bias. X (n x in), weight (out x in), bias (out), Y (n x out).
  virtual void linear(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias, MatrixView y) = 0;
  /// dX = dY W, left out where `dx` is empty; dW = dY^T X and dbias = column sums of dY, 0 where n is 0.
  virtual void linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy, MatrixView dx,
                               MatrixView dweight, VectorView dbias, Workspace workspace) = 0;
  virtual std::size_t linear_backward_workspace(std::int64_t n, std::int64_t in, std::int64_t out) const = 0;

  /// Several linear layers, 1 to 16, on top of one wide one, without the wide one's output: with E = X W^T +
  /// b and the heads' outputs side by side, Y = E C^T + bias_c = X (C W)^T + (C b + bias_c), where C stacks
  /// the heads' weights and is zero where a head does not look. X (n x in), W (width x in), b (width), M = C
  /// W (out x in) and Y (n x out) are written, out = sum of the heads' outputs. M is kept for nothing but
  /// speed: the backward does not need it.
  virtual void factored_linear(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias,
                               std::span<const LinearHead> heads, MatrixView m, MatrixView y,
                               Workspace workspace) = 0;
  /// From dY (n x out): dM = dY^T X (out x in), the heads' gradients (dC = dM W^T + dc b^T where a head
  /// looks, dbias_c = dc = column sums of dY) and db = C^T dc. The weight's own gradient, dW = C^T dM, is
  /// left to `factored_linear_update` or `factored_linear_weight_gradient`.
  virtual void factored_linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias,
                                        std::span<const LinearHead> heads, ConstMatrixView dy, MatrixView dm,
                                        std::span<const LinearHeadGradient> gradients, VectorView dbias,
                                        Workspace workspace) = 0;
  /// dW = C^T dM, written out (width x in).
  virtual void factored_linear_weight_gradient(std::span<const LinearHead> heads, ConstMatrixView dm,
                                               MatrixView dweight, Workspace workspace) = 0;
  /// Adam on W with dW = C^T dM formed tile by tile: W and its two moments (width x in) are read and written
  /// once, dW never exists. Equals `factored_linear_weight_gradient` followed by `adam`, bit for bit.
  /// The heads must still hold the values of the forward.
  virtual void factored_linear_update(std::span<const LinearHead> heads, ConstMatrixView dm,
                                      MatrixView weight, MatrixView first_moment, MatrixView second_moment,
                                      const AdamSettings& settings, const OptimizerState* state,
                                      Workspace workspace) = 0;
  /// Enough for each of the four, for n rows, and a weight of width x in under heads with `out` outputs in
  /// all.
  virtual std::size_t factored_linear_workspace(std::int64_t n, std::int64_t width, std::int64_t in,
                                                std::int64_t out) const = 0;

  /// Y = X where positive, else slope X. Y may be X.
  virtual void leaky_relu(ConstMatrixView x, float slope, MatrixView y) = 0;
  /// dX from the output Y (0 <= slope, so that Y is positive where X is). dX may be dY.
  virtual void leaky_relu_backward(ConstMatrixView y, ConstMatrixView dy, float slope, MatrixView dx) = 0;

  /// Y = scale (X - mean) / sqrt(variance + epsilon) + shift by columns, with the biased variance over the
  /// rows, and with `relu` the ReLU of that. `mean` and `inverse_deviation` (columns each) are kept for the
  /// backward. Y may be X only where no backward follows.
  virtual void batch_norm(ConstMatrixView x, ConstVectorView scale, ConstVectorView shift, float epsilon,
                          bool relu, VectorView mean, VectorView inverse_deviation, MatrixView y,
                          Workspace workspace) = 0;
  /// dX, dscale and dshift; the statistics' dependence on X is differentiated too. Without `relu` Y is not
  /// read and may be empty. Like the other two it needs a row.
  virtual void batch_norm_backward(ConstMatrixView x, ConstMatrixView y, ConstMatrixView dy,
                                   ConstVectorView scale, ConstVectorView mean,
                                   ConstVectorView inverse_deviation, bool relu, MatrixView dx,
                                   VectorView dscale, VectorView dshift, Workspace workspace) = 0;
  /// The gradients of a function of `batch_norm_backward`'s dX, without `relu`, given G, its gradient with
  /// respect to that dX. With H = (X - mean) inverse_deviation and P(V) = V - mean(V) - H mean(V H), by
  /// columns, that dX is scale inverse_deviation P(dY), and so
  /// ddY = scale inverse_deviation P(G),
  /// dscale = inverse_deviation sum(G P(dY)),
  /// dX = -scale inverse_deviation^2 (P(G mean(dY H) + dY mean(G H)) + H mean(G P(dY))).
  /// For penalties on a gradient (WGAN-GP, Gulrajani et al., 2017), as in MMSSL.
  virtual void batch_norm_double_backward(ConstMatrixView x, ConstMatrixView dy, ConstMatrixView g,
                                          ConstVectorView scale, ConstVectorView mean,
                                          ConstVectorView inverse_deviation, MatrixView ddy, MatrixView dx,
                                          VectorView dscale, Workspace workspace) = 0;
  /// Enough for each of the three.
  virtual std::size_t batch_norm_workspace(std::int64_t rows, std::int64_t columns) const = 0;

  /// Y[i] = X[i] / max(||X[i]||, 1e-12). `inverse_norms` (rows) is kept for the backward: 1 / max(...).
  virtual void row_normalize(ConstMatrixView x, MatrixView y, VectorView inverse_norms) = 0;
  /// dX[i] = (dY[i] - Y[i] (Y[i] . dY[i])) inverse_norm[i]; a row whose norm is at the floor of 1e-12 has no
  /// second term.
  virtual void row_normalize_backward(ConstMatrixView y, ConstVectorView inverse_norms, ConstMatrixView dy,
                                      MatrixView dx) = 0;

  /// Y[i] = c X[i] with c = X[i] . E[i] / (max(||X[i]||, 1e-8) max(||E[i]||, 1e-8)), the cosine of the two
  /// rows. LayerGCN (Zhou et al., "Layer-refined Graph Convolutional Networks for Recommendation", ICDE
  /// 2023).
  virtual void cosine_scale(ConstMatrixView x, ConstMatrixView e, MatrixView y) = 0;
  /// dX[i] = c dY[i] + s (E[i] / (||X[i]|| ||E[i]||) - c X[i] / ||X[i]||^2) and dE[i] likewise without its
  /// first term, s = dY[i] . X[i]; a norm at its floor is a constant.
  virtual void cosine_scale_backward(ConstMatrixView x, ConstMatrixView e, ConstMatrixView dy, MatrixView dx,
                                     MatrixView de) = 0;

  // ---- elementwise and rows

  /// Y = A o B, the elementwise product, all of one shape. Its own backward: dA = dY o B, dB = dY o A. Y may
  /// be A or B. One number for a whole row is `modality_weight` with one block.
  virtual void multiply(ConstMatrixView a, ConstMatrixView b, MatrixView y) = 0;

  /// Y = activation(X) by elements. Y may be X.
  virtual void activate(Activation activation, ConstMatrixView x, MatrixView y) = 0;
  /// dX = dY activation'(X) from the output Y: Y (1 - Y) for the sigmoid, 1 - Y^2 for tanh. dX may be dY.
  virtual void activate_backward(Activation activation, ConstMatrixView y, ConstMatrixView dy,
                                 MatrixView dx) = 0;

  /// Y[i] = softmax(scale X[i]) by rows, the largest element subtracted first; scale is 1 / temperature. Y
  /// may be X.
  virtual void softmax(ConstMatrixView x, float scale, MatrixView y) = 0;
  /// dX[i] = scale Y[i] o (dY[i] - Y[i] . dY[i]). dX may be dY.
  virtual void softmax_backward(ConstMatrixView y, ConstMatrixView dy, float scale, MatrixView dx) = 0;

  /// Y = m / (1 - probability), m 0 with that probability, else 1: dropout is `multiply` by Y, forward and
  /// backward. The mask is a matrix, so that several products can share it. The bits are a pure function of
  /// (seed, stream, state->step, place in the matrix, its columns), the same on every backend. 0 <=
  /// probability < 1. Srivastava et al., "Dropout", JMLR 2014.
  virtual void dropout_mask(float probability, std::uint64_t seed, std::uint32_t stream,
                            const StepState* state, MatrixView y) = 0;

  /// Fills Y with noise, a pure function of (seed, stream, state->step, place in the matrix, its columns).
  /// Uniform noise is the same bits on every backend and in every layout, Gumbel noise the same to rounding.
  virtual void random_noise(Noise noise, std::uint64_t seed, std::uint32_t stream, const StepState* state,
                            MatrixView y) = 0;

  /// Y[i] = X[index[i]], X (n x w), Y (index.size() x w). Rows of Y from `state->count` on are 0 and their
  /// index is not read; where `state` is null, all are valid.
  virtual void gather_rows(ConstMatrixView x, ConstIndexView index, const StepState* state, MatrixView y) = 0;
  /// The gradient of rows that were gathered by a list of the batch, `role`: row r of dX (n x w) stands for
  /// the node first_node + r (0 for a table of users or of nodes, the number of users for one of items), and
  /// is the sum of the rows of dY (batch size x w) at which that list names it, in the order of `order`. dX
  /// is written whole.
  virtual void gather_rows_backward(ConstMatrixView dy, const BatchOrderView& order, BatchRole role,
                                    std::int64_t first_node, const StepState* state, MatrixView dx) = 0;

  /// *loss = the norm of X (n x w) (see MatrixNorm) over `divisor`, which is positive, and dX; of the first
  /// `state->count` rows alone where `state` is not null, and dX is 0 in the others. The gradient of a norm
  /// of 0 is 0.
  virtual void matrix_norm(ConstMatrixView x, MatrixNorm norm, double divisor, const StepState* state,
                           float weight, float* loss, MatrixView dx, Workspace workspace) = 0;
  virtual std::size_t matrix_norm_workspace(std::int64_t n, std::int64_t width) const = 0;

  /// *loss = what `reduction` makes of X (n x w), and dX; of the first `state->count` rows alone where
  /// `state` is not null, and dX is 0 in the others. With m rows, dX is 1 / (m w) for the mean, sigmoid(x)
  /// and -sigmoid(-x) for the two softplus, and 2 / m (1 - 1 / ||x_i||) x_i for the gap of norms, where the
  /// gradient of a row of zeros is 0; all times `weight`.
  virtual void reduce(ConstMatrixView x, Reduction reduction, const StepState* state, float weight,
                      float* loss, MatrixView dx, Workspace workspace) = 0;
  virtual std::size_t reduce_workspace(std::int64_t n, std::int64_t width) const = 0;

  /// Y[i, b] = A[i] . B[i, block b]: the dot products of a row with the equal blocks of another. A (n x w), B
  /// (n x blocks w), Y (n x blocks).
  virtual void row_dot(ConstMatrixView a, ConstMatrixView b, MatrixView y) = 0;
  /// dA[i] = sum over b of dY[i, b] B[i, block b], dB[i, block b] = dY[i, b] A[i]; an empty one is left out.
  virtual void row_dot_backward(ConstMatrixView a, ConstMatrixView b, ConstMatrixView dy, MatrixView da,
                                MatrixView db) = 0;

  /// The histories of a batch's users as dense rows: Y[b, i] is 1 where item i is in the history (users x
  /// items, ascending rows) of users[b], else 0, or the other way round where `inverted`. Y is (batch size x
  /// items); rows from `state->count` on are 0.
  virtual void history_rows(const CsrPatternView& history, ConstIndexView users, bool inverted,
                            const StepState* state, MatrixView y) = 0;

  // ---- graphs

  /// Y = A X + residual; `residual` may be empty (then Y = A X), and is Y's shape otherwise. A (n x m), X (m
  /// x w). Its own backward: dX = A^T dY + (the residual's gradient). SEA, Eq. 6, 7 and 12.
  virtual void spmm(const CsrView& a, ConstMatrixView x, ConstMatrixView residual, MatrixView y) = 0;

  /// For each query the `k` keys of largest dot product, best first; equal scores: the lower id first.
  /// Queries (q x w), keys (n x w), k <= n; `excluded` (q x n, empty where `excluded.row_offsets` is null)
  /// names keys that a row may not have, ascending and distinct. Where fewer than k are left, ids are -1 and
  /// scores -infinity. ids and scores are (q x k), row-major. Scores are summed in one fixed order in double
  /// precision and rounded to float, the same on every backend (fixed_dot.hpp), so that ids are too. A score
  /// that is not a number, or -infinity, is never taken. Memory: q x k plus a tile, never q x n.
  virtual void topk_dot(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                        const CsrPatternView& excluded, IndexView ids, VectorView scores,
                        Workspace workspace) = 0;
  virtual std::size_t topk_dot_workspace(std::int64_t queries, std::int64_t keys, std::int64_t width,
                                         std::int64_t k) const = 0;

  /// As `topk_dot`, for PAMD's score, which is no dot product: with the five blocks K_0 .. K_4 of a key (n x
  /// 5 w), s_b = query . K_b, it is s_0 + sum over b = 1..4 of softmax(s_1, .., s_4)_b s_b. Scores are summed
  /// in float32, in an order that depends on the width alone: the same bits for any number of queries at a
  /// time, but not on every backend. Han et al., "Modality Matches Modality: Pretraining Modality-
  /// Disentangled Item Representations for Recommendation", WWW 2022.
  virtual void rank_attentive(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                              const CsrPatternView& excluded, IndexView ids, VectorView scores,
                              Workspace workspace) = 0;
  virtual std::size_t rank_attentive_workspace(std::int64_t queries, std::int64_t keys, std::int64_t width,
                                               std::int64_t k) const = 0;

  // ---- SEA

  /// Scales the column blocks of each row: Y[i] = [w[i,0] X[i, block 0] | w[i,1] X[i, block 1] | ...], with
  /// as many equal blocks as `weight` (rows x blocks) has columns. SEA, Eq. 17.
  virtual void modality_weight(ConstMatrixView x, ConstMatrixView weight, MatrixView y) = 0;
  virtual void modality_weight_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy,
                                        MatrixView dx, MatrixView dweight) = 0;

  /// BPR, forward and backward: *loss = mean or sum (see BprSum) over the batch of log(1 + exp(-(s(u,p) -
  /// s(u,n)))), s the dot product of rows of `users` (U x w) and `items` (I x w). d_users and d_items are
  /// written whole: zero in rows outside the batch. SEA, Eq. 18.
  virtual void bpr(ConstMatrixView users, ConstMatrixView items, const BatchView& batch,
                   const BatchOrderView& order, const StepState* state, BprSum sum, float weight, float* loss,
                   MatrixView d_users, MatrixView d_items, Workspace workspace) = 0;
  virtual std::size_t bpr_workspace(std::int64_t batch_size, std::int64_t width) const = 0;

  /// The regulariser beside BPR, forward and backward, on the rows of `users` (U x w) and `items` (I x w)
  /// that a batch of `count` triples names, with repetition: U_b, P_b, N_b (count x w each). *loss is
  /// (||U_b|| + ||P_b|| + ||N_b||) / count, or (||U_b||^2 + ||P_b||^2 + ||N_b||^2) / 2, see EmbeddingNorm.
  /// d_users and d_items are written whole: zero in rows outside the batch. The gradient of a norm of 0 is 0.
  virtual void embedding_norm(ConstMatrixView users, ConstMatrixView items, const BatchView& batch,
                              const BatchOrderView& order, const StepState* state, EmbeddingNorm norm,
                              float weight, float* loss, MatrixView d_users, MatrixView d_items,
                              Workspace workspace) = 0;
  virtual std::size_t embedding_norm_workspace(std::int64_t batch_size) const = 0;

  /// Contrastive alignment, forward and backward, of unit rows `text` and `visual` (n x w each), with logits
  /// text visual^T / temperature: *loss = mean over rows of logsumexp(row) - diagonal (SoloSim, SEA Eq. 16);
  /// where `symmetric`, the mean of that and of the same on the transposed logits (InfoNCE). `samples`
  /// (distinct row numbers): where it is not empty, a row's logsumexp runs over itself and the samples only.
  /// temperature in [0.025, inf): the shift of the exponent is the constant 1 / temperature, no maximum.
  /// Memory O(n w): no n x n array.
  virtual void contrastive_alignment(ConstMatrixView text, ConstMatrixView visual, float temperature,
                                     bool symmetric, ConstIndexView samples, float weight, float* loss,
                                     MatrixView d_text, MatrixView d_visual, Workspace workspace) = 0;
  virtual std::size_t contrastive_alignment_workspace(std::int64_t n, std::int64_t width,
                                                      std::int64_t samples) const = 0;

  /// CLUB, forward and backward, of generic and unique projections G and O (n x width each):
  /// *loss = max(0, mean_i(ll(G_i, O_i) - ll(G_i, O_p(i))) / 2), p the permutation of all rows, ll the
  /// log-likelihood under q up to a constant. Gradients flow into G and O, not into q. SEA, Eq. 14.
  virtual void club(ConstMatrixView generic, ConstMatrixView unique, ConstIndexView permutation,
                    const VariationalNetworkView& q, float weight, float* loss, MatrixView d_generic,
                    MatrixView d_unique, Workspace workspace) = 0;
  virtual std::size_t club_workspace(std::int64_t n, std::int64_t width, std::int64_t hidden) const = 0;

  /// Fits q: `losses.size()` full-batch Adam steps on -(sum over `pairs`, one or two, of mean_i ll(x_i,
  /// y_i)). `parameters` and its two moments are updated; Adam's t of step s is `state->step * losses.size()
  /// + s + 1`, since `state->step` counts calls. losses[s] is the value before update s. SEA, Eq. 15.
  virtual void club_fit(std::span<const PairView> pairs, std::int64_t hidden, VectorView parameters,
                        VectorView first_moment, VectorView second_moment, const AdamSettings& settings,
                        const OptimizerState* state, VectorView losses, Workspace workspace) = 0;
  virtual std::size_t club_fit_workspace(std::int64_t n, std::int64_t width, std::int64_t hidden) const = 0;

  /// *loss = -mean((G - O)^2) over all elements, and gradients. SEA, Eq. 30.
  virtual void l2_distance(ConstMatrixView generic, ConstMatrixView unique, float weight, float* loss,
                           MatrixView d_generic, MatrixView d_unique, Workspace workspace) = 0;
  virtual std::size_t l2_distance_workspace(std::int64_t n, std::int64_t width) const = 0;

  // ---- losses over batch rows, learned graphs
  //
  // Where these take a `state`, only the first `state->count` rows count: what lies in the rows behind them
  // is not read, their gradients are written as 0. Null stands for all rows.

  /// Contrastive loss of queries Q (n x w) against keys K (m x w), forward and backward. With the logits
  /// l_ij = Q[i] . K[j] / temperature and r_i = e^(l_i,pos(i)) / Z_i, Z_i = sum_j e^(l_ij),
  /// *loss = the mean or the sum over i of -log(r_i + epsilon). pos(i) is `positives[i]` (n of them, each a
  /// row of K); where `positives` is empty the keys are a batch's rows as the queries are: m = n, pos(i) = i,
  /// and `state` limits both. With `intra`, Z_i gains sum over j != i of e^(Q[i] . Q[j] / temperature). Rows
  /// need not be unit rows: the largest logit of a row is subtracted before the exponential. Gradients: with
  /// P_ij = e^(l_ij) / Z_i, P'_ij likewise of the intra terms, c_i = weight r_i / (r_i + epsilon), over the
  /// number of queries for the mean,
  /// dQ[i] = (c_i (sum_j P_ij K[j] + sum_j P'_ij Q[j] - K[pos(i)]) + sum_j c_j P'_ji Q[j]) / temperature,
  /// dK[j] = sum_i c_i (P_ij - [pos(i) = j]) Q[i] / temperature. Memory O((n + m) w): no n x m array. It is
  /// InfoNCE one-sided (van den Oord et al., 2018) as MGCN, LGMRec, MICRO, MMSSL and SLMRec use it.
  virtual void contrastive(ConstMatrixView queries, ConstMatrixView keys, ConstIndexView positives,
                           const ContrastiveSettings& settings, const StepState* state, float weight,
                           float* loss, MatrixView d_queries, MatrixView d_keys, Workspace workspace) = 0;
  virtual std::size_t contrastive_workspace(std::int64_t queries, std::int64_t keys, std::int64_t width,
                                            bool intra) const = 0;

  /// *loss = 1 - mean_i c_i, c_i = X[i] . T[i] / (max(||X[i]||, 1e-8) max(||T[i]||, 1e-8)), and its gradient:
  /// dX[i] = -weight / count (T[i] / (||X[i]|| ||T[i]||) - c_i X[i] / ||X[i]||^2); a norm at its floor is a
  /// constant. T is one. BM3 (Zhou et al., "Bootstrap Latent Representations for Multi-modal Recommendation",
  /// WWW 2023).
  virtual void cosine_loss(ConstMatrixView x, ConstMatrixView target, const StepState* state, float weight,
                           float* loss, MatrixView dx, Workspace workspace) = 0;
  virtual std::size_t cosine_loss_workspace(std::int64_t rows) const = 0;

  /// PAMD's contrast of a decoder's outputs, from cosines c (n x 3) of an item's feature with what was
  /// decoded of its common part, of the whole and of its specific part: with p = c_0 / t, q = c_1 / t and one
  /// number for all rows, S = sum over j of c_j2 / t, t > 0 the temperature, *loss = mean over i of log(e^p_i
  /// + e^q_i + e^S) - p_i + log(e^q_i + e^S) - q_i, and its gradient. The largest term of a logarithm is
  /// subtracted first. Han et al., see `rank_attentive`.
  virtual void decoder_loss(ConstMatrixView cosines, float temperature, const StepState* state, float weight,
                            float* loss, MatrixView d_cosines) = 0;

  /// Sampled dense-dense product: products[e] = a_e X[i] . Y[j] for every entry e = (i, j) of A (n x m), X
  /// (n x w), Y (m x w). `a.values` may be null: all 1. `products` lies parallel to `a.column_indices`. Its
  /// gradients are two calls of `spmm` with the values a_e dproducts[e]: dX = (a dproducts) Y, and dY with
  /// the transposed matrix, whose values `transpose_values` brings into order. It is itself the gradient of
  /// `spmm`, Y = S X, with respect to the values of S: dS = sddmm(1 at S's entries, dY, X).
  virtual void sddmm(const CsrView& a, ConstMatrixView x, ConstMatrixView y, VectorView products) = 0;

  /// transposed[t] = values[permutation[t]] for every entry t of `transpose`, the transposed pattern of the
  /// one that `values` belong to; entry t of the one is entry permutation[t] of the other. For the backward
  /// of `spmm` and `sddmm` where values change from step to step. The arrays may be longer than the pattern.
  virtual void transpose_values(const CsrPatternView& transpose, ConstIndexView permutation,
                                ConstVectorView values, VectorView transposed) = 0;

  /// Symmetric normalisation of a learned graph by its row sums, on both sides: with r_i the sum of row i's
  /// values and d_i = r_i^(-1/2), 0 where r_i <= 0, normalized[e] = values[e] d_i d_j for every entry e = (i,
  /// j) of a square pattern. `inverse_roots` (d, rows) is kept for the backward. LATTICE (Zhang et al.,
  /// "Mining Latent Structures for Multimedia Recommendation", MM 2021), MICRO, MGCN.
  virtual void edge_normalize(const CsrPatternView& pattern, ConstVectorView values, VectorView normalized,
                              VectorView inverse_roots) = 0;
  /// dvalues[e] = dnormalized[e] d_i d_j - q_i d_i^3 / 2 with q_i = sum over row i of dnormalized[e]
  /// values[e] d_j + sum over column i of dnormalized[e] values[e] d_row(e). Entry t of `transpose` is entry
  /// `permutation[t]` of `pattern`.
  virtual void edge_normalize_backward(const CsrPatternView& pattern, const CsrPatternView& transpose,
                                       ConstIndexView permutation, ConstVectorView values,
                                       ConstVectorView inverse_roots, ConstVectorView dnormalized,
                                       VectorView dvalues, Workspace workspace) = 0;
  virtual std::size_t edge_normalize_workspace(std::int64_t rows) const = 0;

  // ---- optimisation

  /// One Adam step on flat arrays of one length; t = state->step + 1. Empty `gradients` are all zero: the
  /// moments decay, and still move the parameters.
  virtual void adam(VectorView parameters, ConstVectorView gradients, VectorView first_moment,
                    VectorView second_moment, const AdamSettings& settings, const OptimizerState* state) = 0;

  /// terms.back() = sum of weights[t] terms[t] over the others, then sums[t] += terms[t] for all of them.
  /// `weights` is one shorter than `terms` and `sums`.
  virtual void accumulate_losses(VectorView terms, ConstVectorView weights, std::span<double> sums) = 0;

 protected:
  static void require_mark(const char* name, int number) {
    detail::require(number >= 0, name, "a mark's number must be at least 0");
  }
};

}  // namespace sea
