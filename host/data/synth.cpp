#include "data/synth.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <ostream>
#include <system_error>
#include <vector>

#include "data/atomic_file.hpp"
#include "data/file_bytes.hpp"
#include "data/interactions.hpp"
#include "data/memory.hpp"
#include "data/npy.hpp"
#include "data/random_stream.hpp"
#include "data/singular_vectors.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

// Streams of random numbers that no other part uses: the projections, and one for each row of features.
constexpr std::int64_t projection_streams = std::int64_t{1} << 34;
constexpr std::int64_t row_streams = std::int64_t{1} << 35;
constexpr std::int64_t largest = std::numeric_limits<std::int32_t>::max() - 1;

/// A folder that appears under its name once it is whole; before, it is a hidden one beside it.
class AtomicFolder {
 public:
  explicit AtomicFolder(const fs::path& folder) : folder_(fs::absolute(folder).lexically_normal()) {
    if (!folder_.has_filename()) folder_ = folder_.parent_path();
    std::error_code error;
    if (fs::symlink_status(folder_, error).type() != fs::file_type::not_found)
      throw Error(
          fmt::format("{}: exists already; nothing is overwritten, so give another name", folder.string()));
    temporary_ = folder_.parent_path() / fmt::format(".{}.sea-tmp", name());
    fs::remove_all(temporary_, error);
    fs::create_directories(temporary_, error);
    if (error) throw Error(fmt::format("{}: cannot be made: {}", folder.string(), error.message()));
  }
  ~AtomicFolder() {
    std::error_code ignored;
    if (!committed_) fs::remove_all(temporary_, ignored);
  }
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  std::string name() const { return folder_.filename().string(); }
  const fs::path& temporary() const { return temporary_; }
  void commit() {
    std::error_code error;
    fs::rename(temporary_, folder_, error);
    if (error) throw Error(fmt::format("{}: cannot be made: {}", folder_.string(), error.message()));
    committed_ = true;
  }

 private:
  fs::path folder_, temporary_;
  bool committed_ = false;
};

/// Features of one modality: `factors` (items x rank) times a random matrix, plus noise a number, written row
/// by row. `which` keeps the modalities' random numbers apart.
void write_features(const fs::path& file, const HostMatrix& factors, std::int64_t width, float noise,
                    std::uint64_t seed, std::int64_t which, const char* what, const SynthProgress& progress) {
  constexpr std::int64_t column_block = 512;
  const std::int64_t rank = factors.columns;
  HostMatrix projection(rank, width);
  RandomStream(seed, projection_streams + which)
      .add_bells(projection.values.data(), projection.view().size(), 1.0f);
  write_npy_rows(file, factors.rows, width, [&](std::int64_t item, float* row) {
    if (item % 1024 == 0) progress(what, static_cast<double>(item) / static_cast<double>(factors.rows));
    const float* factor = factors.view().row(item);
    std::fill_n(row, width, 0.0f);
    for (std::int64_t first = 0; first < width; first += column_block) {
      const std::int64_t count = std::min(column_block, width - first);
      float* out = row + first;
      for (std::int64_t k = 0; k < rank; ++k) {
        const float* direction = projection.view().row(k) + first;
        for (std::int64_t j = 0; j < count; ++j) out[j] += factor[k] * direction[j];
      }
    }
    RandomStream(seed, row_streams + 2 * item + which).add_bells(row, width, noise);
  });
}

void write_interactions(const fs::path& file, const Planted& planted) {
  write_atomically(file, [&](std::ostream& out) {
    out << "userID\titemID\tx_label\n";
    std::string lines;
    for (std::size_t user = 0; user + 1 < planted.offsets.size(); ++user) {
      const std::int64_t first = planted.offsets[user], last = planted.offsets[user + 1];
      const HeldOut held = held_out(last - first);
      lines.clear();
      for (std::int64_t i = first; i < last; ++i) {
        const int label = i < last - held.valid - held.test ? 0 : i < last - held.test ? 1 : 2;
        fmt::format_to(std::back_inserter(lines), "{}\t{}\t{}\n", user,
                       planted.items[static_cast<std::size_t>(i)], label);
      }
      out << lines;
    }
  });
}

void write_readme(const fs::path& folder, const std::string& text) {
  write_atomically(folder / "README.md", [&](std::ostream& out) { out << text; });
}

void require(const char* option, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least || value > most)
    throw UsageError(fmt::format("{} is {}; it may be {} to {}", option, value, least, most));
}

/// A copy of its own, which may be written where the original may not.
void copy_bytes(const fs::path& from, const fs::path& to) {
  const std::vector<char> bytes = read_bytes(from);
  write_atomically(
      to, [&](std::ostream& out) { out.write(bytes.data(), static_cast<std::streamsize>(bytes.size())); });
}

/// The training graph, users x items: 1 / sqrt(degree(u) degree(i)).
HostCsr normalized_rows(const HostCsr& train) {
  HostCsr graph = train;
  std::vector<double> degrees(static_cast<std::size_t>(train.columns));
  for (const std::int32_t item : train.column_indices) degrees[static_cast<std::size_t>(item)] += 1.0;
  graph.values.clear();
  for (std::int64_t user = 0; user < train.rows; ++user) {
    const auto degree = static_cast<double>(train.row(user).size());
    for (const std::int32_t item : train.row(user))
      graph.values.push_back(
          static_cast<float>(1.0 / std::sqrt(degree * degrees[static_cast<std::size_t>(item)])));
  }
  return graph;
}

}  // namespace

