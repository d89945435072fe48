// Every choice of kernels/variants.cuh, the tuned one among them, against one reference for each list.

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "club_fit_tiles.cuh"
#include "common/half_product_kernel.cuh"
#include "common/split_product_kernel.cuh"
#include "contrastive_alignment_walk.cuh"
#include "factored_linear_update.cuh"
#include "sea/cpu.hpp"
#include "sea/cuda.hpp"
#include "simt/testing.hpp"
#include "spmm.cuh"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/device_csr.hpp"
#include "support/files.hpp"
#include "support/reference.hpp"
#include "support/strided.hpp"
#include "tuned.cuh"
#include "tuned_file.hpp"

using namespace sea;
using namespace sea::test;
using cuda::blocks_of;
using cuda::for_each_variant;
namespace split = sea::cuda::split;
namespace variants = sea::cuda::variants;

namespace {

/// What `run` returns, in either of two orders of blocks and threads.
template <class Run>
auto in_two_orders(const Run& run) {
  simt::set_schedule_seed(1);
  const auto result = run();
  simt::set_schedule_seed(2);
  CHECK(run() == result);
  return result;
}

template <class Choice>
std::string name_of() {
  return cuda::spelling_of(Choice{}).type;
}

// ---- dense products

/// op(A) op(B) in three layouts, sizes that end inside a tile, k in one part and in three.
template <class Start>
void check_products(const Start& start) {
  struct Shape {
    std::int64_t m, n, k, parts;
  };
  for (const auto& [m, n, k, parts] : {Shape{132, 20, 100, 1}, {36, 140, 236, 3}}) {
    const std::vector<float> a = random_values(m * k, 1), b = random_values(k * n, 2);
    const auto check = [&]<bool a_along, bool b_along>() {
      CAPTURE(m, n, k, a_along, b_along);
      const std::vector<double> expected =
          naive_product(to_double(a), to_double(b), m, k, n, !a_along, b_along);
      const std::vector<float> c = in_two_orders([&, m = m, n = n, k = k, parts = parts] {
        CudaBackend backend;
        const Buffer<float> left = to_device(backend, a), right = to_device(backend, b),
                            out = garbage(backend, m * n), scratch = garbage(backend, parts * m * (n + 1));
        split::Product product{left.matrix(a_along ? m : k, a_along ? k : m),
                               right.matrix(b_along ? n : k, b_along ? k : n),
                               out.matrix(m, n),
                               nullptr,
                               1.0f,
                               0.0f,
                               k};
        product.k_of_part = blocks_of(blocks_of(k, split::depth), parts) * split::depth;
        product.parts = parts > 1 ? scratch.data() : nullptr;
        start.template operator()<a_along, b_along>(backend.stream(), product, parts);
        return out.download();
      });
      CHECK(relative_error(c, expected) < 1e-6);
    };
    check.template operator()<true, true>();
    check.template operator()<true, false>();
    check.template operator()<false, false>();
  }
}

}  // namespace

TEST_CASE("variants: products in TF32 parts", "[variants]") {
  const auto check = []<class Tiling>() {
    INFO(name_of<Tiling>());
    check_products([]<bool a_along, bool b_along>(cudaStream_t stream, const split::Product& product,
                                                  std::int64_t parts) {
      split::start<Tiling, a_along, b_along, 4>(stream, "test", product, parts);
    });
  };
  for_each_variant(variants::LargeTiling{}, check);
  for_each_variant(variants::SmallTiling{}, check);
}

TEST_CASE("variants: products in halves", "[variants]") {
  for_each_variant(variants::HalfTiling{}, []<class Tiling>() {
    INFO(name_of<Tiling>());
    check_products([]<bool a_along, bool b_along>(cudaStream_t stream, const split::Product& product,
                                                  std::int64_t parts) {
      split::start_halves<Tiling, a_along, b_along>(stream, "test", product, parts);
    });
  });
}

// ---- the update of the wide layer

namespace {

/// dW is width x in; three heads, of which two do not look at all columns.
struct Layer {
  std::int64_t width, in;
  std::int64_t outputs[3] = {20, 9, 44}, first_column[3], columns[3];

