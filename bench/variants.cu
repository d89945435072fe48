// Times several ways to compute the same on the GPU that is here, on the shapes of a training step of SEAa on
// Baby: tiles of the dense product with split operands, in TF32 and in halves, and the number of parts that k
// is cut in. A line a variant, with its microseconds; FILE, the one argument, becomes kernels/tuned.cuh with
// the fastest. Of variants within 3 per cent the first in the list wins: they stand there from the simpler to
// the less simple.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "common/half_product_kernel.cuh"
#include "common/split_product.cuh"
#include "common/split_product_kernel.cuh"
#include "tuned.cuh"

namespace sea::bench {

namespace {

using cuda::blocks_of;
using cuda::check;
using cuda::split::Tiling;

constexpr const char* name = "variants";
constexpr double simpler_wins_within = 1.03;
constexpr double unit_us = 1.0 / 3.0;  // of the step times in tuned.cuh

/// C (m x n) over k; `along`: whether k lies side by side in memory.
struct Shape {
  const char* name;
  std::int64_t m, n, k;
  bool a_along, b_along, large;
};
constexpr std::array shapes{
    Shape{"m_is_c_w", 352, 4096, 2048, true, false, true},
    Shape{"y_is_x_m", 7050, 384, 4096, true, true, true},
    Shape{"dm_is_dy_x", 384, 4096, 7050, false, false, true},
    Shape{"dc_is_dm_w", 352, 2048, 4096, true, true, true},
    Shape{"tower", 7050, 64, 256, true, true, false},
    Shape{"head_dw", 64, 64, 7050, false, false, false},
};

struct Measured {
  double us = 0.0;       ///< of the fastest number of parts
  double step_us = 0.0;  ///< of a tile's 32 of k, by the model of split_product.cu
  std::int64_t parts = 0;
};

/// Operands for the largest shape, parts and result.
class Arrays {
 public:
  Arrays() {
    for (float*& array : arrays_) {
      check(cudaMalloc(&array, floats * sizeof(float)), name, "an allocation");
      check(cudaMemset(array, 0x3C, floats * sizeof(float)), name, "filling");  // 0.011 in every place
    }
  }
  ~Arrays() {
    for (float* array : arrays_) static_cast<void>(cudaFree(array));
  }
  Arrays(const Arrays&) = delete;
  Arrays& operator=(const Arrays&) = delete;
  float* operator[](std::size_t i) const { return arrays_[i]; }

