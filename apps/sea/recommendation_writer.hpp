#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "data/dataset.hpp"
#include "training/recommend.hpp"

namespace sea {

/// What produces the recommendations, user by user.
using RecommendationSource = std::function<void(const std::function<void(const Recommendation&)>&)>;

/// Throws UsageError where recommendations cannot be written to `output`: it is not "-", and its ending is
/// none of .tsv, .jsonl, .npz.
void check_recommendation_file(const std::optional<std::filesystem::path>& output);

/// Writes what `source` produces to `output`, or as .tsv to stdout where it is nothing or "-". `users` and
/// `top_k` give the shape of a .npz. `any_popular` says whether some user is shown popular items: then they
/// are marked in a column of their own. Original ids stand in further columns where the data set has them.
void write_recommendations(const std::optional<std::filesystem::path>& output, const Dataset& dataset,
                           ConstIndexView users, std::int64_t top_k, bool any_popular,
                           const RecommendationSource& source);

}  // namespace sea
