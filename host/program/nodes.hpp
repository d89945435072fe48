#pragma once

#include <string>
#include <vector>

#include "program/program.hpp"

namespace sea {

// The operations a model is composed of. Each records one Node whose backward is written by hand from the
// backend's operators; see backend.hpp for the mathematics.

/// X W^T + bias; weight (out x in), bias (1 x out).
Tensor linear(Tape& tape, Tensor x, Tensor weight, Tensor bias);
/// The same, written into `y`, which may be a part of a larger activation.
void linear(Tape& tape, Tensor x, Tensor weight, Tensor bias, Tensor y);

/// One head of a factored linear layer: weight (outputs x width), bias (1 x outputs).
struct Head {
  Tensor weight, bias;
  std::int64_t first_column = 0;
};
/// The outputs of `heads`, side by side in their order, on top of X W^T + b, which is never formed.
/// `weight` (width x in) is in an arena with fused gradients: its Adam step is part of the update.
Tensor factored_linear(Tape& tape, Tensor x, Tensor weight, Tensor bias, const std::vector<Head>& heads);

/// Writes X into `y`, which may be a part of a larger activation.
void copy(Tape& tape, Tensor x, Tensor y);

/// Writes A + B into `y`, which may be a part of a larger activation.
void add(Tape& tape, Tensor a, Tensor b, Tensor y);
Tensor add(Tape& tape, Tensor a, Tensor b);

/// factor X.
Tensor scale(Tape& tape, float factor, Tensor x);

/// op(A) op(B); op transposes where asked.
Tensor matmul(Tape& tape, Transpose transpose_a, Transpose transpose_b, Tensor a, Tensor b);

/// A o B, the elementwise product.
Tensor multiply(Tape& tape, Tensor a, Tensor b);

Tensor activate(Tape& tape, Activation activation, Tensor x);

/// The softmax of `scale` X by rows.
Tensor softmax(Tape& tape, Tensor x, float scale = 1.0f);

/// X with each element 0 with this probability, else times 1 / (1 - probability), drawn anew in each step.
/// `stream` tells this mask from others of the program.
Tensor dropout(Tape& tape, Tensor x, float probability, std::uint32_t stream);
/// The mask alone, 0 or 1 / (1 - probability): for `multiply`.
Tensor dropout_mask(Tape& tape, std::int64_t rows, std::int64_t columns, float probability,
                    std::uint32_t stream);

/// Noise, drawn anew in each step, see `dropout` for `stream`.
Tensor random_noise(Tape& tape, Noise noise, std::int64_t rows, std::int64_t columns, std::uint32_t stream);

Tensor leaky_relu(Tape& tape, Tensor x, float slope);
/// The same, written into `y`, which may be a part of a larger activation.
void leaky_relu(Tape& tape, Tensor x, float slope, Tensor y);

/// BatchNorm over the rows with batch statistics, with `relu` the ReLU of that; scale and shift (1 x
/// columns).
Tensor batch_norm(Tape& tape, Tensor x, Tensor scale, Tensor shift, bool relu);

/// The same without ReLU, written into `y`, which may be a part of a larger activation; with what its
/// gradient reads.
struct ColumnStatistics {
  Tensor mean, inverse_deviation;
};
ColumnStatistics batch_norm(Tape& tape, Tensor x, Tensor scale, Tensor shift, Tensor y);
/// The gradient that batch_norm passes on to X, given `dy`, as a value: differentiated once more, see
/// Backend::batch_norm_double_backward. For penalties on a gradient.
Tensor batch_norm_gradient(Tape& tape, Tensor x, Tensor dy, Tensor scale, const ColumnStatistics& statistics);

/// Writes the dot products of A's rows with the blocks of B's into `y`, one column a block; see
/// Backend::row_dot.
void row_dot(Tape& tape, Tensor a, Tensor b, Tensor y);
Tensor row_dot(Tape& tape, Tensor a, Tensor b);

/// Unit rows.
Tensor row_normalize(Tape& tape, Tensor x);
/// The same, written into `y`, which may be a part of a larger activation.
void row_normalize(Tape& tape, Tensor x, Tensor y);

/// Which powers of the graph a propagation adds up, l = 0..count.
enum class Layers {
  all,       ///< sum of A^l X (SEA, Eq. 6, 7)
  mean,      ///< their mean (LightGCN, FREEDOM)
  residual,  ///< X + A^count X (SEA, Eq. 12)
  last,      ///< A^count X
};
/// count >= 1. `transposed` is A^T, which may be A itself. The graphs must live as long as the program.
Tensor propagate(Tape& tape, const CsrView& graph, const CsrView& transposed, Tensor x, std::int64_t count,
                 Layers layers);

/// A X for a constant A that need not be square, written into `y`, which may be a part of a larger
/// activation.
void spmm(Tape& tape, const CsrView& graph, const CsrView& transposed, Tensor x, Tensor y);
Tensor spmm(Tape& tape, const CsrView& graph, const CsrView& transposed, Tensor x);

/// LayerGCN's propagation: the sum of H_l, l = 1..count, with H_0 = X and each row of A H_(l-1) scaled by its
/// cosine to that of X. `graph` is symmetric.
Tensor refine_layers(Tape& tape, const CsrView& graph, Tensor x, std::int64_t count);

/// Row i scaled by weight[i, b] in its b-th of as many equal column blocks as `weight` has columns.
Tensor modality_weight(Tape& tape, Tensor x, Tensor weight);

/// A batch of triples, see BatchView, and its order, see BatchOrderView.
struct Batch {
  Indices users, positives, negatives, nodes, sources;
};
Batch make_batch(Program& program, std::int64_t batch_size);
/// Draws the triples: pairs in the epoch's order and one negative each.
void sample_batch(Tape& tape, const SamplingView& sampling, const Batch& batch);
/// Draws the triples of a batch of users.
void sample_user_batch(Tape& tape, const UserSamplingView& sampling, const Batch& batch);
/// Sorts the batch, beside what follows. In the forward, so that a batch put there by hand is sorted too.
void sort_batch(Tape& tape, const Batch& batch, std::int64_t users);
/// `count` distinct numbers out of [0, size), drawn anew in each step: a permutation where count equals size.
Indices sample_permutation(Tape& tape, RandomPurpose purpose, std::int64_t size, std::int64_t count);

/// Rows of X named by a list of the batch; rows from its count on are 0. X is a table of users or of nodes,
/// with first_node 0, or one of items, with the number of users.
Tensor gather_rows(Tape& tape, Tensor x, const Batch& batch, BatchRole role, std::int64_t first_node = 0);
/// The same, written into `y`, which may be a part of a larger activation.
void gather_rows(Tape& tape, Tensor x, const Batch& batch, BatchRole role, std::int64_t first_node, Tensor y);
/// The rows of the batch's users, positives and negatives, one below the other (3 batch size x width), of a
/// table of nodes.
Tensor gather_triples(Tape& tape, Tensor nodes, std::int64_t users, const Batch& batch);
/// The triples of these rows, sorted: for losses whose users are the first `batch_size` of them, and whose
/// items are the others.
Batch gathered_triples(Tape& tape, std::int64_t batch_size);
/// The histories of the batch's users as dense rows, see Backend::history_rows.
Tensor history_rows(Tape& tape, const CsrPatternView& history, const Batch& batch, bool inverted);

/// A graph whose values are computed in the step: its pattern, the transposed one, and for each entry of that
/// the entry of the pattern that it is. Device memory that outlives the program; entries may change between
/// epochs, up to `capacity` of them.
struct LearnedPattern {
  CsrPatternView pattern, transposed;
  ConstIndexView permutation;
  std::int64_t capacity = 0;
};
/// Values (1 x capacity) X[i] . Y[j], for every entry (i, j) of the pattern, times `mask` (1 x capacity, not
/// differentiated) where it is not empty.
Tensor sddmm(Tape& tape, const LearnedPattern& graph, Tensor mask, Tensor x, Tensor y);
/// Values v / sqrt(r_i r_j), r the row sums, see Backend::edge_normalize.
Tensor edge_normalize(Tape& tape, const LearnedPattern& graph, Tensor values);
/// S X for the graph S of these values, differentiated with respect to both.
Tensor spmm(Tape& tape, const LearnedPattern& graph, Tensor values, Tensor x);

// Losses: each adds `weight` times its value to the total, under the name given.

void bpr(Tape& tape, const std::string& name, float weight, BprSum sum, Tensor users, Tensor items,
         const Batch& batch);
void embedding_norm(Tape& tape, const std::string& name, float weight, EmbeddingNorm norm, Tensor users,
                    Tensor items, const Batch& batch);
void contrastive_alignment(Tape& tape, const std::string& name, float weight, Tensor text, Tensor visual,
                           float temperature, bool symmetric, Indices samples);
/// See Backend::matrix_norm; of the batch's rows alone where `batch_rows`.
void matrix_norm(Tape& tape, const std::string& name, float weight, Tensor x, MatrixNorm norm, double divisor,
                 bool batch_rows);
/// See Backend::reduce; of the batch's rows alone where `batch_rows`.
void reduce(Tape& tape, const std::string& name, float weight, Tensor x, Reduction reduction,
            bool batch_rows);
/// See Backend::decoder_loss; of the batch's rows.
void decoder_loss(Tape& tape, const std::string& name, float weight, Tensor cosines, float temperature);
/// See Backend::contrastive: pos(i) = positives[i], or i where they are empty; with `batch_rows` the batch's
/// count limits the queries, and the keys where they are a batch's.
void contrastive(Tape& tape, const std::string& name, float weight, Tensor queries, Tensor keys,
                 Indices positives, const ContrastiveSettings& settings, bool batch_rows);
/// 1 - the mean cosine of the batch's rows of X and of a target that no gradient flows into.
void cosine_loss(Tape& tape, const std::string& name, float weight, Tensor x, Tensor target);
/// The variational network q of CLUB (see VariationalNetworkView): its eight arrays in their order, in a
/// packed arena of their own whose gradients are fused.
struct VariationalNetwork {
  std::vector<Tensor> parameters;
  std::int64_t hidden = 0;
};
void club(Tape& tape, const std::string& name, float weight, Tensor generic, Tensor unique,
          Indices permutation, const VariationalNetwork& q);
void l2_distance(Tape& tape, const std::string& name, float weight, Tensor generic, Tensor unique);

/// Fits q on pairs of rows, `steps` Adam steps in each training step, beside what follows; reports the values
/// as terms NAME.0 .. NAME.(steps - 1).
struct FitPair {
  Tensor x, y;
};
void club_fit(Tape& tape, const std::string& name, const std::vector<FitPair>& pairs,
              const VariationalNetwork& q, std::int64_t steps);

}  // namespace sea
