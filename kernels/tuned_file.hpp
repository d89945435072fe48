#pragma once

#include <string>
#include <vector>

#include "variants.cuh"

// tuned.cuh as bench/variants.cu writes it.

namespace sea::cuda {

/// The numbers of a choice, with `between` them.
template <int first, int... others>
std::string numbers(const char* between) {
  std::string text = std::to_string(first);
  ((text += between + std::to_string(others)), ...);
  return text;
}

/// A choice, as it is written in C++ in namespace sea::cuda::tuned, and in the name of a figure.
struct Spelling {
  std::string type, figure;
};

template <template <int...> class Tiling, int... values>
Spelling spelling_of(Tiling<values...>) {
  return {std::string(Tiling<values...>::type) + '<' + numbers<values...>(", ") + '>',
          numbers<values...>("_")};
}

/// What a list's name in tuned.cuh shall stand for.
struct Winner {
  const char* list;
  std::string type;
};

/// Times as in tuned.cuh.
struct StepTimes {
  double large, small, half;
};

/// `gpu`: its name, and the day.
inline std::string tuned_file(const std::string& gpu, const std::vector<Winner>& winners,
                              const StepTimes& times) {
  std::string text = R"(#pragma once

#include "variants.cuh"

// Of each list of variants.cuh the choice that the library is built with. bench/gpu_check.sh times the lists
// and writes this file anew into its results; it is taken over by hand.
//
// GPU: )" + gpu + R"(.

namespace sea::cuda::tuned {

)";
  for (const Winner& winner : winners)
    text += std::string("using ") + winner.list + " = " + winner.type + ";\n";
  text += R"(
/// Time that 32 of k take in a tile, in thirds of a microsecond.
inline constexpr double large_step_time = )" +
          std::to_string(times.large) + ", small_step_time = " + std::to_string(times.small) +
          ", half_step_time = " + std::to_string(times.half) + R"(;

}  // namespace sea::cuda::tuned
)";
  return text;
}

}  // namespace sea::cuda
