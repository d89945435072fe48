#include "training/epoch_losses.hpp"

#include <algorithm>
#include <cctype>

namespace sea {

LossMeans loss_means(const std::vector<std::string>& names, const std::vector<double>& sums, double steps) {
  LossMeans means = {{"total", sums.back() / steps}};
  std::vector<double> parts = {1.0};
  for (std::size_t i = 0; i + 1 < names.size(); ++i) {
    const std::size_t dot = names[i].find('.');
    const std::string name = names[i].substr(0, dot);
    const double mean = sums[i] / steps;
    const auto found =
        std::find_if(means.begin(), means.end(), [&](const auto& m) { return m.first == name; });
    if (found == means.end()) {
      means.emplace_back(name, mean);
      parts.push_back(1.0);
    } else if (std::isdigit(static_cast<unsigned char>(names[i][dot + 1]))) {
      found->second = mean;
    } else {
      found->second += mean;
      parts[static_cast<std::size_t>(found - means.begin())] += 1.0;
    }
  }
  for (std::size_t i = 0; i < means.size(); ++i) means[i].second /= parts[i];
  return means;
}

}  // namespace sea
