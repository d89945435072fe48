#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "configuration/configuration.hpp"
#include "data/dataset.hpp"
#include "models/model.hpp"
#include "training/checkpoint.hpp"
#include "training/epoch_losses.hpp"
#include "training/evaluation.hpp"
#include "training/run_folder.hpp"

namespace sea {

/// Where an epoch stands, several times a second.
struct EpochProgress {
  std::int64_t epoch = 0;
  std::int64_t step = 0, steps = 0;  ///< steps of this epoch done, and in all
  double samples_per_second = 0.0;   ///< training pairs
  double seconds_left = 0.0;         ///< of the epoch
  LossMeans losses;                  ///< means over the steps done
};

/// An epoch that has ended.
struct EpochRecord {
  std::int64_t epoch = 0;
  LossMeans losses;
  double train_seconds = 0.0, eval_seconds = 0.0;
  double samples_per_second = 0.0;
  std::int64_t peak_memory = 0;                    ///< bytes, of the process
  std::optional<std::int64_t> device_peak_memory;  ///< bytes, where it computes on a GPU
  std::optional<Metrics> valid, test;              ///< where the epoch was evaluated and the split has pairs
  bool best = false;
};

struct TrainingCallbacks {
  std::function<void(const EpochProgress&)> on_progress = {};
  std::function<void(const EpochRecord&)> on_epoch = {};
  /// One line that a person should see, at most once a training.
  std::function<void(const std::string&)> on_notice = {};
  /// Asked after every step; where it is true, the state is saved and the training ends.
  std::function<bool()> stop_requested = {};
  /// Device::peak_memory
  std::function<std::int64_t()> device_peak_memory = {};
};

enum class StoppedBy { early_stopping, epochs, request };

struct TrainingResult {
  StoppedBy stopped_by = StoppedBy::epochs;
  std::int64_t best_epoch = -1;
  std::int64_t epochs_run = 0;  ///< without those of a pretraining
  Metrics valid, test;          ///< of the best epoch; empty where the split has no pair
};

/// Trains a model into a run's folder: epochs, evaluation, early stopping, checkpoints.
class Trainer {
 public:
  /// All must live as long. `configuration` is that of the run.
  Trainer(Model& model, const Dataset& dataset, const Configuration& configuration, RunFolder& folder);

  /// Goes on from the folder's checkpoint, where there is one; returns the seconds that the epochs before it
  /// took. Throws Error where it is damaged or foreign.
  double restore();

  /// Throws Error where the disk has not room enough for the checkpoints to come.
  void require_space() const;

  /// Trains to the end, or until asked to stop. Throws Error where the loss is no longer finite, and where
  /// the disk is full.
  TrainingResult run(const TrainingCallbacks& callbacks);

 private:
  using Clock = std::chrono::steady_clock;

  void note_capture(const Step& step, const TrainingCallbacks& callbacks);
  bool train_epoch(std::int64_t first_step, const TrainingCallbacks& callbacks, EpochRecord& record);
  void evaluate(EpochRecord& record);
  void report(const EpochProgress& progress, const TrainingCallbacks& callbacks, Clock::time_point start,
              std::int64_t first_step);
  void save();
  bool checkpoint_is_due() const;
  LossMeans finite_losses(std::int64_t steps) const;
  TrainingResult result(StoppedBy stopped_by) const;

  Model& model_;
  RunFolder& folder_;
  std::int64_t epochs_, eval_step_, pretraining_epochs_;
  std::int64_t batch_ = 0, steps_ = 0;  ///< of the epoch at hand
  std::string valid_metric_;
  double checkpoint_seconds_;
  std::vector<std::int64_t> cutoffs_;
  bool stops_early_, has_valid_, has_test_;
  Evaluator evaluator_;
  TrainingState state_;
  BestModel best_;
  bool best_is_written_ = true;
  bool capture_noted_ = false;
  Clock::time_point last_save_;
};

/// Whether early stopping may end this training and keeps its best epoch; else the last epoch is kept. Throws
/// UsageError where there are no validation pairs and nobody has said for how many epochs to train.
bool stops_early(const Dataset& dataset, const Configuration& configuration);

/// The cut-offs a configuration asks for: those of `topk` and that of `valid_metric`, ascending.
std::vector<std::int64_t> metric_cutoffs(const Configuration& configuration);

}  // namespace sea
