#include "data/dataset.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "data/features.hpp"
#include "data/interactions.hpp"
#include "data/npy.hpp"
#include "sea/error.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/skip.hpp"

namespace {

using namespace sea;
using sea::test::contains;
using sea::test::error_of;
using sea::test::TemporaryFolder;
using sea::test::write_file;

constexpr std::int64_t plenty = std::int64_t{1} << 40;
const DatasetFiles no_features{std::nullopt, std::nullopt};
const std::string header = "userID\titemID\tx_label\n";
const std::string good = header + "0\t0\t0\n0\t1\t0\n0\t2\t1\n1\t2\t0\n1\t0\t2\n";

/// The data folder `mini` of 2 users and 3 items, with features of 4 and 2 columns.
std::filesystem::path make_mini(const TemporaryFolder& folder, const std::string& interactions = good) {
  const std::filesystem::path mini = folder / "mini";
  write_file(mini / "mini.inter", interactions);
  HostMatrix visual(3, 4), textual(3, 2);
  for (std::size_t i = 0; i < visual.values.size(); ++i) visual.values[i] = static_cast<float>(i);
  for (std::size_t i = 0; i < textual.values.size(); ++i) textual.values[i] = -static_cast<float>(i);
  write_npy(mini / "image_feat.npy", visual.view());
  write_npy(mini / "text_feat.npy", textual.view());
  return mini;
}

std::vector<std::int32_t> ids(const HostCsr& split, std::int64_t user) {
  return {split.row(user).begin(), split.row(user).end()};
}

std::string all_notices(const std::vector<std::string>& notices) {
  std::string text;
  for (const std::string& notice : notices) text += notice + "\n";
  return text;
}

/// The error for a .inter file with this content.
std::string inter_error(const std::string& content) {
  const TemporaryFolder folder;
  const auto mini = make_mini(folder, content);
  return error_of([&] { load_dataset(mini, no_features); });
}

std::string row_error(const std::string& row) {
  return inter_error(good + row + "\n");
}

}  // namespace

TEST_CASE("dataset: a small folder is read whole", "[dataset]") {
  const TemporaryFolder folder;
  const auto mini = make_mini(folder);
  const Dataset data = load_dataset(mini.string() + "/", {});
  CHECK(data.name == "mini");
  CHECK(data.folder == mini);
  CHECK(data.users == 2);
  CHECK(data.items == 3);
  CHECK(data.train.rows == 2);
  CHECK(data.train.columns == 3);
  CHECK(ids(data.train, 0) == std::vector<std::int32_t>{0, 1});
  CHECK(ids(data.train, 1) == std::vector<std::int32_t>{2});
  CHECK(ids(data.valid, 0) == std::vector<std::int32_t>{2});
  CHECK(ids(data.valid, 1).empty());
  CHECK(ids(data.test, 0).empty());
  CHECK(ids(data.test, 1) == std::vector<std::int32_t>{0});
  CHECK(data.train.values.empty());
  REQUIRE(data.features.size() == 2);
  CHECK(data.features[0].modality == "visual");
  CHECK(data.features[0].file == mini / "image_feat.npy");
  CHECK(data.features[0].values.rows == 3);
  CHECK(data.features[0].values.columns == 4);
  CHECK(data.features[0].values.values[11] == 11.0f);
  CHECK(data.features[1].modality == "textual");
  CHECK(data.features[1].values.values == std::vector<float>{0, -1, -2, -3, -4, -5});
  CHECK(data.notices.empty());
  CHECK(data.user_names.empty());
  CHECK(data.item_names.empty());

  DatasetFiles text_alone;
  text_alone.vision_feature_file = std::nullopt;
  const Dataset one = load_dataset(mini, text_alone);
  REQUIRE(one.features.size() == 1);
  CHECK(one.features[0].modality == "textual");
  CHECK(load_dataset(mini, no_features).features.empty());
}

