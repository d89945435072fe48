// `sea recommend` for people, items and parts of the items that are asked for; `sea similar`, `sea
// neighbours`.

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

using namespace sea;
using namespace sea::test;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

CommandResult run_sea(std::vector<std::string> words) {
  words.insert(words.begin(), SEA_COMMAND);
  return run_command(words);
}

/// A run of a model on 150 users and 70 items with features 16 and 12 wide.
struct Answers {
  InterruptedTraining setting;
  fs::path data = setting.data, run = setting.folder / "run", out = setting.folder / "out.jsonl";

  explicit Answers(const std::string& model, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {
        "train", data,    "--model",          model,   "--epochs",          "2", "--output",
        run,     "--set", "embedding_size=8", "--set", "learning_rate=0.01"};
    for (const std::string& assignment : more) words.insert(words.end(), {"--set", assignment});
    const CommandResult result = run_sea(words);
    INFO(result.error);
    REQUIRE(result.code == 0);
  }
  fs::path write(const std::string& name, const std::string& text) const {
    write_file(setting.folder / name, text);
    return setting.folder / name;
  }
  fs::path new_items(const std::string& name, std::int64_t rows, std::int64_t image, std::int64_t text,
                     float spoilt = 0.0f) const {
    const fs::path folder = setting.folder / name;
    fs::create_directories(folder);
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
  std::vector<Json> lines(const std::string& command, std::vector<std::string> more) const {
    more.insert(more.end(), {"--output", out});
    const CommandResult result = ask(command, more);
    INFO(result.error);
    REQUIRE(result.code == 0);
    std::vector<Json> lines;
    std::istringstream in(read_file(out));
    for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
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

using Matrix = std::vector<std::vector<double>>;

Matrix doubles(const HostMatrix& matrix) {
  Matrix rows;
  for (std::int64_t i = 0; i < matrix.rows; ++i)
    rows.emplace_back(matrix.view().row(i), matrix.view().row(i) + matrix.columns);
  return rows;
}

Matrix doubles(const Safetensors& file, const std::string& name) {
  HostMatrix matrix(file.shape(name)[0], file.shape(name)[1]);
  matrix.values = file.floats(name);
  return doubles(matrix);
}

/// Of columns [first, last).
double dot(const std::vector<double>& a, const std::vector<double>& b, std::size_t first, std::size_t last) {
  double sum = 0.0;
  for (std::size_t j = first; j < last; ++j) sum += a[j] * b[j];
  return sum;
}
double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return dot(a, b, 0, a.size());
}

double cosine(const std::vector<double>& a, const std::vector<double>& b) {
  return dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
}

/// X W^T + b for rows [first, last) of W.
Matrix linear(const Matrix& x, const Matrix& weight, const std::vector<double>& bias, std::size_t first,
              std::size_t last) {
  Matrix y;
  for (const std::vector<double>& row : x) {
    y.emplace_back();
    for (std::size_t o = first; o < last; ++o) y.back().push_back(dot(row, weight[o]) + bias[o]);
  }
  return y;
}

/// The others by falling likeness.
std::vector<int> ranking(std::size_t count, int itself, const std::function<double(int)>& likeness) {
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  order.erase(order.begin() + itself);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return likeness(a) > likeness(b); });
  return order;
}

/// Users of each item in training.
std::vector<std::set<int>> users_of_items(const Dataset& dataset) {
  std::vector<std::set<int>> users(static_cast<std::size_t>(dataset.items));
  for (int user = 0; user < dataset.users; ++user) {
    for (const std::int32_t item : dataset.train.row(user)) users[item].insert(user);
  }
  return users;
}

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

