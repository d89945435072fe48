#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <sstream>

#include "configuration/registry.hpp"
#include "data/npy.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/interrupted.hpp"
#include "training/checkpoint.hpp"
#include "training/run_folder.hpp"

namespace sea::test {

inline CommandResult run_sea(std::vector<std::string> words) {
  words.insert(words.begin(), SEA_COMMAND);
  return run_command(words);
}

/// A run of a model on 150 users and 70 items with features 16 and 12 wide.
struct Answers {
  InterruptedTraining setting;
  std::filesystem::path data = setting.data, run = setting.folder / "run", out = setting.folder / "out.jsonl";

  explicit Answers(const std::string& model, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {
        "train", data,    "--model",          model,   "--epochs",          "2", "--output",
        run,     "--set", "embedding_size=8", "--set", "learning_rate=0.01"};
    for (const std::string& assignment : more) words.insert(words.end(), {"--set", assignment});
    const CommandResult result = run_sea(words);
    INFO(result.error);
    REQUIRE(result.code == 0);
  }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    write_file(setting.folder / name, text);
    return setting.folder / name;
  }
  std::filesystem::path new_items(const std::string& name, std::int64_t rows, std::int64_t image,
                                  std::int64_t text, float spoilt = 0.0f) const {
    const std::filesystem::path folder = setting.folder / name;
    std::filesystem::create_directories(folder);
    for (const auto& [file, columns] :
         {std::pair("image_feat.npy", image), std::pair("text_feat.npy", text)}) {
      HostMatrix matrix(rows, columns);
      for (std::size_t i = 0; i < matrix.values.size(); ++i)
        matrix.values[i] = std::sin(static_cast<float>(3 * i + 1));
      if (spoilt != 0.0f) matrix.values.back() = spoilt;
      write_npy(folder / file, matrix.view());
    }
    return folder;
  }
  CommandResult ask(const std::string& command, const std::vector<std::string>& more) const {
    std::vector<std::string> words = {command, run};
    words.insert(words.end(), more.begin(), more.end());
    return run_sea(words);
  }
  /// The lines of the .jsonl that a command writes.
  std::vector<nlohmann::ordered_json> lines(const std::string& command, std::vector<std::string> more) const {
    more.insert(more.end(), {"--output", out});
    const CommandResult result = ask(command, more);
    INFO(result.error);
    REQUIRE(result.code == 0);
    std::vector<nlohmann::ordered_json> lines;
    std::istringstream in(read_file(out));
    for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::ordered_json::parse(line));
    return lines;
  }
  void refused(const std::string& command, const std::vector<std::string>& more, int code,
               const std::string& message) const {
    const int before = entry_count(setting.folder.path());
    std::vector<std::string> words = more;
    words.insert(words.end(), {"--output", setting.folder / "none.tsv"});
    const CommandResult result = ask(command, words);
    CHECK(result.code == code);
    CHECK(result.out.empty());
    CHECK(result.error == "error: " + message + "\n");
    CHECK(entry_count(setting.folder.path()) == before);
  }
  RunDescription description() const { return read_run(run); }
  Representations representations() const {
    return read_representations(best_file(run), description().identity());
  }
  Dataset dataset() const { return load_dataset(data, dataset_files(description().configuration)); }
};

/// Users of each item in training.
inline std::vector<std::set<int>> users_of_items(const Dataset& dataset) {
  std::vector<std::set<int>> users(static_cast<std::size_t>(dataset.items));
  for (int user = 0; user < dataset.users; ++user) {
    for (const std::int32_t item : dataset.train.row(user)) users[item].insert(user);
  }
  return users;
}

}  // namespace sea::test
