#include <algorithm>

#include "club_fit_tiles.cuh"
#include "sea/cpu.hpp"
#include "sea/cuda.hpp"
#include "simt/variants.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"

using namespace sea;
using namespace sea::test;
using cuda::for_each_variant;
using simt::test::in_two_orders;
using simt::test::name_of;
namespace variants = sea::cuda::variants;

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

/// Every array against the twin's on the processor. `slots` tiles, or as many as fit.
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
      const std::size_t bytes = sizeof(typename Tiles::Shared) + slots * sizeof(typename Tiles::Tile);
      cuda::start_fit_tiles(backend.stream(), "test", arguments, true, std::min(cut.chunks, blocks),
                            std::min(bytes, simt::max_shared_bytes));
      backend.synchronize();
    });
  });
  for (std::size_t i = 0; i < results.size(); ++i)
    CHECK(relative_error(results[i], to_double(expected[i])) < 1e-5);
}

}  // namespace

TEST_CASE("variants: the fit of q, tiles that stay and tiles that are streamed", "[variants]") {
  const Fit few(120, 3), many(1900, 2);
  for_each_variant(variants::FitTiling{}, [&]<class Tiling>() {
    check_fit<Tiling>(few, 4, 9);
    check_fit<Tiling>(few, 1, 3);
    check_fit<Tiling>(many, 4, 3);
  });
}
