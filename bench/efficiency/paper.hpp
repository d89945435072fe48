#pragma once

#include <optional>
#include <string>
#include <vector>

namespace sea::bench {

/// One model on one data set in the paper's Table 5, measured by its authors on a GPU that they do not name.
struct PaperFigure {
  double memory_gb = 0.0;
  double seconds_per_epoch = 0.0;
};

/// The models of Table 5 in the order of its columns, named as here.
const std::vector<std::string>& paper_models();
/// Its data sets: baby, sports, clothing.
const std::vector<std::string>& paper_datasets();
/// Both by their names above; nothing for a model that Table 5 does not have.
std::optional<PaperFigure> paper_figure(const std::string& dataset, const std::string& model);

}  // namespace sea::bench
