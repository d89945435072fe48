// Times the choices of kernels/variants.cuh on the GPU that is here, on the shapes of a training step of SEAa
// on Baby: dense products with split operands, in TF32 and in halves and with k in several numbers of parts,
// the update of the visual layer, the two walks of the alignment, the fit of q, and a propagation. A line a
// choice, with its microseconds; FILE, the one argument, becomes kernels/tuned.cuh with the fastest. Of
// choices within 3 per cent the first in the list wins: they stand there from the simpler to the less simple.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "club_fit_tiles.cuh"
#include "common/half_product_kernel.cuh"
#include "common/split_product.cuh"
#include "common/split_product_kernel.cuh"
#include "contrastive_alignment_walk.cuh"
#include "factored_linear_update.cuh"
#include "spmm.cuh"
#include "tuned.cuh"
#include "tuned_file.hpp"

namespace sea::bench {

namespace {

using cuda::blocks_of;
using cuda::check;
using cuda::Spelling;
using cuda::Variants;
using cuda::Winner;

constexpr const char* name = "variants";
constexpr double simpler_wins_within = 1.03;
constexpr double unit_us = 1.0 / 3.0;  // of the step times in tuned.cuh
constexpr std::int64_t items = 7050, nodes = 26495, edges = 237102;

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

/// What a choice took on the shapes that it is for.
struct Measured {
  double us = 0.0;  ///< sum over the shapes
  double step_us =
      0.0;  ///< products: of a tile's 32 of k, by the model of split_product.cu, mean over the shapes
};

/// The device, and memory for the largest of all operands and results.
class Device {
 public:
  Device() {
    int device = 0;
    check(cudaGetDevice(&device), name, "asking for the device");
    check(cudaGetDeviceProperties(&properties, device), name, "reading the device's name");
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), name, "making a stream");
    for (float*& array : arrays_) {
      check(cudaMalloc(&array, floats * sizeof(float)), name, "an allocation");
      check(cudaMemset(array, 0x3C, floats * sizeof(float)), name, "filling");  // 0.011 in every place
    }
    check(cudaDeviceSynchronize(), name, "filling");
  }
  ~Device() {
    for (float* array : arrays_) static_cast<void>(cudaFree(array));
    static_cast<void>(cudaStreamDestroy(stream));
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  float* operator[](std::size_t i) const { return arrays_[i]; }
  MatrixView matrix(std::size_t i, std::int64_t rows, std::int64_t columns) const {
    return {arrays_[i], rows, columns};
  }
  template <class T>
  T* upload(std::size_t i, const std::vector<T>& values) const {
    check(cudaMemcpy(arrays_[i], values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), name,
          "a copy");
    check(cudaDeviceSynchronize(), name, "a copy");  // the stream waits for no other one
    return reinterpret_cast<T*>(arrays_[i]);
  }

  cudaStream_t stream = nullptr;
  cudaDeviceProp properties{};

 private:
  static constexpr std::size_t floats = 7050 * 4096;
  static_assert(floats >= cuda::split_product_floats);
  std::array<float*, 5> arrays_{};
};

/// Microseconds a call, as nodes of a graph, as a step has them: the median of five stretches of `calls`.
template <class Call>
double time_calls(cudaStream_t stream, int calls, const Call& call) {
  call();  // what is loaded at the first start is not to be part of the graph
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), name, "beginning a graph");
  for (int i = 0; i < calls; ++i) call();
  check(cudaStreamEndCapture(stream, &graph), name, "ending a graph");
  check(cudaGraphInstantiate(&executable, graph, 0), name, "making a graph executable");
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), name, "making an event");
  check(cudaEventCreate(&end), name, "making an event");
  std::vector<double> times;
  for (int stretch = 0; stretch < 6; ++stretch) {
    // One before it, so that the start of the graph that is timed is prepared while the device works.
    check(cudaGraphLaunch(executable, stream), name, "replaying a graph");
    check(cudaEventRecord(begin, stream), name, "recording an event");
    check(cudaGraphLaunch(executable, stream), name, "replaying a graph");
    check(cudaEventRecord(end, stream), name, "recording an event");
    check(cudaEventSynchronize(end), name, "waiting for the device");
    float milliseconds = 0.0f;
    check(cudaEventElapsedTime(&milliseconds, begin, end), name, "reading the time");
    if (stretch > 0) times.push_back(milliseconds * 1e3 / calls);  // the first one warms up
  }
  check(cudaEventDestroy(begin), name, "giving back an event");
  check(cudaEventDestroy(end), name, "giving back an event");
  check(cudaGraphExecDestroy(executable), name, "giving back a graph");
  check(cudaGraphDestroy(graph), name, "giving back a graph");
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

