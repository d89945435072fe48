// MICRO: an epoch's first batch, which builds its item graphs; any other, whose graphs are given; a sequence.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "golden/company_second.hpp"

namespace sea::test {

namespace {

using nlohmann::json;

const RenamedKeys renamed = {{"batch_size", "train_batch_size"},
                             {"topk", "knn_k"},
                             {"layers", "n_layers"},
                             {"regs", "reg_weight"},
                             {"lr", "learning_rate"}};

/// The k columns of largest cosine in each row, ascending; equal ones: the lower first.
std::vector<std::vector<std::int32_t>> likest(const HostMatrix& features, std::int64_t k) {
  const std::int64_t items = features.rows;
  std::vector<std::vector<std::int32_t>> lists;
  for (std::int64_t i = 0; i < items; ++i) {
    std::vector<double> cosines;
    for (std::int64_t j = 0; j < items; ++j) {
      double dot = 0.0, a = 0.0, b = 0.0;
      for (std::int64_t c = 0; c < features.columns; ++c) {
        const double x = features.view()(i, c), y = features.view()(j, c);
        dot += x * y;
        a += x * x;
        b += y * y;
      }
      cosines.push_back(a * b > 0.0 ? dot / std::sqrt(a * b) : 0.0);
    }
    std::vector<std::int32_t> ids(static_cast<std::size_t>(items));
    std::iota(ids.begin(), ids.end(), 0);
    std::stable_sort(ids.begin(), ids.end(),
                     [&](std::int32_t x, std::int32_t y) { return cosines[x] > cosines[y]; });
    ids.resize(static_cast<std::size_t>(k));
    std::sort(ids.begin(), ids.end());
    lists.push_back(ids);
  }
  return lists;
}

/// Brings the model to where an earlier batch of the epoch has built the graphs of `inputs/`.
void give_graphs(const GoldenCase& golden, Model& model, const Configuration& configuration) {
  const Dataset data = golden.dataset(configuration);
  const std::int64_t items = data.items, k = configuration.integer("knn_k");
  for (const ItemFeatures& features : data.features) {
    const std::string name = features.modality == "visual" ? "image" : "text";
    const std::vector<double> dense = golden.values("inputs/" + name + "_adj.npy");
    const auto frozen = likest(features.values, k);
    std::vector<float> neighbours, entries;
    for (std::int64_t i = 0; i < items; ++i) {
      // Columns that the frozen graph lacks were learned; the list is filled up with one that it has.
      std::vector<std::int32_t> learned, all = frozen[i];
      for (std::int32_t j = 0; j < items; ++j) {
        if (dense[i * items + j] != 0.0 && !std::binary_search(frozen[i].begin(), frozen[i].end(), j))
          learned.push_back(j);
      }
      all.insert(all.end(), learned.begin(), learned.end());
      learned.resize(static_cast<std::size_t>(k), frozen[i].front());
      neighbours.insert(neighbours.end(), learned.begin(), learned.end());
      std::sort(all.begin(), all.end());
      for (const std::int32_t j : all) entries.push_back(static_cast<float>(dense[i * items + j]));
    }
    for (const StateView& state : model.program.states()) {
      std::vector<float>* const given = state.name == name + "_graph.neighbours" ? &neighbours
                                        : state.name == name + "_graph.values"   ? &entries
                                                                                 : nullptr;
      if (given == nullptr) continue;
      given->resize(static_cast<std::size_t>(state.size()));
      golden.backend().copy_to_device(state.value, given->data(), given->size() * sizeof(float));
    }
  }
  const StepState within{1, 0, 1, 1};
  model.program.step_state().upload({&within, 1});
  model.begin_epoch(0);
}

void replay_sequence(const GoldenCase& golden, Configuration configuration) {
  const json& settings = golden.settings();
  const json& rates = settings.at("learning_rates");
  configuration.set_text("learning_rate", rates.at(0).dump(), "golden");
  const auto model = golden.build(configuration);
  model->evaluate();
  std::int64_t epoch = -1, place = 0;
  for (std::size_t s = 0; s < settings.at("losses").size(); ++s) {
    if (settings.at("build_item_graph").at(s).get<bool>()) {
      const StepState start{static_cast<std::int64_t>(s), ++epoch, 0, 1};
      model->program.step_state().upload({&start, 1});
      model->begin_epoch(epoch);
      place = 0;
    }
    golden.report().add("learning rate", "main",
                        std::abs(model->main->download_state().learning_rate - rates.at(s).get<double>()),
                        1e-9);
    golden.run(*model, model->schedule.choose(epoch, place++), settings.at("batches").at(s));
    golden.compare_loss("total", model->program.losses().download().back(), settings.at("losses").at(s));
  }
  golden.compare_parameters_after(model->program);
  model->evaluate();
  golden.compare_scores(*model);
}

}  // namespace

void replay_micro(const GoldenCase& golden) {
  const Configuration configuration = golden.configuration(renamed);
  const json& settings = golden.settings();
  if (settings.contains("losses")) return replay_sequence(golden, configuration);

  const auto model = golden.build(configuration);
  const bool first = settings.at("build_item_graph");
  model->evaluate();
  golden.compare_scores(*model);
  if (first) {
    model->begin_epoch(0);
  } else {
    give_graphs(golden, *model, configuration);
  }
  Step& step = model->schedule.choose(0, first ? 0 : 1);
  golden.run(
      *model, step, settings.at("batch"), [&] { golden.compare_gradients(model->program, step); },
      false);  // the inputs are the graphs
  golden.compare_loss("total", model->program.losses().download().back(), settings.at("loss"));
}

}  // namespace sea::test