SynthSizes synth_preset(const std::string& name) {
  static const std::map<std::string, SynthSizes> presets = {
      {"small", {}},
      {"baby", {19'445, 7'050, 160'792, 4096, 384}},
      {"sports", {35'598, 18'357, 296'337, 4096, 384}},
      {"clothing", {39'387, 23'033, 278'677, 4096, 384}}};
  const auto found = presets.find(name);
  if (found == presets.end())
    throw UsageError(
        fmt::format("--preset is '{}'; it may be small, baby, sports or clothing", printable(name)));
  return found->second;
}

void check_widths(const SynthSizes& sizes) {
  require("--visual-dim", sizes.visual_width, 2, 1 << 20);
  require("--textual-dim", sizes.textual_width, 2, 1 << 20);
}

void check_sizes(const SynthSizes& sizes) {
  require("--users", sizes.users, 1, largest);
  require("--items", sizes.items, 6, largest);
  check_widths(sizes);
  const std::int64_t least = std::max(3 * sizes.users, sizes.items);
  const std::int64_t most = std::min<std::int64_t>(largest, sizes.users * sizes.items / 2);
  if (least > most)
    throw UsageError(
        fmt::format("--users {} and --items {} cannot go together: no number of --interactions gives "
                    "each user 3 items and each item a user, and fills less than half",
                    sizes.users, sizes.items));
  if (sizes.interactions < least || sizes.interactions > most)
    throw UsageError(fmt::format("--interactions is {}; with {} users and {} items it may be {} to {}",
                                 sizes.interactions, sizes.users, sizes.items, least, most));
  // Traits of the items, interactions and their owners, a user's bookkeeping.
  constexpr std::int64_t bytes_an_item = 4 * (2 * 24 + 32 + 16) + 8;
  const std::int64_t needed = bytes_an_item * sizes.items + 8 * sizes.interactions + 16 * sizes.users;
  if (const std::int64_t there = available_memory(); needed > there)
    throw UsageError(fmt::format("--users, --items and --interactions need {} of memory, and {} are free",
                                 bytes_text(needed), bytes_text(there)));
}

HeldOut held_out(std::int64_t count) {
  if (count < 3) return {};
  return {std::max<std::int64_t>(1, count / 10), std::max<std::int64_t>(1, (count + 5) / 10)};
}

void synthesize(const fs::path& output, const SynthSizes& sizes, std::uint64_t seed,
                const SynthProgress& progress) {
  check_sizes(sizes);
  AtomicFolder folder(output);
  const Planted planted = plant(sizes.users, sizes.items, sizes.interactions, seed, progress);
  write_interactions(folder.temporary() / (folder.name() + ".inter"), planted);
  constexpr float noise = 1.5f;
  write_features(folder.temporary() / "image_feat.npy", planted.visual_traits, sizes.visual_width, noise,
                 seed, 0, "image_feat.npy", progress);
  write_features(folder.temporary() / "text_feat.npy", planted.textual_traits, sizes.textual_width, noise,
                 seed, 1, "text_feat.npy", progress);
  write_readme(
      folder.temporary(),
      fmt::format("# Synthetic data\n\nNobody's interactions: {} of {} users with {} items, made by `sea "
                  "synth` from seed {}.\nAn item has traits that both feature files show, traits that only "
                  "one of them shows, and traits that\nneither shows; users choose by them and by a "
                  "long-tailed popularity. Results on this data say nothing\nabout real data.\n",
                  grouped(sizes.interactions), grouped(sizes.users), grouped(sizes.items), seed));
  folder.commit();
}

void synthesize_like(const fs::path& output, const fs::path& like, std::int64_t visual_width,
                     std::int64_t textual_width, std::uint64_t seed, const SynthProgress& progress) {
  constexpr std::int64_t rank = 64;
  constexpr float noise = 0.5f;
  const Interactions real = read_interactions(like, available_memory());
  check_training(real);
  AtomicFolder folder(output);
  copy_bytes(real.file, folder.temporary() / (folder.name() + ".inter"));
  for (const char* name : {"u_id_mapping.csv", "i_id_mapping.csv"}) {
    if (fs::exists(real.folder / name)) copy_bytes(real.folder / name, folder.temporary() / name);
  }
  progress("singular vectors", 0.0);
  HostMatrix factors = leading_singular_vectors(normalized_rows(real.train), rank, seed).vectors;
  // Vectors of length 1 have entries around 1 / sqrt(items); the features' variance becomes 1 before the
  // noise.
  const auto scale = static_cast<float>(std::sqrt(
      static_cast<double>(factors.rows) / static_cast<double>(std::max<std::int64_t>(factors.columns, 1))));
  for (float& value : factors.values) value *= scale;
  write_features(folder.temporary() / "image_feat.npy", factors, visual_width, noise, seed, 0,
                 "image_feat.npy", progress);
  write_features(folder.temporary() / "text_feat.npy", factors, textual_width, noise, seed, 1,
                 "text_feat.npy", progress);
  write_readme(
      folder.temporary(),
      fmt::format("# Real interactions, synthetic features\n\nThe interactions and their split are those of "
                  "{}. `image_feat.npy` and `text_feat.npy` are synthetic:\nthe {} leading singular vectors "
                  "of the training graph times a random matrix plus noise, made by `sea synth\n--like` from "
                  "seed {}. They are no picture's and no text's: good for timing, not for quality.\n",
                  real.name, factors.columns, seed));
  folder.commit();
}

}  // namespace sea
