// People and items that were not in training: the graphs they join, and what they become in each model.

#include "training/fold_in.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "data/cooccurrence.hpp"
#include "data/graph.hpp"
#include "data/neighbours.hpp"
#include "support/training.hpp"

using namespace sea;
using namespace sea::test;

namespace {

namespace fs = std::filesystem;
using Matrix = std::vector<std::vector<double>>;

Matrix zeros(std::int64_t rows, std::int64_t columns) {
  return Matrix(static_cast<std::size_t>(rows), std::vector<double>(static_cast<std::size_t>(columns)));
}

HostCsr random_pairs(std::mt19937& random, std::int64_t rows, std::int64_t columns, double share) {
  HostCsr pairs;
  pairs.rows = rows;
  pairs.columns = columns;
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int32_t j = 0; j < columns; ++j) {
      if (uniform(random) < share) pairs.column_indices.push_back(j);
    }
    pairs.row_offsets.push_back(pairs.nonzeros());
  }
  return pairs;
}

/// `pairs` with these rows alone; the others are empty.
HostCsr with_rows(const HostCsr& pairs, const std::vector<std::int64_t>& rows) {
  HostCsr some;
  some.rows = pairs.rows;
  some.columns = pairs.columns;
  for (std::int64_t i = 0; i < pairs.rows; ++i) {
    if (std::find(rows.begin(), rows.end(), i) != rows.end())
      some.column_indices.insert(some.column_indices.end(), pairs.row(i).begin(), pairs.row(i).end());
    some.row_offsets.push_back(some.nonzeros());
  }
  return some;
}

void check_row(const HostCsr& a, const HostCsr& b, std::int64_t row) {
  REQUIRE(std::vector<std::int32_t>(a.row(row).begin(), a.row(row).end()) ==
          std::vector<std::int32_t>(b.row(row).begin(), b.row(row).end()));
  for (std::size_t i = 0; i < a.row(row).size(); ++i) {
    CHECK(a.values[a.row_offsets[row] + static_cast<std::int64_t>(i)] ==
          b.values[b.row_offsets[row] + static_cast<std::int64_t>(i)]);
  }
}

/// A small run of a model, and what is asked of it afterwards.
struct Setting {
  TrainingFixture fixture;
  std::string name;
  Configuration configuration;
  fs::path run;
  std::string identity;
  CpuBackend backend{1};
  Newcomers newcomers;

  explicit Setting(const std::string& model)
      : name(model), configuration(resolve_configuration(request(model))), run(fixture.folder / "run") {
    train_run(fixture.data, run, request(model), 1);
    identity = read_run(run).identity();
    newcomers.people = {"ann", "bob"};
    newcomers.histories = {{3, 17, 20, 41}, {5, 17}};
    std::mt19937 random(8);
    std::normal_distribution<float> normal;
    for (const ItemFeatures& modality : data().features) {
      HostMatrix& rows = newcomers.features.emplace_back(3, modality.values.columns);
      for (float& value : rows.values) value = normal(random);
    }
  }
  static ConfigurationRequest request(const std::string& model) {
    ConfigurationRequest request;
    request.model = model;
    request.assignments = {"embedding_size=8", "train_batch_size=256", "epochs=3", "learning_rate=0.01",
                           "eval_step=1"};
    const ModelDescription& description = *find_model(model, "").model;
    for (const char* assignment : {"knn_k=5", "pretrain_epochs=1", "feat_embed_dim=8"}) {
      const std::string key = std::string(assignment).substr(0, std::string(assignment).find('='));
      for (const Key& known : description.keys) {
        if (known.name == key) request.assignments.emplace_back(assignment);
      }
    }
    return request;
  }
  TrainedRun trained() const { return {configuration, best_file(run), checkpoint_file(run), identity}; }
  Dataset data() const { return load_dataset(fixture.data, dataset_files(configuration)); }
  Representations known() const {
    return read_representations(best_file(run), identity, scorer_of(configuration.model().score));
  }
  Representations extended(const Newcomers& who) {
    return with_newcomers(backend, trained(), known(), data(), who, [](const std::string&) {});
  }
};

double largest(const HostMatrix& matrix) {
  double value = 0.0;
  for (const float x : matrix.values) value = std::max(value, std::abs(static_cast<double>(x)));
  return value;
}