  std::vector<double> gradient(const std::vector<std::vector<float>>& c, const std::vector<float>& dm) const {
    std::vector<double> sums(static_cast<std::size_t>(width * in));
    std::int64_t row = 0;
    for (std::size_t head = 0; head < 3; ++head) {
      for (std::int64_t o = 0; o < outputs[head]; ++o, ++row) {
        for (std::int64_t i = 0; i < columns[head]; ++i) {
          const double factor = c[head][static_cast<std::size_t>(o * columns[head] + i)];
          for (std::int64_t j = 0; j < in; ++j) {
            sums[static_cast<std::size_t>((first_column[head] + i) * in + j)] +=
                factor * dm[static_cast<std::size_t>(row * in + j)];
          }
        }
      }
    }
    return sums;
  }
};

}  // namespace

TEST_CASE("variants: the update of the wide layer, and its gradient written out", "[variants]") {
  const bool aligned = GENERATE(true, false);
  const std::int64_t width = 300, in = aligned ? 140 : 139, begin = aligned ? 152 : 150;
  const Layer layer{width, in, {20, 9, 44}, {0, 0, begin}, {begin, width, width - begin}};
  std::vector<std::vector<float>> c;
  for (std::size_t head = 0; head < 3; ++head)
    c.push_back(random_values(layer.outputs[head] * layer.columns[head], 10 + head));
  const std::vector<float> dm = random_values(73 * in, 1), parameters = random_values(width * in, 2),
                           first = random_values(width * in, 3);
  std::vector<float> second = random_values(width * in, 4);
  for (float& value : second) value *= value;
  const AdamSettings settings{0.9, 0.999, 1e-8, 0.1, true};
  const OptimizerState state{2, 1e-2};
  const std::vector<double> expected = layer.gradient(c, dm);

  /// `with(backend, heads, dm, W, m, v)`; what it leaves.
  const auto run = [&](const auto& with) {
    return in_two_orders([&] {
      CudaBackend backend;
      std::vector<Buffer<float>> weights;
      std::vector<LinearHead> heads;
      const Buffer<float> bias = garbage(backend, 44);
      for (std::size_t head = 0; head < 3; ++head) {
        weights.push_back(to_device(backend, c[head]));
        heads.push_back({weights.back().matrix(layer.outputs[head], layer.columns[head]),
                         ConstVectorView(bias.data(), static_cast<std::size_t>(layer.outputs[head])),
                         layer.first_column[head]});
      }
      const Buffer<float> source = to_device(backend, dm), w = to_device(backend, parameters),
                          m = to_device(backend, first), v = to_device(backend, second);
      with(backend, heads, source.matrix(73, in), w.matrix(width, in), m.matrix(width, in),
           v.matrix(width, in));
      return std::vector<std::vector<float>>{w.download(), m.download(), v.download()};
    });
  };
  const auto tuned = run([&](CudaBackend& backend, const std::vector<LinearHead>& heads,
                             ConstMatrixView source, MatrixView w, MatrixView m, MatrixView v) {
    const Buffer<OptimizerState> at = to_device(backend, std::vector<OptimizerState>{state});
    const GarbageWorkspace workspace(backend, backend.factored_linear_workspace(1, width, in, 73));
    backend.factored_linear_update(heads, source, w, m, v, settings, at.data(), workspace);
    backend.synchronize();
  });
  for_each_variant(variants::UpdateTiling{}, [&]<class Tiling>() {
    INFO(name_of<Tiling>());
    const auto gradient = run([&](CudaBackend& backend, const std::vector<LinearHead>& heads,
                                  ConstMatrixView source, MatrixView w, MatrixView, MatrixView) {
      const cuda::StackedHeads stacked(heads, width);
      CHECK(cuda::update_aligned(stacked, source) == aligned);
      cuda::start_update<Tiling, MatmulPrecision::tf32x3>(backend.stream(), "test", stacked, source, aligned,
                                                          cuda::StoreGradient{w});
    });
    CHECK(relative_error(gradient[0], expected) < 1e-6);
    const auto updated = run([&](CudaBackend& backend, const std::vector<LinearHead>& heads,
                                 ConstMatrixView source, MatrixView w, MatrixView m, MatrixView v) {
      const Buffer<cuda::AdamStep> step = to_device(
          backend,
          std::vector<cuda::AdamStep>{cuda::adam_step(settings, state.learning_rate, state.step + 1)});
      cuda::start_update<Tiling, MatmulPrecision::tf32x3>(backend.stream(), "test",
                                                          cuda::StackedHeads(heads, width), source, aligned,
                                                          cuda::UpdateWeight{w, m, v, step.data()});
      backend.synchronize();
    });
    CHECK(updated == tuned);  // sums run over the heads in their order, whatever the tile
  });
}

