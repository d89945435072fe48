#pragma once

#include <cstdint>
#include <vector>

#include "program/program.hpp"

namespace sea {

// Initial values of parameters, drawn on the host from Philox by (seed, name of the parameter, element). The
// fan of a matrix is its columns (in) and rows (out).

/// Uniform in [-1 / sqrt(fan_in), 1 / sqrt(fan_in)).
Initializer uniform_fan_in(std::int64_t fan_in);
/// Uniform in [-b, b) with b = sqrt(6 / (rows + columns)).
Initializer xavier_uniform();
/// The embeddings of `users` users and of items below them, each as `xavier_uniform` of a matrix of its own.
Initializer xavier_uniform_nodes(std::int64_t users);
/// Normal with mean 0 and variance 2 / (rows + columns).
Initializer xavier_normal();
/// Normal with mean 0 and variance 1.
Initializer standard_normal();
/// Normal with mean 0 and variance 2 / columns.
Initializer kaiming_normal();
/// Uniform in [-b, b) with b = sqrt(6 / columns).
Initializer kaiming_uniform();
/// As `xavier_normal`, then a softmax over each row.
Initializer softmax_of_xavier_normal();
Initializer constant_value(float value);
/// These values, once.
Initializer given_values(std::vector<float> values);

}  // namespace sea