/// Of rows [first_a, first_a + rows) and [first_b, ...).
double difference(const HostMatrix& a, std::int64_t first_a, const HostMatrix& b, std::int64_t first_b,
                  std::int64_t rows) {
  double value = 0.0;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < a.columns; ++j)
      value = std::max(value, std::abs(static_cast<double>(a.view().row(first_a + i)[j]) -
                                       static_cast<double>(b.view().row(first_b + i)[j])));
  }
  return value;
}

}  // namespace

TEST_CASE("fold-in: who joins a graph has the row of a training on everybody and them, and changes no other",
          "[fold-in]") {
  std::mt19937 random(4);
  HostCsr all = random_pairs(random, 12, 9, 0.3);
  const std::vector<std::int64_t> known = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  const HostCsr train = with_rows(all, known), joined = with_rows(all, {10, 11});
  REQUIRE(joined.nonzeros() > 2);
  for (const bool option : {false, true}) {
    const HostCsr graphs[] = {interaction_graph(train, joined), mean_graph(train, option, joined),
                              pair_graph(train, option, joined)};
    const HostCsr before[] = {interaction_graph(train), mean_graph(train, option), pair_graph(train, option)};
    for (std::size_t g = 0; g < 3; ++g) {
      for (std::int64_t row = 0; row < before[g].rows; ++row) {
        if (row != 10 && row != 11) check_row(graphs[g], before[g], row);
      }
    }
    for (const std::int64_t person : {10, 11}) {
      std::vector<std::int64_t> rows = known;
      rows.push_back(person);
      const HostCsr with = with_rows(all, rows);
      check_row(graphs[0], interaction_graph(with), person);
      check_row(graphs[1], mean_graph(with, option), person);
      check_row(graphs[2], pair_graph(with, option), person);
    }
  }
  const auto list = [](const Cooccurrence& lists, std::int64_t user) {
    return std::vector<std::int32_t>(lists.neighbours.begin() + lists.row_offsets[user],
                                     lists.neighbours.begin() + lists.row_offsets[user + 1]);
  };
  const Cooccurrence lists = count_cooccurrence(train, 5, joined), before = count_cooccurrence(train, 5);
  for (const std::int64_t user : known) CHECK(list(lists, user) == list(before, user));
  for (const std::int64_t person : {10, 11}) {
    std::vector<std::int64_t> rows = known;
    rows.push_back(person);
    CHECK(list(lists, person) == list(count_cooccurrence(with_rows(all, rows), 5), person));
    CHECK_FALSE(list(lists, person).empty());
  }
}

TEST_CASE("fold-in: a new item has itself and the nearest of the others, and is nobody's neighbour",
          "[fold-in]") {
  CpuBackend backend(1);
  HostMatrix features(23, 6);
  std::mt19937 random(6);
  std::normal_distribution<float> normal;
  for (float& value : features.values) value = normal(random);
  const auto cosine = [&](std::int64_t a, std::int64_t b) {
    double dot = 0.0, aa = 0.0, bb = 0.0;
    for (std::int64_t j = 0; j < 6; ++j) {
      const double x = features.view().row(a)[j], y = features.view().row(b)[j];
      dot += x * y, aa += x * x, bb += y * y;
    }
    return dot / std::sqrt(aa * bb);
  };
  for (const std::int64_t k : {1, 4}) {
    const std::vector<std::int32_t> all = nearest_neighbours(backend, features.view(), k, 3);
    const std::vector<std::int32_t> before = nearest_neighbours(backend, features.view().row_range(0, 20), k);
    REQUIRE(all.size() == static_cast<std::size_t>(23 * k));
    CHECK(std::equal(before.begin(), before.end(), all.begin()));
    for (std::int64_t item = 20; item < 23; ++item) {
      std::vector<std::int32_t> others(20);
      std::iota(others.begin(), others.end(), 0);
      std::sort(others.begin(), others.end(),
                [&](std::int32_t a, std::int32_t b) { return cosine(item, a) > cosine(item, b); });
      std::vector<std::int32_t> expected = {static_cast<std::int32_t>(item)};
      expected.insert(expected.end(), others.begin(), others.begin() + (k - 1));
      CHECK(std::vector<std::int32_t>(all.begin() + item * k, all.begin() + (item + 1) * k) == expected);
    }
  }
}