// ---- the walks of the alignment

namespace {

std::vector<float> unit_rows(std::int64_t rows, std::uint64_t seed) {
  std::vector<float> values = random_values(rows * cuda::tensor_walk_width, seed);
  for (std::int64_t i = 0; i < rows; ++i) {
    float* row = values.data() + i * cuda::tensor_walk_width;
    double norm = 0.0;
    for (int k = 0; k < cuda::tensor_walk_width; ++k) norm += static_cast<double>(row[k]) * row[k];
    for (int k = 0; k < cuda::tensor_walk_width; ++k) row[k] /= static_cast<float>(std::sqrt(norm));
  }
  return values;
}

struct WalkProblem {
  static constexpr std::int64_t queries = 200, keys = 170, width = cuda::tensor_walk_width;
  static constexpr double temperature = 0.1;
  std::vector<float> query = unit_rows(queries, 1), key = unit_rows(keys, 2);
  std::vector<float> query_factor = random_values(queries, 3), key_factor = random_values(keys, 4);

  /// Of a query: the sum of e, and behind it that of e * weight * key.
  std::vector<double> expected(cuda::WalkKind kind, std::int64_t i) const {
    std::vector<double> sums(1 + width);
    for (std::int64_t j = 0; j < keys; ++j) {
      double dot = 0.0;
      for (std::int64_t k = 0; k < width; ++k)
        dot += static_cast<double>(query[i * width + k]) * key[j * width + k];
      const double e = std::exp((dot - 1.0) / temperature);
      const double weight = kind == cuda::WalkKind::attend_by_keys   ? key_factor[j]
                            : kind == cuda::WalkKind::attend_by_both ? query_factor[i] + key_factor[j]
                                                                     : 1.0;
      sums[0] += e;
      for (std::int64_t k = 0; k < width; ++k) sums[1 + k] += e * weight * key[j * width + k];
    }
    return sums;
  }
};

/// Rows padded with rows of zeros, in two TF32 parts.
struct Packed {
  Buffer<float> values, rest;
  cuda::PackedRows rows;

