#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"

using namespace sea;
using namespace sea::test;

TEST_CASE("accumulate_losses forms the weighted total and adds every term to its sum") {
  for_each_backend([](Backend& backend) {
    const Buffer<float> terms = to_device(backend, std::vector<float>{0.5f, 3.0f, -2.0f, -99.0f});
    const Buffer<float> weights = to_device(backend, std::vector<float>{1.0f, 0.25f, 0.5f});
    const Buffer<double> sums = to_device(backend, std::vector<double>{10.0, 20.0, 30.0, 40.0});
    backend.accumulate_losses(terms.span(), weights.span(), sums.span());
    CHECK(terms.download() == std::vector<float>{0.5f, 3.0f, -2.0f, 0.25f});
    CHECK(sums.download() == std::vector<double>{10.5, 23.0, 28.0, 40.25});
    backend.accumulate_losses(terms.span(), weights.span(), sums.span());
    CHECK(sums.download() == std::vector<double>{11.0, 26.0, 26.0, 40.5});
  });
}

TEST_CASE("accumulate_losses of more terms than a warp, in their order") {
  for_each_backend([](Backend& backend) {
    std::vector<float> terms = random_values(71, 1);
    std::vector<float> weights = random_values(70, 2);
    // In this order nothing of the second is left, and all of the others.
    weights[0] = weights[2] = 1.0f;
    terms[0] = 1e30f;
    terms[2] = -1e30f;
    double total = 0.0;
    for (std::size_t t = 0; t < 70; ++t)
      total += static_cast<double>(weights[t]) * static_cast<double>(terms[t]);
    const Buffer<float> device = to_device(backend, terms), device_weights = to_device(backend, weights);
    const Buffer<double> sums = to_device(backend, std::vector<double>(71));
    backend.accumulate_losses(device.span(), device_weights.span(), sums.span());
    CHECK(device.download().back() == static_cast<float>(total));
    CHECK(sums.download().back() == static_cast<double>(static_cast<float>(total)));
    CHECK(sums.download()[69] == static_cast<double>(terms[69]));
  });
}

TEST_CASE("accumulate_losses keeps sums in double precision") {
  for_each_backend([](Backend& backend) {
    const Buffer<float> terms = to_device(backend, std::vector<float>{0.1f, 0.0f});
    const Buffer<float> weights = to_device(backend, std::vector<float>{1.0f});
    const Buffer<double> sums = to_device(backend, std::vector<double>{0.0, 0.0});
    for (int step = 0; step < 10000; ++step) {
      backend.accumulate_losses(terms.span(), weights.span(), sums.span());
    }
    for (const double sum : sums.download()) {
      CHECK(sum == Approx(10000.0 * static_cast<double>(0.1f)).epsilon(1e-12));
    }
  });
}

TEST_CASE("accumulate_losses of a total alone, and of lengths that do not fit") {
  CpuBackend backend(1);
  std::vector<float> terms{5.0f}, none;
  std::vector<double> sums{1.0};
  backend.accumulate_losses(terms, none, sums);
  CHECK(terms[0] == 0.0f);
  CHECK(sums[0] == 1.0);
  CHECK_THROWS_AS(backend.accumulate_losses(terms, terms, sums), Error);
  CHECK_THROWS_AS(backend.accumulate_losses(none, none, sums), Error);
}
