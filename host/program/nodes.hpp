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

/// One reader of a factored linear layer: weight (outputs x width), bias (1 x outputs).
struct Reader {
  Tensor weight, bias;
  std::int64_t first_column = 0;
};
/// The outputs of `readers`, side by side in their order, on top of X W^T + b, which is never formed.
/// `weight` (width x in) is in an arena with fused gradients: its Adam step is part of the update.
Tensor factored_linear(Tape& tape, Tensor x, Tensor weight, Tensor bias, const std::vector<Reader>& readers);

/// Writes X into `y`, which may be a part of a larger activation.
void copy(Tape& tape, Tensor x, Tensor y);

/// Writes A + B into `y`, which may be a part of a larger activation.
void add(Tape& tape, Tensor a, Tensor b, Tensor y);

Tensor leaky_relu(Tape& tape, Tensor x, float slope);

/// BatchNorm over the rows with batch statistics, then ReLU; scale and shift (1 x columns).
Tensor batch_norm_relu(Tape& tape, Tensor x, Tensor scale, Tensor shift);

/// Writes unit rows into `y`, which may be a part of a larger activation.
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
/// Sorts the batch, beside what follows. In the forward, so that a batch put there by hand is sorted too.
void sort_batch(Tape& tape, const Batch& batch, std::int64_t users);
/// `count` distinct numbers out of [0, size), drawn anew in each step: a permutation where count equals size.
Indices sample_permutation(Tape& tape, RandomPurpose purpose, std::int64_t size, std::int64_t count);

// Losses: each adds `weight` times its value to the total, under the name given.

void bpr(Tape& tape, const std::string& name, float weight, BprSum sum, Tensor users, Tensor items,
         const Batch& batch);
void embedding_norm(Tape& tape, const std::string& name, float weight, EmbeddingNorm norm, Tensor users,
                    Tensor items, const Batch& batch);
void contrastive_alignment(Tape& tape, const std::string& name, float weight, Tensor text, Tensor visual,
                           float temperature, bool symmetric, Indices samples);
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
