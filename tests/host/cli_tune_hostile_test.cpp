// What `sea tune` refuses.

#include <filesystem>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/search.hpp"

using sea::test::CommandResult;
using sea::test::contains;
using sea::test::line_count;
using sea::test::TemporaryFolder;
using sea::test::whole_search;
using sea::test::WholeSearch;
using sea::test::write_file;

namespace fs = std::filesystem;

TEST_CASE("sea tune: what cannot be searched is one line, and nothing is left behind",
          "[command][tune][hostile]") {
  const WholeSearch& w = whole_search();
  struct Case {
    std::vector<std::string> words;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {{}, {"--grid", "key=v1,v2"}},
      {{"--grid", "alpa=1,2"}, {"--grid alpa=1,2", "'alpa'", "did you mean alpha"}},
      {{"--grid", "alpha"}, {"--grid alpha", "key=value"}},
      {{"--grid", "=1"}, {"--grid =1", "key=value"}},
      {{"--grid", "alpha="}, {"--grid alpha=", "alpha is ''", "a number from"}},
      {{"--grid", "alpha=1,,2"}, {"alpha is ''"}},
      {{"--grid", "alpha=1,x"}, {"alpha is 'x'", "a number from"}},
      {{"--grid", "knn_k=5,0"}, {"knn_k is '0'", "a whole number from 1"}},
      {{"--grid", "align=solosim,cosine"}, {"align is 'cosine'", "infonce"}},
      {{"--grid", "alpha=0.1,1e-1"}, {"0.1 stands twice"}},
      {{"--grid", "alpha=1", "--grid", "alpha=2"}, {"--grid alpha=2", "alpha stands twice"}},
      {{"--grid", "topk=5,10"}, {"topk is a list", "--set"}},
      {{"--grid", "valid_metric=Recall@20,NDCG@20"}, {"valid_metric", "compared"}},
      {{"--grid", "device=cpu"}, {"--device"}},
      {{"--grid", "threads=1,2"}, {"--threads"}},
      {{"--grid", "model=sea"}, {"--model"}},
      {{"--grid", "alpha=1,2", "--set", "alpha=3"}, {"--set alpha=3", "grid"}},
      {{"--grid", "seed=1,2", "--seed", "3"}, {"--seed 3", "grid"}},
      {{"--grid", "distance=club,l2", "--model", "SEAb"}, {"--model SEAb", "distance", "grid"}},
      {{"--grid", "alpha=1,2", "--seed", "3,4"}, {"--seed 3,4", "--grid seed=3,4"}},
      {{"--grid", "alpha=1,2", "--jobs", "0"}, {"--jobs 0", "1 to 1024"}},
      {{"--grid", "alpha=1,2", "--jobs", "two"}, {"--jobs two"}},
      {{"--grid", "alpha=1,2", "--model", "sea2"}, {"--model", "sea2"}},
      {{"--grid", "epochs=1,5", "--set", "eval_step=2"}, {"eval_step is 2", "epochs"}},
      {{"--grid", "vision_feature_file=image_feat.npy,null"}, {"vision_feature_file is null", "align=none"}},
      {{"--random", "3"}, {"--grid is missing", "--range key=low:high"}},
      {{"--range", "alpha=0:1"}, {"--range alpha=0:1", "--random N"}},
      {{"--range", "alpha=0:1", "--random", "0"}, {"--random 0", "1 to 10000"}},
      {{"--range", "alpha=0:1", "--random", "10001"}, {"--random 10001", "1 to 10000"}},
      {{"--range", "alpha=0:1", "--random", "many"}, {"--random many"}},
      {{"--range", "alpha=1", "--random", "3"}, {"--range alpha=1", "key=low:high"}},
      {{"--range", "0:1", "--random", "3"}, {"--range 0:1", "key=low:high"}},
      {{"--range", "=0:1", "--random", "3"}, {"--range =0:1", "key=low:high"}},
      {{"--range", "alpha=0:1:lin", "--random", "3"}, {"--range alpha=0:1:lin", "key=low:high:log"}},
      {{"--range", "alpha=0:1:log:2", "--random", "3"}, {"--range alpha=0:1:log:2", "key=low:high:log"}},
      {{"--range", "alpha=0:1:log", "--random", "3"}, {"begins above 0"}},
      {{"--range", "alpha=1:0", "--random", "3"}, {"first number must be below"}},
      {{"--range", "alpha=1:1", "--random", "3"}, {"first number must be below"}},
      {{"--range", "alpha=nan:1", "--random", "3"}, {"alpha is 'nan'", "a number from"}},
      {{"--range", "alpha=0:inf", "--random", "3"}, {"alpha is 'inf'"}},
      {{"--range", "alpha=:1", "--random", "3"}, {"alpha is ''"}},
      {{"--range", "alpha=-1:1", "--random", "3"}, {"alpha is '-1'"}},
      {{"--range", "knn_k=1.5:3", "--random", "3"}, {"knn_k is '1.5'", "a whole number"}},
      {{"--range", "align=0:1", "--random", "3"}, {"align is '0'", "infonce"}},
      {{"--range", "text_feature_file=a:b", "--random", "3"}, {"text_feature_file is no number"}},
      {{"--range", "alpa=0:1", "--random", "3"}, {"'alpa'", "did you mean alpha"}},
      {{"--range", "valid_metric=0:1", "--random", "3"}, {"valid_metric", "compared"}},
      {{"--range", "threads=1:2", "--random", "3"}, {"--threads"}},
      {{"--range", "alpha=0:1", "--grid", "alpha=1,2", "--random", "3"}, {"alpha stands twice"}},
      {{"--range", "alpha=0:1", "--range", "alpha=0:2", "--random", "3"}, {"alpha stands twice"}},
      {{"--range", "alpha=0:1", "--random", "3", "--set", "alpha=1"}, {"--set alpha=1", "a --range too"}},
      {{"--range", "knn_k=2:3", "--random", "3"}, {"--random 3", "only 2 combinations"}},
      {{"--grid", "knn_k=2,3", "--search-seed", "1"}, {"--search-seed", "--random"}},
      {{"--grid", "knn_k=2,3", "--random", "2", "--search-seed", "-1"}, {"--search-seed -1"}},
      {{"--grid", "knn_k=2,3", "--budget", "0"}, {"--budget 0"}},
      {{"--grid", "knn_k=2,3", "--budget", "1e3"}, {"--budget 1e3"}},
      {{"--grid", "knn_k=2,3", "--budget", "1"},
       {"--budget 1: is too small for 2 runs in 1 rung", "least 2"}},
      {{"--grid", "knn_k=2,3,4", "--budget", "17", "--halving", "--set", "eval_step=2"},
       {"--budget 17: is too small for 3 runs in 3 rungs", "at least 18"}},
      {{"--grid", "knn_k=2,3", "--halving"}, {"--halving: needs --budget", "--epochs"}},
      {{"--grid", "knn_k=2", "--halving", "--budget", "9"}, {"--halving: there is one run"}},
      {{"--grid", "knn_k=2,3,4", "--halving", "--epochs", "3"},
       {"3 epochs are too few for 3 rungs", "least 4"}},
      {{"--grid", "epochs=2,3", "--budget", "9"}, {"--budget", "epochs cannot be searched"}},
      {{"--range", "epochs=2:9", "--random", "2", "--halving"}, {"--halving", "epochs cannot be searched"}},
  };
  const TemporaryFolder folder;
  const auto check = [&](const fs::path& data, const std::vector<std::string>& more, int code,
                         const std::vector<std::string>& parts) {
    std::vector<std::string> words = {SEA_COMMAND, "tune", data, "--output", folder / "search"};
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult result = sea::test::run_command(words);
    INFO(result.error);
    CHECK(result.code == code);
    CHECK(line_count(result.error) == 1);
    CHECK(result.error.rfind("error: ", 0) == 0);
    CHECK(result.out.empty());
    for (const std::string& part : parts) {
      INFO("lacks: " << part);
      CHECK(contains(result.error, part));
    }
    CHECK(!fs::exists(folder / "search"));
  };
  for (const Case& c : cases) check(w.setting.data, c.words, 2, c.parts);
  std::string many = "seed=0";
  for (int i = 1; i < 200; ++i) many += "," + std::to_string(i);
  std::string steps = many;
  steps.replace(0, 6, "stopping_step=200");
  check(w.setting.data, {"--grid", many, "--grid", steps}, 2, {"more than 10000 combinations"});
  check(folder / "nowhere", {"--grid", "alpha=1,2"}, 1, {"nowhere"});
  check(w.setting.data, {"--grid", "text_feature_file=text_feat.npy,none.npy"}, 1, {"none.npy"});

  // Folders that are no search.
  const fs::path there = folder / "there";
  write_file(there / "letter", "dear");
  const auto refused = [&](const std::string& part) {
    const CommandResult result = sea::test::run_command(
        {SEA_COMMAND, "tune", w.setting.data, "--output", there, "--resume", "--grid", "alpha=1,2"});
    INFO(result.error);
    CHECK(result.code == 1);
    CHECK(line_count(result.error) == 1);
    CHECK(contains(result.error, part));
  };
  refused("no tune.json");
  for (const char* content :
       {"{", "[]", "{}", R"({"model": "sea", "grid": {"alpha": [1, 2]}, "rows": []})",
        R"({"model": "sea", "grid": {"alpa": [1]}, "rows": []})",
        R"({"model": "sea", "grid": {"alpha": [1]}, "plan": {"random": "x"}, "rows": []})",
        R"({"model": "sea", "grid": {}, "ranges": {"alpha": {"low": 2, "high": 1}}, "rows": []})",
        R"({"model": "sea", "grid": {}, "rows": []})"}) {
    write_file(there / "tune.json", content);
    refused("is damaged");
  }
}
