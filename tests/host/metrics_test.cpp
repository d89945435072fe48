#include "training/metrics.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "training/early_stopping.hpp"
#include "training/epoch_losses.hpp"

using namespace sea;

TEST_CASE("metrics: a list by hand", "[metrics]") {
  // Relevant at ranks 2, 4 and 5; a fourth relevant item is not in the list.
  const std::vector<std::int32_t> ranked = {9, 3, 8, 1, 7, 6}, relevant = {1, 3, 7, 20};
  const double d2 = 1 / std::log2(3.0), d4 = 1 / std::log2(5.0), d5 = 1 / std::log2(6.0);

  const ListMetrics at5 = list_metrics(ranked, relevant, 5);
  CHECK(at5.recall == Approx(3.0 / 4.0));
  CHECK(at5.precision == Approx(3.0 / 5.0));
  CHECK(at5.ndcg == Approx((d2 + d4 + d5) / (1.0 + d2 + 0.5 + d4)));
  CHECK(at5.average_precision == Approx((1.0 / 2 + 2.0 / 4 + 3.0 / 5) / 4.0));

  // The ideal list is no longer than the cut-off.
  const ListMetrics at2 = list_metrics(ranked, relevant, 2);
  CHECK(at2.recall == Approx(1.0 / 4.0));
  CHECK(at2.precision == Approx(1.0 / 2.0));
  CHECK(at2.ndcg == Approx(d2 / (1.0 + d2)));
  CHECK(at2.average_precision == Approx((1.0 / 2.0) / 2.0));

  const ListMetrics at1 = list_metrics(ranked, relevant, 1);
  CHECK(at1.recall == 0.0);
  CHECK(at1.ndcg == 0.0);
  CHECK(at1.precision == 0.0);
  CHECK(at1.average_precision == 0.0);
}

TEST_CASE("metrics: perfect, empty and short lists", "[metrics]") {
  const std::vector<std::int32_t> relevant = {2, 5};
  const ListMetrics perfect = list_metrics(std::vector<std::int32_t>{5, 2, 1}, relevant, 3);
  CHECK(perfect.recall == 1.0);
  CHECK(perfect.ndcg == 1.0);
  CHECK(perfect.average_precision == 1.0);
  CHECK(perfect.precision == Approx(2.0 / 3.0));
  // A list that ends early, as one of a user who has seen most items: -1 is no item.
  const ListMetrics early = list_metrics(std::vector<std::int32_t>{2, -1, -1}, relevant, 3);
  CHECK(early.recall == 0.5);
  CHECK(early.precision == Approx(1.0 / 3.0));
  // Fewer items than the cut-off.
  const ListMetrics few = list_metrics(std::vector<std::int32_t>{2}, relevant, 50);
  CHECK(few.recall == 0.5);
  CHECK(few.precision == Approx(1.0 / 50.0));
  CHECK(few.ndcg == Approx(1.0 / (1.0 + 1 / std::log2(3.0))));
}

TEST_CASE("metrics: many relevant items", "[metrics]") {
  std::vector<std::int32_t> relevant(40), ranked;
  for (std::int32_t i = 0; i < 40; ++i) relevant[static_cast<std::size_t>(i)] = 3 * i;
  for (std::int32_t i = 99; i >= 0; --i) ranked.push_back(i);  // 99, 96, ... are hits: ranks 1, 4, 7, ...
  double gain = 0.0, ideal = 0.0, precisions = 0.0;
  for (int hit = 0; hit < 17; ++hit) {
    gain += 1.0 / std::log2(3.0 * hit + 2.0);
    precisions += (hit + 1.0) / (3.0 * hit + 1.0);
  }
  for (int rank = 1; rank <= 40; ++rank) ideal += 1.0 / std::log2(rank + 1.0);
  const ListMetrics at50 = list_metrics(ranked, relevant, 50);
  CHECK(at50.recall == Approx(17.0 / 40.0));
  CHECK(at50.precision == Approx(17.0 / 50.0));
  CHECK(at50.ndcg == Approx(gain / ideal));
  CHECK(at50.average_precision == Approx(precisions / 40.0));
}

TEST_CASE("metrics: means over users, under their names", "[metrics]") {
  MetricSums sums({1, 2});
  sums.add(std::vector<std::int32_t>{4, 5}, std::vector<std::int32_t>{4});
  sums.add(std::vector<std::int32_t>{4, 5}, std::vector<std::int32_t>{5, 6});
  const Metrics means = sums.means();
  CHECK(means.users == 2);
  CHECK(means.at("recall@1") == Approx(0.5));
  CHECK(means.at("recall@2") == Approx((1.0 + 0.5) / 2));
  CHECK(means.at("precision@2") == Approx(0.5));
  CHECK(means.at("map@2") == Approx((1.0 + 0.25) / 2));
  CHECK(means.at("ndcg@2") == Approx((1.0 + (1 / std::log2(3.0)) / (1.0 + 1 / std::log2(3.0))) / 2));
  CHECK(sea::test::contains(sea::test::error_of([&] { means.at("recall@3"); }), "recall@3"));
  const Metrics again = metrics_of(to_json(means));
  CHECK(again.values == means.values);
  CHECK(to_json(means).begin().key() == "recall@1");
}

TEST_CASE("early stopping: without a metric to follow the latest is the best", "[metrics]") {
  EarlyStopping stopping(1);
  for (int epoch = 0; epoch < 5; ++epoch) stopping.take_latest(epoch);
  CHECK(stopping.best_epoch() == 4);
  CHECK(!stopping.best_value());
  CHECK(!stopping.stop());
}

TEST_CASE("early stopping: after patience + 1 evaluations without a strictly higher value", "[metrics]") {
  EarlyStopping stopping(2);
  CHECK(stopping.best_epoch() == -1);
  CHECK(stopping.update(0, 0.5));
  CHECK(!stopping.update(1, 0.5));  // the same is not higher
  CHECK(!stopping.update(2, 0.4));
  CHECK(!stopping.stop());
  CHECK(stopping.update(3, 0.6));
  CHECK(!stopping.update(4, 0.6));
  CHECK(!stopping.update(5, 0.1));
  CHECK(!stopping.stop());
  CHECK(!stopping.update(6, 0.55));
  CHECK(stopping.stop());
  CHECK(stopping.best_epoch() == 3);
  CHECK(stopping.best_value() == 0.6);
  EarlyStopping zero(0);
  CHECK(zero.update(0, 0.0));  // the first is the best even where nothing was hit
  CHECK(!zero.update(1, 0.0));
  CHECK(zero.stop());
}

TEST_CASE("losses of an epoch: terms of one name are one, the total first", "[metrics]") {
  const LossMeans means = loss_means({"bpr", "align", "distance.visual", "distance.textual", "club_fit.0",
                                      "club_fit.1", "club_fit.2", "total"},
                                     {2.0, 4.0, 6.0, 10.0, 1.0, 2.0, 3.0, 20.0}, 2.0);
  const LossMeans expected = {
      {"total", 10.0}, {"bpr", 1.0}, {"align", 2.0}, {"distance", 4.0}, {"club_fit", 1.5}};
  CHECK(means == expected);
}
