#include "data/synth.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <sstream>
#include <tuple>

#include "data/dataset.hpp"
#include "data/graph.hpp"
#include "data/interactions.hpp"
#include "data/random_stream.hpp"
#include "data/singular_vectors.hpp"
#include "sea/error.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

namespace {

using namespace sea;
using sea::test::contains;
using sea::test::error_of;
using sea::test::read_file;
using sea::test::TemporaryFolder;
using sea::test::write_file;

const SynthProgress silent = [](const char*, double) {};

/// Cosine similarities of all pairs of rows of `features`.
std::vector<double> similarities(const HostMatrix& features) {
  const std::int64_t n = features.rows;
  std::vector<double> lengths(static_cast<std::size_t>(n)), result(static_cast<std::size_t>(n * n));
  const auto dot = [&](std::int64_t i, std::int64_t j) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < features.columns; ++k)
      sum += double{features.view()(i, k)} * double{features.view()(j, k)};
    return sum;
  };
  for (std::int64_t i = 0; i < n; ++i) lengths[static_cast<std::size_t>(i)] = std::sqrt(dot(i, i));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      const double value =
          dot(i, j) / lengths[static_cast<std::size_t>(i)] / lengths[static_cast<std::size_t>(j)];
      result[static_cast<std::size_t>(i * n + j)] = result[static_cast<std::size_t>(j * n + i)] = value;
    }
  }
  return result;
}

/// Test Recall@20 of ranking items by `score(user, item)`, training items left out.
template <class Score>
double recall_at_20(const Dataset& data, Score score) {
  double total = 0.0;
  int users = 0;
  for (std::int64_t user = 0; user < data.users; ++user) {
    const ConstIndexView wanted = data.test.row(user), known = data.train.row(user);
    if (wanted.empty()) continue;
    std::vector<std::pair<double, std::int32_t>> ranking;
    for (std::int32_t item = 0; item < data.items; ++item) {
      if (!std::binary_search(known.begin(), known.end(), item))
        ranking.emplace_back(-score(user, item), item);
    }
    std::partial_sort(ranking.begin(), ranking.begin() + 20, ranking.end());
    int hits = 0;
    for (int k = 0; k < 20; ++k)
      hits += std::binary_search(wanted.begin(), wanted.end(), ranking[static_cast<std::size_t>(k)].second);
    total += hits / static_cast<double>(wanted.size());
    ++users;
  }
  return total / users;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n,
               mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

HostCsr random_csr(std::uint32_t seed, std::int64_t rows, std::int64_t columns) {
  std::mt19937 random(seed);
  HostCsr matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int32_t j = 0; j < columns; ++j) {
      if (random() % 4 != 0) continue;
      matrix.column_indices.push_back(j);
      matrix.values.push_back(0.1f + static_cast<float>(random() % 1000) / 500.0f);
    }
    matrix.row_offsets.push_back(matrix.nonzeros());
  }
  return matrix;
}

/// The largest singular values by power iteration with deflation: slow and plain.
std::vector<double> singular_values(const HostCsr& matrix, int count) {
  const auto n = static_cast<std::size_t>(matrix.columns);
  std::vector<std::vector<double>> gram(n, std::vector<double>(n));
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    const auto first = static_cast<std::size_t>(matrix.row_offsets[static_cast<std::size_t>(row)]);
    const ConstIndexView columns = matrix.row(row);
    for (std::size_t a = 0; a < columns.size(); ++a) {
      for (std::size_t b = 0; b < columns.size(); ++b)
        gram[static_cast<std::size_t>(columns[a])][static_cast<std::size_t>(columns[b])] +=
            double{matrix.values[first + a]} * double{matrix.values[first + b]};
    }
  }
  std::vector<double> values;
  for (int k = 0; k < count; ++k) {
    std::vector<double> v(n);
    for (std::size_t i = 0; i < n; ++i) v[i] = std::sin(1.0 + static_cast<double>(i * i));
    double length = 0.0;
    for (int iteration = 0; iteration < 20000; ++iteration) {
      std::vector<double> next(n);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) next[i] += gram[i][j] * v[j];
      }
      length = std::sqrt(std::inner_product(next.begin(), next.end(), next.begin(), 0.0));
      for (std::size_t i = 0; i < n; ++i) v[i] = next[i] / length;
    }
    values.push_back(std::sqrt(length));
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) gram[i][j] -= length * v[i] * v[j];
    }
  }
  return values;
}

}  // namespace

