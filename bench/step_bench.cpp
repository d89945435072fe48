// Times training steps of a model on a data set, whole epochs of them, or evaluations of its representations,
// in a process of its own, so that its peak memory is theirs. bench/compare_pytorch.sh runs it beside
// PyTorch.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "configuration/registry.hpp"
#include "cpu/gemm.hpp"
#include "data/atomic_file.hpp"
#include "sea/error.hpp"
#include "sea/version.hpp"
#include "support/device_memory.hpp"
#include "support/gpu_clock.hpp"
#include "support/provenance.hpp"
#include "support/timing.hpp"
#include "training/device.hpp"
#include "training/evaluation.hpp"
#include "training/trainer.hpp"

namespace sea {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

double since(Clock::time_point start) {
  return Seconds(Clock::now() - start).count();
}

struct Options {
  std::string data;
  std::optional<std::int64_t> steps, warmup;
  std::int64_t epochs = 0, evaluations = 0;
  int threads = 0;
  std::vector<std::string> assignments;
  std::string model = "sea", device = "cpu", json;
  bool profile = false;
};

/// The best rate of a product of two 2048-square matrices, in GFLOP/s.
double sgemm_gflops(Backend& backend) {
  constexpr std::int64_t size = 2048;
  constexpr int repeats = 5;
  const std::vector<float> ones(size * size, 1.0f);
  const Buffer<float> a = to_device(backend, ones), b = to_device(backend, ones);
  const Buffer<float> c(backend, size * size);
  double best = 0.0;
  for (int i = 0; i < repeats; ++i) {
    const Clock::time_point start = Clock::now();
    backend.matmul(Transpose::no, Transpose::no, 1.0f, a.matrix(size, size), b.matrix(size, size), 0.0f,
                   c.matrix(size, size));
    backend.synchronize();
    best = std::max(best, 2.0 * size * size * size / since(start) / 1e9);
  }
  return best;
}

/// Adds up the time of the parts of a step by their names.
class Profile {
 public:
  void attach(Program& program) {
    program.observe(
        [this, &backend = program.backend()](const std::string& phase, const std::string& name, bool begins) {
          backend.synchronize();
          if (begins) {
            start_ = Clock::now();
          } else {
            seconds_[name.empty() ? phase : phase + " " + name] += since(start_);
          }
        });
  }
  void clear() { seconds_.clear(); }
  /// Part and seconds, the longest first.
  std::vector<std::pair<std::string, double>> parts() const {
    std::vector<std::pair<std::string, double>> parts(seconds_.begin(), seconds_.end());
    std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    return parts;
  }
  void print(std::int64_t steps) const {
    const std::vector<std::pair<std::string, double>> parts = this->parts();
    double total = 0.0;
    for (const auto& [name, seconds] : parts) total += seconds;
    fmt::print("{:32} {:>10} {:>7}\n", "part of a step", "ms", "share");
    for (const auto& [name, seconds] : parts) {
      fmt::print("{:32} {:10.3f} {:6.1f}%\n", name, seconds * 1e3 / static_cast<double>(steps),
                 100.0 * seconds / total);
    }
  }

