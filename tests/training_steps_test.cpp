// Whole training steps of SEA: the same on every backend, recorded or done operator by operator.

#include <algorithm>
#include <cmath>
#include <string>

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

Trained train(Backend& backend, const SeaSettings& settings, std::int64_t steps, bool by_parts) {
  Dataset dataset = small_dataset();
  const auto model = build_sea(backend, dataset, settings, [](const std::string&) {});
  Program& program = model->program;
  Trained trained;
  for (std::int64_t step = 0; step < steps; ++step) {
    if (by_parts) {
      program.sample();
      program.forward();
      program.fit();
      program.backward();
      program.update();
    } else {
      program.step();
    }
    const std::vector<float> losses = program.download_losses();
    trained.losses.insert(trained.losses.end(), losses.begin(), losses.end());
  }
  program.represent();
  for (const Tensor& tensor : {model->users, model->items}) {
    const MatrixView view = program.value(tensor);
    for (std::int64_t i = 0; i < view.rows; ++i) {
      std::vector<float> row(static_cast<std::size_t>(view.columns));
      backend.copy_to_host(row.data(), view.row(i), row.size() * sizeof(float));
      trained.representations.insert(trained.representations.end(), row.begin(), row.end());
    }
  }
  return trained;
}

}  // namespace

TEST_CASE("training steps of SEA are the same on every backend") {
  const auto [align, distance, steps] =
      GENERATE(std::tuple(Align::solosim, Distance::club, 20), std::tuple(Align::infonce, Distance::l2, 6));
  const SeaSettings settings = settings_of(align, distance);
  CpuBackend cpu(1);
  const Trained reference = train(cpu, settings, steps, false);
  for_each_backend([&](Backend& backend) {
    const Trained trained = train(backend, settings, steps, false);
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

TEST_CASE("recorded training steps give the bits of steps done operator by operator") {
  const SeaSettings settings = settings_of(Align::solosim, Distance::club);
  for_each_backend([&](Backend& backend) {
    const Trained recorded = train(backend, settings, 6, false), done = train(backend, settings, 6, true);
    CHECK((recorded.losses == done.losses));
    CHECK((recorded.representations == done.representations));
  });
}