TEST_CASE("answers: similar items and users, by cosine, with what they share", "[command][answers]") {
  const Answers answers("sea", {"knn_k=5", "club_steps=2"});
  const Dataset dataset = answers.dataset();
  const Representations representations = answers.representations();
  const Matrix items = doubles(representations.items), users = doubles(representations.users);
  const auto holders = users_of_items(dataset);
  for (const int item : {0, 33}) {
    const auto lines = answers.lines("similar", {"--item", std::to_string(item), "--top-k", "6"});
    REQUIRE(lines.size() == 6);
    const auto order = ranking(70, item, [&](int other) { return cosine(items[item], items[other]); });
    for (std::size_t n = 0; n < 6; ++n) {
      const Json& line = lines[n];
      const int other = line.at("similarID");
      CHECK(line.at("itemID") == item);
      CHECK(line.at("rank") == n + 1);
      CHECK(other == order[n]);
      CHECK(line.at("similarity").get<double>() == Approx(cosine(items[item], items[other])).margin(1e-5));
      std::vector<int> shared;
      std::set_intersection(holders[item].begin(), holders[item].end(), holders[other].begin(),
                            holders[other].end(), std::back_inserter(shared));
      CHECK(line.at("shared") == shared.size());
      shared.resize(std::min<std::size_t>(shared.size(), 10));
      CHECK(line.at("sharedIDs").get<std::vector<int>>() == shared);
      // The modalities lie side by side.
      const double norm = std::sqrt(dot(items[item], items[item]) * dot(items[other], items[other]));
      const double visual = dot(items[item], items[other], 0, 8) / norm,
                   textual = dot(items[item], items[other], 8, 16) / norm;
      CHECK(line.at("visual").get<double>() == Approx(visual).margin(1e-5));
      CHECK(line.at("textual").get<double>() == Approx(textual).margin(1e-5));
      CHECK(line.at("modality") == (visual >= textual ? "visual" : "textual"));
    }
  }
  const auto visual_part = [](const std::vector<double>& row) {
    return std::vector<double>(row.begin(), row.begin() + 8);
  };
  const auto visual = answers.lines("similar", {"--item", "5", "--modality", "visual", "--top-k", "69"});
  REQUIRE(visual.size() == 69);
  for (std::size_t n = 0; n < 69; ++n)
    CHECK(visual[n].at("similarity").get<double>() ==
          Approx(cosine(visual_part(items[5]), visual_part(items[visual[n].at("similarID").get<int>()])))
              .margin(1e-5));
  const auto people = answers.lines("similar", {"--user", "9", "--user-index", "2", "--top-k", "3"});
  REQUIRE(people.size() == 6);
  CHECK(people[3].at("userID") == 2);
  const auto order = ranking(150, 2, [&](int other) { return cosine(users[2], users[other]); });
  for (std::size_t n = 0; n < 3; ++n) {
    CHECK(people[3 + n].at("similarID") == order[n]);
    const ConstIndexView a = dataset.train.row(2), b = dataset.train.row(order[n]);
    std::vector<int> shared;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(shared));
    CHECK(people[3 + n].at("shared") == shared.size());
  }
}

TEST_CASE("answers: similar items by the generic and the unique part, and by the features",
          "[command][answers]") {
  for (const std::string model : {"sea", "pamd"}) {
    DYNAMIC_SECTION(model) {
      const Answers answers(model, model == "sea" ? std::vector<std::string>{"knn_k=5", "club_steps=2"}
                                                  : std::vector<std::string>{"pretrain_epochs=1"});
      const Dataset dataset = answers.dataset();
      const Safetensors best = read_arrays(best_file(answers.run), answers.description().identity());
      const Matrix x = doubles(dataset.features[0].values);
      Matrix generic, unique;
      if (model == "sea") {
        const Matrix weight = doubles(best, "visual.item_linear.weight");
        const std::vector<double> bias = doubles(best, "visual.item_linear.bias")[0];
        generic = linear(x, weight, bias, 0, 8);
        unique = linear(x, weight, bias, 8, 16);
      } else {
        const Matrix w = doubles(best, "W_2");
        const Matrix encoded =
            linear(x, doubles(best, "en_img.weight"), doubles(best, "en_img.bias")[0], 0, 8);
        for (const std::vector<double>& row : encoded) {
          generic.emplace_back(8);
          for (std::size_t i = 0; i < 8; ++i) {
            for (std::size_t j = 0; j < 8; ++j) generic.back()[j] += row[i] * w[i][j];
          }
          unique.push_back(row);
          for (std::size_t j = 0; j < 8; ++j) unique.back()[j] -= generic.back()[j];
        }
      }
      const auto check = [&](const std::string& by, const Matrix& part) {
        const auto lines =
            answers.lines("similar", {"--item", "11", "--by", by, "--modality", "visual", "--top-k", "69"});
        REQUIRE(lines.size() == 69);
        double last = 1.0 + 1e-5;
        for (const Json& line : lines) {
          const double similarity = line.at("similarity");
          CHECK(similarity == Approx(cosine(part[11], part[line.at("similarID").get<int>()])).margin(1e-4));
          CHECK(similarity <= last);
          last = similarity;
        }
      };
      check("generic", generic);
      check("unique", unique);
      check("features", x);
      // Both modalities: the mean of the cosines.
      const auto one = [&](const std::string& modality) {
        std::map<int, double> cosines;
        for (const Json& line : answers.lines(
                 "similar", {"--item", "11", "--by", "generic", "--modality", modality, "--top-k", "69"}))
          cosines[line.at("similarID")] = line.at("similarity");
        return cosines;
      };
      const auto visual = one("visual"), textual = one("textual"), both = one("both");
      for (const auto& [item, similarity] : both)
        CHECK(similarity == Approx((visual.at(item) + textual.at(item)) / 2.0).margin(1e-5));
    }
  }
}

