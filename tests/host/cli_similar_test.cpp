// `sea similar` and `sea neighbours`.

#include "support/answers.hpp"

using namespace sea;
using namespace sea::test;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
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

}  // namespace

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
      const Answers answers(model, model == "sea"
                                       ? std::vector<std::string>{"knn_k=5", "club_steps=2"}
                                       : std::vector<std::string>{"pretrain_epochs=1", "eval_step=1"});
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
