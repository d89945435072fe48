// `sea recommend`: which users are meant, and files of recommendations that other programs read.

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/interrupted.hpp"
#include "support/skip.hpp"

using sea::test::CommandResult;
using sea::test::contains;
using sea::test::InterruptedTraining;
using sea::test::read_file;
using sea::test::write_file;

namespace {

namespace fs = std::filesystem;

CommandResult run_sea(std::vector<std::string> words) {
  words.insert(words.begin(), SEA_COMMAND);
  return sea::test::run_command(words);
}

/// A run, and its data with original ids that are numbers one above the data set's own, as those of
/// MovieLens.
struct Movies {
  InterruptedTraining setting;
  fs::path plain = setting.data, mapped = setting.folder / "mapped", run = setting.folder / "run";

  Movies() {
    REQUIRE(run_sea({"train", plain, "--model", "bpr", "--epochs", "1", "--output", run}).code == 0);
    fs::create_directory(mapped);
    fs::copy(plain / "data.inter", mapped / "mapped.inter");
    std::string users = "user_id\tuserID\n";
    for (int i = 0; i < 150; ++i) users += fmt::format("{}\t{}\n", original(i), i);
    write_file(mapped / "u_id_mapping.csv", users);
  }
  static std::string original(int user) {
    return user == 140 ? "1,2" : user == 141 || user == 142 ? "twin" : std::to_string(user + 1);
  }
  CommandResult recommend(const fs::path& data, const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"recommend", run, "--data", data};
    words.insert(words.end(), more.begin(), more.end());
    if (std::find(more.begin(), more.end(), "--top-k") == more.end()) {
      words.push_back("--top-k");
      words.push_back("1");
    }
    return run_sea(words);
  }
  /// The first column of what is recommended.
  std::vector<int> users(const fs::path& data, const std::vector<std::string>& more) const {
    const CommandResult result = recommend(data, more);
    INFO(result.error);
    REQUIRE(result.code == 0);
    std::istringstream in(result.out);
    std::vector<int> found;
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) found.push_back(std::stoi(line));
    return found;
  }
};

}  // namespace

TEST_CASE("users: --user is the original id where there is one, --user-index the number",
          "[command][users]") {
  const Movies movies;
  using Users = std::vector<int>;
  CHECK(movies.users(movies.mapped, {"--user", "96"}) == Users{95});
  CHECK(movies.users(movies.mapped, {"--user-index", "96"}) == Users{96});
  CHECK(movies.users(movies.plain, {"--user", "96"}) == Users{96});
  CHECK(movies.users(movies.plain, {"--user-index", "96"}) == Users{96});
  // Lists, by commas and as words.
  CHECK(movies.users(movies.mapped, {"--user", "5,3", "9"}) == Users{4, 2, 8});
  CHECK(movies.users(movies.plain, {"--user", "5,3", "9"}) == Users{5, 3, 9});
  CHECK(movies.users(movies.mapped, {"--user", "5", "--user-index", "5,0"}) == Users{4, 5, 0});
  // An original id that has a comma.
  CHECK(movies.users(movies.mapped, {"--user", "1,2"}) == Users{140});
  // A file.
  const fs::path file = movies.setting.folder / "users.txt";
  write_file(file,
             "\xEF\xBB\xBF"
             "7\r\n\n1,2\n3");
  CHECK(movies.users(movies.mapped, {"--user-file", file}) == Users{6, 140, 2});
  write_file(file, "7\n0\n");
  CHECK(movies.users(movies.plain, {"--user-file", file}) == Users{7, 0});
}