  Packed(Backend& backend, std::vector<float> from, std::int64_t count) {
    rows = {nullptr, nullptr, count, cuda::tensor_walk_width};
    from.resize(static_cast<std::size_t>(rows.padded() * rows.width));
    std::vector<float> big, small;
    for (const float value : from) {
      const cuda::SplitFloat parts = cuda::split_tf32(value);
      big.push_back(std::bit_cast<float>(parts.big));
      small.push_back(std::bit_cast<float>(parts.small));
    }
    values = to_device(backend, big);
    rest = to_device(backend, small);
    rows.values = values.data();
    rows.rest = rest.data();
  }
};

/// Sums over all ranges of keys, attended rows behind them, and e of each query's positive, the key of its
/// own number.
template <class Tiling, cuda::WalkKind kind>
std::vector<std::vector<float>> walk(const WalkProblem& problem) {
  CudaBackend backend;
  const Packed queries(backend, problem.query, WalkProblem::queries),
      keys(backend, problem.key, WalkProblem::keys);
  const Buffer<float> query_factors = to_device(backend, problem.query_factor),
                      key_factors = to_device(backend, problem.key_factor);
  const std::int64_t tiles = blocks_of(WalkProblem::keys, Tiling::keys), each = blocks_of(tiles, 2),
                     splits = blocks_of(tiles, each), padded = queries.rows.padded();
  const Buffer<float> attended = garbage(backend, splits * padded * WalkProblem::width),
                      sums = garbage(backend, splits * padded), positives = garbage(backend, padded);
  const cuda::AlignmentWalk arguments{queries.rows,
                                      keys.rows,
                                      each,
                                      static_cast<float>(std::log2(std::exp(1.0)) / WalkProblem::temperature),
                                      nullptr,
                                      query_factors.data(),
                                      key_factors.data(),
                                      attended.data(),
                                      sums.data(),
                                      positives.data()};
  cuda::start_tensor_walk<Tiling, kind>(backend.stream(), "test", arguments, splits);
  const auto added = [&](const std::vector<float>& parts, std::int64_t width) {
    std::vector<float> total(static_cast<std::size_t>(WalkProblem::queries * width));
    for (std::int64_t split = 0; split < splits; ++split) {
      for (std::int64_t i = 0; i < WalkProblem::queries * width; ++i)
        total[i] += parts[split * padded * width + i];
    }
    return total;
  };
  std::vector<std::vector<float>> results(3);
  if (cuda::walk_sums<kind>) {
    results[0] = added(sums.download(), 1);
    const std::vector<float> all = positives.download();
    results[2] = {all.begin(), all.begin() + WalkProblem::keys};
  }
  if (kind != cuda::WalkKind::sums) results[1] = added(attended.download(), WalkProblem::width);
  return results;
}

template <class Tiling, cuda::WalkKind kind>
void check_walk(const WalkProblem& problem) {
  INFO(name_of<Tiling>() << ", kind " << static_cast<int>(kind));
  const auto results = in_two_orders([&] { return walk<Tiling, kind>(problem); });
  std::vector<double> sums, attended, positives;
  for (std::int64_t i = 0; i < WalkProblem::queries; ++i) {
    const std::vector<double> expected = problem.expected(kind, i);
    sums.push_back(expected[0]);
    attended.insert(attended.end(), expected.begin() + 1, expected.end());
    if (i >= WalkProblem::keys) continue;
    double dot = 0.0;
    for (std::int64_t k = 0; k < WalkProblem::width; ++k)
      dot += static_cast<double>(problem.query[i * WalkProblem::width + k]) *
             problem.key[i * WalkProblem::width + k];
    positives.push_back(std::exp((dot - 1.0) / WalkProblem::temperature));
  }
  if (cuda::walk_sums<kind>) {
    CHECK(relative_error(results[0], sums) < 2e-6);
    CHECK(relative_error(results[2], positives) < 2e-6);
  }
  if (kind != cuda::WalkKind::sums) CHECK(relative_error(results[1], attended) < 4e-6);
}

}  // namespace

TEST_CASE("variants: the walks of the alignment", "[variants]") {
  const WalkProblem problem;
  for_each_variant(variants::WalkTiling{}, [&]<class Tiling>() {
    check_walk<Tiling, cuda::WalkKind::sums>(problem);
    check_walk<Tiling, cuda::WalkKind::attend>(problem);
    check_walk<Tiling, cuda::WalkKind::attend_by_keys>(problem);
    check_walk<Tiling, cuda::WalkKind::attend_by_both>(problem);
  });
}

TEST_CASE("variants: ranges of keys of a walk hold all keys, and no range is empty", "[variants]") {
  for_each_variant(variants::WalkTiling{}, []<class Tiling>() {
    for (const std::int64_t queries : {1, 500, 7050, 23033}) {
      for (const std::int64_t keys : {1, 64, 257, 1000, 7050, 23033}) {
        INFO(name_of<Tiling>());
        CAPTURE(queries, keys);
        const auto splits = cuda::WalkSplits::of<Tiling>(queries, keys);
        CHECK(splits.count * splits.tiles_per_split * Tiling::keys >= keys);
        CHECK((splits.count - 1) * splits.tiles_per_split * Tiling::keys < keys);
        CHECK(splits.count <= 16);
      }
    }
  });
}