TEST_CASE("dataset: columns in any order, further columns, CRLF, no last newline", "[dataset]") {
  const TemporaryFolder folder;
  const std::string content =
      "rating\tx_label\titemID\ttimestamp\tuserID\r\n4."
      "5\t0\t0\tnow\t0\r\n1\t0\t1\t\t0\r\n2\t1\t2\t3\t0\r\n\t2\t0\tx\t1\r\n5\t0\t2\t9\t1";
  const Dataset data = load_dataset(make_mini(folder, content), no_features);
  CHECK(ids(data.train, 0) == std::vector<std::int32_t>{0, 1});
  CHECK(ids(data.train, 1) == std::vector<std::int32_t>{2});
  CHECK(ids(data.valid, 0) == std::vector<std::int32_t>{2});
  CHECK(ids(data.test, 1) == std::vector<std::int32_t>{0});
  REQUIRE(data.notices.size() == 1);
  CHECK(data.notices[0] == "mini.inter: lines end in CRLF");
}

TEST_CASE("dataset: repeated pairs, pairs in two splits and users without history, against a naive reading",
          "[dataset]") {
  std::mt19937 random(11);
  for (int round = 0; round < 20; ++round) {
    const TemporaryFolder folder;
    std::string content = header;
    std::map<int, std::set<std::pair<int, int>>> splits;
    int largest_user = 0, largest_item = 0, repeated = 0;
    for (int line = 0; line < 60; ++line) {
      const int user = static_cast<int>(random() % 12), item = static_cast<int>(random() % 9);
      // Users from 9 on have no training pair.
      const int label = user >= 9 ? 1 + static_cast<int>(random() % 2) : static_cast<int>(random() % 3);
      content += std::to_string(user) + "\t" + std::to_string(item) + "\t" + std::to_string(label) + "\n";
      if (!splits[label].insert({user, item}).second) ++repeated;
      largest_user = std::max(largest_user, user);
      largest_item = std::max(largest_item, item);
    }
    std::set<int> with_history, dropped_users;
    for (const auto& [user, item] : splits[0]) with_history.insert(user);
    int in_train = 0, without_history = 0;
    for (const int label : {1, 2}) {
      for (auto pair = splits[label].begin(); pair != splits[label].end();) {
        const bool known = with_history.count(pair->first) != 0;
        const bool keep = known && splits[0].count(*pair) == 0;
        if (!known) {
          ++without_history;
          dropped_users.insert(pair->first);
        } else if (!keep) {
          ++in_train;
        }
        pair = keep ? std::next(pair) : splits[label].erase(pair);
      }
    }
    const Interactions read = read_interactions(make_mini(folder, content), plenty);
    CHECK(read.users == largest_user + 1);
    CHECK(read.items == largest_item + 1);
    const HostCsr* matrices[] = {&read.train, &read.valid, &read.test};
    for (int label = 0; label < 3; ++label) {
      REQUIRE(matrices[label]->rows == read.users);
      REQUIRE(matrices[label]->columns == read.items);
      REQUIRE(static_cast<std::int64_t>(matrices[label]->row_offsets.size()) == read.users + 1);
      std::vector<std::pair<int, int>> pairs;
      for (int user = 0; user < read.users; ++user) {
        for (const std::int32_t item : matrices[label]->row(user)) pairs.emplace_back(user, item);
      }
      // A set walks in ascending order: rows ascending, ids ascending, each once.
      CHECK(pairs == std::vector<std::pair<int, int>>(splits[label].begin(), splits[label].end()));
    }
    const std::string notices = all_notices(read.notices);
    CHECK(contains(notices, "mini.inter: " + std::to_string(repeated) + " line") == (repeated > 0));
    CHECK(contains(notices, std::to_string(in_train) + (in_train == 1 ? " pair" : " pairs") +
                                " dropped from validation or test: the pair stands in training too") ==
          (in_train > 0));
    CHECK(contains(notices, std::to_string(without_history) + (without_history == 1 ? " pair" : " pairs") +
                                " dropped from validation or test: " + std::to_string(dropped_users.size()) +
                                " user") == (without_history > 0));
    CHECK(read.notices.size() <= 3);
  }
}