 private:
  std::map<std::string, double> seconds_;
  Clock::time_point start_;
};

/// Times calls, and writes down how: medians and means are over what was timed between two synchronisations.
void add_times(nlohmann::ordered_json& result, const std::string& what, const bench::Timing& timing,
               const bench::TimedWork& work, const Backend& backend) {
  std::optional<int> clock_before;
  const bench::TimedWork watched{work.call, work.synchronize, [&] {
                                   work.begin();
                                   clock_before = bench::multiprocessor_clock(backend);
                                 }};
  const bench::Timed timed = bench::time_calls(timing, watched);
  const std::optional<int> clock_after = bench::multiprocessor_clock(backend);
  if (clock_before) result["clock_mhz_before"] = *clock_before;
  if (clock_after) result["clock_mhz_after"] = *clock_after;
  result["warmup_" + what + "s"] = timed.warmup;
  result[what + "s"] = timing.calls;
  result["synchronisations"] = timed.seconds.size();
  std::vector<double> seconds = timed.seconds;
  double mean = 0.0;
  for (const double s : seconds) mean += s / static_cast<double>(seconds.size());
  std::sort(seconds.begin(), seconds.end());
  const std::size_t middle = seconds.size() / 2;
  result["seconds_per_" + what + "_median"] =
      seconds.size() % 2 == 1 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2.0;
  result["seconds_per_" + what + "_mean"] = mean;
}

bool is_gpu(const Device& device) {
  return device.name != "cpu";
}

/// Seconds, and the losses of the first and the last step.
void time_steps(const bench::Timing& timing, Model& model, Profile& profile, nlohmann::ordered_json& result) {
  Program& program = model.program;
  float loss_first = 0.0f;
  const auto step = [&](std::int64_t i) {
    const std::int64_t epoch = model.schedule.pretraining_epochs + i / model.schedule.steps;
    if (i % model.schedule.steps == 0) model.begin_epoch(epoch);
    model.step(epoch, i % model.schedule.steps);
    if (i == 0) loss_first = program.losses().download().back();
  };
  add_times(result, "step", timing,
            {step, [&] { program.backend().synchronize(); }, [&] { profile.clear(); }}, program.backend());
  result["loss_first"] = loss_first;
  result["loss_last"] = program.losses().download().back();
}

/// Whole epochs of steps, with what a model does at the start of one; beside the time on the clock that of
/// the processor, which other processes on the machine lengthen little.
void time_epochs(const bench::Timing& timing, Model& model, Profile& profile,
                 nlohmann::ordered_json& result) {
  Program& program = model.program;
  std::vector<double> processor;
  const auto epoch = [&](std::int64_t i) {
    const std::clock_t start = std::clock();
    model.begin_epoch(model.schedule.pretraining_epochs + i);
    for (std::int64_t step = 0; step < model.schedule.steps; ++step)
      model.step(model.schedule.pretraining_epochs + i, step);
    program.backend().synchronize();
    processor.push_back(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  };
  const auto begin = [&] {
    profile.clear();
    processor.clear();
  };
  add_times(result, "epoch", timing, {epoch, [] {}, begin}, program.backend());
  std::sort(processor.begin(), processor.end());
  result["processor_seconds_per_epoch_median"] = processor[processor.size() / 2];
  result["loss_last"] = program.losses().download().back();
}

/// Validation and test at once, as a training does after an epoch.
void time_evaluations(const bench::Timing& timing, const Dataset& dataset, const Configuration& configuration,
                      Model& model, nlohmann::ordered_json& result) {
  Program& program = model.program;
  Evaluator evaluator(program.backend(), model.sampling.view().history, {&dataset.valid, &dataset.test},
                      metric_cutoffs(configuration), configuration.integer("eval_batch_size"),
                      model.users.columns, scorer_of(configuration.model().score));
  model.evaluate();
  program.backend().synchronize();
  const auto evaluate = [&](std::int64_t /*i*/) {
    static_cast<void>(evaluator.evaluate(program.value(model.users), program.value(model.items)));
  };
  add_times(result, "evaluation", timing, {evaluate, [] {}, [] {}}, program.backend());
  result["sizes"]["width"] = model.users.columns;
  std::int64_t users = 0;
  for (const HostCsr* split : {&dataset.valid, &dataset.test}) {
    for (std::int64_t user = 0; user < split->rows; ++user) users += !split->row(user).empty();
  }
  result["sizes"]["evaluated_users"] = users;
}

/// How long it takes until the first step can begin: reading the data, and each stage that a model announces
/// while it is built, up to the next one; the last one's share holds the rest of the building.
class Preparation {
 public:
  void begin(const std::string& stage) {
    end();
    stage_ = stage;
  }
  nlohmann::ordered_json finish() {
    end();
    stage_.clear();
    return {{"total", since(start_)}, {"stages", stages_}};
  }

 private:
  void end() {
    if (!stage_.empty()) stages_[stage_] = stages_.value(stage_, 0.0) + since(stage_start_);
    stage_start_ = Clock::now();
  }
  Clock::time_point start_ = Clock::now(), stage_start_ = start_;
  std::string stage_;
  nlohmann::ordered_json stages_ = nlohmann::ordered_json::object();
};

void run(const Options& options) {
  Preparation preparation;
  ConfigurationRequest request;
  request.model = options.model;
  request.assignments = options.assignments;
  const Configuration configuration = resolve_configuration(request);
  const Device device = open_device(options.device, options.threads, configuration.text("matmul_precision"));
  Backend& backend = *device.backend;
  preparation.begin("reading");
  Dataset dataset = load_dataset(options.data, dataset_files(configuration));
  preparation.begin("building");
  nlohmann::ordered_json result = bench::provenance(), sizes;
  result["implementation"] = "sea " SEA_VERSION;
  result["device"] = device.name;
  sizes = {
      {"users", dataset.users}, {"items", dataset.items}, {"train_interactions", dataset.train.nonzeros()}};
  for (const ItemFeatures& modality : dataset.features)
    sizes[modality.modality + "_dim"] = modality.values.columns;
  sizes["embedding_size"] = configuration.integer("embedding_size");
  sizes["train_batch_size"] = configuration.integer("train_batch_size");
  result["sizes"] = sizes;
  const std::unique_ptr<Model> model = configuration.model().build(
      backend, dataset, configuration, [&](const std::string& stage) { preparation.begin(stage); });
  result["preparation_seconds"] = preparation.finish();
  Profile profile;
  if (options.profile) profile.attach(model->program);
  const std::int64_t whole = std::max(options.epochs, options.evaluations);
  const bench::Timing timing = whole > 0
                                   ? bench::timing_of_evaluations(is_gpu(device), whole, options.warmup)
                                   : bench::timing_of_steps(is_gpu(device), options.steps, options.warmup);
  if (options.evaluations > 0) {
    time_evaluations(timing, dataset, configuration, *model, result);
  } else {
    dataset = {};
    (options.epochs > 0 ? time_epochs : time_steps)(timing, *model, profile, result);
  }
  result["peak_memory_bytes"] = bench::peak_memory(backend).bytes;  // before the products below
  result["sgemm_gflops"] = sgemm_gflops(backend);
  result["blas_core"] = is_gpu(device) ? backend.description() : cpu::gemm_library();
  result["threads"] = options.threads > 0 ? options.threads : device.threads;
  for (const auto& [key, value] : result.items()) fmt::print("{:24} {}\n", key, value.dump());
  if (options.profile) {
    profile.print(timing.calls);
    for (const auto& [name, seconds] : profile.parts())
      result["profile"][name] = seconds / static_cast<double>(timing.calls);
  }
  if (!options.json.empty())
    write_atomically(options.json, [&](std::ostream& out) { out << result.dump(1) << '\n'; });
}

}  // namespace

}  // namespace sea

