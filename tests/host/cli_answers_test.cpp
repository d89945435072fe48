// `sea recommend` for people, items and parts of the items that are asked for; what cannot be answered.

#include "support/answers.hpp"

using namespace sea;
using namespace sea::test;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

}  // namespace

TEST_CASE("answers: candidates, and items left out, are ranked as among all", "[command][answers]") {
  const Answers answers("lightgcn");
  std::string candidates, out;
  std::set<int> some, left_out;
  for (int i = 0; i < 70; i += 3) candidates += fmt::format("{}\n", i), some.insert(i);
  for (int i = 0; i < 70; i += 2) out += fmt::format("{}\r\n", i), left_out.insert(i);
  candidates += "3\n";  // twice is once
  const fs::path file = answers.write("some.txt", candidates), without = answers.write("out.txt", out);
  const auto list = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--user", "4,90", "--top-k", "70"});
    std::vector<std::pair<int, float>> rows;
    int rank = 0, user = -1;
    for (const Json& line : answers.lines("recommend", more)) {
      rank = line.at("userID") == user ? rank + 1 : 1;
      user = line.at("userID");
      CHECK(line.at("rank") == rank);
      rows.emplace_back(1000 * user + line.at("itemID").get<int>(), line.at("score"));
    }
    return rows;
  };
  const auto all = list({});
  const auto kept = [&](const std::function<bool(int)>& keep) {
    auto rows = all;
    std::erase_if(rows, [&](const auto& row) { return !keep(row.first % 1000); });
    return rows;
  };
  CHECK(list({"--candidates", file}) == kept([&](int i) { return some.count(i) == 1; }));
  CHECK(list({"--without", without}) == kept([&](int i) { return left_out.count(i) == 0; }));
  CHECK(list({"--candidates", file, "--without", without}) ==
        kept([&](int i) { return some.count(i) == 1 && left_out.count(i) == 0; }));
  CHECK(list({"--candidates", file}).size() < all.size());
  // As many as there are, in an array too.
  const CommandResult npz = answers.ask(
      "recommend", {"--all", "--candidates", file, "--output", answers.setting.folder / "some.npz"});
  CHECK(npz.code == 0);
}

TEST_CASE("answers: popular items among candidates, where a user has no history", "[command][answers]") {
  const Answers answers("bpr");
  // A user whom the data name in validation alone, which is dropped.
  const fs::path data = answers.setting.folder / "more";
  fs::create_directory(data);
  write_file(data / "more.inter", read_file(answers.data / "data.inter") + "150\t1\t1\n");
  const fs::path run = answers.setting.folder / "more-run";
  REQUIRE(run_sea({"train", data, "--model", "bpr", "--epochs", "1", "--output", run}).code == 0);
  const fs::path file = answers.write("some.txt", "9\n1\n5\n30\n");
  const CommandResult result = run_sea({"recommend", run, "--user", "150", "--candidates", file});
  REQUIRE(result.code == 0);
  const auto users = users_of_items(answers.dataset());
  std::vector<int> expected = {1, 5, 9, 30};
  std::stable_sort(expected.begin(), expected.end(),
                   [&](int a, int b) { return users[a].size() > users[b].size(); });
  std::string text = "userID\trank\titemID\tscore\tsource\n";
  for (int rank = 0; rank < 4; ++rank)
    text += fmt::format("150\t{}\t{}\t{}\tpopular\n", rank + 1, expected[rank], users[expected[rank]].size());
  CHECK(result.out == text);
}

TEST_CASE("answers: people with a history, and new items with features", "[command][answers]") {
  const Answers answers("freedom", {"knn_k=5"});
  const fs::path history =
      answers.write("history.tsv", "userID\titemID\nann\t3\nbob\t69\nann\t40\nann\t3\nb\t0\n");
  const fs::path fresh = answers.new_items("fresh", 2, 16, 12);
  // Known users are as they were, whoever joins, and people have what they have left out.
  const auto known = answers.lines("recommend", {"--user", "8", "--top-k", "5"});
  const auto lines = answers.lines("recommend", {"--user", "8", "--history", history, "--top-k", "70"});
  std::map<std::string, std::set<int>> items;
  for (const Json& line : lines) items[line.at("user")].insert(line.at("itemID").get<int>());
  REQUIRE(items.size() == 4);
  CHECK(items.at("ann").size() == 68);
  CHECK(items.at("bob").size() == 69);
  CHECK(items.at("ann").count(3) + items.at("ann").count(40) + items.at("bob").count(69) == 0);
  for (std::size_t i = 0; i < known.size(); ++i) {
    for (const char* key : {"userID", "itemID", "rank", "score"}) CHECK(lines[i].at(key) == known[i].at(key));
  }
  CHECK(lines.back().at("userID") == 152);
  CHECK(answers.lines("recommend", {"--history", history, "--include-seen", "--top-k", "70"}).size() == 210);
  CHECK(contains(answers.ask("recommend", {"--history", history}).error,
                 "1 line stood there before and is left out"));

  // New items have the numbers behind the others, and change no other's score.
  const auto with =
      answers.lines("recommend", {"--user", "8", "--new-items", fresh, "--top-k", "72", "--include-seen"});
  const auto without = answers.lines("recommend", {"--user", "8", "--top-k", "72", "--include-seen"});
  std::map<int, float> scores;
  for (const Json& line : without) scores[line.at("itemID")] = line.at("score");
  REQUIRE(with.size() == 72);
  float last = std::numeric_limits<float>::infinity();
  for (const Json& line : with) {
    const int item = line.at("itemID");
    const float score = line.at("score");
    CHECK(score <= last);
    last = score;
    if (item < 70) CHECK(scores.at(item) == score);
  }
  const fs::path two = answers.write("two.txt", "70\n71\n");
  CHECK(answers.lines("recommend", {"--all", "--new-items", fresh, "--candidates", two}).size() == 300);
  // Both at once.
  const auto both = answers.lines(
      "recommend", {"--history", history, "--new-items", fresh, "--top-k", "72", "--include-seen"});
  CHECK(both.size() == 3 * 72);
}

