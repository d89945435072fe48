#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fuzz.hpp"

namespace sea::fuzz {

void fail(const std::string& why) {
  std::fprintf(stderr, "finding: %s\n", why.c_str());
  std::abort();
}

}  // namespace sea::fuzz

/// Writes the seeds to the first folder among the arguments, the corpus.
extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  for (int i = 1; i < *count; ++i) {
    const std::filesystem::path folder = (*arguments)[i];
    if (!std::filesystem::is_directory(folder)) continue;
    const std::vector<std::string> seeds = sea::fuzz::seeds();
    for (std::size_t seed = 0; seed < seeds.size(); ++seed) {
      std::ofstream out(folder / ("seed-" + std::to_string(seed)), std::ios::binary);
      out << seeds[seed];
    }
    break;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sea::fuzz::read({reinterpret_cast<const char*>(data), size});
  return 0;
}