 private:
  static constexpr std::size_t floats = 7050 * 4096;
  static_assert(floats >= cuda::split_product_floats);
  std::array<float*, 4> arrays_{};
};

/// Microseconds a call: the median of five stretches of `calls`.
template <class Call>
double time_calls(cudaStream_t stream, int calls, const Call& call) {
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), name, "making an event");
  check(cudaEventCreate(&end), name, "making an event");
  std::vector<double> times;
  for (int stretch = 0; stretch < 6; ++stretch) {
    check(cudaEventRecord(begin, stream), name, "recording an event");
    for (int i = 0; i < calls; ++i) call();
    check(cudaEventRecord(end, stream), name, "recording an event");
    check(cudaEventSynchronize(end), name, "waiting for the device");
    float milliseconds = 0.0f;
    check(cudaEventElapsedTime(&milliseconds, begin, end), name, "reading the time");
    if (stretch > 0) times.push_back(milliseconds * 1e3 / calls);  // the first one warms up
  }
  check(cudaEventDestroy(begin), name, "giving back an event");
  check(cudaEventDestroy(end), name, "giving back an event");
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// The numbers of parts that fill one wave, two waves, and one alone.
std::vector<std::int64_t> parts_of(std::int64_t tiles, std::int64_t wave, const Shape& shape) {
  const std::int64_t steps = blocks_of(shape.k, cuda::split::depth);
  std::vector<std::int64_t> found{1};
  for (const std::int64_t waves : {1, 2}) {
    std::int64_t parts = std::clamp<std::int64_t>(waves * wave / tiles, 1, std::min<std::int64_t>(64, steps));
    parts = blocks_of(steps, blocks_of(steps, parts));
    if (parts * shape.m * shape.n <= cuda::split_product_floats &&
        std::find(found.begin(), found.end(), parts) == found.end())
      found.push_back(parts);
  }
  return found;
}

enum class Operands { tf32, halves };

template <class Tile, Operands operands, bool a_along, bool b_along>
void start(cudaStream_t stream, const cuda::split::Product& product, std::int64_t parts) {
  if constexpr (operands == Operands::halves) {
    cuda::split::start_halves<Tile, a_along, b_along>(stream, name, product, parts);
  } else {
    cuda::split::start<Tile, a_along, b_along, 4>(stream, name, product, parts);
  }
}

template <class Tile, Operands operands>
Measured measure(cudaStream_t stream, int multiprocessors, const Arrays& arrays, const Shape& shape,
                 const char* tile_name) {
  const ConstMatrixView a(arrays[0], shape.a_along ? shape.m : shape.k, shape.a_along ? shape.k : shape.m);
  const ConstMatrixView b(arrays[1], shape.b_along ? shape.n : shape.k, shape.b_along ? shape.k : shape.n);
  const MatrixView c(arrays[2], shape.m, shape.n);
  const std::int64_t tiles = blocks_of(shape.m, Tile::rows) * blocks_of(shape.n, Tile::columns),
                     wave = std::int64_t{multiprocessors} * Tile::blocks_per_multiprocessor,
                     steps = blocks_of(shape.k, cuda::split::depth);
  Measured best;
  for (const std::int64_t parts : parts_of(tiles, wave, shape)) {
    const std::int64_t each = blocks_of(steps, parts);
    const cuda::split::Product product{a,
                                       b,
                                       c,
                                       nullptr,
                                       1.0f,
                                       0.0f,
                                       shape.k,
                                       each * cuda::split::depth,
                                       0,
                                       0,
                                       parts > 1 ? arrays[3] : nullptr};
    const auto call = [&] {
      if (shape.a_along) {
        shape.b_along ? start<Tile, operands, true, true>(stream, product, parts)
                      : start<Tile, operands, true, false>(stream, product, parts);
      } else {
        start<Tile, operands, false, false>(stream, product, parts);
      }
    };
    const double us = time_calls(stream, 20, call);
    std::printf("%s.%s.parts_%lld %.2f\n", shape.name, tile_name, static_cast<long long>(parts), us);
    if (best.parts > 0 && us >= best.us) continue;
    const std::int64_t blocks = tiles * parts;
    const std::int64_t in_turn =
        blocks / wave * Tile::blocks_per_multiprocessor + blocks_of(blocks % wave, multiprocessors);
    best = {us, us / static_cast<double>(in_turn * (each + 3)), parts};
  }
  std::fflush(stdout);
  return best;
}

/// A tiling of the list: what it took on the shapes that it is for.
struct Candidate {
  const char* name;      ///< of its lines
  const char* type;      ///< in tuned.cuh
  double us = 0.0;       ///< sum over the shapes
  double step_us = 0.0;  ///< mean over the shapes
};

template <class Tile, Operands operands>
Candidate try_tiling(cudaStream_t stream, int multiprocessors, const Arrays& arrays, bool large,
                     Candidate candidate) {
  int count = 0;
  for (const Shape& shape : shapes) {
    if (shape.large != large) continue;
    const Measured measured = measure<Tile, operands>(stream, multiprocessors, arrays, shape, candidate.name);
    candidate.us += measured.us;
    candidate.step_us += measured.step_us;
    ++count;
  }
  candidate.step_us /= count;
  return candidate;
}

const Candidate& winner(const std::vector<Candidate>& candidates) {
  double least = candidates.front().us;
  for (const Candidate& candidate : candidates) least = std::min(least, candidate.us);
  return *std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& candidate) {
    return candidate.us <= simpler_wins_within * least;
  });
}