TEST_CASE("users: who is unknown is named", "[command][users]") {
  const Movies movies;
  const auto refused = [&](const fs::path& data, const std::vector<std::string>& more, int code,
                           const std::string& message) {
    const CommandResult result = movies.recommend(data, more);
    CHECK(result.code == code);
    CHECK(result.out.empty());
    CHECK(result.error == "error: " + message + "\n");
  };
  const std::string mapping = (movies.mapped / "u_id_mapping.csv").string();
  refused(
      movies.mapped, {"--user", "0"}, 1,
      "--user 0: '0' is unknown; it is no original id of " + mapping + ", and numbers go to --user-index");
  refused(
      movies.mapped, {"--user", "3,x"}, 1,
      "--user 3,x: 'x' is unknown; it is no original id of " + mapping + ", and numbers go to --user-index");
  refused(movies.mapped, {"--user", "twin"}, 1,
          "--user twin: 'twin' is the original id of the users 141 and 142; choose by --user-index");
  refused(movies.mapped, {"--user-index", "3,150"}, 1,
          "--user-index 3,150: '150' is unknown; users are the numbers from 0 to 149");
  refused(movies.plain, {"--user", "1,,2"}, 1,
          "--user 1,,2: '' is unknown; users are the numbers from 0 to 149");
  const fs::path file = movies.setting.folder / "users.txt";
  const std::string option = "--user-file " + file.string();
  refused(movies.plain, {"--user-file", file}, 1, option + ": there is no such file, or it cannot be read");
  write_file(file, "\n\n");
  refused(movies.plain, {"--user-file", file}, 1, option + ": names no user");
  write_file(file, "1\nx\n");
  refused(movies.plain, {"--user-file", file}, 1,
          option + ", line 2: 'x' is unknown; users are the numbers from 0 to 149");
  refused(movies.plain, {}, 2, "--user, --user-index, --user-file or --all is needed");
  refused(movies.plain, {"--all", "--user-index", "1"}, 2, "--all has every user; leave the other users out");
}

TEST_CASE("users: --output - is stdout", "[command][users]") {
  const Movies movies;
  const CommandResult bare = movies.recommend(movies.mapped, {"--user", "9"});
  const CommandResult dash = movies.recommend(movies.mapped, {"--user", "9", "--output", "-"});
  CHECK(dash.code == 0);
  CHECK(contains(dash.out, "userID\trank\titemID\tscore\tuser\n8\t1\t"));
  CHECK(dash.out == bare.out);
}

TEST_CASE("users: .tsv is read by Python whatever an original id holds", "[command][users]") {
  const Movies movies;
  // Ids by the rules of CSV, as the mapping files have them.
  const std::vector<std::pair<std::string, std::string>> ids = {{"\"\"\"quoted\"\"\"", "\"quoted\""},
                                                                {"\"\"\"open\"", "\"open"},
                                                                {"\"a\tb\"", "a\tb"},
                                                                {"5\" nail", "5\" nail"},
                                                                {"it's", "it's"},
                                                                {"#x", "#x"},
                                                                {" y ", " y "}};
  std::string items = "item_id\titemID\n", expected;
  for (std::size_t i = 0; i < 70; ++i) {
    const auto& [field, id] = ids[i % ids.size()];
    const std::string end = field.back() == '"' && field.front() == '"' ? "\"" : "";
    items += fmt::format("{}{}{}\t{}\n", field.substr(0, field.size() - end.size()), i, end, i);
    std::string hex;
    for (const char c : fmt::format("{}{}", id, i))
      hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    expected += fmt::format("{} {}\n", i, hex);
  }
  write_file(movies.mapped / "i_id_mapping.csv", items);
  const fs::path file = movies.setting.folder / "r.tsv", script = movies.setting.folder / "read.py";
  REQUIRE(
      movies.recommend(movies.mapped, {"--all", "--top-k", "70", "--include-seen", "--output", file}).code ==
      0);
  if (!sea::test::has_python()) return;
  write_file(movies.setting.folder / "expected", expected);
  write_file(script, R"(import csv, sys
expected = {}
for line in open(sys.argv[2]):
    number, text = line.split()
    expected[number] = bytes.fromhex(text).decode()
def check(rows):
    assert len(rows) == 150 * 70, len(rows)
    for row in rows:
        assert row["item"] == expected[row["itemID"]], row
with open(sys.argv[1], newline="") as file:
    check(list(csv.DictReader(file, delimiter="\t")))
try:
    import pandas
except ImportError:
    sys.exit()
check(pandas.read_csv(sys.argv[1], sep="\t", dtype=str).to_dict("records"))
)");
  const CommandResult result =
      sea::test::run_command({"python3", script, file, movies.setting.folder / "expected"});
  INFO(result.error);
  CHECK(result.code == 0);
}