TEST_CASE("dataset: missing folders and files", "[dataset]") {
  const TemporaryFolder folder;
  CHECK(contains(error_of([&] { load_dataset(folder / "none", no_features); }),
                 "none: there is no such data folder"));
  const auto mini = make_mini(folder);
  CHECK(contains(error_of([&] { load_dataset(mini / "mini.inter", no_features); }),
                 "is a file; give the data set's folder"));
  const std::string fingerprint = load_dataset(mini, {}).fingerprint;
  std::filesystem::rename(mini, folder / "other");
  CHECK(load_dataset(folder / "other", {}).name == "other");
  CHECK(load_dataset(folder / "other", {}).fingerprint == fingerprint);
  write_file(folder / "other" / "more.inter", good);
  CHECK(contains(error_of([&] { load_dataset(folder / "other", no_features); }),
                 "other.inter: no such file; the interactions of a folder are NAME/NAME.inter, or its only "
                 ".inter file (.inter files here: mini.inter, more.inter)"));
  // Where one has the folder's name, it is that one.
  write_file(folder / "other" / "other.inter", header + "6\t0\t0\n");
  CHECK(load_dataset(folder / "other", no_features).users == 7);
  for (const char* split : {"train", "valid", "test"})
    write_file(folder / "three" / ("a." + std::string(split) + ".inter"), "user_id:token\titem_id:token\n");
  CHECK(contains(error_of([&] { load_dataset(folder / "three", no_features); }),
                 "datasets/from_recbole.py converts three files of one split"));
}

TEST_CASE("dataset: what is trained on", "[dataset]") {
  const TemporaryFolder folder;
  // User 2 has no training pair, 0 3 is held out twice, 1 2 stands in training too.
  const auto mini = make_mini(folder, good + "2\t0\t1\n2\t1\t2\n0\t3\t1\n0\t3\t2\n1\t2\t1\n");
  const auto load = [&](TrainOn train_on) {
    DatasetFiles files = no_features;
    files.train_on = train_on;
    return load_dataset(mini, files);
  };
  const auto pairs = [](const HostCsr& split) {
    std::vector<std::vector<std::int32_t>> rows;
    for (std::int64_t user = 0; user < split.rows; ++user) rows.push_back(ids(split, user));
    return rows;
  };
  using Rows = std::vector<std::vector<std::int32_t>>;
  const Dataset plain = load(TrainOn::train), both = load(TrainOn::train_and_valid), all = load(TrainOn::all);
  CHECK(pairs(plain.train) == Rows{{0, 1}, {2}, {}});
  CHECK(pairs(plain.valid) == Rows{{2, 3}, {}, {}});
  CHECK(pairs(plain.test) == Rows{{3}, {0}, {}});
  CHECK(pairs(both.train) == Rows{{0, 1, 2, 3}, {2}, {0}});
  CHECK(pairs(both.valid) == Rows{{}, {}, {}});
  CHECK(pairs(both.test) == Rows{{}, {0}, {1}});
  CHECK(pairs(all.train) == Rows{{0, 1, 2, 3}, {0, 2}, {0, 1}});
  CHECK(pairs(all.test) == Rows{{}, {}, {}});
  CHECK(plain.interactions_fingerprint == all.interactions_fingerprint);
}

TEST_CASE("dataset: headers that cannot be used", "[dataset]") {
  CHECK(contains(inter_error(""), "mini.inter: is empty"));
  CHECK(contains(inter_error("\n\r\n\n"), "mini.inter: is empty"));
  CHECK(contains(inter_error(header), "mini.inter: has a header and no interactions"));
  CHECK(contains(inter_error("userID\titemID\trating\n0\t0\t5\n"),
                 "line 1: there is no column 'x_label' in the header 'userID itemID rating'"));
  CHECK(contains(inter_error("0\t1\t0\n"), "there is no column 'userID'"));
  CHECK(
      contains(inter_error("userID\titemID\tx_label\tuserID\n0\t0\t0\t0\n"), "names column 'userID' twice"));
  CHECK(
      contains(inter_error("user_id:token\titem_id:token\trating:float\n0\t0\t5\n"),
               "column 'user_id:token' is of RecBole's atomic format; datasets/from_recbole.py converts it"));
  // The converter that is named keeps the split that is there.
  CHECK(contains(inter_error("userID:token\titemID:token\tx_label:float\n0\t0\t0\n"),
                 "datasets/from_recbole.py --split-field x_label converts it"));
  CHECK(contains(inter_error("userID,itemID,x_label\n0,0,0\n"),
                 "separated by commas, not by tabs; datasets/from_csv.py --split x_label converts"));
  CHECK(contains(inter_error("user,item\n0,0\n"), "datasets/from_csv.py converts"));
}