/// Prints a figure's line.
void print(const std::string& figure, double us) {
  std::printf("%s %.2f\n", figure.c_str(), us);
  std::fflush(stdout);
}

// ---- dense products

struct InTf32 {
  template <class Tiling, bool a_along, bool b_along>
  static void start(cudaStream_t stream, const cuda::split::Product& product, std::int64_t parts) {
    cuda::split::start<Tiling, a_along, b_along, 4>(stream, name, product, parts);
  }
};

struct InHalves {
  template <class Tiling, bool a_along, bool b_along>
  static void start(cudaStream_t stream, const cuda::split::Product& product, std::int64_t parts) {
    cuda::split::start_halves<Tiling, a_along, b_along>(stream, name, product, parts);
  }
};

/// With the fastest number of parts.
template <class Tiling, class Operands>
Measured time_product(const Device& device, const Shape& shape, const std::string& figure) {
  const ConstMatrixView a = device.matrix(0, shape.a_along ? shape.m : shape.k,
                                          shape.a_along ? shape.k : shape.m),
                        b = device.matrix(1, shape.b_along ? shape.n : shape.k,
                                          shape.b_along ? shape.k : shape.n);
  const std::int64_t multiprocessors = device.properties.multiProcessorCount;
  const std::int64_t tiles = blocks_of(shape.m, Tiling::rows) * blocks_of(shape.n, Tiling::columns),
                     wave = multiprocessors * Tiling::blocks_per_multiprocessor,
                     steps = blocks_of(shape.k, cuda::split::depth);
  Measured best;
  for (const std::int64_t parts : parts_of(tiles, wave, shape)) {
    const std::int64_t each = blocks_of(steps, parts);
    cuda::split::Product product{a, b, device.matrix(2, shape.m, shape.n), nullptr, 1.0f, 0.0f, shape.k};
    product.k_of_part = each * cuda::split::depth;
    product.parts = parts > 1 ? device[3] : nullptr;
    const double us = time_calls(device.stream, 20, [&] {
      if (!shape.a_along) {
        Operands::template start<Tiling, false, false>(device.stream, product, parts);
      } else if (shape.b_along) {
        Operands::template start<Tiling, true, true>(device.stream, product, parts);
      } else {
        Operands::template start<Tiling, true, false>(device.stream, product, parts);
      }
    });
    print(std::string(shape.name) + '.' + figure + ".parts_" + std::to_string(parts), us);
    if (best.us > 0.0 && us >= best.us) continue;
    const std::int64_t blocks = tiles * parts;
    const std::int64_t in_turn =
        blocks / wave * Tiling::blocks_per_multiprocessor + blocks_of(blocks % wave, multiprocessors);
    best = {us, us / static_cast<double>(in_turn * (each + 3))};
  }
  return best;
}

template <class Tiling, class Operands>
Measured time_products(const Device& device, bool large, const std::string& figure) {
  Measured sum;
  int count = 0;
  for (const Shape& shape : shapes) {
    if (shape.large != large) continue;
    const Measured measured = time_product<Tiling, Operands>(device, shape, figure);
    sum.us += measured.us;
    sum.step_us += measured.step_us;
    ++count;
  }
  sum.step_us /= count;
  return sum;
}

