#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/synth.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

namespace {

using namespace sea;
using sea::test::contains;
using sea::test::run_command;
using sea::test::TemporaryFolder;
using sea::test::write_file;

const DatasetFiles no_features{std::nullopt, std::nullopt};

/// Runs a converter of datasets/ without leaving compiled Python beside it.
test::CommandResult convert(const std::string& script, std::vector<std::string> words) {
  words.insert(words.begin(), {"python3", "-B", sea::test::source_folder().string() + "/datasets/" + script});
  return run_command(words);
}

void check_failure(const test::CommandResult& result, const std::string& message) {
  INFO(result.error);
  CHECK(result.code != 0);
  CHECK(contains(result.error, message));
  CHECK(std::count(result.error.begin(), result.error.end(), '\n') == 1);
}

/// All pairs of a data set by original ids, with the split they are in.
std::map<std::pair<std::string, std::string>, int> pairs_of(const Dataset& data) {
  std::map<std::pair<std::string, std::string>, int> pairs;
  const HostCsr* splits[] = {&data.train, &data.valid, &data.test};
  for (int label = 0; label < 3; ++label) {
    for (std::int64_t user = 0; user < data.users; ++user) {
      for (const std::int32_t item : splits[label]->row(user))
        pairs[{data.user_names.at(static_cast<std::size_t>(user)),
               data.item_names.at(static_cast<std::size_t>(item))}] = label;
    }
  }
  return pairs;
}

/// Every user's items are split as `held_out` says.
void check_shares(const Dataset& data) {
  for (std::int64_t user = 0; user < data.users; ++user) {
    const auto train = static_cast<std::int64_t>(data.train.row(user).size());
    const auto valid = static_cast<std::int64_t>(data.valid.row(user).size());
    const auto test = static_cast<std::int64_t>(data.test.row(user).size());
    const HeldOut held = held_out(train + valid + test);
    CHECK(valid == held.valid);
    CHECK(test == held.test);
  }
}

}  // namespace

TEST_CASE("from_recbole.py: an atomic file becomes a data set", "[converters]") {
  if (!sea::test::has_python()) return;
  const TemporaryFolder folder;
  std::ostringstream atomic;
  atomic << "user_id:token\titem_id:token\trating:float\ttimestamp:float\r\n";
  std::set<std::pair<std::string, std::string>> expected, well_rated;
  for (int user = 0; user < 23; ++user) {
    for (int place = 0; place < 1 + 2 * user; ++place) {
      const std::string name = "u" + std::to_string(user),
                        item = "item \"" + std::to_string((user + 3 * place) % 67) + "\"";
      atomic << name << '\t' << item << '\t' << place % 5 << ".5\t" << 1e9 + place << "\r\n";
      expected.insert({name, item});
      if (place % 5 >= 3) well_rated.insert({name, item});
    }
  }
  write_file(folder / "in.inter", atomic.str());
  const std::string input = folder / "in.inter";
  const auto made = convert("from_recbole.py", {input, folder / "a" / "data"});
  INFO(made.error);
  REQUIRE(made.code == 0);
  CHECK(made.error.empty());
  CHECK(contains(made.out, "23 users, 67 items, "));
  CHECK(sea::test::entry_count(folder / "a") == 1);

  const Dataset data = load_dataset(folder / "a" / "data", no_features);
  CHECK(data.notices.empty());
  CHECK(data.users == 23);
  CHECK(data.items == 67);
  check_shares(data);
  const auto pairs = pairs_of(data);
  std::set<std::pair<std::string, std::string>> found;
  for (const auto& [pair, label] : pairs) found.insert(pair);
  CHECK(found == expected);

  // The same seed is the same split, another seed another.
  REQUIRE(convert("from_recbole.py", {input, folder / "b" / "data"}).code == 0);
  REQUIRE(convert("from_recbole.py", {input, folder / "c" / "data", "--seed", "1"}).code == 0);
  CHECK(pairs_of(load_dataset(folder / "b" / "data", no_features)) == pairs);
  CHECK(pairs_of(load_dataset(folder / "c" / "data", no_features)) != pairs);

  REQUIRE(convert("from_recbole.py", {input, folder / "d" / "data", "--least-rating", "3"}).code == 0);
  CHECK(pairs_of(load_dataset(folder / "d" / "data", no_features)).size() == well_rated.size());

  // Five times over and over: nobody has less.
  REQUIRE(convert("from_recbole.py", {input, folder / "e" / "data", "--core", "5"}).code == 0);
  const Dataset core = load_dataset(folder / "e" / "data", no_features);
  std::map<std::string, int> counts;
  for (const auto& [pair, label] : pairs_of(core)) {
    ++counts["user " + pair.first];
    ++counts["item " + pair.second];
  }
  CHECK(core.users < 23);
  for (const auto& [name, count] : counts) CHECK(count >= 5);
}

