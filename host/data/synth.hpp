#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/planted.hpp"

namespace sea {

/// How large a synthetic data set is.
struct SynthSizes {
  std::int64_t users = 1'000;
  std::int64_t items = 600;
  std::int64_t interactions = 12'000;
  std::int64_t visual_width = 128;
  std::int64_t textual_width = 64;
};

/// The sizes of a preset: "small", or those of the paper's "baby", "sports", "clothing" with features 4096
/// and 384 wide. Throws UsageError for another name.
SynthSizes synth_preset(const std::string& name);

/// Throws UsageError, naming the option of `sea synth`, where the sizes cannot be made.
void check_sizes(const SynthSizes& sizes);
/// The same for the widths alone.
void check_widths(const SynthSizes& sizes);

/// Makes the folder `output` with `<basename>.inter` (8:1:1 a user), `image_feat.npy`, `text_feat.npy` and a
/// README: interactions planted so that content helps (see plant). The same seed makes the same bytes.
/// The folder appears whole or not at all. Throws Error where `output` exists or cannot be written.
void synthesize(const std::filesystem::path& output, const SynthSizes& sizes, std::uint64_t seed,
                const SynthProgress& progress);

/// Makes the folder `output` with the interactions and id mappings of the data folder `like`, as they are,
/// and features made of the 64 leading singular vectors of its training graph, times a random matrix, plus
/// noise.
void synthesize_like(const std::filesystem::path& output, const std::filesystem::path& like,
                     std::int64_t visual_width, std::int64_t textual_width, std::uint64_t seed,
                     const SynthProgress& progress);

/// How many of a user's `count` items are held out for validation and for test: a tenth each, at least one,
/// test rounded and validation rounded down, as MMRec splits; none of fewer than three.
struct HeldOut {
  std::int64_t valid = 0, test = 0;
};
HeldOut held_out(std::int64_t count);

}  // namespace sea
