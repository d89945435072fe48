#pragma once

#include <cstdint>
#include <vector>

#include "data/host_matrix.hpp"

namespace sea {

struct SingularVectors {
  HostMatrix vectors;          ///< columns x count, one right singular vector a column, of length 1
  std::vector<double> values;  ///< descending
};

/// The `count` leading right singular vectors of `matrix`, fewer where its rank is lower, by subspace
/// iteration in double. The largest entry of a vector is positive.
SingularVectors leading_singular_vectors(const HostCsr& matrix, std::int64_t count, std::uint64_t seed);

}  // namespace sea
