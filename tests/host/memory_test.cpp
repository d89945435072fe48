// Nothing grows with items x items, or with users x items: training, neighbour search, evaluation and
// recommendation under a cap that one such array would not fit in.

#include <nlohmann/json.hpp>

#include "configuration/registry.hpp"
#include "data/neighbours.hpp"
#include "data/synth.hpp"
#include "sea/cpu.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/skip.hpp"
#include "training/recommend.hpp"
#include "training/trainer.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

using namespace sea;
using sea::test::TemporaryFolder;

namespace {

constexpr std::int64_t users = 4000, items = 6000;
/// Two bytes for every pair of a user and an item, or of two items, are above it.
constexpr std::size_t cap = 40'000'000;
static_assert(cap < 2 * users * items && cap < 2 * items * items);

struct Wide {
  TemporaryFolder folder;
  std::filesystem::path data = folder / "wide";
  Wide() {
    synthesize(data, {users, items, 60'000, 6, 4}, 3, [](const char*, double) {});
  }
};

const Wide& wide() {
  static const Wide once;
  return once;
}

const std::vector<std::string> settings = {
    "embedding_size=4",   "train_batch_size=30000", "club_steps=2", "knn_k=4",       "head_hidden=8",
    "head_out=8",         "club_width=8",           "topk=5,20",    "club_hidden=4", "epochs=2",
    "eval_batch_size=512"};

}  // namespace

TEST_CASE("memory: no array of items x items or users x items", "[memory]") {
  const std::string alignment = GENERATE("align=solosim", "align=infonce", "align_samples=50");
  ConfigurationRequest request;
  request.assignments = settings;
  request.assignments.push_back(alignment);
  const Configuration configuration = resolve_configuration(request);
  CpuBackend backend(2);
  backend.set_allocation_limit(cap);
  Dataset dataset = load_dataset(wide().data, DatasetFiles{});
  REQUIRE(dataset.items == items);
  REQUIRE(dataset.users == users);
  // The search for neighbours is part of building the model.
  const auto model = configuration.model().build(backend, dataset, configuration, [](const std::string&) {});
  const TemporaryFolder runs;
  RunFolder folder(runs / "run", {configuration, wide().data, "1", "2"});
  const TrainingResult result = Trainer(*model, dataset, configuration, folder).run({});
  CHECK(result.epochs_run == 2);
  CHECK(backend.peak_allocated_bytes() < cap);
  // What one item more would cost, times all items, stays below as well: memory is linear in them.
  CHECK(backend.peak_allocated_bytes() / items < 6'000);

  const Representations representations = read_representations(folder.best_file(), folder.identity());
  std::vector<std::int32_t> everyone(users);
  for (std::int32_t user = 0; user < users; ++user) everyone[user] = user;
  std::int64_t lists = 0;
  recommend(backend, dataset, representations, everyone, 10, SeenItems::all_splits,
            [&](const Recommendation& list) { lists += list.items.size() == 10 ? 1 : 0; });
  CHECK(lists == users);
}

TEST_CASE("memory: the cap is felt", "[memory]") {
  CpuBackend backend(1);
  backend.set_allocation_limit(cap);
  const std::string message =
      sea::test::error_of([&] { Buffer<float>(backend, std::int64_t{items} * items); });
  CHECK(sea::test::contains(message, "out of memory"));
  CHECK(backend.allocated_bytes() == 0);
}

TEST_CASE("memory: the whole process stays below one float for every pair of items", "[memory]") {
  if (sanitized) {
    sea::test::skip("a sanitizer's own memory hides that of the program");
    return;
  }
  const TemporaryFolder runs;
  std::vector<std::string> words = {SEA_COMMAND, "train", wide().data, "--output", runs / "run", "--quiet"};
  for (const std::string& assignment : settings) words.insert(words.end(), {"--set", assignment});
  REQUIRE(sea::test::run_command(words).code == 0);
  const std::string metrics = sea::test::read_file(runs / "run" / "metrics.jsonl");
  const auto line = nlohmann::json::parse(metrics.substr(0, metrics.find('\n')));
  CHECK(line["peak_memory_bytes"] > 5'000'000);
  CHECK(line["peak_memory_bytes"] < 4 * items * items);
  CHECK(line["peak_memory_bytes"] < 4 * users * items);
}
