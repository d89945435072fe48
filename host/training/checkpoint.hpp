#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/host_matrix.hpp"
#include "data/safetensors.hpp"
#include "models/model.hpp"
#include "training/early_stopping.hpp"
#include "training/metrics.hpp"
#include "training/scorer.hpp"

namespace sea {

/// Parameters and representations at the best epoch so far, in host memory: the one copy of them.
struct BestModel {
  std::vector<std::vector<float>> parameters;  ///< parallel to Program::parameters
  HostMatrix users, items;

  bool empty() const { return parameters.empty(); }
  /// Copies what the model holds after `evaluate`.
  void take(const Model& model);
};

/// Where a training stands between two steps, beside the model's parameters and moments.
struct TrainingState {
  std::int64_t epochs = 0;  ///< finished, evaluated, and written to metrics.jsonl
  EarlyStopping stopping;
  Metrics best_valid, best_test;
};

/// What the two files will take on the disk, in bytes.
std::int64_t checkpoint_bytes(const Model& model);
std::int64_t best_bytes(const Model& model);

/// Writes a checkpoint: parameters ("parameters/NAME") and Adam's moments ("first_moments/NAME",
/// "second_moments/NAME"), untrained arrays ("states/NAME"), the representations that the parameters give
/// ("user_embeddings", "item_embeddings"), the best model ("best/..."), and as metadata the step, the sums of
/// the losses and `state`. Runs the evaluation tape. Two trainings at the same point write the same bytes.
void write_checkpoint(const std::filesystem::path& file, const std::string& identity, Model& model,
                      const TrainingState& state, const BestModel& best);

/// Reads one back. Throws Error where it is damaged, or was not written by the run of this identity.
void read_checkpoint(const std::filesystem::path& file, const std::string& identity, Model& model,
                     TrainingState& state, BestModel& best);

/// Writes the best model: every parameter under its own name, "user_embeddings" and "item_embeddings".
void write_best(const std::filesystem::path& file, const std::string& identity, const Model& model,
                const TrainingState& state, const BestModel& best);

/// Reads the best model's parameters into `model`. Throws Error where `file` is damaged, is no such file of
/// the run of this identity, or lacks one of them.
void read_best(const std::filesystem::path& file, const std::string& identity, Model& model);

/// The arrays of a checkpoint or of the best model. Throws Error where `file` is missing, damaged, or not of
/// the run of this identity.
Safetensors read_arrays(const std::filesystem::path& file, const std::string& identity);

/// User and item representations, of which a Scorer makes scores.
struct Representations {
  HostMatrix users, items;
};
/// Those of a checkpoint or of the best model. Throws Error where `file` is damaged, is not of the run of
/// this identity, or does not have the columns that the scorer reads.
Representations read_representations(const std::filesystem::path& file, const std::string& identity,
                                     const Scorer& scorer = scorer_of(Score::dot));

}  // namespace sea
