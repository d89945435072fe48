#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/synth.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

// A search of four combinations that tests run, stop and look at.

namespace sea::test {

inline const std::vector<std::string> small_model = {"--set", "train_batch_size=128",
                                                     "--set", "embedding_size=8",
                                                     "--set", "club_steps=3",
                                                     "--set", "knn_k=5",
                                                     "--set", "topk=10,20",
                                                     "--set", "checkpoint_seconds=0.02",
                                                     "--set", "epochs=4"};

inline const std::vector<std::string> small_grid = {"--grid", "learning_rate=0.001,0.02", "--grid",
                                                    "align=solosim,none"};

/// A small data set, and the words of commands on it.
struct SearchSetting {
  TemporaryFolder folder;
  std::filesystem::path data = folder / "data";
  SearchSetting() {
    synthesize(data, {150, 70, 1700, 16, 12}, 5, [](const char*, double) {});
  }
  std::vector<std::string> words(const std::string& command, const std::filesystem::path& output,
                                 const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {SEA_COMMAND, command, data, "--output", output};
    all.insert(all.end(), small_model.begin(), small_model.end());
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<std::string> tune(const std::filesystem::path& output,
                                const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = words("tune", output, small_grid);
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

inline nlohmann::ordered_json json_of(const std::filesystem::path& file) {
  return nlohmann::ordered_json::parse(read_file(file));
}

/// A search that was never stopped, made once for all tests that look at one.
struct WholeSearch {
  SearchSetting setting;
  std::filesystem::path folder = setting.folder / "whole";
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  CommandResult result = run_command(setting.tune(folder, {"--threads", "1"}));
  /// How long a search takes on this machine.
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
};

inline const WholeSearch& whole_search() {
  static const WholeSearch once;
  return once;
}

inline int line_count(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace sea::test
