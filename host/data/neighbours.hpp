#pragma once

#include <cstdint>
#include <vector>

#include "data/host_matrix.hpp"
#include "sea/backend.hpp"

namespace sea {

/// The `k` rows of largest cosine similarity for each row of `features` (items x width, in device memory),
/// best first, the row itself among them by its score alone; equal similarities: the lower id first. items x
/// k ids. Rows are normalised in float32; a zero row has similarity 0 to all. SEA, Eq. 8, 9. Throws Error
/// where k is not in [1, items]. Memory beside the features: one normalised copy and a tile.
std::vector<std::int32_t> nearest_neighbours(Backend& backend, ConstMatrixView features, std::int64_t k);

}  // namespace sea
