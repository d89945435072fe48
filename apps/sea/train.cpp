#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "command.hpp"
#include "commands.hpp"
#include "configuration/registry.hpp"
#include "data/dataset.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "run_data.hpp"
#include "sea/error.hpp"
#include "tables.hpp"
#include "training/device.hpp"
#include "training/run_folder.hpp"
#include "training/run_result.hpp"
#include "training/signals.hpp"
#include "training/trainer.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct TrainOptions {
  fs::path data;
  ConfigurationRequest request;
  std::optional<fs::path> output;
  bool resume = false, quiet = false;
};

/// The command line that goes on with `run`, and with the seeds after it.
std::vector<std::string> words_to_go_on(const TrainOptions& options, const fs::path& run) {
  const ConfigurationRequest& request = options.request;
  if (!request.seed || request.seed->find(',') == std::string::npos)
    return {"train", options.data, "--resume", "--output", run};
  // Seeds that have not begun yet know nothing but what is said again.
  std::vector<std::string> words = {"train", options.data, "--resume"};
  const auto add = [&](const char* option, const std::optional<std::string>& value) {
    if (value) words.insert(words.end(), {option, *value});
  };
  add("--output", options.output);
  add("--model", request.model);
  add("--config", request.config);
  for (const std::string& assignment : request.assignments) add("--set", assignment);
  add("--seed", request.seed);
  add("--epochs", request.epochs);
  add("--device", request.device);
  add("--threads", request.threads);
  return words;
}

class SeedTraining {
 public:
  SeedTraining(const TrainOptions& options, const ConfigurationRequest& request, fs::path run,
               SignalGuard& signals)
      : options_(options), request_(request), run_(std::move(run)), signals_(signals) {}

  /// Throws ExitCode where a signal ended it.
  TrainingResult operator()();

 private:
  static std::vector<std::string> notices(const Dataset& dataset, const Model& model,
                                          const Configuration& configuration);
  void notice(const std::string& text) const {
    if (!options_.quiet) print_notice(text);
  }
  Configuration resume_configuration();
  std::optional<TrainingResult> finished_before(const Configuration& configuration) const;
  TrainingResult train(const Configuration& configuration);

  const TrainOptions& options_;
  const ConfigurationRequest& request_;
  fs::path run_;
  SignalGuard& signals_;
  Clock::time_point start_ = Clock::now();
  double seconds_before_ = 0.0;
  std::unique_ptr<RunFolder> folder_;
  std::optional<std::string> fingerprint_;  ///< of the run that is gone on with
};

/// The configuration of a run that is gone on with: what may change has changed, anything else is refused.
Configuration SeedTraining::resume_configuration() {
  const RunDescription before = read_run(run_);
  fingerprint_ = before.fingerprint;
  return sea::resume_configuration(request_, before.configuration, run_, {"epochs", "device", "threads"});
}

std::optional<TrainingResult> SeedTraining::finished_before(const Configuration& configuration) const {
  const std::optional<RunResult> result = read_result(folder_->path());
  if (!result) return {};
  const bool early = result->training.stopped_by == StoppedBy::early_stopping;
  if (!early && result->training.epochs_run < configuration.integer("epochs")) return {};
  return result->training;
}

TrainingResult SeedTraining::operator()() {
  const bool free = is_free(run_);
  if (free && options_.resume) notice(fmt::format("{}: there is no run yet; it starts now", run_.string()));
  if (!fs::exists(run_)) return train(resolve_configuration(request_));
  if (!free && !options_.resume) {
    throw Error(
        fs::exists(run_ / "config.json")
            ? fmt::format("{}: is there already; go on with it by --resume, or name another --output",
                          run_.string())
            : fmt::format("{}: is there already and not empty; name another --output", run_.string()));
  }
  refuse_folder_of_runs(run_);
  folder_ = std::make_unique<RunFolder>(run_);
  const Configuration configuration =
      folder_->has_description() ? resume_configuration() : resolve_configuration(request_);
  if (const std::optional<TrainingResult> finished = finished_before(configuration)) {
    notice(fmt::format("{}: is finished; nothing is left to train", run_.string()));
    return *finished;
  }
  return train(configuration);
}

/// What is accepted but deserves a sentence.
std::vector<std::string> SeedTraining::notices(const Dataset& dataset, const Model& model,
                                               const Configuration& configuration) {
  std::vector<std::string> texts = dataset.notices;
  if (dataset.valid.nonzeros() == 0)
    texts.push_back(
        fmt::format("there are no validation pairs: early stopping is off, and the last epoch is kept{}",
                    dataset.test.nonzeros() == 0 ? "; there are no test pairs either" : ""));
  else if (dataset.test.nonzeros() == 0)
    texts.emplace_back("there are no test pairs: metrics are those of validation");
  if (model.sampling.dropped_pairs() > 0) {
    texts.push_back(fmt::format("{} training pairs have no negative: their users have every training item",
                                model.sampling.dropped_pairs()));
  }
  if (configuration.integer("train_batch_size") > model.sampling.pairs()) {
    texts.push_back(
        fmt::format("train_batch_size is {}, more than the {} training pairs: an epoch is one step",
                    configuration.integer("train_batch_size"), model.sampling.pairs()));
  }
  return texts;
}

