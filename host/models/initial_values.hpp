#pragma once

#include <cstdint>
#include <vector>

#include "program/program.hpp"

namespace sea {

// Initial values of parameters, drawn on the host from Philox by (seed, parameter number, element).

/// Uniform in [-1 / sqrt(fan_in), 1 / sqrt(fan_in)).
Initializer uniform_fan_in(std::uint64_t seed, std::int64_t fan_in);
/// Uniform in [-b, b) with b = sqrt(6 / (fan_in + fan_out)).
Initializer xavier_uniform(std::uint64_t seed, std::int64_t fan_in, std::int64_t fan_out);
/// The embeddings of `users` users and of items below them, each as `xavier_uniform` of a matrix of its own.
Initializer xavier_uniform_nodes(std::uint64_t seed, std::int64_t users);
/// Normal with mean 0 and variance 2 / (fan_in + fan_out).
Initializer xavier_normal(std::uint64_t seed, std::int64_t fan_in, std::int64_t fan_out);
/// As `xavier_normal`, then a softmax over each row.
Initializer softmax_of_xavier_normal(std::uint64_t seed, std::int64_t fan_in, std::int64_t fan_out);
Initializer constant_value(float value);
/// These values, once.
Initializer given_values(std::vector<float> values);

}  // namespace sea
