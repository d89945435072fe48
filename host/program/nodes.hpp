#pragma once

#include <string>
#include <vector>

#include "program/program.hpp"

namespace sea {

// The operations a model is composed of. Each records one Node whose backward is written by hand from the
// backend's operators; see backend.hpp for the mathematics.

/// X W^T + bias; weight (out x in), bias (1 x out).
Tensor linear(Program& program, Tensor x, Tensor weight, Tensor bias);
/// The same, written into `y`, which may be a part of a larger activation.
void linear(Program& program, Tensor x, Tensor weight, Tensor bias, Tensor y);

/// One reader of a factored linear layer: weight (outputs x width), bias (1 x outputs).
struct Reader {
  Tensor weight, bias;
  std::int64_t first_column = 0;
};
/// The outputs of `readers`, side by side in their order, on top of X W^T + b, which is never formed.
/// `weight` is a fused parameter (width x in): its Adam step is part of the update.
Tensor factored_linear(Program& program, Tensor x, Tensor weight, Tensor bias,
                       const std::vector<Reader>& readers);

/// Writes X into `y`, which may be a part of a larger activation.
void copy(Program& program, Tensor x, Tensor y);

/// Writes A + B into `y`, which may be a part of a larger activation.
void add(Program& program, Tensor a, Tensor b, Tensor y);

Tensor leaky_relu(Program& program, Tensor x, float slope);

/// BatchNorm over the rows with batch statistics, then ReLU where asked; scale and shift (1 x columns).
Tensor batch_norm(Program& program, Tensor x, Tensor scale, Tensor shift, bool relu);

/// Writes unit rows into `y`, which may be a part of a larger activation.
void row_normalize(Program& program, Tensor x, Tensor y);

/// Which powers of the graph a propagation adds up, l = 0..count.
enum class Layers {
  all,       ///< sum of A^l X (SEA, Eq. 6, 7)
  mean,      ///< their mean (LightGCN, FREEDOM)
  residual,  ///< X + A^count X (SEA, Eq. 12)
  last,      ///< A^count X
};
/// count >= 1. `transposed` is A^T, which may be A itself. Where `represented` is given, `represent` reads it
/// in place of A: evaluation on the whole of a graph of which training sees a part. The graphs must live as
/// long as the program.
Tensor propagate(Program& program, const CsrView& graph, const CsrView& transposed, Tensor x,
                 std::int64_t count, Layers layers, const CsrView& represented = {});

/// LayerGCN's propagation: the sum of H_l, l = 1..count, with H_0 = X and each row of A H_(l-1) scaled by its
/// cosine to that of X. `graph` is symmetric; `represented` as for `propagate`.
Tensor refine_layers(Program& program, const CsrView& graph, Tensor x, std::int64_t count,
                     const CsrView& represented = {});

/// Row i scaled by weight[i, b] in its b-th of as many equal column blocks as `weight` has columns.
Tensor modality_weight(Program& program, Tensor x, Tensor weight);

/// The device arrays of a batch, drawn anew in each `sample`.
struct Batch {
  BatchView triples;
  BatchOrderView order;
};
/// Draws a batch of `batch_size` pairs and one negative each.
Batch sample_batch(Program& program, const SamplingView& sampling, std::uint64_t seed,
                   std::int64_t batch_size, std::int64_t users);
/// `count` distinct numbers out of [0, size), drawn anew in each step: a permutation where count equals size.
IndexView sample_permutation(Program& program, std::uint64_t seed, RandomPurpose purpose, std::int64_t size,
                             std::int64_t count);

// Losses: each adds `weight` times its value to the total, under the name given.

void bpr(Program& program, const std::string& name, float weight, BprSum sum, Tensor users, Tensor items,
         const Batch& batch);
void embedding_norm(Program& program, const std::string& name, float weight, EmbeddingNorm norm, Tensor users,
                    Tensor items, const Batch& batch);
void contrastive_alignment(Program& program, const std::string& name, float weight, Tensor text,
                           Tensor visual, float temperature, bool symmetric, ConstIndexView samples);
void club(Program& program, const std::string& name, float weight, Tensor generic, Tensor unique,
          ConstIndexView permutation, int fitted_q, std::int64_t hidden);
void l2_distance(Program& program, const std::string& name, float weight, Tensor generic, Tensor unique);

/// Fits q (see Program::fitted_parameters) on pairs of rows, `steps` Adam steps in each `fit`; reports the
/// values as terms NAME.0 .. NAME.(steps - 1).
struct FitPair {
  Tensor x, y;
};
void club_fit(Program& program, const std::string& name, const std::vector<FitPair>& pairs, int fitted_q,
              std::int64_t hidden, std::int64_t steps, const AdamSettings& settings);

}  // namespace sea