TEST_CASE("synth: bell-shaped numbers have mean 0 and variance 1", "[synth]") {
  RandomStream random(3, 4);
  double sum = 0.0, squares = 0.0, largest = 0.0;
  const int count = 200000;
  for (int i = 0; i < count; ++i) {
    const double value = random.bell();
    sum += value;
    squares += value * value;
    largest = std::max(largest, std::abs(value));
  }
  CHECK(std::abs(sum / count) < 4.0 / std::sqrt(count));
  CHECK(squares / count == Approx(1.0).margin(0.01));
  CHECK(largest < 3.47);
  CHECK(largest > 3.0);
  // Added in bulk: the same distribution, what was there before kept.
  std::vector<float> values(9, 10.0f);
  RandomStream(3, 5).add_bells(values.data(), 9, 0.5f);
  CHECK(std::set<float>(values.begin(), values.end()).size() == 9);
  for (const float value : values) CHECK(std::abs(value - 10.0f) < 0.5f * 3.47f);
}

TEST_CASE("synth: leading singular vectors", "[synth]") {
  const HostCsr matrix = random_csr(8, 40, 25);
  const SingularVectors found = leading_singular_vectors(matrix, 6, 1);
  REQUIRE(found.vectors.rows == 25);
  REQUIRE(found.vectors.columns == 6);
  const std::vector<double> expected = singular_values(matrix, 6);
  const ConstMatrixView v = found.vectors.view();
  for (std::int64_t a = 0; a < 6; ++a) {
    CHECK(found.values[static_cast<std::size_t>(a)] ==
          Approx(expected[static_cast<std::size_t>(a)]).epsilon(1e-6));
    double largest = 0.0;
    for (std::int64_t i = 0; i < 25; ++i) largest = std::abs(v(i, a)) > std::abs(largest) ? v(i, a) : largest;
    CHECK(largest > 0.0);
    for (std::int64_t b = 0; b < 6; ++b) {
      double dot = 0.0;
      for (std::int64_t i = 0; i < 25; ++i) dot += double{v(i, a)} * double{v(i, b)};
      CHECK(dot == Approx(a == b ? 1.0 : 0.0).margin(1e-6));
    }
    // matrix^T matrix v = value^2 v
    std::vector<double> image(25);
    for (std::int64_t row = 0; row < 40; ++row) {
      double along = 0.0;
      const auto first = static_cast<std::size_t>(matrix.row_offsets[static_cast<std::size_t>(row)]);
      const ConstIndexView columns = matrix.row(row);
      for (std::size_t e = 0; e < columns.size(); ++e)
        along += double{matrix.values[first + e]} * double{v(columns[e], a)};
      for (std::size_t e = 0; e < columns.size(); ++e)
        image[static_cast<std::size_t>(columns[e])] += along * double{matrix.values[first + e]};
    }
    const double square = expected[static_cast<std::size_t>(a)] * expected[static_cast<std::size_t>(a)];
    for (std::int64_t i = 0; i < 25; ++i)
      CHECK(image[static_cast<std::size_t>(i)] / square == Approx(v(i, a)).margin(1e-4));
  }
  const SingularVectors again = leading_singular_vectors(matrix, 6, 1);
  CHECK(again.vectors.values == found.vectors.values);

  // Rank 2: two rows repeated; what is not there is not made up.
  HostCsr thin;
  thin.rows = 4;
  thin.columns = 5;
  thin.row_offsets = {0, 2, 5, 7, 10};
  thin.column_indices = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4};
  thin.values = std::vector<float>(10, 1.0f);
  const SingularVectors two = leading_singular_vectors(thin, 4, 1);
  REQUIRE(two.values.size() == 2);
  CHECK(two.values[0] == Approx(std::sqrt(6.0)));
  CHECK(two.values[1] == Approx(2.0));
}

