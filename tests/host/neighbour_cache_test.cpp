// Neighbour lists that are kept from one run to the next: what comes back, what is refused, and a training on
// them.

#include "data/neighbour_cache.hpp"

#include <cstdlib>
#include <optional>
#include <string>

#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

using sea::keep_neighbours;
using sea::NeighbourLists;
using sea::read_neighbours;
using sea::test::CommandResult;
using sea::test::contains;
using sea::test::entry_count;
using sea::test::read_file;
using sea::test::run_command;
using sea::test::TemporaryFolder;
using sea::test::write_file;

namespace {

namespace fs = std::filesystem;

fs::path only_file(const fs::path& folder) {
  REQUIRE(entry_count(folder) == 1);
  return fs::directory_iterator(folder)->path();
}

/// Sets an environment variable, or removes it, for the length of a scope.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value != nullptr ? setenv(name, value, 1) : unsetenv(name);
  }
  ~Variable() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("neighbour lists come back as they were kept, and only for what they are of") {
  const TemporaryFolder folder;
  const fs::path cache = folder / "made" / "on" / "the" / "way";
  const NeighbourLists lists{"0123456789abcdef", 4, 8, 2};
  const std::vector<std::int32_t> ids = {0, 1, 1, 3, 2, 0, 3, 1};
  CHECK_FALSE(read_neighbours(cache, lists));
  keep_neighbours(cache, lists, ids);
  CHECK(read_neighbours(cache, lists) == ids);
  CHECK_FALSE(read_neighbours(cache, {"1123456789abcdef", 4, 8, 2}));
  CHECK_FALSE(read_neighbours(cache, {lists.fingerprint, 4, 8, 1}));
  CHECK_FALSE(read_neighbours(cache, {lists.fingerprint, 8, 8, 1}));
  CHECK_FALSE(read_neighbours(cache, {lists.fingerprint, 4, 4, 2}));

  const fs::path file = only_file(cache);
  std::string bytes = read_file(file);
  SECTION("not where a byte has changed") {
    bytes[bytes.size() - 3] = static_cast<char>(bytes[bytes.size() - 3] ^ 1);
    write_file(file, bytes);
    CHECK_FALSE(read_neighbours(cache, lists));
  }
  SECTION("not where the file is cut") {
    write_file(file, bytes.substr(0, bytes.size() / 2));
    CHECK_FALSE(read_neighbours(cache, lists));
    keep_neighbours(cache, lists, ids);
    CHECK(read_neighbours(cache, lists) == ids);
  }
  SECTION("not where an id is none") {
    keep_neighbours(cache, lists, {0, 1, 1, 3, 2, 0, 3, 4});
    CHECK_FALSE(read_neighbours(cache, lists));
    keep_neighbours(cache, lists, {0, 1, 1, 3, 2, 0, 3, -1});
    CHECK_FALSE(read_neighbours(cache, lists));
  }
}

TEST_CASE("lists that cannot be kept are passed over") {
  const TemporaryFolder folder;
  write_file(folder / "file", "");
  keep_neighbours(folder / "file", {"0123456789abcdef", 1, 8, 1}, {0});
  CHECK(read_file(folder / "file").empty());
  CHECK(entry_count(folder.path()) == 1);
}

TEST_CASE("the cache lies where the environment says") {
  const TemporaryFolder user;
  const Variable named("SEA_CACHE", "/named"), base("XDG_CACHE_HOME", "/base"),
      home("HOME", user.path().c_str());
  CHECK(sea::cache_folder() == fs::path("/named"));
  {
    const Variable off("SEA_CACHE", "");
    CHECK_FALSE(sea::cache_folder());
  }
  const Variable unnamed("SEA_CACHE", nullptr);
  CHECK(sea::cache_folder() == fs::path("/base/sea"));
  const Variable no_base("XDG_CACHE_HOME", nullptr);
  CHECK(sea::cache_folder() == user / ".cache" / "sea");
  const Variable relative("XDG_CACHE_HOME", "base");
  CHECK(sea::cache_folder() == user / ".cache" / "sea");
  const Variable nowhere("HOME", "/nonexistent");
  CHECK_FALSE(sea::cache_folder());
  const Variable no_home("HOME", nullptr);
  CHECK_FALSE(sea::cache_folder());
}

TEST_CASE("a training that finds its neighbour lists is the one that made them") {
  const TemporaryFolder folder;
  const fs::path data = folder / "data", cache = folder / "cache";
  REQUIRE(run_command({SEA_COMMAND, "synth", data, "--users", "200", "--items", "2600", "--interactions",
                       "9000", "--visual-dim", "1500", "--textual-dim", "16"})
              .code == 0);
  const auto train = [&](const std::string& name, const std::string& knn_k = "5") {
    const CommandResult result =
        run_command({"env", "SEA_CACHE=" + cache.string(), SEA_COMMAND, "train", data, "--model", "sea",
                     "--set", "align=none", "--set", "distance=none", "--set", "embedding_size=4", "--set",
                     "knn_k=" + knn_k, "--epochs", "1", "--output", folder / name});
    INFO(result.error);
    REQUIRE(result.code == 0);
    CHECK(contains(result.error, "neighbours of text_feat.npy\n"));
    return contains(result.error, "neighbours of image_feat.npy, kept from an earlier run\n");
  };
  const auto bits = [&](const std::string& name) { return read_file(folder / name / "best.safetensors"); };

  // The lists of the narrow features take no time, and are not kept.
  CHECK_FALSE(train("first"));
  const fs::path file = only_file(cache);
  CHECK(train("second"));
  CHECK(bits("second") == bits("first"));
  CHECK_FALSE(train("other", "4"));
  CHECK(entry_count(cache) == 2);

  // Damaged, they are found anew and kept again.
  const std::string kept = read_file(file);
  write_file(file, kept.substr(0, kept.size() - 1));
  CHECK_FALSE(train("third"));
  CHECK(bits("third") == bits("first"));
  CHECK(read_file(file) == kept);
}
