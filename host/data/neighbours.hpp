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
///
/// The last `new_rows` rows are nobody's neighbours but their own: they have the k - 1 nearest of the others
/// behind themselves.
std::vector<std::int32_t> nearest_neighbours(Backend& backend, ConstMatrixView features, std::int64_t k,
                                             std::int64_t new_rows = 0);
/// The part of such lists for the new rows alone (new_rows x k).
std::vector<std::int32_t> neighbours_of_new_rows(Backend& backend, ConstMatrixView features, std::int64_t k,
                                                 std::int64_t new_rows);

}  // namespace sea