// ---- the fit of q

namespace {

struct Fit {
  std::int64_t n, steps;
  std::vector<float> x[2], y[2], parameters, first, second;
  AdamSettings settings;
  OptimizerState state{3, 0.02};

  Fit(std::int64_t n_, std::int64_t steps_) : n(n_), steps(steps_) {
    for (std::uint64_t pair = 0; pair < 2; ++pair) {
      x[pair] = random_values(n * 32, 10 + pair);
      y[pair] = random_values(n * 32, 20 + pair);
    }
    const std::int64_t count = VariationalNetworkView::parameter_count(32, 8);
    parameters = random_values(count, 1);
    first = random_values(count, 2);
    second = random_values(count, 3);
    for (float& value : parameters) value *= 0.5f;
    for (float& value : first) value *= 0.01f;
    for (float& value : second) value = 0.01f + 0.001f * value;
  }

  /// Parameters, moments and losses behind `call(pairs, parameters, first, second, state, losses)`.
  template <class Call>
  std::vector<std::vector<float>> run(Backend& backend, const Call& call) const {
    const Buffer<float> xs[2] = {to_device(backend, x[0]), to_device(backend, x[1])},
                        ys[2] = {to_device(backend, y[0]), to_device(backend, y[1])};
    const std::vector<PairView> pairs{{xs[0].matrix(n, 32), ys[0].matrix(n, 32)},
                                      {xs[1].matrix(n, 32), ys[1].matrix(n, 32)}};
    const Buffer<float> p = to_device(backend, parameters), m = to_device(backend, first),
                        v = to_device(backend, second), losses = garbage(backend, steps);
    const Buffer<OptimizerState> at = to_device(backend, std::vector<OptimizerState>{state});
    call(pairs, p.span(), m.span(), v.span(), at.data(), losses.span());
    return {p.download(), m.download(), v.download(), losses.download()};
  }
};

/// Every array against the twin's on the processor.
template <class Tiling>
void check_fit(const Fit& fit, int blocks, std::size_t slots) {
  INFO(name_of<Tiling>() << ", " << fit.n << " rows");
  CpuBackend one(1);
  const auto expected = fit.run(one, [&](const auto& pairs, VectorView p, VectorView m, VectorView v,
                                         const OptimizerState* state, VectorView losses) {
    const GarbageWorkspace workspace(one, one.club_fit_workspace(fit.n, 32, 8));
    one.club_fit(pairs, 8, p, m, v, fit.settings, state, losses, workspace);
  });
  const auto results = in_two_orders([&] {
    CudaBackend backend;
    return fit.run(backend, [&](const auto& pairs, VectorView p, VectorView m, VectorView v,
                                const OptimizerState* state, VectorView losses) {
      const cuda::FitCut<Tiling> cut(fit.n, 2);
      CHECK(cut.chunks <= Tiling::most_chunks);
      const auto count = static_cast<std::int64_t>(p.size());
      const Buffer<float> gradients = garbage(backend, 2 * cut.chunks * count);
      const Buffer<double> chunk_losses(backend, 2 * cut.chunks);
      const cuda::ClubFit<Tiling> arguments{{pairs[0], pairs[1]},
                                            cut,
                                            fit.steps,
                                            count,
                                            p.data(),
                                            m.data(),
                                            v.data(),
                                            fit.settings,
                                            state,
                                            losses.data(),
                                            gradients.data(),
                                            chunk_losses.data()};
      using Tiles = cuda::FitTiles<Tiling>;
      cuda::start_fit_tiles(backend.stream(), "test", arguments, true, std::min(cut.chunks, blocks),
                            sizeof(typename Tiles::Shared) + slots * sizeof(typename Tiles::Tile));
      backend.synchronize();
    });
  });
  for (std::size_t i = 0; i < results.size(); ++i)
    CHECK(relative_error(results[i], to_double(expected[i])) < 1e-5);
}

}  // namespace

