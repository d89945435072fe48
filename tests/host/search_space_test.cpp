// What a search tries: all combinations of a grid, or drawn ones.

#include "configuration/search_space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "configuration/registry.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using sea::KeyValue;
using sea::SearchSpace;
using Values = std::vector<KeyValue>;

namespace {

const sea::ModelDescription& model() {
  return sea::models().front();
}

}  // namespace

TEST_CASE("search space: combinations, the last key changing fastest", "[tune]") {
  const SearchSpace grid({"alpha=0.1,1e-2", "align=None,solosim", "seed=1,2,3"}, {}, model());
  REQUIRE(grid.size() == 12);
  CHECK(grid.combination(0) == Values{0.1, std::string("none"), std::int64_t{1}});
  CHECK(grid.combination(2) == Values{0.1, std::string("none"), std::int64_t{3}});
  CHECK(grid.combination(3) == Values{0.1, std::string("solosim"), std::int64_t{1}});
  CHECK(grid.combination(11) == Values{0.01, std::string("solosim"), std::int64_t{3}});
  CHECK(sea::to_text(grid) == "alpha=0.1,0.01 align=none,solosim seed=1,2,3");
  CHECK(SearchSpace(sea::choices_json(grid), sea::ranges_json(grid), model(), "here") == grid);
}

TEST_CASE("search space: ranges, their text and their JSON", "[tune]") {
  const SearchSpace space({"align=none,solosim"}, {"learning_rate=1e-4:0.01:log", "knn_k=3:7", "alpha=0:0.5"},
                          model());
  CHECK(space.has_ranges());
  CHECK(!space.size());
  CHECK(sea::to_text(space) == "align=none,solosim learning_rate=0.0001:0.01:log knn_k=3:7 alpha=0:0.5");
  CHECK(SearchSpace(sea::choices_json(space), sea::ranges_json(space), model(), "here") == space);
  CHECK(SearchSpace({"align=none,solosim"}, {"knn_k=3:7"}, model()).size() == 10);
  CHECK(SearchSpace({}, {"seed=0:1000000000", "stopping_step=1:1000000"}, model()).size() == std::nullopt);
  const auto damaged = nlohmann::ordered_json::parse(R"({"alpha": {"low": 1, "high": 0, "log": false}})");
  CHECK(sea::test::contains(
      sea::test::error_of([&] { SearchSpace(nlohmann::ordered_json::object(), damaged, model(), "here"); }),
      "here: is damaged"));
}

TEST_CASE("search space: draws lie where they may, as often as they should", "[tune]") {
  const SearchSpace space({"align=none,solosim,infonce"},
                          {"learning_rate=1e-4:0.01:log", "train_batch_size=1:1000000", "alpha=0.2:0.4"},
                          model());
  const auto drawn = space.draw(3000, 5);
  REQUIRE(drawn.size() == 3000);
  std::map<std::string, int> choices;
  int small_rates = 0, small_batches = 0, small_alphas = 0;
  for (const Values& values : drawn) {
    ++choices[std::get<std::string>(values[0])];
    const double rate = std::get<double>(values[1]), alpha = std::get<double>(values[3]);
    const std::int64_t batch = std::get<std::int64_t>(values[2]);
    CHECK((rate >= 1e-4 && rate <= 0.01));
    CHECK((batch >= 1 && batch <= 1'000'000));
    CHECK((alpha >= 0.2 && alpha <= 0.4));
    CHECK(std::stod(fmt::format("{:.4g}", rate)) == rate);
    small_rates += rate < 0.001 ? 1 : 0;
    small_batches += batch <= 500'000 ? 1 : 0;
    small_alphas += alpha < 0.25 ? 1 : 0;
  }
  // Five standard deviations of a binomial count.
  const auto about = [](int count, double share) {
    return std::abs(count - 3000 * share) < 5 * std::sqrt(3000 * share * (1 - share));
  };
  CHECK(choices.size() == 3);
  for (const auto& [name, count] : choices) CHECK(about(count, 1.0 / 3.0));
  CHECK(about(small_rates, 0.5));  // half of the logarithms
  CHECK(about(small_batches, 0.5));
  CHECK(about(small_alphas, 0.25));
  // More begin with the same, another seed does not.
  const auto few = space.draw(20, 5), other = space.draw(20, 6);
  CHECK(std::equal(few.begin(), few.end(), drawn.begin()));
  CHECK(few != other);
}

TEST_CASE("search space: every combination once, and no more than there are", "[tune]") {
  const SearchSpace space({"align=none,solosim"}, {"knn_k=1:3:log"}, model());
  const auto drawn = space.draw(6, 1);
  CHECK(std::set<Values>(drawn.begin(), drawn.end()).size() == 6);
  CHECK(sea::test::error_of([&] { space.draw(7, 1); }) == "--random 7: there are only 6 combinations");
  // Two numbers of four digits.
  const SearchSpace narrow({}, {"alpha=0.1:0.1001"}, model());
  CHECK(narrow.draw(2, 1).size() == 2);
  CHECK(sea::test::error_of([&] { narrow.draw(3, 1); }) == "--random 3: there are only about 2 combinations");
}