TEST_CASE("answers: new people and items beside original ids", "[command][answers]") {
  const Answers answers("lightgcn");
  const fs::path mapped = answers.setting.folder / "mapped";
  fs::create_directory(mapped);
  fs::copy(answers.data / "data.inter", mapped / "mapped.inter");
  std::string items = "item_id\titemID\n", users = "user_id\tuserID\n";
  for (int i = 0; i < 70; ++i) items += fmt::format("item {}\t{}\n", i, i);
  for (int i = 0; i < 150; ++i) users += fmt::format("user {}\t{}\n", i, i);
  write_file(mapped / "i_id_mapping.csv", items);
  write_file(mapped / "u_id_mapping.csv", users);
  const fs::path history = answers.write("history.tsv", "ann\titem 7\nann\titem 9\n");
  const CommandResult result =
      answers.ask("recommend", {"--data", mapped, "--history", history, "--user", "user 3", "--top-k", "1"});
  INFO(result.error);
  REQUIRE(result.code == 0);
  std::istringstream in(result.out);
  std::string header, first, second;
  std::getline(in, header), std::getline(in, first), std::getline(in, second);
  CHECK(header == "userID\trank\titemID\tscore\tuser\titem");
  CHECK(contains(first, "\tuser 3\titem "));
  CHECK(contains(second, "150\t1\t"));
  CHECK(contains(second, "\tann\titem "));
  const fs::path some = answers.write("some.txt", "item 7\nitem 8\n");
  CHECK(contains(answers.ask("recommend", {"--data", mapped, "--history", history, "--candidates", some}).out,
                 "150\t1\t8\t"));
}

TEST_CASE("answers: what cannot be answered is one sentence", "[command][answers][hostile]") {
  const Answers answers("freedom", {"knn_k=5"});
  const auto refused = [&](const std::vector<std::string>& more, int code, const std::string& message) {
    answers.refused("recommend", more, code, message);
  };
  const fs::path file = answers.write("file", "x"), folder = answers.setting.folder.path();
  const std::string history = "--history " + file.string();
  const auto refused_history = [&](const std::string& text, const std::string& message) {
    write_file(file, text);
    refused({"--history", file}, 1, history + message);
  };
  refused({"--history", folder / "no"}, 1,
          "--history " + (folder / "no").string() + ": there is no such file, or it cannot be read");
  refused({"--history", folder}, 1,
          "--history " + folder.string() + ": there is no such file, or it cannot be read");
  refused_history("", ": names nobody; its lines are a person and an item, parted by a tab");
  refused_history("userID\titemID\n", ": names nobody; its lines are a person and an item, parted by a tab");
  refused_history("ann\t1\nbob\t\n", ", line 2: 'bob' has no item; a person needs one at least");
  refused_history("ann\n", ", line 1: 'ann' is not a person and an item, parted by a tab");
  refused_history("ann\t1\t0\n", ", line 1: 'ann?1?0' is not a person and an item, parted by a tab");
  refused_history("\t1\n", ", line 1: the person has no name");
  refused_history("ann\t70\n", ", line 1: '70' is unknown; items are the numbers from 0 to 69");
  refused_history("ann\t-1\n", ", line 1: '-1' is unknown; items are the numbers from 0 to 69");
  refused_history("ann\t1.5\n", ", line 1: '1.5' is unknown; items are the numbers from 0 to 69");
  refused_history("ann\tnan\n", ", line 1: 'nan' is unknown; items are the numbers from 0 to 69");

  for (const std::string option : {"--candidates", "--without"}) {
    write_file(file, "3\nseven\n");
    refused(
        {"--all", option, file}, 1,
        option + " " + file.string() + ", line 2: 'seven' is unknown; items are the numbers from 0 to 69");
    write_file(file, "\n\n");
    refused({"--all", option, file}, 1, option + " " + file.string() + ": names no item");
    refused({"--all", option, folder / "no"}, 1,
            option + " " + (folder / "no").string() + ": there is no such file, or it cannot be read");
  }
  write_file(file, "3\n");
  refused({"--all", "--candidates", file, "--without", file}, 1,
          "--without " + file.string() + ": leaves no item to rank");

  const auto refused_items = [&](const fs::path& items, const std::string& message) {
    refused({"--all", "--new-items", items}, 1, message);
  };
  refused_items(folder / "no", "--new-items " + (folder / "no").string() +
                                   ": is no folder; it is to hold the new items' feature files, as the data "
                                   "set does");
  refused_items(answers.data.parent_path(), (folder / "image_feat.npy").string() +
                                                ": no such visual feature file; .npy files here: none");
  const fs::path wide = answers.new_items("wide", 2, 17, 12),
                 spoilt = answers.new_items("nan", 2, 16, 12, NAN),
                 none = answers.new_items("none", 0, 16, 12), uneven = answers.new_items("uneven", 2, 16, 12);
  HostMatrix three(3, 12);
  three.values.assign(36, 1.0f);
  write_npy(uneven / "text_feat.npy", three.view());
  refused_items(wide, "--new-items " + (wide / "image_feat.npy").string() +
                          ": has 17 columns, and the model was trained on 16");
  refused_items(spoilt, (spoilt / "image_feat.npy").string() +
                            ": the value of row 1, column 15 is NaN; features must be finite");
  refused_items(uneven, "--new-items " + (uneven / "text_feat.npy").string() +
                            ": has 3 rows, and image_feat.npy has 2");
  refused_items(none, "--new-items " + (none / "image_feat.npy").string() + ": has no row, and so no item");

  // Data that have changed since.
  const fs::path changed = folder / "changed";
  fs::copy(answers.data, changed);
  fs::rename(changed / "data.inter", changed / "changed.inter");
  write_file(changed / "changed.inter", read_file(changed / "changed.inter") + "0\t69\t1\n");
  write_file(file, "ann\t1\n");
  const CommandResult result = answers.ask("recommend", {"--data", changed, "--history", file});
  CHECK(result.code == 1);
  CHECK(contains(result.error, "its interactions or features are not those that " + answers.run.string() +
                                   " was trained on, which --history needs; train anew"));
}

