#include "program/losses.hpp"

#include <fmt/format.h>

#include "sea/error.hpp"

namespace sea {

int Losses::term(const std::string& name, float weight) {
  for (std::size_t term = 0; term < names_.size(); ++term) {
    if (names_[term] != name) continue;
    if (weights_[term] != weight)
      throw Error(
          fmt::format("program: the loss term {} has two weights, {} and {}", name, weights_[term], weight));
    return static_cast<int>(term);
  }
  names_.push_back(name);
  weights_.push_back(weight);
  return static_cast<int>(names_.size()) - 1;
}

void Losses::allocate(Backend& backend) {
  names_.push_back("total");
  const auto terms = static_cast<std::int64_t>(names_.size());
  values_ = Buffer<float>(backend, terms);
  sums_ = Buffer<double>(backend, terms);
  weight_values_ = to_device(backend, weights_);
  values_.fill_zero();
  sums_.fill_zero();
}

}  // namespace sea