int main(int argc, char** argv) {
  sea::Options options;
  CLI::App app("times training steps", "step_bench");
  app.add_option("DATA", options.data, "folder of the data set")->required();
  CLI::Option* steps = app.add_option("--steps", options.steps, "steps to time, by default 10, on a GPU 1000")
                           ->check(CLI::Range(1, 1'000'000));
  CLI::Option* epochs = app.add_option("--epochs", options.epochs, "in place of steps: whole epochs to time")
                            ->check(CLI::Range(1, 1'000'000))
                            ->excludes(steps);
  CLI::Option* evaluations =
      app.add_option("--evaluations", options.evaluations, "in place of steps: evaluations to time")
          ->check(CLI::Range(1, 1'000'000))
          ->excludes(steps)
          ->excludes(epochs);
  app.add_option("--warmup", options.warmup,
                 "steps, epochs or evaluations before them, by default 2; on a GPU for a second at least")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--device", options.device, "auto, cpu, cuda or cuda:N");
  app.add_option("--threads", options.threads, "0 takes all")->check(CLI::Range(0, 1024));
  app.add_option("--model", options.model, "see sea models");
  app.add_option("--set", options.assignments, "key=value")->expected(1)->allow_extra_args(false)->take_all();
  app.add_option("--json", options.json, "file to write the measurement to");
  app.add_flag("--profile", options.profile, "print, and write, the time of every part of a step")
      ->excludes(evaluations);
  try {
    app.parse(argc, argv);
    sea::run(options);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "error: {}\nsee step_bench --help\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
  return 0;
}