TEST_CASE("dataset: rows that cannot be used are named by line and value", "[dataset]") {
  CHECK(row_error("1\t1\t0").empty());
  CHECK(contains(row_error("bob\t1\t0"),
                 "mini.inter, line 7: userID is 'bob'; an id is a whole number from 0 to 2147483646"));
  for (const char* id : {"-1", "4e9", "4000000000", "1e23", "100000000000000000000000", "2147483647", "1.0",
                         "", " 1", "1 ", "+1", "0x1", "NaN"}) {
    INFO(id);
    CHECK(contains(row_error(std::string(id) + "\t1\t0"),
                   "line 7: userID is '" + std::string(id) + "'; an id is"));
    CHECK(contains(row_error("1\t" + std::string(id) + "\t0"),
                   "line 7: itemID is '" + std::string(id) + "'; an id is"));
  }
  for (const char* label : {"3", "-1", "", "00", "0.0", "train", "0 "}) {
    INFO(label);
    CHECK(contains(row_error("1\t1\t" + std::string(label)),
                   "line 7: x_label is '" + std::string(label) + "'; it may be 0"));
  }
  CHECK(contains(row_error("1\t1"), "line 7: 2 columns where the header names 3"));
  CHECK(contains(row_error("1"), "line 7: 1 column where the header names 3"));
  CHECK(contains(row_error("1\t1\t0\t5"), "line 7: 4 columns where the header names 3"));
  CHECK(contains(row_error("\n1\t1\t0"), "line 7: the line is empty"));
  CHECK(contains(row_error("\x1b[31m\t1\t0"), "userID is '?[31m'"));
  CHECK(contains(row_error(std::string(100, 'x') + "\t1\t0"), "userID is '" + std::string(40, 'x') + "...'"));
}

TEST_CASE("dataset: splits without a pair", "[dataset]") {
  CHECK(contains(inter_error(header + "0\t0\t1\n0\t1\t2\n"),
                 "the training split (x_label 0) has no usable pair"));
  // Only training pairs are needed.
  const TemporaryFolder folder;
  const Dataset tested = load_dataset(make_mini(folder, header + "0\t0\t0\n0\t2\t2\n"), no_features);
  CHECK(tested.valid.nonzeros() == 0);
  CHECK(tested.valid.rows == 1);
  CHECK(tested.test.nonzeros() == 1);
  // Empty only after what cannot be used was dropped.
  const Dataset dropped =
      load_dataset(make_mini(folder, header + "0\t0\t0\n1\t1\t1\n0\t1\t2\n"), no_features);
  CHECK(dropped.valid.nonzeros() == 0);
  CHECK(dropped.notices.size() == 1);
}

TEST_CASE("dataset: ids that would not fit in memory are an error before any allocation", "[dataset]") {
  const TemporaryFolder folder;
  const auto mini = make_mini(folder, good + "2147483646\t0\t0\n");
  const std::string error = error_of([&] { read_interactions(mini, std::int64_t{1} << 33); });
  CHECK(contains(
      error,
      "mini.inter, line 7: userID 2147483646 makes 2,147,483,647 users, whose index alone needs 68.7 GB of "
      "memory where 8.6 GB are free"));
  const auto items = make_mini(folder, good + "0\t2147483646\t0\n");
  CHECK(contains(error_of([&] { read_interactions(items, std::int64_t{1} << 33); }),
                 "line 7: itemID 2147483646 makes 2,147,483,647 items, whose index alone needs 17.2 GB"));
  // Every id below the limit is fine: no user of it, only an empty row.
  const auto sparse = make_mini(folder, good + "100000\t0\t0\n");
  CHECK(read_interactions(sparse, plenty).users == 100001);
  CHECK(contains(error_of([&] { read_interactions(sparse, 3'000'000); }), "makes 100,001 users"));
}

