#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/host_matrix.hpp"
#include "data/interactions.hpp"

namespace sea {

/// The raw features of one modality, `items x width`, float32, finite.
struct ItemFeatures {
  std::string modality;  ///< "visual" or "textual"
  std::filesystem::path file;
  HostMatrix values;
  std::string fingerprint{};  ///< 16 hexadecimal digits over `values`; empty: nobody needs it
  /// The last rows, of items that joined after the training, see `with_newcomers`: they have neighbours among
  /// the others, and are nobody's. `fingerprint` is then of the rows before them.
  std::int64_t new_rows = 0;
};

/// A data set in MMRec's layout, read and checked (docs/data_format.md).
struct Dataset {
  std::string name;
  std::filesystem::path folder;
  std::int64_t users = 0;
  std::int64_t items = 0;
  /// One row per user, item ids ascending and distinct. No pair of `train` stands in `valid` or `test`, which
  /// may be empty.
  HostCsr train, valid, test;
  /// Pairs (users x items) of people who joined after the training, see `with_newcomers`, and whose rows of
  /// `train` are empty: graphs have their edges from the items to them, and not back. No rows where nobody
  /// joined.
  HostCsr joined;
  std::int64_t new_users = 0;          ///< they are the last users
  std::vector<ItemFeatures> features;  ///< visual first, then textual; only those asked for
  /// Original ids by number, from `u_id_mapping.csv` and `i_id_mapping.csv`; empty where there are none.
  std::vector<std::string> user_names, item_names;
  /// What was accepted but deserves a sentence: duplicates dropped, users without history, converted types.
  std::vector<std::string> notices;
  /// 16 hexadecimal digits over the bytes of the interactions and of the feature files that were read.
  std::string fingerprint;
  /// The same over the interactions alone: what evaluation and recommendation depend on.
  std::string interactions_fingerprint;
  /// The same over the original ids; empty where there are none.
  std::string ids_fingerprint;

  /// What a user is known to have: training items, or those that somebody joined with.
  ConstIndexView history(std::int64_t user) const {
    return joined.rows > 0 && train.row(user).empty() ? joined.row(user) : train.row(user);
  }
};

struct DatasetFiles {
  /// Names inside the folder; nothing means that the modality is not used. A missing file is an error that
  /// lists the folder's .npy files.
  std::optional<std::string> vision_feature_file = "image_feat.npy";
  std::optional<std::string> text_feature_file = "text_feat.npy";
  TrainOn train_on = TrainOn::train;
};

/// Reads `folder` (see read_interactions) and checks everything about it.
/// Throws Error with a sentence that names file, line and value.
Dataset load_dataset(const std::filesystem::path& folder, const DatasetFiles& files);

}  // namespace sea
