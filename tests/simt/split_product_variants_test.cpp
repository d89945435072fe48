#include "common/half_product_kernel.cuh"
#include "common/split_product_kernel.cuh"
#include "sea/cuda.hpp"
#include "simt/variants.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;
using cuda::for_each_variant;
using simt::test::in_two_orders;
using simt::test::name_of;
namespace variants = sea::cuda::variants;
using cuda::blocks_of;
namespace split = sea::cuda::split;

namespace {

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