TEST_CASE("from_csv.py: a table becomes a data set, split by time", "[converters]") {
  if (!sea::test::has_python()) return;
  const TemporaryFolder folder;
  // The later the item, the larger its number; rows in another order.
  std::string table = "\xEF\xBB\xBFwhen,item,comment,person\n";
  for (int user = 0; user < 4; ++user) {
    for (int place = 11; place >= 0; --place) {
      const std::string day = (place < 9 ? "0" : "") + std::to_string(place + 1);
      table += "2026-01-" + day + "T12:00:00,\"film, " + std::to_string(place) +
               "\",\"a \"\"fine\"\" one\"," + std::to_string(10 - user) + "\n";
    }
  }
  table += "2026-02-01T12:00:00,\"film, 0\",again,10\n";
  write_file(folder / "in.csv", table);
  const auto made = convert("from_csv.py", {folder / "in.csv", folder / "data", "--user", "person", "--item",
                                            "item", "--time", "when"});
  INFO(made.error);
  REQUIRE(made.code == 0);
  CHECK(contains(made.error, "note: 1 repeated pairs were dropped"));
  const Dataset data = load_dataset(folder / "data", no_features);
  CHECK(data.notices.empty());
  check_shares(data);
  // Whole numbers keep their order.
  CHECK(data.user_names == std::vector<std::string>{"7", "8", "9", "10"});
  auto pairs = pairs_of(data);
  REQUIRE(pairs.size() == 48);
  for (int user = 7; user <= 9; ++user) {
    for (int place = 0; place < 12; ++place)
      CHECK(pairs.at({std::to_string(user), "film, " + std::to_string(place)}) == (place == 11   ? 2
                                                                                   : place == 10 ? 1
                                                                                                 : 0));
  }
  // The repeated pair counts at its latest time.
  CHECK(pairs.at({"10", "film, 0"}) == 2);
  CHECK(pairs.at({"10", "film, 11"}) == 1);
  CHECK(pairs.at({"10", "film, 10"}) == 0);

  write_file(folder / "in.tsv", "a\tb\n1\tx\n1\ty\n1\tz\n2\tx\n");
  REQUIRE(convert("from_csv.py",
                  {folder / "in.tsv", folder / "tabs", "--user", "a", "--item", "b", "--separator", "tab"})
              .code == 0);
  const Dataset tabs = load_dataset(folder / "tabs", no_features);
  CHECK(tabs.train.nonzeros() == 2);
  CHECK(tabs.item_names == std::vector<std::string>{"x", "y", "z"});
}