// ---- the others

/// dW and Adam of a layer of 4,096 inputs and outputs, with the heads of a step.
template <class Tiling>
Measured time_update(const Device& device) {
  constexpr std::int64_t width = 4096, outputs = 384;
  std::vector<LinearHead> heads;
  float* weight = device[0] + outputs * width;  // behind dM
  for (const auto& [rows, first_column, columns] :
       {std::array<std::int64_t, 3>{64, 0, 2048}, {32, 0, 2048}, {256, 0, 4096}, {32, 2048, 2048}}) {
    heads.push_back({ConstMatrixView(weight, rows, columns), {}, first_column});
    weight += rows * columns;
  }
  const auto* step = device.upload(4, std::vector<cuda::AdamStep>{cuda::adam_step(AdamSettings{}, 1e-3, 10)});
  const cuda::StackedHeads stacked(heads, width);
  const cuda::UpdateWeight update{device.matrix(1, width, width), device.matrix(2, width, width),
                                  device.matrix(3, width, width), step};
  return {time_calls(device.stream, 20, [&] {
    cuda::start_update<Tiling, MatmulPrecision::tf32x3>(device.stream, name, stacked,
                                                        device.matrix(0, outputs, width), true, update);
  })};
}

/// Both walks of SoloSim.
template <class Tiling>
Measured time_walks(const Device& device) {
  const cuda::PackedRows rows{device[0], device[1], items, cuda::tensor_walk_width};
  const auto splits = cuda::WalkSplits::of<Tiling>(items, items);
  float* sums = device[3];
  const cuda::AlignmentWalk walk{
      rows,      rows, splits.tiles_per_split,   20.0f, nullptr, device[4], device[4],
      device[2], sums, sums + 16 * rows.padded()};
  return {time_calls(device.stream, 20, [&] {
    cuda::start_tensor_walk<Tiling, cuda::WalkKind::attend>(device.stream, name, walk, splits.count);
    cuda::start_tensor_walk<Tiling, cuda::WalkKind::attend_by_keys>(device.stream, name, walk, splits.count);
  })};
}

/// Fifty steps on two pairs, on half of the multiprocessors.
template <class Tiling>
Measured time_fit(const Device& device) {
  const cuda::FitCut<Tiling> cut(items, 2);
  const PairView pair{device.matrix(0, items, 32), device.matrix(0, items, 32)};
  constexpr std::int64_t steps = 50, count = cuda::FitTiles<Tiling>::count;
  float *parameters = device[1], *losses = parameters + 3 * count;
  const auto* state = device.upload(4, std::vector<OptimizerState>{{10, 1e-3}});
  const cuda::ClubFit<Tiling> fit{{pair, pair},
                                  cut,
                                  steps,
                                  count,
                                  parameters,
                                  parameters + count,
                                  parameters + 2 * count,
                                  AdamSettings{},
                                  state,
                                  losses,
                                  device[2],
                                  reinterpret_cast<double*>(device[3])};
  const int blocks = std::min(cut.chunks, std::max(1, device.properties.multiProcessorCount / 2));
  return {time_calls(device.stream, 5, [&] {
    cuda::start_fit_tiles(device.stream, name, fit, true, blocks, device.properties.sharedMemPerBlockOptin);
  })};
}

/// A graph of Baby's size, whose degrees fall as those of items do: many rows of a few edges, a few of
/// hundreds.
class Graph {
 public:
  explicit Graph(const Device& device) {
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> columns;
    std::uint64_t random = 1;
    for (std::int64_t i = 0; i < nodes; ++i) {
      const auto degree = static_cast<std::int64_t>(250.0 / (1.0 + 0.02 * static_cast<double>(i))) + 7;
      const std::int64_t end = std::min(edges, i + 1 < nodes ? offsets.back() + degree : edges);
      for (std::int64_t edge = offsets.back(); edge < end; ++edge) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        columns.push_back(static_cast<std::int32_t>((random >> 33) % nodes));
      }
      offsets.push_back(end);
    }
    matrix.rows = matrix.columns = nodes;
    matrix.row_offsets = device.upload(2, offsets);
    matrix.column_indices = device.upload(3, columns);
    matrix.values = device[4];
  }
  CsrView matrix;
};