TEST_CASE("fold-in: every model gives those who were trained on what they had, and newcomers their own",
          "[fold-in]") {
  for (const ModelDescription& model : models()) {
    if (!model.refuses_newcomers.empty()) continue;
    DYNAMIC_SECTION(model.name) {
      Setting setting(model.name);
      const Representations known = setting.known();
      const std::int64_t users = known.users.rows, items = known.items.rows;
      const std::int64_t fresh = setting.newcomers.items();
      const auto folded = fold_in(setting.backend, setting.trained(), setting.data(), setting.newcomers,
                                  [](const std::string&) {});
      const HostMatrix all_users = to_host(setting.backend, folded->program.value(folded->users)),
                       all_items = to_host(setting.backend, folded->program.value(folded->items));
      REQUIRE(all_users.rows == users + 2);
      REQUIRE(all_items.rows == items + fresh);
      const double scale = std::max(largest(known.users), largest(known.items));
      CHECK(difference(all_users, 0, known.users, 0, users) < 1e-5 * scale);
      CHECK(difference(all_items, 0, known.items, 0, items) < 1e-5 * scale);

      // Others who join change nothing.
      Newcomers some;
      some.people = {"bob"};
      some.histories = {setting.newcomers.histories[1]};
      for (const HostMatrix& rows : setting.newcomers.features) {
        HostMatrix& last = some.features.emplace_back(1, rows.columns);
        std::copy_n(rows.view().row(2), rows.columns, last.values.begin());
      }
      const Representations apart = setting.extended(some);
      REQUIRE(apart.users.rows == users + 1);
      CHECK(std::equal(known.users.values.begin(), known.users.values.end(), apart.users.values.begin()));
      CHECK(difference(apart.users, users, all_users, users + 1, 1) < 1e-5 * scale);
      if (fresh > 0) CHECK(difference(apart.items, items, all_items, items + 2, 1) < 1e-5 * scale);
      // They are somebody, and not the same.
      CHECK(difference(all_users, users, all_users, users + 1, 1) > 1e-3 * largest(known.users));
      if (fresh > 0)
        CHECK(difference(all_items, items, all_items, items + 1, 1) > 1e-3 * largest(known.items));
    }
  }
}

TEST_CASE("fold-in: lightgcn, by hand", "[fold-in]") {
  Setting setting("lightgcn");
  const Dataset data = setting.data();
  const Safetensors best = read_arrays(best_file(setting.run), setting.identity);
  const std::vector<float> e = best.floats("node_embedding");
  const std::int64_t users = data.users, items = data.items, all = users + items, layers = 4, width = 8;
  std::vector<double> degree(static_cast<std::size_t>(all));
  for (std::int64_t u = 0; u < users; ++u) {
    for (const std::int32_t i : data.train.row(u)) ++degree[u], ++degree[users + i];
  }
  for (std::size_t person = 0; person < 2; ++person) {
    const std::vector<std::int32_t>& history = setting.newcomers.histories[person];
    const auto count = static_cast<double>(history.size());
    Matrix layer = zeros(all, width), sum = zeros(1, width);
    for (std::int64_t v = 0; v < all; ++v) {
      for (std::int64_t j = 0; j < width; ++j) layer[v][j] = static_cast<double>(e[v * width + j]);
    }
    // Layer 0: the mean over the items of the mean over their users.
    for (std::int64_t u = 0; u < users; ++u) {
      for (const std::int32_t i : data.train.row(u)) {
        if (std::count(history.begin(), history.end(), i) == 0) continue;
        for (std::int64_t j = 0; j < width; ++j) sum[0][j] += layer[u][j] / (count * degree[users + i]);
      }
    }
    for (std::int64_t l = 0; l < layers; ++l) {
      for (const std::int32_t i : history) {
        for (std::int64_t j = 0; j < width; ++j)
          sum[0][j] += layer[users + i][j] / std::sqrt(count * (degree[users + i] + 1.0));
      }
      Matrix next = zeros(all, width);
      for (std::int64_t u = 0; u < users; ++u) {
        for (const std::int32_t i : data.train.row(u)) {
          const double a = 1.0 / std::sqrt(degree[u] * degree[users + i]);
          for (std::int64_t j = 0; j < width; ++j) {
            next[u][j] += a * layer[users + i][j];
            next[users + i][j] += a * layer[u][j];
          }
        }
      }
      layer = next;
    }
    const Representations extended = setting.extended(setting.newcomers);
    for (std::int64_t j = 0; j < width; ++j) {
      CHECK(static_cast<double>(extended.users.view().row(users + static_cast<std::int64_t>(person))[j]) ==
            Approx(sum[0][j] / static_cast<double>(layers + 1)).epsilon(1e-4).margin(1e-6));
    }
  }
}

