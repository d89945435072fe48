#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "configuration/metric_name.hpp"
#include "sea/matrix.hpp"

namespace sea {

/// Metrics of one user's ranked list at one cut-off.
struct ListMetrics {
  double recall = 0.0;             ///< hits / relevant items
  double ndcg = 0.0;               ///< binary gain, discount 1 / log2(rank + 1), over that of the ideal list
  double precision = 0.0;          ///< hits / cut-off
  double average_precision = 0.0;  ///< sum of the precision at each hit / min(cut-off, relevant items)
  double hit = 0.0;                ///< 1 where there is a hit
  double reciprocal_rank = 0.0;    ///< 1 / rank of the first hit; 0 where there is none
};

/// `ranked`: item ids, best first; a list shorter than `cutoff` counts as it is, and so does one that ends in
/// -1. `relevant`: the user's held-out items, ascending and distinct, at least one. cutoff >= 1.
ListMetrics list_metrics(ConstIndexView ranked, ConstIndexView relevant, std::int64_t cutoff);

/// Values by name ("recall@10"): metrics in the order of `metric_titles`, each at ascending cut-offs.
struct Metrics {
  std::vector<std::pair<std::string, double>> values;
  std::int64_t users = 0;

  /// Where there was nothing to evaluate on.
  bool empty() const { return values.empty(); }
  /// Throws Error for a name that is not among them.
  double at(const std::string& name) const;
};

/// {"recall@10": 0.05, ...}
nlohmann::ordered_json to_json(const Metrics& metrics);
/// Back again; throws Error where `json` is not such an object.
Metrics metrics_of(const nlohmann::ordered_json& json);

/// Sums the metrics of a training, of user after user, in the order in which they are added.
class MetricSums {
 public:
  /// `cutoffs` ascending.
  explicit MetricSums(std::vector<std::int64_t> cutoffs);
  void add(ConstIndexView ranked, ConstIndexView relevant);
  Metrics means() const;

 private:
  std::vector<std::int64_t> cutoffs_;
  std::vector<ListMetrics> sums_;
  std::vector<std::int64_t> hit_ranks_;  ///< of the user at hand
  std::int64_t users_ = 0;
};

}  // namespace sea
