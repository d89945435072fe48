#include "training/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/features.hpp"
#include "sea/error.hpp"
#include "training/peak_memory.hpp"

namespace sea {

namespace {

using Seconds = std::chrono::duration<double>;
constexpr double seconds_between_reports = 0.1;

nlohmann::ordered_json metrics_line(const EpochRecord& record) {
  nlohmann::ordered_json line, losses;
  for (const auto& [name, mean] : record.losses) losses[name] = mean;
  line["epoch"] = record.epoch;
  line["train_loss"] = losses;
  line["train_seconds"] = record.train_seconds;
  line["eval_seconds"] = record.eval_seconds;
  line["peak_memory_bytes"] = record.device_peak_memory.value_or(record.peak_memory);
  if (record.device_peak_memory) line["host_peak_memory_bytes"] = record.peak_memory;
  if (record.valid) line["valid"] = to_json(*record.valid);
  if (record.test) line["test"] = to_json(*record.test);
  return line;
}

std::string text_of(const LossMeans& losses) {
  std::string text;
  for (const auto& [name, mean] : losses)
    text += fmt::format("{}{} {:.4g}", text.empty() ? "" : ", ", name, mean);
  return text;
}

bool finite(Backend& backend, ConstMatrixView matrix) {
  if (backend.host_readable()) return !find_not_finite(matrix);
  const HostMatrix copy = to_host(backend, matrix);
  return !find_not_finite(copy.view());
}

}  // namespace

std::vector<std::int64_t> metric_cutoffs(const Configuration& configuration) {
  std::vector<std::int64_t> cutoffs = configuration.cutoffs("topk");
  cutoffs.push_back(parse_metric(configuration.text("valid_metric"))->cutoff);
  std::sort(cutoffs.begin(), cutoffs.end());
  cutoffs.erase(std::unique(cutoffs.begin(), cutoffs.end()), cutoffs.end());
  return cutoffs;
}

bool stops_early(const Dataset& dataset, const Configuration& configuration) {
  if (dataset.valid.nonzeros() > 0) return may_stop_early(configuration);
  if (configuration.is_set("epochs")) return false;
  throw UsageError(
      fmt::format("{}: has no validation pairs, so early stopping is off: epochs must be given, as in "
                  "--epochs 50",
                  dataset.folder.string()));
}

Trainer::Trainer(Model& model, const Dataset& dataset, const Configuration& configuration, RunFolder& folder)
    : model_(model),
      folder_(folder),
      epochs_(configuration.integer("epochs")),
      eval_step_(configuration.integer("eval_step")),
      pretraining_epochs_(model.schedule.pretraining_epochs),
      valid_metric_(parse_metric(configuration.text("valid_metric"))->key()),
      checkpoint_seconds_(configuration.number("checkpoint_seconds")),
      cutoffs_(metric_cutoffs(configuration)),
      stops_early_(stops_early(dataset, configuration)),
      has_valid_(dataset.valid.nonzeros() > 0),
      has_test_(dataset.test.nonzeros() > 0),
      evaluator_(model.program.backend(), model.sampling.view().history, {&dataset.valid, &dataset.test},
                 cutoffs_, configuration.integer("eval_batch_size"), model.users.columns,
                 scorer_of(configuration.model().score)),
      state_{0, EarlyStopping(configuration.integer("stopping_step")), {}, {}},
      last_save_(Clock::now()) {}

double Trainer::restore() {
  std::int64_t epochs = 0;
  if (std::filesystem::exists(folder_.checkpoint_file())) {
    read_checkpoint(folder_.checkpoint_file(), folder_.identity(), model_, state_, best_);
    epochs = state_.epochs;
    // The best of another day may have been written after the checkpoint that is gone on from.
    best_is_written_ = best_.empty();
  }
  return folder_.cut_metrics(epochs);
}

void Trainer::require_space() const {
  // Beside the two files stands, while it is written, the next version of one.
  if (!std::filesystem::exists(folder_.checkpoint_file()))
    folder_.require_space(2 * checkpoint_bytes(model_) + best_bytes(model_));
}

TrainingResult Trainer::run(const TrainingCallbacks& callbacks) {
  const auto stop_requested = [&] { return callbacks.stop_requested && callbacks.stop_requested(); };
  last_save_ = Clock::now();
  std::int64_t first_step = model_.program.step_state().download().front().first /
                            model_.schedule.step_of(state_.epochs).batch_size();
  while (state_.epochs < pretraining_epochs_ + epochs_ && !state_.stopping.stop()) {
    if (stop_requested()) {
      save();
      return result(StoppedBy::request);
    }
    EpochRecord record;
    record.epoch = state_.epochs;
    if (!train_epoch(first_step, callbacks, record)) {
      save();
      return result(StoppedBy::request);
    }
    first_step = 0;
    const std::int64_t trained = record.epoch + 1 - pretraining_epochs_;
    const bool last = !stops_early_ && trained == epochs_;
    if (trained > 0 && (trained % eval_step_ == 0 || last)) evaluate(record);
    model_.program.losses().reset_sums();
    record.peak_memory = peak_memory_bytes();
    if (callbacks.device_peak_memory) record.device_peak_memory = callbacks.device_peak_memory();
    folder_.append_metrics(metrics_line(record));
    folder_.keep();
    ++state_.epochs;
    if (callbacks.on_epoch) callbacks.on_epoch(record);
    if (checkpoint_is_due()) save();
  }
  save();
  return result(state_.stopping.stop() ? StoppedBy::early_stopping : StoppedBy::epochs);
}

bool Trainer::train_epoch(std::int64_t first_step, const TrainingCallbacks& callbacks, EpochRecord& record) {
  const Clock::time_point start = Clock::now();
  Clock::time_point last_report = start;
  model_.begin_epoch(record.epoch);
  const Step& kind = model_.schedule.step_of(record.epoch);
  batch_ = kind.batch_size();
  steps_ = model_.schedule.steps_of(record.epoch);
  for (std::int64_t step = first_step; step < steps_; ++step) {
    note_capture(model_.step(record.epoch, step), callbacks);
    // After the last step the evaluation belongs to the epoch: nothing is saved in between.
    if (step + 1 == steps_) break;
    if (callbacks.on_progress && Seconds(Clock::now() - last_report).count() >= seconds_between_reports) {
      EpochProgress progress;
      progress.epoch = record.epoch;
      progress.step = step + 1;
      report(progress, callbacks, start, first_step);
      last_report = Clock::now();
    }
    if (callbacks.stop_requested && callbacks.stop_requested()) return false;
    if (checkpoint_is_due()) save();
  }
  record.losses = finite_losses(steps_);  // waits for the steps
  record.train_seconds = Seconds(Clock::now() - start).count();
  record.samples_per_second =
      static_cast<double>(kind.pairs() - first_step * batch_) / std::max(record.train_seconds, 1e-9);
  return true;
}

void Trainer::note_capture(const Step& step, const TrainingCallbacks& callbacks) {
  if (step.capture_error().empty() || std::exchange(capture_noted_, true)) return;
  if (callbacks.on_notice) {
    callbacks.on_notice(
        fmt::format("a step could not be captured, and runs operator by operator: {}", step.capture_error()));
  }
}

void Trainer::report(const EpochProgress& at, const TrainingCallbacks& callbacks, Clock::time_point start,
                     std::int64_t first_step) {
  EpochProgress progress = at;
  progress.steps = steps_;
  progress.losses = finite_losses(progress.step);
  const double seconds = std::max(Seconds(Clock::now() - start).count(), 1e-9);
  const double steps_per_second = static_cast<double>(progress.step - first_step) / seconds;
  progress.samples_per_second = steps_per_second * static_cast<double>(batch_);
  progress.seconds_left = static_cast<double>(steps_ - progress.step) / steps_per_second;
  callbacks.on_progress(progress);
}

void Trainer::evaluate(EpochRecord& record) {
  const Clock::time_point start = Clock::now();
  Program& program = model_.program;
  model_.evaluate();
  const MatrixView users = program.value(model_.users), items = program.value(model_.items);
  program.backend().synchronize();
  if (!(finite(program.backend(), users) && finite(program.backend(), items))) {
    throw Error(
        fmt::format("epoch {}: the training diverged: a representation is not finite; lower learning_rate",
                    record.epoch));
  }
  if (has_valid_ || has_test_) {
    const std::vector<Metrics> metrics = evaluator_.evaluate(users, items);
    if (has_valid_) record.valid = metrics[0];
    if (has_test_) record.test = metrics[1];
  }
  record.best = !stops_early_ || state_.stopping.update(record.epoch, record.valid->at(valid_metric_));
  if (!stops_early_) state_.stopping.take_latest(record.epoch);
  if (record.best) {
    state_.best_valid = record.valid.value_or(Metrics());
    state_.best_test = record.test.value_or(Metrics());
    best_.take(model_);
    best_is_written_ = false;
  }
  record.eval_seconds = Seconds(Clock::now() - start).count();
}

LossMeans Trainer::finite_losses(std::int64_t steps) const {
  LossMeans losses = loss_means(model_.program.losses().names(), model_.program.losses().download_sums(),
                                static_cast<double>(steps));
  for (const auto& [name, mean] : losses) {
    if (!std::isfinite(mean)) {
      throw Error(
          fmt::format("epoch {}: the training diverged: a loss is not finite ({}); lower learning_rate",
                      state_.epochs, text_of(losses)));
    }
  }
  return losses;
}

bool Trainer::checkpoint_is_due() const {
  return Seconds(Clock::now() - last_save_).count() >= checkpoint_seconds_;
}

void Trainer::save() {
  finite_losses(1);  // a state that has diverged does not take the place of one that had not
  if (!best_is_written_) {
    write_best(folder_.best_file(), folder_.identity(), model_, state_, best_);
    best_is_written_ = true;
  }
  folder_.flush_metrics();
  write_checkpoint(folder_.checkpoint_file(), folder_.identity(), model_, state_, best_);
  folder_.keep();
  last_save_ = Clock::now();
}

TrainingResult Trainer::result(StoppedBy stopped_by) const {
  return {stopped_by, state_.stopping.best_epoch(),
          std::max<std::int64_t>(state_.epochs - pretraining_epochs_, 0), state_.best_valid,
          state_.best_test};
}

}  // namespace sea