TEST_CASE("dataset: feature files that cannot be used", "[dataset]") {
  const TemporaryFolder folder;
  const auto mini = make_mini(folder);
  const auto error = [&](const DatasetFiles& files = {}) {
    return error_of([&] { load_dataset(mini, files); });
  };
  DatasetFiles other;
  other.text_feature_file = "audio_feat.npy";
  CHECK(contains(
      error(other),
      "audio_feat.npy: no such textual feature file; .npy files here: image_feat.npy, text_feat.npy"));
  write_npy(mini / "text_feat.npy", HostMatrix(2, 4).view());
  CHECK(contains(error(), "text_feat.npy: has 2 rows, and the interactions name 3 items"));
  write_npy(mini / "text_feat.npy", HostMatrix(4, 4).view());
  CHECK(contains(error(), "text_feat.npy: has 4 rows, and the interactions name 3 items"));
  write_npy(mini / "text_feat.npy", HostMatrix(3, 1).view());
  CHECK(contains(error(), "text_feat.npy: is 1 column wide; at least 2 are needed"));
  write_npy(mini / "text_feat.npy", HostMatrix(3, 0).view());
  CHECK(contains(error(), "is 0 columns wide"));
  const float bad = GENERATE(std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                             -std::numeric_limits<float>::infinity());
  HostMatrix features(3, 4);
  features.values[4 * 2 + 1] = bad;
  write_npy(mini / "text_feat.npy", features.view());
  CHECK(contains(error(), std::string("text_feat.npy: the value of row 2, column 1 is ") +
                              (std::isnan(bad) ? "NaN" : "infinite")));
  write_file(mini / "text_feat.npy", "nonsense");
  CHECK(contains(error(), "text_feat.npy: is not a .npy file"));
  std::filesystem::remove(mini / "text_feat.npy");
  std::filesystem::remove(mini / "image_feat.npy");
  CHECK(contains(error(), ".npy files here: none"));
}

TEST_CASE("dataset: half and double features are converted with a notice", "[dataset]") {
  const TemporaryFolder folder;
  const auto mini = make_mini(folder);
  const auto write_array = [&](const char* name, const std::string& descr, const std::string& data) {
    const std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (3, 2), }\n";
    write_file(mini / name,
               std::string("\x93NUMPY\1\0", 8) + static_cast<char>(text.size()) + '\0' + text + data);
  };
  const std::vector<double> doubles = {0.1, 2, 3, 4, 5, 6};
  const std::vector<std::uint16_t> halves = {0x3C00, 0xC000, 0, 0, 0, 0x3800};
  write_array("image_feat.npy", "<f8", {reinterpret_cast<const char*>(doubles.data()), 48});
  write_array("text_feat.npy", "<f2", {reinterpret_cast<const char*>(halves.data()), 12});
  const Dataset data = load_dataset(mini, {});
  CHECK(data.features[0].values.values == std::vector<float>{0.1f, 2, 3, 4, 5, 6});
  CHECK(data.features[1].values.values == std::vector<float>{1, -2, 0, 0, 0, 0.5f});
  CHECK(data.notices == std::vector<std::string>{"image_feat.npy: float64 values were converted to float32",
                                                 "text_feat.npy: float16 values were converted to float32"});
}

TEST_CASE("dataset: health of feature rows", "[dataset]") {
  HostMatrix matrix(6, 3);
  const std::vector<float> values = {1, 2, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 1, 2, 4};
  matrix.values = values;
  const RowHealth health = row_health(matrix.view());
  CHECK(health.zero_rows == 2);
  CHECK(health.duplicate_rows == 2);
  CHECK_FALSE(find_not_finite(matrix.view()).has_value());
  matrix.values[13] = std::numeric_limits<float>::infinity();
  const auto bad = find_not_finite(matrix.view());
  REQUIRE(bad.has_value());
  CHECK(bad->row == 4);
  CHECK(bad->column == 1);
}