TEST_CASE("synth: a tenth of a user's items each for validation and test", "[synth]") {
  // How the Amazon sets are split: 5 -> 3, 1, 1; 15 -> 12, 1, 2; 20 -> 16, 2, 2; 50 -> 40, 5, 5.
  const std::map<std::int64_t, std::pair<int, int>> known = {
      {0, {0, 0}},  {1, {0, 0}},  {2, {0, 0}},  {3, {1, 1}},  {5, {1, 1}}, {14, {1, 1}},
      {15, {1, 2}}, {19, {1, 2}}, {20, {2, 2}}, {25, {2, 3}}, {50, {5, 5}}};
  for (const auto& [count, expected] : known) {
    CHECK(held_out(count).valid == expected.first);
    CHECK(held_out(count).test == expected.second);
  }
}

TEST_CASE("synth: the small preset is a whole data set in which content helps", "[synth]") {
  const TemporaryFolder folder;
  synthesize(folder / "deep" / "small", synth_preset("small"), 999, silent);
  CHECK(sea::test::entry_count(folder / "deep") == 1);
  CHECK(sea::test::entry_count(folder / "deep" / "small") == 4);
  const Dataset data = load_dataset(folder / "deep" / "small", {});
  CHECK(data.notices.empty());
  CHECK(data.users == 1000);
  CHECK(data.items == 600);
  CHECK(data.train.nonzeros() + data.valid.nonzeros() + data.test.nonzeros() == 12000);
  REQUIRE(data.features.size() == 2);
  CHECK(data.features[0].values.columns == 128);
  CHECK(data.features[1].values.columns == 64);
  CHECK(read_file(folder / "deep" / "small" / "small.inter").substr(0, 22) == "userID\titemID\tx_label\n");

  std::vector<int> popularity(600), trained(600);
  for (std::int64_t user = 0; user < 1000; ++user) {
    const auto train = static_cast<std::int64_t>(data.train.row(user).size());
    const auto valid = static_cast<std::int64_t>(data.valid.row(user).size());
    const auto test = static_cast<std::int64_t>(data.test.row(user).size());
    const HeldOut held = held_out(train + valid + test);
    REQUIRE(train + valid + test >= 5);
    REQUIRE(valid == held.valid);
    REQUIRE(test == held.test);
    for (const HostCsr* split : {&data.train, &data.valid, &data.test}) {
      for (const std::int32_t item : split->row(user)) ++popularity[static_cast<std::size_t>(item)];
    }
    for (const std::int32_t item : data.train.row(user)) ++trained[static_cast<std::size_t>(item)];
  }
  std::sort(popularity.begin(), popularity.end());
  CHECK(popularity.front() >= 1);
  // Long-tailed: a tenth of the items has more than a quarter of the interactions, the lesser half less than
  // that.
  CHECK(std::accumulate(popularity.end() - 60, popularity.end(), 0) > 3000);
  CHECK(std::accumulate(popularity.begin(), popularity.begin() + 300, 0) < 3000);

  const std::vector<double> visual = similarities(data.features[0].values);
  const std::vector<double> textual = similarities(data.features[1].values);
  const auto content = [&](double visual_share, double textual_share) {
    return recall_at_20(data, [&](std::int64_t user, std::int32_t item) {
      double sum = 0.0;
      for (const std::int32_t known : data.train.row(user)) {
        const auto pair = static_cast<std::size_t>(item * data.items + known);
        sum += std::pow(std::max(0.0, visual_share * visual[pair] + textual_share * textual[pair]), 4.0);
      }
      return sum;
    });
  };
  const double by_chance = 20.0 / 600.0;
  const double by_popularity = recall_at_20(
      data, [&](std::int64_t, std::int32_t item) { return trained[static_cast<std::size_t>(item)]; });
  const double by_visual = content(1.0, 0.0), by_textual = content(0.0, 1.0), by_both = content(0.5, 0.5);
  INFO("popularity " << by_popularity << " visual " << by_visual << " textual " << by_textual << " both "
                     << by_both);
  CHECK(by_popularity > 2.0 * by_chance);
  CHECK(by_visual > 3.0 * by_chance);
  CHECK(by_textual > 3.0 * by_chance);
  // Each modality knows something that the other does not.
  CHECK(by_both > 1.3 * std::max(by_visual, by_textual));
  CHECK(by_both > 1.5 * by_popularity);
  // And something that both know.
  const double shared = correlation(visual, textual);
  INFO("correlation of the similarities " << shared);
  CHECK(shared > 0.15);
  CHECK(shared < 0.7);
}

