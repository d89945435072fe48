// efficiency_table from end to end on data of a few hundred items under the paper's names.

#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "data/synth.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

using sea::test::CommandResult;
using sea::test::contains;
using sea::test::entry_count;
using sea::test::read_file;
using sea::test::TemporaryFolder;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

CommandResult run_table(std::vector<std::string> words) {
  words.insert(words.begin(), SEA_EFFICIENCY_TABLE);
  return sea::test::run_command(words);
}

/// About 3,900 training pairs: two batches an epoch.
void make_data(const fs::path& folder) {
  sea::synthesize(folder, {300, 150, 5000, 32, 16}, 7, [](const char*, double) {});
}

}  // namespace

TEST_CASE("efficiency_table: rows, the paper's figures beside them, ratios, scaled rows marked") {
  const TemporaryFolder folder;
  make_data(folder / "baby");
  make_data(folder / "clothing");
  const fs::path file = folder / "table.json";
  const CommandResult result = run_table({"--data", folder.path(), "--datasets", "baby,clothing", "--models",
                                          "seaA,SEAd,LATTICE,mmgcn", "--device", "cpu", "--threads", "2",
                                          "--batches", "1", "--output", file, "--format", "markdown"});
  INFO(result.out << result.error);
  REQUIRE(result.code == 0);
  const Json report = Json::parse(read_file(file));
  CHECK(contains(report["data"]["baby"].get<std::string>(), (folder / "baby").string()));

  struct Paper {
    const char *dataset, *model;
    double memory, seconds;
  };
  const std::vector<Paper> expected = {
      {"baby", "SEAa", 3.42, 16.04},         {"baby", "SEAd", 2.54, 4.58},
      {"baby", "lattice", 4.53, 3.42},       {"baby", "mmgcn", 2.69, 6.35},
      {"clothing", "SEAa", 13.78, 57.35},    {"clothing", "SEAd", 4.69, 23.59},
      {"clothing", "lattice", 28.22, 23.96}, {"clothing", "mmgcn", 4.24, 26.13}};
  REQUIRE(report["rows"].size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Json& row = report["rows"][i];
    INFO(row.dump(1));
    CHECK(row["dataset"] == expected[i].dataset);
    CHECK(row["model"] == expected[i].model);
    CHECK(row["device"] == "cpu");
    CHECK(row["threads"] == 2);
    CHECK(row["batches_per_epoch"] == 2);
    CHECK(row["batches_measured"] == 1);
    CHECK(row["scaled"] == true);
    CHECK(row["paper_memory_gb"] == Approx(expected[i].memory));
    CHECK(row["paper_seconds_per_epoch"] == Approx(expected[i].seconds));
    const double bytes = row["memory_bytes"], seconds = row["seconds_per_epoch"];
    REQUIRE(bytes > 1e6);
    REQUIRE(seconds > 0.0);
    CHECK(row["processor_seconds_per_epoch"] > 0.0);
    CHECK(row["evaluation_seconds"] > 0.0);
    CHECK(row["memory_gb"] == Approx(bytes / 1e9));
    CHECK(row["memory_ratio"] == Approx(expected[i].memory * 1e9 / bytes));
    CHECK(row["seconds_ratio"] == Approx(expected[i].seconds / seconds));
  }
  CHECK(contains(result.out, "\n| ---"));
  CHECK(std::regex_search(result.out, std::regex(" ~[0-9]")));
  CHECK(contains(result.out, "- ~ fewer batches"));
}

TEST_CASE("efficiency_table: a whole epoch is not marked as scaled") {
  const TemporaryFolder folder;
  make_data(folder / "baby");
  const fs::path file = folder / "table.json";
  const CommandResult result = run_table({"--data", folder.path(), "--datasets", "baby", "--models", "SEAb",
                                          "--device", "cpu", "--output", file});
  INFO(result.out << result.error);
  REQUIRE(result.code == 0);
  const Json row = Json::parse(read_file(file))["rows"][0];
  CHECK(row["batches_measured"] == 2);
  CHECK(row["scaled"] == false);
  CHECK(row["paper_memory_gb"] == Approx(2.54));
  CHECK(row["paper_seconds_per_epoch"] == Approx(3.75));
  CHECK(contains(result.out, "evaluation s\n"));
  CHECK(contains(result.out, "SEAb"));
  CHECK_FALSE(contains(result.out, "~"));
}

TEST_CASE("efficiency_table: a model that the paper's table does not have") {
  const TemporaryFolder folder;
  make_data(folder / "baby");
  const fs::path file = folder / "table.json";
  const CommandResult result = run_table({"--data", folder.path(), "--datasets", "baby", "--models",
                                          "LayerGCN", "--device", "cpu", "--output", file});
  INFO(result.out << result.error);
  REQUIRE(result.code == 0);
  const Json row = Json::parse(read_file(file))["rows"][0];
  CHECK(row["model"] == "layergcn");
  CHECK(row["seconds_per_epoch"] > 0.0);
  for (const char* key : {"paper_memory_gb", "memory_ratio", "paper_seconds_per_epoch", "seconds_ratio"})
    CHECK(row[key].is_null());
  // Paper and ratio of the memory, the context, then paper and ratio of the time.
  CHECK(
      std::regex_search(result.out, std::regex("layergcn +[0-9.]+ +- +- +- +[0-9.e-]+ +- +- +[0-9.e-]+\n")));
}

TEST_CASE("efficiency_table: bad input ends in one sentence and writes nothing") {
  const TemporaryFolder folder;
  make_data(folder / "baby");
  const int before = entry_count(folder.path());
  const auto refused = [&](const std::vector<std::string>& words, const std::vector<std::string>& parts) {
    const CommandResult result = run_table(words);
    INFO(result.error);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    for (const std::string& part : parts) CHECK(contains(result.error, part));
  };
  refused({"--models", "SEAe"}, {"--models SEAe", "SEAa"});
  refused({"--datasets", "baby,tiktok"}, {"--datasets tiktok", "baby, sports, clothing"});
  refused({"--format", "html"}, {"--format", "markdown"});
  refused({"--batches", "0"}, {"--batches"});
  refused({"--data", folder.path(), "--datasets", "sports"}, {"--data", "sports.inter is not there"});
  refused({"--data", folder.path(), "--datasets", "baby", "--output", folder / "no" / "table.json"},
          {"--output", "its folder is not there"});
  CHECK(entry_count(folder.path()) == before);
}
