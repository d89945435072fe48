#pragma once

#include <string>
#include <vector>

#include "sea/buffer.hpp"

namespace sea {

/// The terms of a Program's loss, the total last: their values in the last step, and their sums over steps.
class Losses {
 public:
  /// Number of the term of that name, made where it is not there yet. Throws Error where it has another
  /// weight.
  int term(const std::string& name, float weight);
  /// Lays out memory, after all terms are there; adds "total".
  void allocate(Backend& backend);

  const std::vector<std::string>& names() const { return names_; }
  /// Where a term's value is written, in device memory.
  float* value(int term) const { return values_.data() + term; }
  std::vector<float> download() const { return values_.download(); }
  /// Sums over the steps since `reset_sums`, parallel to `names`.
  std::vector<double> download_sums() const { return sums_.download(); }
  void upload_sums(const std::vector<double>& sums) { sums_.upload(sums); }
  void reset_sums() { sums_.fill_zero(); }

  void clear() { values_.fill_zero(); }
  /// Computes the total and adds all terms to their sums.
  void accumulate(Backend& backend) {
    backend.accumulate_losses(values_.span(), weight_values_.span(), sums_.span());
  }

 private:
  std::vector<std::string> names_;
  std::vector<float> weights_;
  Buffer<float> values_, weight_values_;
  Buffer<double> sums_;
};

}  // namespace sea
