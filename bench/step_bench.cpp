// Times training steps of a model on a data set, in a process of its own, so that its peak memory is the
// step's. bench/compare_pytorch.sh runs it beside PyTorch.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cpu/gemm.hpp"
#include "data/atomic_file.hpp"
#include "models/registry.hpp"
#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "training/peak_memory.hpp"

namespace sea {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

double since(Clock::time_point start) {
  return Seconds(Clock::now() - start).count();
}

struct Options {
  std::string data;
  std::int64_t steps = 10, warmup = 2;
  int threads = 0;
  std::vector<std::string> assignments;
  std::string model = "sea", json;
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
  void print(std::int64_t steps) const {
    std::vector<std::pair<std::string, double>> parts(seconds_.begin(), seconds_.end());
    std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
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

void run(const Options& options) {
  ConfigurationRequest request;
  request.model = options.model;
  request.assignments = options.assignments;
  const Configuration configuration = resolve_configuration(request);
  CpuBackend backend(options.threads);
  Dataset dataset = load_dataset(options.data, configuration.model().files(configuration));
  nlohmann::ordered_json sizes = {
      {"users", dataset.users}, {"items", dataset.items}, {"train_interactions", dataset.train.nonzeros()}};
  for (const ItemFeatures& modality : dataset.features)
    sizes[modality.modality + "_dim"] = modality.values.columns;
  sizes["embedding_size"] = configuration.integer("embedding_size");
  sizes["train_batch_size"] = configuration.integer("train_batch_size");
  const std::unique_ptr<Model> model =
      configuration.model().build(backend, dataset, configuration, [](const std::string&) {});
  dataset = {};

  Program& program = model->program;
  Profile profile;
  if (options.profile) profile.attach(program);
  std::vector<double> seconds;
  float loss_first = 0.0f;
  for (std::int64_t step = 0; step < options.warmup + options.steps; ++step) {
    if (step == options.warmup) profile.clear();
    const Clock::time_point start = Clock::now();
    program.step();
    backend.synchronize();
    if (step >= options.warmup) seconds.push_back(since(start));
    if (step == 0) loss_first = program.download_losses().back();
  }
  const float loss_last = program.download_losses().back();
  const std::int64_t peak_memory = peak_memory_bytes();  // before the products below

  double mean = 0.0;
  for (const double s : seconds) mean += s / static_cast<double>(seconds.size());
  std::sort(seconds.begin(), seconds.end());
  const std::size_t middle = seconds.size() / 2;
  const double median =
      seconds.size() % 2 == 1 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2.0;

  nlohmann::ordered_json result;
  result["implementation"] = "sea " SEA_VERSION;
  result["seconds_per_step_median"] = median;
  result["seconds_per_step_mean"] = mean;
  result["peak_memory_bytes"] = peak_memory;
  result["sgemm_gflops"] = sgemm_gflops(backend);
  result["blas_core"] = cpu::gemm_library();
  result["threads"] = backend.threads();
  result["steps"] = options.steps;
  result["loss_first"] = loss_first;
  result["loss_last"] = loss_last;
  result["sizes"] = sizes;
  for (const auto& [key, value] : result.items()) fmt::print("{:24} {}\n", key, value.dump());
  if (options.profile) profile.print(options.steps);
  if (!options.json.empty())
    write_atomically(options.json, [&](std::ostream& out) { out << result.dump(1) << '\n'; });
}

}  // namespace

}  // namespace sea

int main(int argc, char** argv) {
  sea::Options options;
  CLI::App app("times training steps", "step_bench");
  app.add_option("DATA", options.data, "folder of the data set")->required();
  app.add_option("--steps", options.steps, "steps to time")->check(CLI::Range(1, 1'000'000));
  app.add_option("--warmup", options.warmup, "steps before them")->check(CLI::Range(0, 1'000'000));
  app.add_option("--threads", options.threads, "0 takes all")->check(CLI::Range(0, 1024));
  app.add_option("--model", options.model, "see sea models");
  app.add_option("--set", options.assignments, "key=value")->expected(1)->allow_extra_args(false)->take_all();
  app.add_option("--json", options.json, "file to write the measurement to");
  app.add_flag("--profile", options.profile, "print the time of every part of a step");
  CLI11_PARSE(app, argc, argv);
  try {
    sea::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
  return 0;
}