void run(const std::string& file) {
  int device = 0, multiprocessors = 0;
  cudaDeviceProp properties{};
  check(cudaGetDevice(&device), name, "asking for the device");
  check(cudaGetDeviceProperties(&properties, device), name, "reading the device's name");
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), name,
        "reading a device attribute");
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), name, "making a stream");
  const Arrays arrays;
  const auto attempt = [&]<class Tile>(bool large, const char* tile_name, const char* type) {
    return try_tiling<Tile, Operands::tf32>(stream, multiprocessors, arrays, large, {tile_name, type});
  };
  const auto attempt_halves = [&]<class Tile>(const char* tile_name, const char* type) {
    return try_tiling<Tile, Operands::halves>(stream, multiprocessors, arrays, true, {tile_name, type});
  };
  // A card idles at a fraction of its clock: some work first, whose times count for nothing.
  for (int i = 0; i < 10; ++i)
    static_cast<void>(measure<cuda::tuned::LargeTiling, Operands::tf32>(stream, multiprocessors, arrays,
                                                                        shapes[1], "warm_up"));
  const std::vector<Candidate> large{
      attempt.operator()<Tiling<128, 128, 64, 32, 1, 3>>(true, "128x128_3", "128, 128, 64, 32, 1, 3"),
      attempt.operator()<Tiling<128, 128, 64, 32, 1, 4>>(true, "128x128_4", "128, 128, 64, 32, 1, 4"),
      attempt.operator()<Tiling<128, 64, 64, 32, 2, 3>>(true, "128x64_3", "128, 64, 64, 32, 2, 3"),
  };
  const std::vector<Candidate> small{
      attempt.operator()<Tiling<64, 64, 32, 32, 3, 3>>(false, "64x64_3", "64, 64, 32, 32, 3, 3"),
      attempt.operator()<Tiling<64, 64, 32, 32, 2, 4>>(false, "64x64_4", "64, 64, 32, 32, 2, 4"),
  };
  const std::vector<Candidate> halves{
      attempt_halves.operator()<Tiling<128, 128, 64, 32, 1, 2>>("halves_128x128_2", "128, 128, 64, 32, 1, 2"),
      attempt_halves.operator()<Tiling<128, 128, 64, 32, 1, 3>>("halves_128x128_3", "128, 128, 64, 32, 1, 3"),
      attempt_halves.operator()<Tiling<128, 128, 32, 64, 1, 2>>("halves_128x128_tall",
                                                                "128, 128, 32, 64, 1, 2"),
  };
  check(cudaStreamDestroy(stream), name, "giving back a stream");
  const Candidate &first = winner(large), &second = winner(small), &third = winner(halves);
  std::printf("winner.large %s\nwinner.small %s\nwinner.halves %s\n", first.name, second.name, third.name);

  char date[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
  std::ofstream out(file);
  out << "#pragma once\n\n#include \"common/split_product_kernel.cuh\"\n\n"
         "// What may be chosen freely and is a matter of speed alone, but for the order of sums. "
         "bench/gpu_check.sh times the\n// candidates of bench/variants.cu and writes this file anew into "
         "its "
         "results; it is taken over by hand.\n//\n// GPU: "
      << properties.name << ", " << date
      << ".\n\nnamespace sea::cuda::tuned {\n\nusing LargeTiling = split::Tiling<" << first.type
      << ">;\nusing SmallTiling = split::Tiling<" << second.type << ">;\nusing HalfTiling = split::Tiling<"
      << third.type << ">;  ///< of half_product_kernel.cuh"
      << "\n\n/// Time that 32 of k take in a tile, in thirds of a microsecond.\ninline constexpr double "
         "large_step_time = "
      << first.step_us / unit_us << ", small_step_time = " << second.step_us / unit_us
      << ", half_step_time = " << third.step_us / unit_us << ";\n\n}  // namespace sea::cuda::tuned\n";
  out.close();
  if (!out) throw Error(file + " could not be written");
}

}  // namespace

}  // namespace sea::bench

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "error: the one argument is the file to write, as kernels/tuned.cuh\n");
    return 2;
  }
  try {
    sea::bench::run(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