TEST_CASE("converters: a split that is there is kept", "[converters]") {
  if (!sea::test::has_python()) return;
  const TemporaryFolder folder;
  const std::map<std::pair<std::string, std::string>, int> expected = {{{"9", "a"}, 0},  {{"9", "b"}, 1},
                                                                       {{"9", "c"}, 2},  {{"10", "b"}, 0},
                                                                       {{"10", "a"}, 0}, {{"10", "d"}, 2}};
  int made = 0;
  const auto check = [&](const std::string& script, std::vector<std::string> words,
                         const std::string& notices = "") {
    const std::string output = folder / ("out" + std::to_string(made++));
    words.push_back(output);
    const auto result = convert(script, words);
    INFO(script << " " << words[0] << "\n" << result.error);
    REQUIRE(result.code == 0);
    CHECK(result.error == notices);
    const Dataset data = load_dataset(output, no_features);
    CHECK(data.notices.empty());
    CHECK(data.user_names == std::vector<std::string>{"9", "10"});
    CHECK(pairs_of(data) == expected);
  };
  const std::vector<std::string> rows = {"9,a,", "9,b,", "9,c,", "10,b,", "10,a,", "10,d,",
                                         "9,c,",   // held out twice
                                         "9,a,"};  // in training too
  const auto table = [&](const std::vector<std::string>& labels, const std::string& header, char separator) {
    std::string text = header + "\n";
    for (std::size_t row = 0; row < rows.size(); ++row) text += rows[row] + labels[row] + "\n";
    std::replace(text.begin(), text.end(), ',', separator);
    return text;
  };
  const std::string dropped =
      "note: 1 repeated pairs were dropped\n"
      "note: 1 validation or test pairs were dropped that stand in training too\n";
  const std::vector<std::string> numbers = {"0", "1", "2", "0", "0", "2", "2", "1"},
                                 words = {"train", "Validation", "test", "train",
                                          "TRAIN", "test",       "test", "val"},
                                 floats = {"0.0", "1.0", "2.0", "0.0", "0.0", "2.0", "2.0", "1.0"};
  for (const auto& labels : {numbers, words, floats}) {
    write_file(folder / "shop.csv", table(labels, "userID,itemID,x_label", ','));
    check("from_csv.py", {folder / "shop.csv", "--user", "userID", "--item", "itemID", "--split", "x_label"},
          dropped);
    write_file(folder / "shop.inter", table(labels, "user_id:token,item_id:token,x_label:float", '\t'));
    check("from_recbole.py", {folder / "shop.inter", "--split-field", "x_label"}, dropped);
  }
  // Three files, of which the last has its columns in another order.
  write_file(folder / "a.csv", "u,i\n9,a\n10,b\n10,a\n");
  write_file(folder / "b.csv", "u,i\n9,b\n");
  write_file(folder / "c.csv", "rating,i,u\n5,c,9\n1,d,10\n");
  check("from_csv.py", {"--train", folder / "a.csv", "--valid", folder / "b.csv", "--test", folder / "c.csv",
                        "--user", "u", "--item", "i"});
  const std::string header = "user_id:token\titem_id:token\n";
  write_file(folder / "bench" / "x.train.inter", header + "9\ta\n10\tb\n10\ta\n");
  write_file(folder / "bench" / "x.valid.inter", header + "9\tb\n");
  write_file(folder / "bench" / "x.test.inter", header + "9\tc\n10\td\n");
  check("from_recbole.py", {folder / "bench"});
  check("from_recbole.py",
        {"--train", folder / "bench" / "x.train.inter", "--test", folder / "bench" / "x.test.inter",
         "--valid", folder / "bench" / "x.valid.inter"});

  // LightGCN's files, whose ids are numbers and stay what they are where none is missing.
  write_file(folder / "gowalla" / "train.txt", "0 3 1 2\n1 0 \n2 1\n");
  write_file(folder / "gowalla" / "test.txt", "0 0\n1 3 2\n2\n");
  const auto lightgcn = convert("from_lightgcn.py", {folder / "gowalla", folder / "lightgcn"});
  CHECK(lightgcn.error == "note: there are no validation pairs; sea train then needs --epochs\n");
  CHECK(sea::test::read_file(folder / "lightgcn" / "lightgcn.inter") ==
        "userID\titemID\tx_label\n0\t0\t2\n0\t1\t0\n0\t2\t0\n0\t3\t0\n1\t0\t0\n1\t2\t2\n1\t3\t2\n2\t1\t0\n");
  write_file(folder / "gowalla" / "valid.txt", "2 0\n");
  CHECK(convert("from_lightgcn.py", {folder / "gowalla", folder / "valid"}).error.empty());
  CHECK(load_dataset(folder / "valid", no_features).valid.nonzeros() == 1);

  write_file(folder / "rated.csv", "u,i,stars\n1,x,5\n1,y,2\n2,x,3.5\n");
  REQUIRE(convert("from_csv.py", {folder / "rated.csv", folder / "rated", "--user", "u", "--item", "i",
                                  "--rating", "stars", "--least-rating", "3"})
              .code == 0);
  const Dataset rated = load_dataset(folder / "rated", no_features);
  CHECK(rated.items == 1);
  CHECK(rated.train.nonzeros() == 2);
}

