#include "data/dataset.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <utility>

#include "data/features.hpp"
#include "data/file_bytes.hpp"
#include "data/id_mapping.hpp"
#include "data/interactions.hpp"
#include "data/memory.hpp"
#include "data/npy.hpp"

namespace sea {

namespace {

/// Each name behind its length, so that no two lists are the same bytes.
std::string fingerprint_of_ids(const Dataset& data) {
  if (data.user_names.empty() && data.item_names.empty()) return {};
  std::string text;
  for (const std::vector<std::string>* names : {&data.user_names, &data.item_names}) {
    text += fmt::format("{} ", names->size());
    for (const std::string& name : *names) text += fmt::format("{} {}", name.size(), name);
  }
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

}  // namespace

Dataset load_dataset(const std::filesystem::path& folder, const DatasetFiles& files) {
  Interactions interactions = read_interactions(folder, available_memory(), files.train_on);
  check_training(interactions);
  Dataset data;
  data.name = std::move(interactions.name);
  data.folder = std::move(interactions.folder);
  data.users = interactions.users;
  data.items = interactions.items;
  data.train = std::move(interactions.train);
  data.valid = std::move(interactions.valid);
  data.test = std::move(interactions.test);
  data.notices = std::move(interactions.notices);

  // Each part's own hash beside its modality's name: what lies where, and not only which bytes there are.
  data.interactions_fingerprint = fmt::format("{:016x}", hash_file(interactions.file));
  std::string parts = "interactions " + data.interactions_fingerprint;
  for (const auto& [modality, name] :
       {std::pair("visual", &files.vision_feature_file), std::pair("textual", &files.text_feature_file)}) {
    if (!name->has_value()) continue;
    data.features.push_back(load_features(data.folder, modality, **name, data.items));
    ItemFeatures& features = data.features.back();
    // Of what was read, and not of the file, which may have been replaced since: others rely on it.
    features.fingerprint = fmt::format(
        "{:016x}", XXH3_64bits(features.values.values.data(), features.values.values.size() * sizeof(float)));
    parts += fmt::format(" {} {:016x}", modality, hash_file(features.file));
    const std::string descr = read_npy_header(features.file).descr;
    if (descr != "<f4")
      data.notices.push_back(fmt::format("{}: {} values were converted to float32", **name,
                                         descr == "<f2" ? "float16" : "float64"));
  }
  data.fingerprint = fmt::format("{:016x}", XXH3_64bits(parts.data(), parts.size()));
  data.user_names = read_id_mapping(data.folder / "u_id_mapping.csv", "userID", data.users, data.notices);
  data.item_names = read_id_mapping(data.folder / "i_id_mapping.csv", "itemID", data.items, data.notices);
  data.ids_fingerprint = fingerprint_of_ids(data);
  return data;
}

}  // namespace sea
