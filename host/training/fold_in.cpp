#include "training/fold_in.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "configuration/registry.hpp"
#include "data/graph.hpp"
#include "data/neighbours.hpp"
#include "data/safetensors.hpp"
#include "sea/buffer.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// A row that is made of others.
struct Weight {
  std::int32_t row;
  double share;
};
using Mixture = std::vector<Weight>;

/// The mean over the items of a history of the mean over an item's training users. Items that nobody has say
/// nothing; where that is all of them, it is the mean of everybody who has a history.
Mixture users_alike(const HostCsr& train, const HostCsr& by_item, const std::vector<std::int32_t>& history) {
  std::map<std::int32_t, double> shares;
  double items = 0.0;
  for (const std::int32_t item : history) items += by_item.row(item).empty() ? 0.0 : 1.0;
  for (const std::int32_t item : history) {
    const ConstIndexView users = by_item.row(item);
    for (const std::int32_t user : users) shares[user] += 1.0 / (items * static_cast<double>(users.size()));
  }
  if (shares.empty()) {
    for (std::int64_t user = 0; user < train.rows; ++user) {
      if (!train.row(user).empty()) shares[static_cast<std::int32_t>(user)] = 1.0;
    }
    for (auto& [user, share] : shares) share = 1.0 / static_cast<double>(shares.size());
  }
  Mixture mixture;
  for (const auto& [user, share] : shares) mixture.push_back({user, share});
  return mixture;
}

/// The nearest known items of each new one by the features, the modalities as the item graph weighs them.
std::vector<Mixture> items_alike(Backend& backend, const Configuration& configuration,
                                 const Dataset& dataset) {
  std::vector<Mixture> mixtures;
  for (const ItemFeatures& modality : dataset.features) {
    const std::int64_t known = modality.values.rows - modality.new_rows;
    const std::int64_t wanted = configuration.has("knn_k") ? configuration.integer("knn_k") : 10;
    const std::int64_t k = std::min(wanted, known - 1);
    double share = 1.0;
    if (dataset.features.size() == 2) {
      const double visual =
          configuration.has("mm_image_weight") ? configuration.number("mm_image_weight") : 0.5;
      share = modality.modality == "visual" ? visual : 1.0 - visual;
    }
    const Buffer<float> features = to_device(backend, modality.values.values);
    // Itself, which it is not made of, and k others.
    const std::vector<std::int32_t> ids = neighbours_of_new_rows(
        backend, features.matrix(modality.values.rows, modality.values.columns), k + 1, modality.new_rows);
    mixtures.resize(static_cast<std::size_t>(modality.new_rows));
    for (std::int64_t row = 0; row < modality.new_rows; ++row) {
      for (std::int64_t i = 1; i <= k; ++i)
        mixtures[row].push_back({ids[row * (k + 1) + i], share / static_cast<double>(k)});
    }
  }
  return mixtures;
}

/// Who was known, and what the rows of newcomers are made of.
class Extension {
 public:
  Extension(std::int64_t users, std::int64_t items, std::vector<Mixture> people, std::vector<Mixture> things)
      : users_(users), items_(items), people_(std::move(people)), things_(std::move(things)) {}

  enum class Rows { as_they_are, users, items, nodes, other };
  /// What the rows of an array are that had `before` rows and now has `now`.
  Rows kind(std::int64_t before, std::int64_t now) const {
    const std::int64_t more_users = count(people_), more_items = count(things_);
    if (before == users_ && now == before + more_users && more_users > 0) return Rows::users;
    if (before == items_ && now == before + more_items && more_items > 0) return Rows::items;
    if (before == users_ + items_ && now == before + more_users + more_items) return Rows::nodes;
    return before == now ? Rows::as_they_are : Rows::other;
  }
  /// The array with rows for newcomers; `begin` has the values that they begin with in a training.
  HostMatrix extend(const HostMatrix& old, Rows kind, const HostMatrix& begin,
                    const std::vector<HostMatrix>& features) const {
    HostMatrix all;
    all.columns = old.columns;
    if (kind == Rows::as_they_are) return old;
    if (kind == Rows::users || kind == Rows::nodes) {
      append(all, old, 0, users_);
      for (const Mixture& mixture : people_) mix(all, old, 0, mixture);
    }
    if (kind == Rows::items || kind == Rows::nodes) {
      const std::int64_t first = kind == Rows::nodes ? users_ : 0;
      append(all, old, first, items_);
      if (kind == Rows::items && begins_as_features(begin, features)) {
        append(all, begin, items_, count(things_));
      } else {
        for (const Mixture& mixture : things_) mix(all, old, first, mixture);
      }
    }
    return all;
  }

