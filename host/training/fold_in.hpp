#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "configuration/configuration.hpp"
#include "data/dataset.hpp"
#include "models/model.hpp"
#include "sea/backend.hpp"
#include "training/checkpoint.hpp"

namespace sea {

/// People and items that were not in training. docs/model.md says what they become in each model.
struct Newcomers {
  std::vector<std::string> people;                   ///< what they are called
  std::vector<std::vector<std::int32_t>> histories;  ///< the known items of each, ascending, distinct, some
  std::vector<HostMatrix> features;  ///< of new items, a matrix per modality that the model reads, or none

  std::int64_t items() const { return features.empty() ? 0 : features.front().rows; }
};

/// `dataset` with the newcomers behind its users and items: people in `joined`, new items as the last rows of
/// its features, where it has been read with those. Where people join, all users have names: original ids,
/// else numbers; new items are called new:0, new:1, ... where items have names.
Dataset with_newcomers(Dataset dataset, const Newcomers& newcomers);

/// A trained run, as far as its parameters are needed.
struct TrainedRun {
  const Configuration& configuration;
  std::filesystem::path best, checkpoint;  ///< its files
  std::string identity;                    ///< see RunDescription::identity
};

/// The model of `run` on its data set and newcomers: what its evaluation computes from the best parameters. A
/// trained row of a user begins, for a newcomer, as the mean over the items of the history of the mean over
/// an item's training users; one of an item as the mean of its nearest items by the features, or as the
/// features where all such rows began as those. `dataset` is the one that was trained on, with features;
/// they are freed.
std::unique_ptr<Model> fold_in(Backend& backend, const TrainedRun& run, Dataset dataset,
                               const Newcomers& newcomers, const Progress& progress);

/// `known`, and below them the representations of newcomers. People and items depend on their own histories
/// and features alone, never on who else joins.
Representations with_newcomers(Backend& backend, const TrainedRun& run, Representations known,
                               Dataset dataset, const Newcomers& newcomers, const Progress& progress);

}  // namespace sea