TEST_CASE("answers: the item graph as data", "[command][answers]") {
  const std::int64_t k = 5;
  const Answers answers("sea", {"knn_k=5", "club_steps=2", "mm_image_weight=0.3"});
  const Dataset dataset = answers.dataset();
  const auto lines = answers.lines("neighbours", {});
  std::map<std::pair<int, int>, Json> entries;
  for (const Json& line : lines) entries[{line.at("itemID"), line.at("neighbourID")}] = line;
  REQUIRE(entries.size() == lines.size());
  std::size_t expected = 0;
  for (int item = 0; item < 70; ++item) {
    std::map<int, std::vector<double>> row;
    for (std::size_t m = 0; m < 2; ++m) {
      const Matrix x = doubles(dataset.features[m].values);
      std::vector<int> order(70);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int a, int b) { return cosine(x[item], x[a]) > cosine(x[item], x[b]); });
      for (std::int64_t n = 0; n < k; ++n) {
        row.try_emplace(order[n], std::vector<double>(2)).first->second[m] = 1.0 / static_cast<double>(k);
      }
    }
    expected += row.size();
    for (const auto& [other, weights] : row) {
      REQUIRE(entries.count({item, other}) == 1);
      const Json& line = entries.at({item, other});
      CHECK(line.at("visual").get<double>() == Approx(weights[0]));
      CHECK(line.at("textual").get<double>() == Approx(weights[1]));
      CHECK(line.at("combined").get<double>() == Approx(0.3 * weights[0] + 0.7 * weights[1]).epsilon(1e-5));
    }
  }
  CHECK(lines.size() == expected);
  const CommandResult tsv = answers.ask("neighbours", {});
  CHECK(tsv.out.rfind("itemID\tneighbourID\tvisual\ttextual\tcombined\n0\t", 0) == 0);
  CHECK(std::count(tsv.out.begin(), tsv.out.end(), '\n') == static_cast<std::ptrdiff_t>(expected) + 1);
  const fs::path npz = answers.setting.folder / "graph.npz";
  CHECK(answers.ask("neighbours", {"--output", npz}).code == 0);
  CHECK(fs::file_size(npz) > expected * 28);
}

TEST_CASE("answers: a learned item graph, by its formula", "[command][answers]") {
  const Answers answers("lattice", {"knn_k=5", "feat_embed_dim=8"});
  const Dataset dataset = answers.dataset();
  const Safetensors best = read_arrays(best_file(answers.run), answers.description().identity());
  const double lambda = answers.description().configuration.number("lambda_coeff");
  const std::vector<double> raw_weights = doubles(best, "modal_weight")[0];
  const double sum = std::exp(raw_weights[0]) + std::exp(raw_weights[1]);
  const auto nearest = [](const Matrix& x) {
    Matrix kept(70, std::vector<double>(70));
    for (int item = 0; item < 70; ++item) {
      std::vector<int> order(70);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int a, int b) { return cosine(x[item], x[a]) > cosine(x[item], x[b]); });
      for (std::size_t n = 0; n < 5; ++n) kept[item][order[n]] = cosine(x[item], x[order[n]]);
    }
    return kept;
  };
  const auto normalised = [](const Matrix& graph) {
    std::vector<double> sums;
    for (const auto& row : graph) sums.push_back(std::accumulate(row.begin(), row.end(), 0.0));
    Matrix result = graph;
    for (std::size_t i = 0; i < 70; ++i) {
      for (std::size_t j = 0; j < 70; ++j)
        result[i][j] = sums[i] > 0.0 && sums[j] > 0.0 ? graph[i][j] / std::sqrt(sums[i] * sums[j]) : 0.0;
    }
    return result;
  };
  Matrix learned(70, std::vector<double>(70)), frozen[2];
  for (std::size_t m = 0; m < 2; ++m) {
    const double weight = std::exp(raw_weights[m]) / sum;
    const std::string name = m == 0 ? "image" : "text";
    const Matrix w = doubles(best, name + "_trs.weight");
    const Matrix part = nearest(linear(doubles(best, name + "_embedding.weight"), w,
                                       doubles(best, name + "_trs.bias")[0], 0, w.size()));
    frozen[m] = normalised(nearest(doubles(dataset.features[m].values)));
    for (std::size_t i = 0; i < 70; ++i) {
      for (std::size_t j = 0; j < 70; ++j) learned[i][j] += weight * part[i][j];
    }
  }
  learned = normalised(learned);
  Matrix found(70, std::vector<double>(70));
  for (const Json& line : answers.lines("neighbours", {})) {
    const int i = line.at("itemID"), j = line.at("neighbourID");
    found[i][j] = line.at("combined");
    CHECK(line.at("visual").get<double>() == Approx(frozen[0][i][j]).margin(1e-5));
    CHECK(line.at("textual").get<double>() == Approx(frozen[1][i][j]).margin(1e-5));
  }
  for (std::size_t i = 0; i < 70; ++i) {
    for (std::size_t j = 0; j < 70; ++j) {
      const double expected =
          (1.0 - lambda) * learned[i][j] +
          lambda / sum *
              (std::exp(raw_weights[0]) * frozen[0][i][j] + std::exp(raw_weights[1]) * frozen[1][i][j]);
      CHECK(found[i][j] == Approx(expected).margin(1e-5));
    }
  }
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
              "--by generic: bpr does not part a modality into generic and unique; sea, micro, pamd do");
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

  const Answers mmssl("mmssl");
  const fs::path history = mmssl.write("history.tsv", "ann\t1\n");
  mmssl.refused("recommend", {"--history", history}, 1,
                "--history: mmssl cannot take in who was not in training: its graphs change during the "
                "training, and those of the best epoch are not kept");
}
