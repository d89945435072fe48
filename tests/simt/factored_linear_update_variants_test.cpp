#include "factored_linear_update.cuh"
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
