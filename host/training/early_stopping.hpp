#pragma once

#include <cstdint>
#include <optional>

namespace sea {

/// Follows the validation metric: stops when more than `patience` evaluations in a row brought no strictly
/// higher value, that is after patience + 1 of them.
class EarlyStopping {
 public:
  explicit EarlyStopping(std::int64_t patience) : patience_(patience) {}

  /// True where `value` is the best so far.
  bool update(std::int64_t epoch, double value) {
    if (best_value_ && !(value > *best_value_)) {
      ++without_gain_;
      return false;
    }
    best_value_ = value;
    best_epoch_ = epoch;
    without_gain_ = 0;
    return true;
  }
  /// Without a metric to follow the latest epoch is the best.
  void take_latest(std::int64_t epoch) { best_epoch_ = epoch; }
  bool stop() const { return without_gain_ > patience_; }

  std::optional<double> best_value() const { return best_value_; }
  std::int64_t best_epoch() const { return best_epoch_; }  ///< -1 before the first
  std::int64_t without_gain() const { return without_gain_; }
  void restore(std::int64_t best_epoch, std::optional<double> best_value, std::int64_t without_gain) {
    best_epoch_ = best_epoch;
    best_value_ = best_value;
    without_gain_ = without_gain;
  }

 private:
  std::int64_t patience_;
  std::optional<double> best_value_;
  std::int64_t best_epoch_ = -1;
  std::int64_t without_gain_ = 0;
};

}  // namespace sea
