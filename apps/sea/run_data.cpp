#include "run_data.hpp"

#include <fmt/format.h>

#include "commands.hpp"
#include "models/registry.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// Throws Error where the numbers of `dataset` cannot mean the users and items that the run knows.
void check_ids(const std::filesystem::path& run, const RunDescription& description,
               const Representations& representations, const Dataset& dataset) {
  const std::int64_t users = representations.users.rows, items = representations.items.rows;
  if (dataset.users != users || dataset.items != items) {
    throw Error(fmt::format("{}: has {} users and {} items, and {} was trained on {} and {}; train anew",
                            dataset.folder.string(), dataset.users, dataset.items, run.string(), users,
                            items));
  }
  if (!dataset.ids_fingerprint.empty() && !description.ids_fingerprint.empty() &&
      dataset.ids_fingerprint != description.ids_fingerprint) {
    throw Error(
        fmt::format("{}: its original ids have other numbers than those that {} was trained on; train "
                    "anew",
                    dataset.folder.string(), run.string()));
  }
}

}  // namespace

RunData load_run(const std::filesystem::path& run, const std::optional<std::filesystem::path>& data,
                 const std::filesystem::path& file) {
  RunDescription description = read_run(run);
  const std::filesystem::path folder = data.value_or(description.data);
  std::error_code ignored;
  if (!data && !std::filesystem::exists(folder, ignored)) {
    throw Error(fmt::format("{}: the data of the run is not there any more; name its folder by --data",
                            folder.string()));
  }
  DatasetFiles files = dataset_files(description.configuration);
  files.vision_feature_file = files.text_feature_file = std::nullopt;
  Dataset dataset = load_dataset(folder, files);
  Representations representations = read_representations(file, description.identity());
  if (dataset.interactions_fingerprint != description.interactions_fingerprint) {
    check_ids(run, description, representations, dataset);
    print_notice(
        fmt::format("{}: its interactions are not all those that {} was trained on; users and items "
                    "are as many",
                    folder.string(), run.string()));
  }
  return {std::move(description), std::move(representations), std::move(dataset)};
}

Device open_device_of(const std::string& device, const std::string& threads) {
  Configuration asked(models().front());
  asked.set_text("device", device, fmt::format("--device {}", device));
  asked.set_text("threads", threads, fmt::format("--threads {}", threads));
  return open_device(asked.text("device"), asked.integer("threads"));
}

std::filesystem::path default_folder(const std::filesystem::path& data, const std::string& model,
                                     const std::string& what) {
  std::error_code ignored;
  std::filesystem::path folder = std::filesystem::weakly_canonical(data, ignored);
  if (!folder.has_filename()) folder = folder.parent_path();
  return std::filesystem::path("runs") / fmt::format("{}-{}-{}", folder.filename().string(), model, what);
}

}  // namespace sea
