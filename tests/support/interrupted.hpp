#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "data/synth.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

namespace sea::test {

/// A data set and a training of it that is long enough to be interrupted.
struct InterruptedTraining {
  TemporaryFolder folder;
  std::filesystem::path data = folder / "data";
  InterruptedTraining() {
    synthesize(data, {150, 70, 1700, 16, 12}, 5, [](const char*, double) {});
  }

  /// Some tens of steps per epoch, so that a signal falls into the middle of one.
  std::vector<std::string> train(const std::filesystem::path& run,
                                 const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {SEA_COMMAND, "train", data, "--output", run};
    for (const char* assignment :
         {"train_batch_size=64", "embedding_size=8", "club_steps=3", "learning_rate=0.01", "topk=20",
          "knn_k=5", "epochs=24", "stopping_step=50", "checkpoint_seconds=0.02"}) {
      words.insert(words.end(), {"--set", assignment});
    }
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

/// What is left of a run beside what time and memory tell.
struct Outcome {
  std::vector<nlohmann::ordered_json> metrics;
  std::string checkpoint, best, embeddings;
  bool operator==(const Outcome& other) const {
    return metrics == other.metrics && checkpoint == other.checkpoint && best == other.best &&
           embeddings == other.embeddings;
  }
};

inline Outcome outcome_of(const std::filesystem::path& run) {
  Outcome outcome;
  std::istringstream lines(read_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    outcome.metrics.push_back(nlohmann::ordered_json::parse(line));
    for (const char* key : {"train_seconds", "eval_seconds", "peak_memory_bytes"})
      outcome.metrics.back().erase(key);
  }
  outcome.checkpoint = read_file(run / "checkpoint.safetensors");
  outcome.best = read_file(run / "best.safetensors");
  const std::filesystem::path file = run.parent_path() / "outcome.npz";
  REQUIRE(run_command({SEA_COMMAND, "export", run, "--output", file}).code == 0);
  outcome.embeddings = read_file(file);
  return outcome;
}

/// Files that a writer had not finished with.
inline int temporary_files(const std::filesystem::path& folder) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    count += contains(entry.path().filename().string(), ".tmp") ? 1 : 0;
  return count;
}

}  // namespace sea::test
