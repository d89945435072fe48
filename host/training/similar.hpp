#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/host_matrix.hpp"
#include "sea/backend.hpp"

namespace sea {

/// What likeness is measured in: a row per user or item. Where some columns belong to one modality, they are
/// named.
struct LikenessSpace {
  struct Block {
    std::string modality;
    std::int64_t first = 0, columns = 0;
  };
  HostMatrix rows;
  std::vector<Block> blocks;
};

/// One who is like another.
struct Alike {
  std::int32_t id = 0;
  float similarity = 0.0f;           ///< cosine
  std::vector<float> contributions;  ///< the part of it that each block gives
};

/// The `top_k` among `candidates` (ascending, distinct) with the largest cosine to each of `queries`, best
/// first, of equal ones the lower id first; never itself. A zero row is like nobody: its cosines are 0.
std::vector<std::vector<Alike>> most_similar(Backend& backend, const LikenessSpace& space,
                                             ConstIndexView queries, std::int64_t top_k,
                                             ConstIndexView candidates);

/// Spaces side by side, each with unit rows, so that cosines in the result are the mean of those in each.
LikenessSpace side_by_side(std::vector<LikenessSpace> spaces);

}  // namespace sea
