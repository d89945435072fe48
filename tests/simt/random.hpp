#pragma once

#include <cstdint>

namespace sea::simt {

/// The draws of a schedule: SplitMix64. Fast, because one is made at every switch.
class Random {
 public:
  explicit Random(std::uint64_t seed = 0) : state_(seed) {}

  std::uint64_t bits() {
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound), bound in [1, 2^32).
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(((bits() >> 32) * bound) >> 32); }
  bool coin() { return (bits() & 1u) != 0; }

 private:
  std::uint64_t state_;
};

}  // namespace sea::simt
