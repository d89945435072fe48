// Whole training steps: the same on every backend, captured or done operator by operator.

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "configuration/registry.hpp"
#include "data/planted.hpp"
#include "models/sea.hpp"
#include "sea/cpu.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr std::int64_t users = 60, items = 45;

/// Planted interactions, and features of odd widths that show their items' traits.
Dataset small_dataset() {
  const Planted planted = plant(users, items, 390, 3, [](const char*, double) {});
  Dataset dataset;
  dataset.users = users;
  dataset.items = items;
  dataset.train.rows = users;
  dataset.train.columns = items;
  for (std::int64_t user = 0; user < users; ++user) {
    std::vector<std::int32_t> row(planted.items.begin() + planted.offsets[user],
                                  planted.items.begin() + planted.offsets[user + 1]);
    std::sort(row.begin(), row.end());
    dataset.train.column_indices.insert(dataset.train.column_indices.end(), row.begin(), row.end());
    dataset.train.row_offsets.push_back(dataset.train.nonzeros());
  }
  const HostMatrix textual = [&] {
    HostMatrix narrow(items, 17);
    for (std::int64_t i = 0; i < items; ++i) {
      std::copy_n(planted.textual_traits.view().row(i), narrow.columns, narrow.view().row(i));
    }
    return narrow;
  }();
  dataset.features = {{"visual", "visual", planted.visual_traits}, {"textual", "textual", textual}};
  return dataset;
}

SeaSettings settings_of(Align align, Distance distance) {
  SeaSettings settings;
  settings.embedding_size = 12;
  settings.train_batch_size = 96;  // the last batch of an epoch is smaller, and 20 steps pass several epochs
  settings.learning_rate = 1e-3;
  settings.club_learning_rate = 1e-3;
  settings.knn_k = 5;
  settings.align = align;
  settings.distance = distance;
  settings.club_steps = 6;
  return settings;
}

struct Trained {
  std::vector<float> losses;  ///< of every step, one after the other
  std::vector<float> representations;
};

using Build = std::function<std::unique_ptr<Model>(Backend&, Dataset&)>;

Build build_of(const SeaSettings& settings) {
  return [settings](Backend& backend, Dataset& dataset) {
    return build_sea(backend, dataset, settings, [](const std::string&) {});
  };
}

Build build_of(const std::string& name, const std::string& distance = "club") {
  return [name, distance](Backend& backend, Dataset& dataset) {
    Configuration configuration(*find_model(name, "test").model);
    for (const auto& [key, value] : {std::pair("embedding_size", 12),
                                     {"train_batch_size", 96},
                                     {"knn_k", 5},
                                     {"n_layers", 2},
                                     {"feat_embed_dim", 12},
                                     {"pretrain_epochs", 1},
                                     {"pretrain_batch_size", 20},
                                     {"club_steps", 6}}) {
      const auto& keys = configuration.model().keys;
      if (std::any_of(keys.begin(), keys.end(), [k = key](const Key& other) { return other.name == k; }))
        configuration.set(key, std::int64_t{value}, "test");
    }
    if (distance != "club") configuration.set_text("distance", distance, "test");
    return configuration.model().build(backend, dataset, configuration, [](const std::string&) {});
  };
}