TEST_CASE("answers: models that have no place for newcomers, parts or graphs say so",
          "[command][answers][hostile]") {
  const Answers bpr("bpr");
  const fs::path fresh = bpr.new_items("fresh", 2, 16, 12);
  CHECK(contains(
      bpr.ask("recommend", {"--all", "--new-items", fresh}).error,
      "error: --new-items: bpr reads no features, and knows an item by its interactions alone; sea, "));
  bpr.refused("similar", {"--item", "1", "--by", "features"}, 1, "--by features: bpr reads no features");
  bpr.refused("similar", {"--item", "1", "--modality", "visual"}, 1,
              "--modality visual: the representation of bpr mixes the modalities; those of sea have columns "
              "for each");
  bpr.refused("similar", {"--item", "1", "--by", "generic"}, 1,
              "--by generic: bpr does not part a modality into generic and unique; sea, micro, pamd, "
              "vbpr+sea, freedom+sea, lattice+sea, slmrec+sea, bm3+sea do");
  bpr.refused(
      "neighbours", {}, 1,
      bpr.run.string() +
          ": bpr has no item graph; sea, freedom, lattice, mgcn, micro, freedom+sea, lattice+sea have "
          "one");
  bpr.refused("similar", {}, 2, "--item, --item-index, --user or --user-index is needed");
  bpr.refused("similar", {"--item", "1", "--user", "1"}, 2, "--item and --user: give one of them");
  bpr.refused("similar", {"--item", "70"}, 1,
              "--item 70: '70' is unknown; items are the numbers from 0 to 69");
  bpr.refused("similar", {"--item-index", "1,x"}, 1,
              "--item-index 1,x: 'x' is unknown; items are the numbers from 0 to 69");
  bpr.refused("similar", {"--user", "150"}, 1,
              "--user 150: '150' is unknown; users are the numbers from 0 to 149");
  bpr.refused("similar", {"--user", "1", "--by", "unique"}, 2,
              "--by unique: goes with items; users have their representation alone");
  bpr.refused("similar", {"--item", "1", "--top-k", "0"}, 2,
              "--top-k 0: must be a whole number from 1 to 2147483647");
  // An id twice is answered twice, as by recommend.
  CHECK(bpr.lines("similar", {"--item", "4,4", "--top-k", "2"}).size() == 4);

  // Features that are numbers, and what a layer makes of them is none.
  const Answers vbpr("vbpr");
  const fs::path vast = vbpr.new_items("vast", 2, 16, 12);
  HostMatrix image(2, 16);
  std::fill(image.values.begin() + 16, image.values.end(), 3e38f);
  write_npy(vast / "image_feat.npy", image.view());
  vbpr.refused("recommend", {"--all", "--new-items", vast}, 1,
               "--new-items " + vast.string() +
                   ": the features of row 1 are so large that what the model makes of them is not finite");

  const Answers mmssl("mmssl");
  const fs::path history = mmssl.write("history.tsv", "ann\t1\n");
  mmssl.refused("recommend", {"--history", history}, 1,
                "--history: mmssl cannot take in who was not in training: its graphs change during the "
                "training, and those of the best epoch are not kept");
}
