#include "sea/cuda.hpp"
#include "simt/variants.hpp"
#include "spmm.cuh"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/device_csr.hpp"
#include "support/reference.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;
using cuda::for_each_variant;
using simt::test::in_two_orders;
using simt::test::name_of;
namespace variants = sea::cuda::variants;

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
    std::vector<double> expected = naive_spmm(rows, to_double(values), to_double(source), width);
    for (std::size_t i = 0; i < added.size(); ++i) expected[i] += added[i];
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