template <class Tiling>
Measured time_spmm(const Device& device) {
  const Graph graph(device);
  const MatrixView x = device.matrix(0, nodes, 128), y = device.matrix(1, nodes, 128);
  return {
      time_calls(device.stream, 20, [&] { cuda::start_spmm<Tiling>(device.stream, graph.matrix, x, x, y); })};
}

// ---- the lists

struct Candidate {
  Spelling spelling;
  Measured measured;
};

/// Times a list and prints its lines. Returns its winner's times, and adds it to `winners`.
template <class... Choices, class Time>
Measured choose(Variants<Choices...> list, const char* list_name, const char* figure, const Time& time,
                std::vector<Winner>& winners) {
  std::vector<Candidate> candidates;
  cuda::for_each_variant(list, [&]<class Choice>() {
    const Spelling spelling = cuda::spelling_of(Choice{});
    const std::string line = std::string(figure) + '_' + spelling.figure;
    candidates.push_back({spelling, time.template operator()<Choice>(line)});
    print(line, candidates.back().measured.us);
  });
  double least = candidates.front().measured.us;
  for (const Candidate& candidate : candidates) least = std::min(least, candidate.measured.us);
  const Candidate& best = *std::find_if(
      candidates.begin(), candidates.end(),
      [&](const Candidate& candidate) { return candidate.measured.us <= simpler_wins_within * least; });
  std::printf("winner.%s %s\n", figure, best.spelling.figure.c_str());
  winners.push_back({list_name, best.spelling.type});
  return best.measured;
}

void run(const std::string& file) {
  const Device device;
  // A card idles at a fraction of its clock: some work first, whose times count for nothing.
  for (int i = 0; i < 10; ++i)
    static_cast<void>(time_product<cuda::tuned::LargeTiling, InTf32>(device, shapes[1], "warm_up"));

  std::vector<Winner> winners;
  const Measured large = choose(
      cuda::variants::LargeTiling{}, "LargeTiling", "large",
      [&]<class Tiling>(const std::string& line) {
        return time_products<Tiling, InTf32>(device, true, line);
      },
      winners);
  const Measured small = choose(
      cuda::variants::SmallTiling{}, "SmallTiling", "small",
      [&]<class Tiling>(const std::string& line) {
        return time_products<Tiling, InTf32>(device, false, line);
      },
      winners);
  const Measured half = choose(
      cuda::variants::HalfTiling{}, "HalfTiling", "halves",
      [&]<class Tiling>(const std::string& line) {
        return time_products<Tiling, InHalves>(device, true, line);
      },
      winners);
  choose(
      cuda::variants::UpdateTiling{}, "UpdateTiling", "update",
      [&]<class Tiling>(const std::string&) { return time_update<Tiling>(device); }, winners);
  choose(
      cuda::variants::WalkTiling{}, "WalkTiling", "walk",
      [&]<class Tiling>(const std::string&) { return time_walks<Tiling>(device); }, winners);
  choose(
      cuda::variants::FitTiling{}, "FitTiling", "fit",
      [&]<class Tiling>(const std::string&) { return time_fit<Tiling>(device); }, winners);
  choose(
      cuda::variants::SpmmTiling{}, "SpmmTiling", "spmm",
      [&]<class Tiling>(const std::string&) { return time_spmm<Tiling>(device); }, winners);

  char date[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
  std::ofstream out(file);
  out << cuda::tuned_file(std::string(device.properties.name) + ", " + date, winners,
                          {large.step_us / unit_us, small.step_us / unit_us, half.step_us / unit_us});
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