TEST_CASE("synth: one seed, one data set", "[synth]") {
  const TemporaryFolder folder;
  SynthSizes sizes{40, 30, 250, 6, 5};
  for (const char* name : {"a/data", "b/data"}) synthesize(folder / name, sizes, 7, silent);
  synthesize(folder / "c" / "data", sizes, 8, silent);
  for (const char* file : {"data.inter", "image_feat.npy", "text_feat.npy", "README.md"}) {
    INFO(file);
    const std::string first = read_file(folder / "a" / "data" / file);
    CHECK(first == read_file(folder / "b" / "data" / file));
    CHECK(first != read_file(folder / "c" / "data" / file));
  }
}

TEST_CASE("synth: odd sizes are met exactly", "[synth]") {
  // Dense: a user has half of all items. Sparse: no item has more than one user. Tiny: the least there can
  // be.
  const auto [users, items, interactions] = GENERATE(std::tuple(20, 60, 600), std::tuple(30, 300, 300),
                                                     std::tuple(2, 6, 6), std::tuple(200, 8, 700));
  const TemporaryFolder folder;
  synthesize(folder / "data", {users, items, interactions, 4, 3}, 1, silent);
  const Interactions read = read_interactions(folder / "data", std::int64_t{1} << 40);
  CHECK(read.users == users);
  CHECK(read.items == items);
  CHECK(read.train.nonzeros() + read.valid.nonzeros() + read.test.nonzeros() == interactions);
  CHECK(read.notices.empty());
}