Trained train(Backend& backend, const Build& build, std::int64_t steps, bool by_parts) {
  Dataset dataset = small_dataset();
  const auto model = build(backend, dataset);
  Program& program = model->program;
  Trained trained;
  std::int64_t epoch = 0, i = 0;
  for (std::int64_t step = 0; step < steps; ++step, ++i) {
    if (i == model->schedule.steps_of(epoch)) {
      ++epoch;
      i = 0;
    }
    if (i == 0) model->begin_epoch(epoch);
    if (by_parts) {
      if (model->schedule.before_step) model->schedule.before_step(epoch, i);
      (model->schedule.choose ? model->schedule.choose(epoch, i) : *model->schedule.step).run_by_parts();
    } else {
      model->step(epoch, i);
    }
    const std::vector<float> losses = program.losses().download();
    trained.losses.insert(trained.losses.end(), losses.begin(), losses.end());
  }
  model->evaluate();
  for (const Tensor& tensor : {model->users, model->items}) {
    const MatrixView view = program.value(tensor);
    for (std::int64_t r = 0; r < view.rows; ++r) {
      std::vector<float> row(static_cast<std::size_t>(view.columns));
      backend.copy_to_host(row.data(), view.row(r), row.size() * sizeof(float));
      trained.representations.insert(trained.representations.end(), row.begin(), row.end());
    }
  }
  return trained;
}

}  // namespace

TEST_CASE("training steps of a model are the same on every backend") {
  const auto sea_a = build_of(settings_of(Align::solosim, Distance::club)),
             sea_d = build_of(settings_of(Align::infonce, Distance::l2));
  // An epoch has 5 steps. With CLUB clipped at 0, the biases of freedom's linear layers have a true
  // gradient of 0, whose rounding Adam makes whole steps of: the distance there is l2.
  const auto [build, steps] = GENERATE_COPY(
      std::pair(sea_a, 20), std::pair(sea_d, 6), std::pair(build_of("bpr"), 6),
      std::pair(build_of("lightgcn"), 6), std::pair(build_of("layergcn"), 12), std::pair(build_of("vbpr"), 6),
      std::pair(build_of("freedom"), 12), std::pair(build_of("mmgcn"), 6), std::pair(build_of("dualgnn"), 6),
      std::pair(build_of("lattice"), 12), std::pair(build_of("slmrec"), 6), std::pair(build_of("bm3"), 6),
      std::pair(build_of("mgcn"), 6), std::pair(build_of("lgmrec"), 6), std::pair(build_of("micro"), 12),
      std::pair(build_of("mmssl"), 4), std::pair(build_of("pamd"), 9), std::pair(build_of("vbpr+sea"), 6),
      std::pair(build_of("freedom+sea", "l2"), 6), std::pair(build_of("lattice+sea", "l2"), 6),
      std::pair(build_of("slmrec+sea", "l2"), 6), std::pair(build_of("bm3+sea", "l2"), 6));
  CpuBackend cpu(1);
  const Trained reference = train(cpu, build, steps, false);
  for_each_precision([&, &build = build, steps = steps](Backend& backend) {
    const Trained trained = train(backend, build, steps, false);
    REQUIRE(trained.losses.size() == reference.losses.size());
    float largest = 0.0f;
    for (std::size_t i = 0; i < trained.losses.size(); ++i) {
      const float scale = std::max(1.0f, std::abs(reference.losses[i]));
      largest = std::max(largest, std::abs(trained.losses[i] - reference.losses[i]) / scale);
    }
    CHECK(largest <= 1e-4f);
    CHECK(
        std::all_of(trained.losses.begin(), trained.losses.end(), [](float x) { return std::isfinite(x); }));
    CHECK(relative_error(trained.representations, to_double(reference.representations)) <= 1e-3);
    if (backend.host_readable()) CHECK((trained.representations == reference.representations));
  });
}

TEST_CASE("captured training steps give the bits of steps done operator by operator, pruned graphs too") {
  for (const auto& [build, steps] :
       {std::pair(build_of(settings_of(Align::solosim, Distance::club)), 6),
        std::pair(build_of("freedom+sea"), 7), std::pair(build_of("layergcn"), 7),
        std::pair(build_of("dualgnn"), 7), std::pair(build_of("lattice+sea"), 13)}) {
    for_each_precision([&, &build = build, steps = steps](Backend& backend) {
      const Trained captured = train(backend, build, steps, false), done = train(backend, build, steps, true);
      CHECK((captured.losses == done.losses));
      CHECK((captured.representations == done.representations));
    });
  }
}
