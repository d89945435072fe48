#include "run_data.hpp"

#include <fmt/format.h>

#include "models/registry.hpp"
#include "sea/error.hpp"

namespace sea {

RunData load_run(const std::filesystem::path& run, const std::optional<std::filesystem::path>& data) {
  RunDescription description = read_run(run);
  const std::filesystem::path folder = data.value_or(description.data);
  std::error_code ignored;
  if (!data && !std::filesystem::exists(folder, ignored)) {
    throw Error(fmt::format("{}: the data of the run is not there any more; name its folder by --data",
                            folder.string()));
  }
  Dataset dataset = load_dataset(folder, DatasetFiles{std::nullopt, std::nullopt});
  if (dataset.interactions_fingerprint != description.interactions_fingerprint) {
    throw Error(fmt::format("{}: its interactions are not those that {} was trained on", folder.string(),
                            run.string()));
  }
  return {std::move(description), std::move(dataset)};
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