TEST_CASE("fold-in: vbpr, a new item by hand", "[fold-in]") {
  Setting setting("vbpr");
  const Dataset data = setting.data();
  const Safetensors best = read_arrays(best_file(setting.run), setting.identity);
  const std::vector<float> free = best.floats("i_embedding"), weight = best.floats("item_linear.weight"),
                           bias = best.floats("item_linear.bias");
  const std::int64_t items = data.items, width = 8;
  const Representations extended = setting.extended(setting.newcomers);
  for (std::int64_t row = 0; row < 3; ++row) {
    std::vector<double> expected(16);
    std::int64_t column = weight.size() / 8;
    const auto columns = column;
    for (std::size_t m = 0; m < 2; ++m) {
      const ConstMatrixView known = data.features[m].values.view(),
                            fresh = setting.newcomers.features[m].view();
      const auto cosine = [&](std::int64_t item) {
        double dot = 0.0, aa = 0.0;
        for (std::int64_t j = 0; j < known.columns; ++j) {
          const double x = known.row(item)[j];
          dot += x * static_cast<double>(fresh.row(row)[j]), aa += x * x;
        }
        return dot / std::sqrt(aa);
      };
      std::vector<std::int64_t> order(static_cast<std::size_t>(items));
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(),
                [&](std::int64_t a, std::int64_t b) { return cosine(a) > cosine(b); });
      for (std::size_t n = 0; n < 10; ++n) {  // vbpr has no knn_k
        for (std::int64_t j = 0; j < width; ++j)
          expected[j] += 0.5 / 10.0 * static_cast<double>(free[order[n] * width + j]);
      }
      column -= known.columns;  // visual last
      for (std::int64_t o = 0; o < width; ++o) {
        for (std::int64_t j = 0; j < known.columns; ++j)
          expected[width + o] +=
              static_cast<double>(weight[o * columns + column + j]) * static_cast<double>(fresh.row(row)[j]);
      }
    }
    for (std::int64_t o = 0; o < width; ++o) expected[width + o] += static_cast<double>(bias[o]);
    for (std::size_t j = 0; j < expected.size(); ++j) {
      CHECK(static_cast<double>(extended.items.view().row(items + row)[j]) ==
            Approx(expected[j]).epsilon(1e-4).margin(1e-6));
    }
  }
}

TEST_CASE("fold-in: freedom, a new item has the neighbours of its features", "[fold-in]") {
  // A copy of a known item is propagated as that one is, but for its own row and its place among neighbours.
  Setting setting("freedom");
  const Dataset data = setting.data();
  for (std::size_t m = 0; m < 2; ++m) {
    HostMatrix& rows = setting.newcomers.features[m];
    std::copy_n(data.features[m].values.view().row(7), rows.columns, rows.values.begin());
  }
  const std::int64_t users = data.users, items = data.items, width = 8;
  const Safetensors best = read_arrays(best_file(setting.run), setting.identity);
  const std::vector<float> e = best.floats("node_embedding");
  std::vector<double> own(8), expected(8);
  const double weights[] = {setting.configuration.number("mm_image_weight"),
                            1.0 - setting.configuration.number("mm_image_weight")};
  const std::int64_t k = setting.configuration.integer("knn_k");
  for (std::size_t m = 0; m < 2; ++m) {
    const std::vector<std::int32_t> ids =
        nearest_neighbours(setting.backend, data.features[m].values.view(), k);
    REQUIRE(ids[7 * k] == 7);
    for (std::int64_t n = 0; n < k; ++n) {
      for (std::int64_t j = 0; j < width; ++j) {
        const double value = static_cast<double>(e[(users + ids[7 * k + n]) * width + j]);
        own[j] += weights[m] / static_cast<double>(k) * value;
        // Behind itself the copy has one neighbour less: the item that it copies is one of them.
        if (n + 1 < k) expected[j] += weights[m] / static_cast<double>(k) * value;
      }
    }
  }
  // One layer on the item graph, and the mean of the layers of a graph where it has no edge.
  for (std::int64_t j = 0; j < width; ++j) {
    expected[j] += own[j] / static_cast<double>(k);
    expected[j] += own[j] / static_cast<double>(setting.configuration.integer("n_ui_layers") + 1);
  }
  REQUIRE(setting.configuration.integer("n_mm_layers") == 1);
  const Representations extended = setting.extended(setting.newcomers);
  for (std::int64_t j = 0; j < width; ++j) {
    CHECK(static_cast<double>(extended.items.view().row(items)[j]) ==
          Approx(expected[j]).epsilon(1e-4).margin(1e-6));
  }
}