TEST_CASE("variants: the fit of q, tiles that stay and tiles that are streamed", "[variants]") {
  const Fit few(150, 3), many(1900, 2);
  for_each_variant(variants::FitTiling{}, [&]<class Tiling>() {
    check_fit<Tiling>(few, 4, 9);
    check_fit<Tiling>(few, 1, 3);
    check_fit<Tiling>(many, 4, 3);
  });
}

// ---- propagation

TEST_CASE("variants: spmm, short rows and long ones", "[variants]") {
  std::vector<std::vector<std::int32_t>> rows(83);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t edges = i == 5 || i == 7 ? 300 : i == 40 ? 129 : i == 41 ? 128 : i % 13;
    for (std::size_t e = 0; e < edges; ++e)
      rows[i].push_back(static_cast<std::int32_t>((i * 31 + e * 17) % 90));
  }
  std::int64_t edges = 0;
  for (const auto& row : rows) edges += static_cast<std::int64_t>(row.size());
  const std::vector<float> values = random_values(edges, 1);
  for (const std::int64_t width : {20, 64, 132, 37}) {
    const std::vector<float> source = random_values(90 * width, 2), added = random_values(83 * width, 3);
    std::vector<double> expected = to_double(added);
    std::size_t edge = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (const std::int32_t column : rows[i]) {
        for (std::int64_t j = 0; j < width; ++j) {
          expected[i * static_cast<std::size_t>(width) + static_cast<std::size_t>(j)] +=
              static_cast<double>(values[edge]) * source[static_cast<std::size_t>(column * width + j)];
        }
        ++edge;
      }
    }
    for_each_variant(variants::SpmmTiling{}, [&]<class Tiling>() {
      INFO(name_of<Tiling>() << ", width " << width);
      const std::vector<float> result = in_two_orders([&] {
        CudaBackend backend;
        const DeviceCsr a(backend, rows, 90, values);
        const StridedMatrix x(backend, source, 90, width, 4), residual(backend, added, 83, width, 4),
            y(backend, 83, width, 4);
        cuda::start_spmm<Tiling>(backend.stream(), a.view(), x.view(), residual.view(), y.view());
        return y.values();
      });
      CHECK(relative_error(result, expected, 1.0) < 1e-6);
    });
  }
}

// ---- the header of the winners

TEST_CASE("variants: the header of the winners as the benchmark writes it is tuned.cuh", "[variants]") {
  std::vector<cuda::Winner> winners;
  const auto add = [&]<class... Choices, class Tuned>(const char* list, cuda::Variants<Choices...>, Tuned) {
    INFO(list);
    CHECK((std::is_same_v<Tuned, Choices> || ...));
    winners.push_back({list, name_of<Tuned>()});
  };
  add("LargeTiling", variants::LargeTiling{}, cuda::tuned::LargeTiling{});
  add("SmallTiling", variants::SmallTiling{}, cuda::tuned::SmallTiling{});
  add("HalfTiling", variants::HalfTiling{}, cuda::tuned::HalfTiling{});
  add("UpdateTiling", variants::UpdateTiling{}, cuda::tuned::UpdateTiling{});
  add("WalkTiling", variants::WalkTiling{}, cuda::tuned::WalkTiling{});
  add("FitTiling", variants::FitTiling{}, cuda::tuned::FitTiling{});
  add("SpmmTiling", variants::SpmmTiling{}, cuda::tuned::SpmmTiling{});
  const std::string written = cuda::tuned_file("GPU", winners, {4.0, 1.2, 3.0}),
                    present = read_file(source_folder() / "kernels/tuned.cuh");
  const auto between = [](const std::string& text, const std::string& first, const std::string& last) {
    const std::size_t begin = text.find(first), end = text.find(last);
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    return text.substr(begin, end - begin);
  };
  CHECK(between(written, "#pragma once", "// GPU") == between(present, "#pragma once", "// GPU"));
  CHECK(between(written, "namespace", "/// Time") == between(present, "namespace", "/// Time"));
  CHECK(written.find("large_step_time = 4.000000, small_step_time = 1.200000, half_step_time = 3.000000;") !=
        std::string::npos);
}