 private:
  static std::int64_t count(const std::vector<Mixture>& mixtures) {
    return static_cast<std::int64_t>(mixtures.size());
  }
  static void append(HostMatrix& all, const HostMatrix& from, std::int64_t first, std::int64_t rows) {
    const auto begin = from.values.begin() + first * from.columns;
    all.values.insert(all.values.end(), begin, begin + rows * from.columns);
    all.rows += rows;
  }
  static void mix(HostMatrix& all, const HostMatrix& from, std::int64_t first, const Mixture& mixture) {
    std::vector<double> sum(static_cast<std::size_t>(from.columns));
    for (const auto& [row, share] : mixture) {
      const float* values = from.view().row(first + row);
      for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += share * static_cast<double>(values[j]);
    }
    for (const double value : sum) all.values.push_back(static_cast<float>(value));
    ++all.rows;
  }
  /// A draw never gives the features.
  bool begins_as_features(const HostMatrix& begin, const std::vector<HostMatrix>& features) const {
    return std::any_of(features.begin(), features.end(), [&](const HostMatrix& modality) {
      return modality.columns == begin.columns && std::equal(modality.values.begin(), modality.values.end(),
                                                             begin.values.begin() + items_ * begin.columns);
    });
  }

  std::int64_t users_, items_;
  std::vector<Mixture> people_, things_;
};

HostMatrix array_of(const Safetensors& file, const std::string& name) {
  HostMatrix matrix;
  matrix.rows = file.shape(name).at(0);
  matrix.columns = file.shape(name).at(1);
  matrix.values = file.floats(name);
  return matrix;
}

/// Puts the arrays of a file in the place of the initial values.
template <class View>
void load(Backend& backend, const Safetensors& file, const std::string& prefix, const View& view,
          const Extension& extension, const Newcomers& newcomers) {
  const HostMatrix old = array_of(file, prefix + view.name);
  const Extension::Rows kind =
      old.columns == view.columns ? extension.kind(old.rows, view.rows) : Extension::Rows::other;
  if (kind == Extension::Rows::other) return;  // evaluation makes it anew
  const HostMatrix all = extension.extend(old, kind, to_host(backend, {view.value, view.rows, view.columns}),
                                          newcomers.features);
  backend.copy_to_device(view.value, all.values.data(), all.values.size() * sizeof(float));
}

void append_rows(HostCsr& matrix, std::int64_t rows, std::int64_t columns) {
  matrix.rows += rows;
  matrix.columns += columns;
  matrix.row_offsets.resize(static_cast<std::size_t>(matrix.rows) + 1, matrix.nonzeros());
}

}  // namespace

