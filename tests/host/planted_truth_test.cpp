// Every model finds what was planted: users and items in blocks, features that show the block.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "configuration/registry.hpp"
#include "data/npy.hpp"
#include "sea/cpu.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/training.hpp"
#include "training/evaluation.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr std::int64_t blocks = 4, users = 80, items = 48, items_of_block = items / blocks;

/// A user of block b has eight of its twelve items in training, two in validation and two in test.
void plant_blocks(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  std::ofstream inter(folder / (folder.filename().string() + ".inter"));
  inter << "userID\titemID\tx_label\n";
  for (std::int64_t user = 0; user < users; ++user) {
    const std::int64_t block = user % blocks;
    for (std::int64_t i = 0; i < items_of_block; ++i) {
      // The held-out items move on with the user: each item is in training for most users.
      const std::int64_t place = (i + 5 * (user / blocks)) % items_of_block;
      inter << user << '\t' << block * items_of_block + place << '\t' << (i < 8 ? 0 : i < 10 ? 1 : 2) << '\n';
    }
  }
  std::uint64_t seed = 1;
  for (const char* name : {"image_feat.npy", "text_feat.npy"}) {
    const std::int64_t width = seed == 1 ? 12 : 8;
    const std::vector<float> noise = random_values(items * width, seed++);
    HostMatrix features(items, width);
    for (std::int64_t item = 0; item < items; ++item) {
      for (std::int64_t j = 0; j < width; ++j) {
        const float shown = j % blocks == item / items_of_block ? 1.0f : 0.0f;
        features.view()(item, j) = shown + 0.3f * noise[item * width + j];
      }
    }
    write_npy(folder / name, features.view());
  }
}

}  // namespace

TEST_CASE("models: each recovers planted blocks", "[models]") {
  const TemporaryFolder folder;
  const std::filesystem::path data = folder / "blocks";
  plant_blocks(data);
  for (const ModelDescription& model : models()) {
    INFO(model.name);
    ConfigurationRequest request;
    request.model = model.name;
    const auto set = [&](const std::string& key, const std::string& value) {
      const auto& keys = model.keys;
      if (std::any_of(keys.begin(), keys.end(), [&](const Key& k) { return k.name == key; }))
        request.assignments.push_back(key + "=" + value);
    };
    set("embedding_size", "16");
    set("learning_rate", "0.01");
    set("knn_k", "5");
    set("train_batch_size", "256");
    set("pretrain_epochs", "5");
    CpuBackend backend(2);
    const auto built = build_model(backend, data, request);
    const Dataset dataset = load_dataset(data, DatasetFiles{std::nullopt, std::nullopt});
    Evaluator evaluator(backend, built->sampling.view().history, {&dataset.valid, &dataset.test}, {4}, 64,
                        built->users.columns, scorer_of(model.score));
    const auto recall = [&] {
      built->evaluate();
      return evaluator.evaluate(built->program.value(built->users), built->program.value(built->items))[1].at(
          "recall@4");
    };
    // Chance is 0.1. Features on graphs know the blocks before any training; free embeddings do not.
    if (!model.files(Configuration(model)).vision_feature_file) CHECK(recall() < 0.6);
    const Schedule& schedule = built->schedule;
    for (std::int64_t epoch = 0; epoch < schedule.pretraining_epochs + (model.name == "pamd" ? 150 : 40);
         ++epoch) {
      built->begin_epoch(epoch);
      for (std::int64_t i = 0; i < schedule.steps_of(epoch); ++i) built->step(epoch, i);
    }
    // PAMD's loss takes items one by one: it pushes the held-out ones of a block down too.
    CHECK(recall() > (model.name == "pamd" ? 0.8 : 0.9));
  }
}
