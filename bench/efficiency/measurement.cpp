#include "efficiency/measurement.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "configuration/registry.hpp"
#include "support/device_memory.hpp"
#include "support/timing.hpp"
#include "training/device.hpp"
#include "training/evaluation.hpp"
#include "training/trainer.hpp"

namespace sea::bench {

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Steps of a model behind its pretraining, one after the other, with what it does at the start of an epoch.
class Steps {
 public:
  Steps(Model& model, std::int64_t per_epoch) : model_(model), per_epoch_(per_epoch) {}
  void run(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i, ++done_) {
      const std::int64_t epoch = model_.schedule.pretraining_epochs + done_ / per_epoch_;
      if (done_ % per_epoch_ == 0) model_.begin_epoch(epoch);
      model_.step(epoch, done_ % per_epoch_);
    }
    model_.program.backend().synchronize();
  }

 private:
  Model& model_;
  std::int64_t per_epoch_, done_ = 0;
};

}  // namespace

nlohmann::ordered_json measure_epoch(const MeasurementRequest& request) {
  ConfigurationRequest wanted;
  wanted.model = request.model;
  wanted.device = request.device;
  wanted.threads = std::to_string(request.threads);
  const Configuration configuration = resolve_configuration(wanted);
  const Device device = open_device(configuration.text("device"), configuration.integer("threads"),
                                    configuration.text("matmul_precision"));
  Backend& backend = *device.backend;
  Dataset dataset = load_dataset(request.data, dataset_files(configuration));
  const std::unique_ptr<Model> model =
      configuration.model().build(backend, dataset, configuration, [](const std::string&) {});
  Evaluator evaluator(backend, model->sampling.view().history, {&dataset.valid, &dataset.test},
                      metric_cutoffs(configuration), configuration.integer("eval_batch_size"),
                      model->users.columns, scorer_of(configuration.model().score));

  const std::int64_t batches = model->schedule.steps;
  const std::int64_t measured = request.batches > 0 ? std::min(request.batches, batches) : batches;
  Steps steps(*model, batches);
  const bench::Timing warmup = bench::timing_of_steps(device.name != "cpu", {}, {});
  Clock::time_point start = Clock::now();
  do {
    steps.run(warmup.warmup);  // a backend that replays its steps records them after the first
  } while (since(start) < warmup.warmup_seconds);
  start = Clock::now();
  const std::clock_t processor_start = std::clock();
  steps.run(measured);
  const double seconds = since(start);
  const double processor_seconds = static_cast<double>(std::clock() - processor_start) / CLOCKS_PER_SEC;

  start = Clock::now();
  model->evaluate();
  static_cast<void>(
      evaluator.evaluate(model->program.value(model->users), model->program.value(model->items)));
  const double evaluation_seconds = since(start);

  nlohmann::ordered_json result;
  result["model"] = request.model;
  result["device"] = device.name;
  result["backend"] = backend.description();
  result["threads"] = device.threads;
  result["batches_per_epoch"] = batches;
  result["batches_measured"] = measured;
  result["scaled"] = measured < batches;
  const double scale = static_cast<double>(batches) / static_cast<double>(measured);
  result["seconds_per_epoch"] = seconds * scale;
  result["processor_seconds_per_epoch"] = processor_seconds * scale;
  result["evaluation_seconds"] = evaluation_seconds;
  const DeviceMemory memory = peak_memory(backend);
  result["memory_bytes"] = memory.bytes;
  if (memory.library_bytes) result["library_bytes"] = *memory.library_bytes;
  if (memory.context_bytes) result["context_bytes"] = *memory.context_bytes;
  return result;
}

}  // namespace sea::bench
