#include "efficiency/paper.hpp"

#include <map>
#include <utility>

namespace sea::bench {

const std::vector<std::string>& paper_models() {
  static const std::vector<std::string> models = {"bpr",     "lightgcn", "vbpr", "mmgcn", "lattice",
                                                  "freedom", "SEAd",     "SEAc", "SEAb",  "SEAa"};
  return models;
}

const std::vector<std::string>& paper_datasets() {
  static const std::vector<std::string> datasets = {"baby", "sports", "clothing"};
  return datasets;
}

std::optional<PaperFigure> paper_figure(const std::string& dataset, const std::string& model) {
  static const std::map<std::pair<std::string, std::string>, PaperFigure> figures = {
      {{"baby", "bpr"}, {1.59, 0.86}},        {{"baby", "lightgcn"}, {1.69, 1.81}},
      {{"baby", "vbpr"}, {1.89, 1.04}},       {{"baby", "freedom"}, {2.13, 2.58}},
      {{"baby", "mmgcn"}, {2.69, 6.35}},      {{"baby", "lattice"}, {4.53, 3.42}},
      {{"baby", "SEAd"}, {2.54, 4.58}},       {{"baby", "SEAc"}, {3.42, 18.81}},
      {{"baby", "SEAb"}, {2.54, 3.75}},       {{"baby", "SEAa"}, {3.42, 16.04}},
      {{"sports", "bpr"}, {2.00, 1.24}},      {{"sports", "lightgcn"}, {2.24, 3.74}},
      {{"sports", "vbpr"}, {2.71, 1.67}},     {{"sports", "freedom"}, {3.34, 4.52}},
      {{"sports", "mmgcn"}, {3.91, 20.88}},   {{"sports", "lattice"}, {19.93, 13.59}},
      {{"sports", "SEAd"}, {3.94, 16.13}},    {{"sports", "SEAc"}, {8.83, 60.97}},
      {{"sports", "SEAb"}, {3.94, 13.75}},    {{"sports", "SEAa"}, {8.83, 58.81}},
      {{"clothing", "bpr"}, {2.16, 1.52}},    {{"clothing", "lightgcn"}, {2.43, 4.58}},
      {{"clothing", "vbpr"}, {3.02, 2.02}},   {{"clothing", "freedom"}, {4.15, 5.74}},
      {{"clothing", "mmgcn"}, {4.24, 26.13}}, {{"clothing", "lattice"}, {28.22, 23.96}},
      {{"clothing", "SEAd"}, {4.69, 23.59}},  {{"clothing", "SEAc"}, {13.78, 59.25}},
      {{"clothing", "SEAb"}, {4.69, 21.41}},  {{"clothing", "SEAa"}, {13.78, 57.35}},
  };
  const auto found = figures.find({dataset, model});
  return found == figures.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace sea::bench
