#pragma once

#include <cmath>
#include <span>
#include <string>

#include "sea/detail/checks/steps.hpp"
#include "sea/error.hpp"

// What the fused losses ask of their arguments, and the fit of q. What a StepState holds lies in device
// memory, which only the CPU can read.
namespace sea::checks {

/// What losses on the rows of a batch have in common.
inline void batch_loss(const char* name, ConstMatrixView users, ConstMatrixView items, const BatchView& batch,
                       const BatchOrderView& order, ConstMatrixView d_users, ConstMatrixView d_items) {
  require(users.columns == items.columns, name, "users and items must have one width");
  require_shape(name, "d_users", d_users, users);
  require_shape(name, "d_items", d_items, items);
  batch_lists(name, batch);
  batch_order(name, order, static_cast<std::int64_t>(batch.users.size()));
}

inline void bpr(ConstMatrixView users, ConstMatrixView items, const BatchView& batch,
                const BatchOrderView& order, ConstMatrixView d_users, ConstMatrixView d_items) {
  batch_loss("bpr", users, items, batch, order, d_users, d_items);
}

inline void embedding_norm(ConstMatrixView users, ConstMatrixView items, const BatchView& batch,
                           const BatchOrderView& order, ConstMatrixView d_users, ConstMatrixView d_items) {
  batch_loss("embedding_norm", users, items, batch, order, d_users, d_items);
}

/// What losses on two equally shaped matrices have in common.
inline void pair_loss(const char* name, ConstMatrixView a, const char* b_name, ConstMatrixView b,
                      const char* d_a_name, ConstMatrixView d_a, const char* d_b_name, ConstMatrixView d_b) {
  require(!a.empty(), name, "there must be a row and a column");
  require_shape(name, b_name, b, a);
  require_shape(name, d_a_name, d_a, a);
  require_shape(name, d_b_name, d_b, a);
}

inline void contrastive_alignment(ConstMatrixView text, ConstMatrixView visual, float temperature,
                                  ConstIndexView samples, ConstMatrixView d_text, ConstMatrixView d_visual) {
  const char* name = "contrastive_alignment";
  pair_loss(name, text, "visual", visual, "d_text", d_text, "d_visual", d_visual);
  require(static_cast<std::int64_t>(samples.size()) <= text.rows, name, "there are more samples than rows");
  if (temperature >= 0.025f && std::isfinite(temperature)) return;
  throw Error(std::string(name) + ": temperature is " + std::to_string(temperature) +
              " and must be 0.025 or larger");
}

inline void club(ConstMatrixView generic, ConstMatrixView unique, ConstIndexView permutation,
                 const VariationalNetworkView& q, ConstMatrixView d_generic, ConstMatrixView d_unique) {
  const char* name = "club";
  pair_loss(name, generic, "unique", unique, "d_generic", d_generic, "d_unique", d_unique);
  require(q.hidden > 0, name, "q must have a hidden unit");
  require(q.width == generic.columns, name, "q must have the width of generic");
  require_size(name, "permutation", permutation.size(), generic.rows);
  require_size(name, "parameters", q.parameters.size(),
               VariationalNetworkView::parameter_count(q.width, q.hidden));
}

inline void club_fit(std::span<const PairView> pairs, std::int64_t hidden, ConstVectorView parameters,
                     ConstVectorView first_moment, ConstVectorView second_moment) {
  const char* name = "club_fit";
  require(pairs.size() == 1 || pairs.size() == 2, name, "there must be one pair or two");
  const ConstMatrixView shape = pairs.front().x;
  require(!shape.empty() && hidden > 0, name, "rows, columns and hidden units must be positive");
  for (const PairView& pair : pairs) {
    require_shape(name, "x", pair.x, shape);
    require_shape(name, "y", pair.y, shape);
  }
  const std::int64_t count = VariationalNetworkView::parameter_count(shape.columns, hidden);
  require_size(name, "parameters", parameters.size(), count);
  require_size(name, "first_moment", first_moment.size(), count);
  require_size(name, "second_moment", second_moment.size(), count);
}

inline void l2_distance(ConstMatrixView generic, ConstMatrixView unique, ConstMatrixView d_generic,
                        ConstMatrixView d_unique) {
  pair_loss("l2_distance", generic, "unique", unique, "d_generic", d_generic, "d_unique", d_unique);
}

inline void contrastive(ConstMatrixView queries, ConstMatrixView keys, ConstIndexView positives,
                        const ContrastiveSettings& settings, ConstMatrixView d_queries,
                        ConstMatrixView d_keys) {
  const char* name = "contrastive";
  require(!queries.empty() && keys.rows > 0, name, "there must be a query, a key and a column");
  require(settings.temperature > 0.0f && std::isfinite(settings.temperature), name,
          "the temperature must be positive");
  require(settings.epsilon >= 0.0f, name, "epsilon must not be negative");
  require_shape(name, "keys", keys, positives.empty() ? queries.rows : keys.rows, queries.columns);
  require_shape(name, "d_queries", d_queries, queries);
  require_shape(name, "d_keys", d_keys, keys);
  if (!positives.empty()) require_size(name, "positives", positives.size(), queries.rows);
}

inline void cosine_loss(ConstMatrixView x, ConstMatrixView target, ConstMatrixView dx) {
  const char* name = "cosine_loss";
  require(!x.empty(), name, "there must be a row and a column");
  require_shape(name, "target", target, x);
  require_shape(name, "dx", dx, x);
}

inline void decoder_loss(ConstMatrixView cosines, float temperature, ConstMatrixView d_cosines) {
  const char* name = "decoder_loss";
  require(cosines.rows > 0, name, "there must be a row");
  require_shape(name, "cosines", cosines, cosines.rows, 3);
  require_shape(name, "d_cosines", d_cosines, cosines);
  require(temperature > 0.0f, name, "the temperature must be positive");
}

}  // namespace sea::checks
