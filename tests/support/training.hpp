#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "configuration/registry.hpp"
#include "data/synth.hpp"
#include "sea/cpu.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "training/trainer.hpp"

namespace sea::test {

/// A folder with a small data set in it.
struct TrainingFixture {
  TemporaryFolder folder;
  std::filesystem::path data = folder / "data";
  TrainingFixture() {
    synthesize(data, {120, 60, 1500, 16, 12}, 5, [](const char*, double) {});
  }
};

/// A model as `sea train` builds it.
inline std::unique_ptr<Model> build_model(Backend& backend, const std::filesystem::path& data,
                                          const ConfigurationRequest& request) {
  const Configuration configuration = resolve_configuration(request);
  Dataset dataset = load_dataset(data, dataset_files(configuration));
  return configuration.model().build(backend, dataset, configuration, [](const std::string&) {});
}

struct Crash {};

struct Interruption {
  int stop_at = 0;   ///< the question of that number is answered yes
  int crash_at = 0;  ///< at the question of that number the training ends as if it had been killed
};

/// A training as `sea train` does it: begun where `run` is not there, else gone on with.
inline TrainingResult train_run(const std::filesystem::path& data, const std::filesystem::path& run,
                                const ConfigurationRequest& request, int threads,
                                Interruption interruption = {},
                                const std::function<void(Model&)>& tamper = {}) {
  const Configuration configuration = resolve_configuration(request);
  CpuBackend backend(threads);
  Dataset dataset = load_dataset(data, dataset_files(configuration));
  const RunDescription description{configuration, data, dataset.fingerprint, dataset.interactions_fingerprint,
                                   dataset.ids_fingerprint};
  const auto model = configuration.model().build(backend, dataset, configuration, [](const std::string&) {});
  const bool goes_on = std::filesystem::exists(run);
  RunFolder folder = goes_on ? RunFolder(run) : RunFolder(run, description);
  folder.set_identity(description);
  Trainer trainer(*model, dataset, configuration, folder);
  if (goes_on) trainer.restore();
  folder.describe(description);
  if (tamper) tamper(*model);
  int asked = 0;
  TrainingCallbacks callbacks;
  callbacks.stop_requested = [&] {
    ++asked;
    if (asked == interruption.crash_at) throw Crash{};
    return asked == interruption.stop_at;
  };
  return trainer.run(callbacks);
}

/// The lines of metrics.jsonl without what time and memory tell.
inline std::vector<nlohmann::ordered_json> metrics_of_run(const std::filesystem::path& run) {
  std::vector<nlohmann::ordered_json> lines;
  std::istringstream in(read_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(in, line);) {
    lines.push_back(nlohmann::ordered_json::parse(line));
    for (const char* key : {"train_seconds", "eval_seconds", "peak_memory_bytes"})
      CHECK(lines.back().erase(key) == 1);
  }
  return lines;
}

inline void check_same_run(const std::filesystem::path& a, const std::filesystem::path& b) {
  CHECK(metrics_of_run(a) == metrics_of_run(b));
  CHECK(read_file(a / "checkpoint.safetensors") == read_file(b / "checkpoint.safetensors"));
  CHECK(read_file(a / "best.safetensors") == read_file(b / "best.safetensors"));
}

}  // namespace sea::test