TEST_CASE("synth: sizes that cannot be made name their option", "[synth]") {
  const auto error = [](const SynthSizes& sizes) {
    REQUIRE_THROWS_AS(check_sizes(sizes), UsageError);
    return error_of([&] { check_sizes(sizes); });
  };
  CHECK(contains(error({0, 600, 12000, 4, 4}), "--users is 0; it may be 1 to 2147483646"));
  CHECK(contains(error({10, -3, 12000, 4, 4}), "--items is -3; it may be 6 to"));
  CHECK(contains(error({10, 20, 29, 4, 4}),
                 "--interactions is 29; with 10 users and 20 items it may be 30 to 100"));
  CHECK(contains(error({10, 20, 101, 4, 4}), "--interactions is 101"));
  CHECK(contains(error({10, 50, 40, 4, 4}), "it may be 50 to 250"));
  CHECK(contains(error({1, 600, 300, 4, 4}), "--users 1 and --items 600 cannot go together"));
  CHECK(contains(error({10, 20, 50, 1, 4}), "--visual-dim is 1"));
  CHECK(contains(error({10, 20, 50, 4, 0}), "--textual-dim is 0"));
  CHECK(contains(error({2'000'000'000, 2'000'000'000, 100, 4, 4}), "--users 2000000000 and --items"));
  CHECK(contains(error({600'000'000, 600'000'000, 2'000'000'000, 4, 4}), "of memory, and"));
  CHECK(contains(error_of([] { synth_preset("huge"); }),
                 "--preset is 'huge'; it may be small, baby, sports or clothing"));
}

TEST_CASE("synth: nothing is overwritten, nothing is left half-written", "[synth]") {
  const TemporaryFolder folder;
  const SynthSizes sizes{10, 8, 35, 3, 3};
  std::filesystem::create_directory(folder / "there");
  CHECK(
      contains(error_of([&] { synthesize(folder / "there/", sizes, 1, silent); }), "there/: exists already"));
  write_file(folder / "file", "x");
  CHECK(contains(error_of([&] { synthesize(folder / "file", sizes, 1, silent); }), "exists already"));
  CHECK(
      contains(error_of([&] { synthesize(folder / "file" / "data", sizes, 1, silent); }), "cannot be made"));
  struct Stopped {};
  CHECK_THROWS_AS(synthesize(folder / "stopped", sizes, 1,
                             [](const char* what, double) {
                               if (std::string(what) == "text_feat.npy") throw Stopped();
                             }),
                  Stopped);
  CHECK(sea::test::entry_count(folder.path()) == 2);
  CHECK(sea::test::entry_count(folder / "there") == 0);
}

TEST_CASE("synth: like a real data set", "[synth]") {
  const TemporaryFolder folder;
  // Two worlds of users and items that never meet: their items must differ in the features.
  std::string interactions = "itemID\tuserID\tx_label\trating\n";
  std::mt19937 random(4);
  for (int user = 0; user < 60; ++user) {
    std::set<int> items;
    while (items.size() < 8) items.insert(static_cast<int>(random() % 20) + 20 * (user % 2));
    int place = 0;
    for (const int item : items) {
      std::ostringstream line;
      line << item << '\t' << user << '\t' << (place == 3 ? 1 : place == 6 ? 2 : 0) << "\t5\n";
      interactions += line.str();
      ++place;
    }
  }
  write_file(folder / "real" / "real.inter", interactions);
  write_file(folder / "real" / "i_id_mapping.csv", "asin\titemID\nA\t0\n");
  synthesize_like(folder / "made", folder / "real", 50, 20, 3, silent);
  CHECK(read_file(folder / "made" / "made.inter") == interactions);
  CHECK(read_file(folder / "made" / "i_id_mapping.csv") == "asin\titemID\nA\t0\n");
  CHECK(contains(read_file(folder / "made" / "README.md"), "are synthetic"));
  const Dataset data = load_dataset(folder / "made", {});
  CHECK(data.features[0].values.columns == 50);
  CHECK(data.features[1].values.columns == 20);
  for (const ItemFeatures& features : data.features) {
    double variance = 0.0;
    for (const float value : features.values.values) variance += double{value} * double{value};
    variance /= static_cast<double>(features.values.values.size());
    CHECK(variance == Approx(1.25).epsilon(0.25));
  }
  const std::vector<double> visual = similarities(data.features[0].values);
  const std::vector<double> textual = similarities(data.features[1].values);
  CHECK(correlation(visual, textual) > 0.3);
  synthesize_like(folder / "again", folder / "real", 50, 20, 3, silent);
  CHECK(read_file(folder / "again" / "image_feat.npy") == read_file(folder / "made" / "image_feat.npy"));
  CHECK(read_file(folder / "again" / "image_feat.npy") != read_file(folder / "again" / "text_feat.npy"));

  CHECK(contains(error_of([&] { synthesize_like(folder / "x", folder / "none", 50, 20, 3, silent); }),
                 "no such data folder"));
  CHECK_FALSE(std::filesystem::exists(folder / "x"));
}