TrainingResult SeedTraining::train(const Configuration& configuration) {
  const ModelDescription& kind = configuration.model();
  const Device device = open_device(configuration.text("device"), configuration.integer("threads"),
                                    configuration.text("matmul_precision"));
  ProgressDisplay display(options_.quiet, parse_metric(configuration.text("valid_metric"))->key());
  Dataset dataset = load_training_data(options_.data, configuration);
  if (fingerprint_ && *fingerprint_ != dataset.fingerprint) {
    throw Error(fmt::format("--resume: {} is not the data that {} was trained on", options_.data.string(),
                            run_.string()));
  }
  const RunDescription description{configuration, fs::canonical(options_.data), dataset.fingerprint,
                                   dataset.interactions_fingerprint, dataset.ids_fingerprint};
  stops_early(dataset, configuration);  // where epochs are missing, that is said before the model is built
  const std::unique_ptr<Model> model = kind.build(*device.backend, dataset, configuration,
                                                  [&](const std::string& what) { display.show_stage(what); });

  signals_.defer();
  const bool goes_on = folder_ != nullptr;
  if (!goes_on) folder_ = std::make_unique<RunFolder>(run_, description);
  folder_->set_identity(description);
  Trainer trainer(*model, dataset, configuration, *folder_);
  trainer.require_space();
  if (goes_on) {
    seconds_before_ = trainer.restore();
    folder_->describe(description);
    folder_->remove_result();
  }
  // Only now, so that a command that fails before has said nothing but why.
  if (!device.notice.empty()) notice(device.notice);
  for (const std::string& text : notices(dataset, *model, configuration)) notice(text);
  TrainingCallbacks callbacks;
  callbacks.on_progress = [&](const EpochProgress& progress) { display.show(progress); };
  callbacks.on_epoch = [&](const EpochRecord& record) { display.show(record); };
  callbacks.on_notice = [&](const std::string& text) { display.show_notice(text); };
  callbacks.device_peak_memory = device.peak_memory;
  callbacks.stop_requested = [] { return SignalGuard::received() != 0; };
  const TrainingResult result = trainer.run(callbacks);
  if (result.stopped_by == StoppedBy::request) {
    notice(fmt::format("stopped; go on with: {}", shell_command(words_to_go_on(options_, run_))));
    throw ExitCode{128 + SignalGuard::received()};
  }
  const double seconds = seconds_before_ + std::chrono::duration<double>(Clock::now() - start_).count();
  folder_->write_result(to_json(RunResult{description, result, seconds, device.name, device.threads}));
  return result;
}

void run_train(const TrainOptions& options) {
  SignalGuard signals;
  std::vector<ConfigurationRequest> requests;
  if (options.request.seed) {
    for (const std::string& seed : split_at_commas(*options.request.seed)) {
      requests.push_back(options.request);
      requests.back().seed = seed;
    }
  } else {
    requests.push_back(options.request);
  }
  std::vector<Metrics> valid, test;
  std::vector<fs::path> runs;
  for (const ConfigurationRequest& request : requests) {
    const Configuration asked = resolve_configuration(request);
    const std::string seed = std::to_string(asked.integer("seed"));
    fs::path run = options.output.value_or(default_folder(options.data, asked.model().name, seed));
    if (options.output && requests.size() > 1) run /= seed;
    if (std::find(runs.begin(), runs.end(), run) != runs.end())
      throw UsageError(fmt::format("--seed {}: {} stands twice", *options.request.seed, seed));
    runs.push_back(run);
  }
  // A result that cannot be shown is an error, but not before every seed is trained.
  std::exception_ptr not_shown;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests.size() > 1 && !options.quiet) write_stderr(fmt::format("seed {}\n", *requests[i].seed));
    const TrainingResult finished = SeedTraining(options, requests[i], runs[i], signals)();
    if (!finished.valid.empty()) valid.push_back(finished.valid);
    if (!finished.test.empty()) test.push_back(finished.test);
    try {
      print_result("{}\n{}", runs[i].string(),
                   metrics_table({{"valid", finished.valid}, {"test", finished.test}}));
      flush_stdout();
    } catch (...) {
      not_shown = std::current_exception();
    }
    if (SignalGuard::received() != 0) throw ExitCode{128 + SignalGuard::received()};
  }
  if (not_shown) std::rethrow_exception(not_shown);
  if (requests.size() > 1)
    print_result("mean and standard deviation of {} seeds\n{}", requests.size(),
                 mean_table({{"valid", valid}, {"test", test}}));
}

}  // namespace

void add_train(CLI::App& app) {
  auto options = std::make_shared<TrainOptions>();
  Command command(app, "train", "train a model");
  command.option("DATA", options->data, "folder of the data set").required();
  command.option("--model", options->request.model, "see sea models (default: sea)");
  command.option("--config", options->request.config, "JSON file of configuration keys, comments allowed");
  command.option("--set", options->request.assignments, "key=value, as often as there are keys to set")
      .repeated();
  command.option("--device", options->request.device, "auto, cpu, cuda or cuda:N");
  command.option("--threads", options->request.threads, "of the processor; 0 takes all");
  command.option("--output", options->output, "folder of the run (default: runs/DATA-MODEL-SEED)");
  command.option("--seed", options->request.seed, "one seed, or several: 999,1000");
  command.option("--epochs", options->request.epochs, "at most so many passes over the data");
  command.flag("--resume", options->resume, "go on with a run that was interrupted");
  command.flag("--quiet", options->quiet, "no progress, no notices");
  command.run([options] { run_train(*options); });
}

}  // namespace sea