TEST_CASE("converters: input that cannot be used is one clear line", "[converters]") {
  if (!sea::test::has_python()) return;
  const TemporaryFolder folder;
  const std::string input = folder / "in", output = folder / "out";
  const auto recbole = [&](const std::string& content, std::vector<std::string> more = {}) {
    write_file(input, content);
    more.insert(more.begin(), {input, output});
    return convert("from_recbole.py", more);
  };
  const std::string header = "user_id:token\titem_id:token\n";
  check_failure(recbole(""), "in: is empty");
  check_failure(recbole(header), "there are no interactions");
  check_failure(recbole("user,item\n1,2\n"), "datasets/from_csv.py reads other tables");
  check_failure(recbole("uid:token\titem_id:token\n1\t2\n"),
                "there is no field 'user_id'; the fields are uid:token");
  check_failure(recbole(header + "1\n"), "in, line 2: 1 fields where the header names 2");
  check_failure(recbole(header + "1\t\n"), "line 2: the user or item id is empty");
  check_failure(recbole(header + "\xFF\t1\n"), "is not UTF-8 text");
  check_failure(recbole(header + "1\t2\n", {"--core", "2"}), "try a smaller --core");
  check_failure(recbole(header + "1\t2\n", {"--core", "0"}), "--core 0");
  check_failure(recbole(header + "1\t2\n", {"--core", "x"}), "--core");
  check_failure(recbole(header + "1\t2\n", {"--time-field", "when"}), "there is no field 'when'");
  check_failure(recbole("user_id:token\titem_id:token\tt:float\n1\t2\tnan\n", {"--time-field", "t"}),
                "line 2: t:float is 'nan', not a number");
  check_failure(convert("from_recbole.py", {folder / "none", output}), "none: cannot be read");

  const auto csv = [&](const std::string& content, std::vector<std::string> more = {}) {
    write_file(input, content);
    more.insert(more.begin(), {input, output, "--user", "a", "--item", "b"});
    return convert("from_csv.py", more);
  };
  check_failure(csv(""), "in: is empty");
  check_failure(csv("a,b\n"), "there are no interactions");
  check_failure(csv("a;b\n1;2\n"), "--user 'a' names no column of");
  check_failure(csv("a,b,b\n1,2,3\n"), "--item 'b' is not the name of one column alone");
  check_failure(csv("a,b\n1,2,3\n"), "line 2: 3 columns where the header names 2");
  check_failure(csv("a,b\n1,\n"), "line 2: the user or item id is empty");
  check_failure(csv("a,b,t\n1,2,soon\n", {"--time", "t"}),
                "line 2: t is 'soon', neither a number nor a date");
  check_failure(csv("a,b\n1,\"2\n", {}), "line 2: unexpected end of data");
  check_failure(csv("a,b\n1,2\n", {"--separator", "::"}), "--separator '::'");
  check_failure(csv("a,b,s\n1,2,0\n1,3,3\n", {"--split", "s"}),
                "line 3: s is '3'; it may be 0, 1, 2, train, valid or test");
  check_failure(csv("a,b\n1,2\n", {"--split", "s"}), "--split 's' names no column of");
  check_failure(csv("a,b,s\n1,2,0\n", {"--split", "s", "--seed", "3"}), "--seed 3: there is a split already");
  check_failure(csv("a,b,s\n1,2,0\n", {"--split", "s", "--time", "s"}), "give one of them");
  check_failure(csv("a,b\n1,2\n", {"--train", input}), "there is an input beside --train");
  check_failure(csv("a,b,rating\n1,2,good\n", {"--least-rating", "3"}),
                "line 2: rating is 'good', not a number");
  check_failure(csv("a,b\n1,2\n", {"--least-rating", "3"}), "--rating 'rating' names no column of");
  check_failure(convert("from_csv.py", {output, "--user", "a", "--item", "b"}), "INPUT is missing");
  check_failure(convert("from_csv.py", {output, "--user", "a", "--item", "b", "--test", input}),
                "--train FILE is missing");
  check_failure(convert("from_recbole.py", {folder.path(), output}), "holds 0 files NAME.train.inter");
  check_failure(recbole("user_id:token\titem_id:token\ts:token\n1\t2\tall\n", {"--split-field", "s"}),
                "line 2: s:token is 'all'");
  check_failure(convert("from_lightgcn.py", {folder.path(), output}), "train.txt: cannot be read");
  write_file(folder / "train.txt", "0 1\n1 x\n");
  check_failure(convert("from_lightgcn.py", {folder.path(), output}),
                "train.txt, line 2: 'x' is not a whole number");
  std::filesystem::remove(folder / "train.txt");
  CHECK(sea::test::entry_count(folder.path()) == 1);

  write_file(folder / "out" / "kept", "kept");
  check_failure(csv("a,b\n1,2\n"), "out: exists already");
  CHECK(sea::test::read_file(folder / "out" / "kept") == "kept");
}