Dataset with_newcomers(Dataset dataset, const Newcomers& newcomers) {
  const auto people = static_cast<std::int64_t>(newcomers.people.size());
  const std::int64_t known = dataset.users, items = dataset.items;
  dataset.users += people;
  dataset.items += newcomers.items();
  for (HostCsr* split : {&dataset.train, &dataset.valid, &dataset.test})
    append_rows(*split, people, newcomers.items());
  if (people > 0) {
    dataset.joined = {};
    dataset.new_users = people;
    append_rows(dataset.joined, known, dataset.items);
    for (const std::vector<std::int32_t>& history : newcomers.histories) {
      dataset.joined.column_indices.insert(dataset.joined.column_indices.end(), history.begin(),
                                           history.end());
      append_rows(dataset.joined, 1, 0);
    }
    if (dataset.user_names.empty()) {
      for (std::int64_t user = 0; user < known; ++user) dataset.user_names.push_back(std::to_string(user));
    }
    dataset.user_names.insert(dataset.user_names.end(), newcomers.people.begin(), newcomers.people.end());
  }
  if (!dataset.item_names.empty()) {
    for (std::int64_t item = items; item < dataset.items; ++item)
      dataset.item_names.push_back(fmt::format("new:{}", item - items));
  }
  for (std::size_t m = 0; m < dataset.features.size() && newcomers.items() > 0; ++m) {
    HostMatrix& values = dataset.features[m].values;
    const HostMatrix& more = newcomers.features.at(m);
    values.values.insert(values.values.end(), more.values.begin(), more.values.end());
    values.rows += more.rows;
    dataset.features[m].new_rows = more.rows;
  }
  return dataset;
}

std::unique_ptr<Model> fold_in(Backend& backend, const TrainedRun& run, Dataset dataset,
                               const Newcomers& newcomers, const Progress& progress) {
  const HostCsr by_item = transpose(dataset.train);
  std::vector<Mixture> people;
  for (const std::vector<std::int32_t>& history : newcomers.histories)
    people.push_back(users_alike(dataset.train, by_item, history));
  const std::int64_t users = dataset.users, items = dataset.items;
  Newcomers all = newcomers;
  // Arrays are told apart by how many rows they have gained: where users and items are as many and would gain
  // as many, somebody whom nobody asked for joins too.
  if (users == items && newcomers.items() > 0 && people.size() == static_cast<std::size_t>(all.items())) {
    all.people.emplace_back();
    all.histories.push_back(newcomers.histories.front());
    people.push_back(people.front());
  }
  dataset = with_newcomers(std::move(dataset), all);
  std::vector<Mixture> things;
  if (all.items() > 0) things = items_alike(backend, run.configuration, dataset);
  const Extension extension(users, items, std::move(people), std::move(things));

  std::unique_ptr<Model> model =
      run.configuration.model().build(backend, dataset, run.configuration, progress);
  Program& program = model->program;
  const Safetensors best = read_arrays(run.best, run.identity);
  for (const ParameterView& view : program.parameters()) load(backend, best, "", view, extension, all);
  if (!program.states().empty()) {  // those that evaluation reads are never trained
    const Safetensors checkpoint = read_arrays(run.checkpoint, run.identity);
    for (const StateView& view : program.states()) load(backend, checkpoint, "states/", view, extension, all);
  }

  // Where training stood when these parameters were the best: graphs and noise are drawn by epoch and step.
  const std::int64_t epoch = std::stoll(best.metadata().at("epoch")),
                     own = epoch - model->schedule.pretraining_epochs;
  const Step& step = *model->schedule.step;
  const StepState state{(own + 1) * model->schedule.steps, own + 1, 0,
                        std::min(step.pairs(), step.batch_size())};
  program.step_state().upload({&state, 1});
  if (model->schedule.begin_epoch) model->schedule.begin_epoch(own);
  model->evaluate();
  return model;
}

Representations with_newcomers(Backend& backend, const TrainedRun& run, Representations known,
                               Dataset dataset, const Newcomers& newcomers, const Progress& progress) {
  const std::unique_ptr<Model> model = fold_in(backend, run, std::move(dataset), newcomers, progress);
  const auto append = [&](HostMatrix& to, const Tensor& tensor, std::int64_t count) {
    const HostMatrix rows = to_host(backend, model->program.value(tensor.row_range(to.rows, count)));
    to.values.insert(to.values.end(), rows.values.begin(), rows.values.end());
    to.rows += count;
  };
  append(known.users, model->users, static_cast<std::int64_t>(newcomers.people.size()));
  append(known.items, model->items, newcomers.items());
  return known;
}

}  // namespace sea
