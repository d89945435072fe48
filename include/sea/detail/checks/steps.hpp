#pragma once

#include <algorithm>
#include <span>

#include "sea/detail/checks/common.hpp"

// What the operators of "steps and sampling" and of "optimisation" ask of their arguments.
namespace sea::checks {

/// A batch's lists, and the order of its nodes.
inline void batch_lists(const char* name, const BatchView& batch) {
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  require_size(name, "positives", batch.positives.size(), batch_size);
  require_size(name, "negatives", batch.negatives.size(), batch_size);
}
inline void batch_order(const char* name, const BatchOrderView& order, std::int64_t batch_size) {
  require_size(name, "nodes", order.nodes.size(), 3 * batch_size);
  require_size(name, "sources", order.sources.size(), 3 * batch_size);
}

inline constexpr std::size_t most_optimizers = 8;

inline void advance_step(std::int64_t pairs, std::int64_t batch_size,
                         std::span<OptimizerState* const> optimizers) {
  const char* name = "advance_step";
  require(pairs > 0, name, "there must be at least one pair");
  require(batch_size > 0, name, "the batch size must be at least 1");
  require(optimizers.size() <= most_optimizers, name, "there are at most 8 optimizers");
  for (std::size_t i = 0; i < optimizers.size(); ++i) {
    require(optimizers[i] != nullptr && std::find(optimizers.begin(), optimizers.begin() + i,
                                                  optimizers[i]) == optimizers.begin() + i,
            name, "the optimizers must be all different, and none null");
  }
}

inline void sample_batch(const SamplingView& sampling, const BatchView& batch) {
  const char* name = "sample_batch";
  require_size(name, "pair_items", sampling.pair_items.size(),
               static_cast<std::int64_t>(sampling.pair_users.size()));
  batch_lists(name, batch);
  require(!sampling.candidates.empty(), name, "there must be at least one candidate");
  require(sampling.pair_users.size() < std::size_t{1} << 31, name, "there must be fewer than 2^31 pairs");
}

inline void sample_user_batch(const UserSamplingView& sampling, const BatchView& batch) {
  const char* name = "sample_user_batch";
  batch_lists(name, batch);
  require(!sampling.users.empty(), name, "there must be at least one user");
}

inline void sort_batch(const BatchView& batch, std::int64_t users, const BatchOrderView& order) {
  const char* name = "sort_batch";
  batch_lists(name, batch);
  batch_order(name, order, static_cast<std::int64_t>(batch.users.size()));
  require(order.nodes.size() < std::size_t{1} << 31, name, "a batch must have fewer than 2^31 / 3 triples");
  require(users >= 0 && users < std::int64_t{1} << 31, name, "there must be 0 to 2^31 - 1 users");
}

inline void permutation(std::int64_t size, ConstIndexView output) {
  const auto count = static_cast<std::int64_t>(output.size());
  require(count >= 1 && count <= size && size < std::int64_t{1} << 31, "permutation",
          "must have 1 <= output.size() <= size < 2^31");
}

inline void adam(ConstVectorView parameters, ConstVectorView gradients, ConstVectorView first_moment,
                 ConstVectorView second_moment) {
  const char* name = "adam";
  const auto count = static_cast<std::int64_t>(parameters.size());
  if (!gradients.empty()) require_size(name, "gradients", gradients.size(), count);
  require_size(name, "first_moment", first_moment.size(), count);
  require_size(name, "second_moment", second_moment.size(), count);
}

inline void accumulate_losses(ConstVectorView terms, ConstVectorView weights, std::span<const double> sums) {
  const char* name = "accumulate_losses";
  require(!terms.empty(), name, "terms must have at least the total");
  const auto count = static_cast<std::int64_t>(terms.size());
  require_size(name, "weights", weights.size(), count - 1);
  require_size(name, "sums", sums.size(), count);
}

}  // namespace sea::checks