TEST_CASE("dataset: original ids", "[dataset]") {
  const TemporaryFolder folder;
  const auto mini = make_mini(folder);
  write_file(mini / "u_id_mapping.csv", "user_id\tuserID\r\nA1\t1\r\nB, \"2\"\t0\r\n");
  write_file(mini / "i_id_mapping.csv", "itemID,asin\n2,\"C,\"\"3\"\n0,A\n7,unused\n");
  const Dataset data = load_dataset(mini, no_features);
  CHECK(data.user_names == std::vector<std::string>{"B, \"2\"", "A1"});
  CHECK(data.item_names == std::vector<std::string>{"A", "1", "C,\"3"});
  CHECK(data.notices == std::vector<std::string>{
                            "i_id_mapping.csv: 1 of 3 itemIDs have no original id and keep their number"});

  const auto error = [&](const std::string& content) {
    write_file(mini / "u_id_mapping.csv", content);
    return error_of([&] { load_dataset(mini, no_features); });
  };
  CHECK(error("who,number\nA,0\nB,1\n").empty());
  CHECK(contains(error(""), "u_id_mapping.csv, line 1: the header '' does not name two columns"));
  CHECK(contains(error("user_id\nA\n"), "does not name two columns"));
  CHECK(contains(error("user_id\tuserID\nA\tB\n"), "line 2: userID is 'B'; it must be a whole number"));
  CHECK(contains(error("user_id\tuserID\nA\t-1\n"), "line 2: userID is '-1'"));
  CHECK(contains(error("user_id\tuserID\nA\t1\nB\t1\n"), "line 3: userID 1 has an original id already"));
  CHECK(contains(error("user_id\tuserID\nA\n"), "line 2: 1 column where the header names 2"));

  // Which id has which number, and nothing else, is in a fingerprint of their own.
  const auto fingerprint = [&](const std::string& content) {
    write_file(mini / "u_id_mapping.csv", content);
    return load_dataset(mini, no_features).ids_fingerprint;
  };
  const std::string first = fingerprint("user_id\tuserID\nA\t0\nB\t1\n");
  CHECK(first.size() == 16);
  CHECK(fingerprint("who,number\nB,1\nA,0\n") == first);
  CHECK(fingerprint("user_id\tuserID\nA\t1\nB\t0\n") != first);
}

TEST_CASE("dataset: the fingerprint follows the bytes that are read, and nothing else", "[dataset]") {
  const TemporaryFolder folder;
  const auto mini = make_mini(folder);
  const std::string first = load_dataset(mini, {}).fingerprint;
  CHECK(first.size() == 16);
  CHECK(first.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(load_dataset(mini, {}).fingerprint == first);
  DatasetFiles text_alone, swapped{"text_feat.npy", "image_feat.npy"};
  text_alone.vision_feature_file = std::nullopt;
  const std::string alone = load_dataset(mini, text_alone).fingerprint;
  CHECK(alone != first);
  CHECK(load_dataset(mini, swapped).fingerprint != first);
  HostMatrix features(3, 4);
  features.values[0] = 1e-20f;
  write_npy(mini / "image_feat.npy", features.view());
  CHECK(load_dataset(mini, {}).fingerprint != first);
  CHECK(load_dataset(mini, text_alone).fingerprint == alone);
  const std::string interactions = load_dataset(mini, {}).interactions_fingerprint;
  CHECK(interactions.size() == 16);
  CHECK(load_dataset(mini, no_features).interactions_fingerprint == interactions);
  write_file(mini / "mini.inter", good + "1\t1\t0\n");
  CHECK(load_dataset(mini, text_alone).fingerprint != alone);
  CHECK(load_dataset(mini, no_features).interactions_fingerprint != interactions);
  // Another place, the same data.
  const TemporaryFolder elsewhere;
  make_mini(elsewhere);
  CHECK(load_dataset(elsewhere / "mini", {}).fingerprint == first);
}

TEST_CASE("dataset: the real sets have the sizes that are known of them", "[dataset]") {
  const auto shared = sea::test::shared_folder();
  if (!shared) return;
  const Interactions baby = read_interactions(*shared / "datasets" / "baby", plenty);
  CHECK(baby.users == 19445);
  CHECK(baby.items == 7050);
  CHECK(baby.train.nonzeros() == 118551);
  CHECK(baby.valid.nonzeros() == 20559);
  CHECK(baby.test.nonzeros() == 21682);
  CHECK(baby.notices.empty());

  DatasetFiles files;
  files.text_feature_file = "audio_feat.npy";
  const Dataset tiktok = load_dataset(*shared / "datasets" / "tiktok", files);
  CHECK(tiktok.users == 9308);
  CHECK(tiktok.items == 6710);
  CHECK(tiktok.train.nonzeros() == 59541);
  // Ten users of held-out splits have no training pair.
  CHECK(tiktok.valid.nonzeros() == 3051 - 5);
  CHECK(tiktok.test.nonzeros() == 6130 - 5);
  REQUIRE(tiktok.notices.size() == 1);
  CHECK(contains(tiktok.notices[0],
                 "10 pairs dropped from validation or test: 10 users without any training pair"));
  CHECK(row_health(tiktok.features[1].values.view()).duplicate_rows == 6710 - 6655);
}
