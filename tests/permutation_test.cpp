#include <algorithm>
#include <numeric>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "sea/keyed_permutation.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"

using namespace sea;
using namespace sea::test;

namespace {

std::vector<std::int32_t> permutation(Backend& backend, std::int64_t step, std::int64_t size,
                                      std::int64_t count) {
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{step, 0, 0, 0}});
  const Buffer<std::int32_t> output(backend, count);
  backend.permutation(42, RandomPurpose::second_permutation, state.data(), size, output.span());
  return output.download();
}

}  // namespace

TEST_CASE("permutation holds every number once") {
  for_each_backend([](Backend& backend) {
    std::vector<std::int64_t> sizes(70);
    std::iota(sizes.begin(), sizes.end(), 1);
    for (const std::int64_t large : {1023, 1024, 1025, 7050, 23033}) sizes.push_back(large);
    for (const std::int64_t size : sizes) {
      std::vector<std::int32_t> values = permutation(backend, 3, size, size);
      std::sort(values.begin(), values.end());
      std::vector<std::int32_t> all(values.size());
      std::iota(all.begin(), all.end(), 0);
      INFO("size " << size);
      CHECK(values == all);
    }
  });
}

TEST_CASE("permutation is the keyed permutation of its step, and a shorter output is its beginning") {
  for_each_backend([](Backend& backend) {
    for (const std::int64_t step : {0ll, 1ll, 5ll << 32}) {
      const KeyedPermutation reference(42, RandomPurpose::second_permutation, step, 3001);
      std::vector<std::int32_t> expected;
      for (std::uint32_t i = 0; i < 3001; ++i) expected.push_back(static_cast<std::int32_t>(reference(i)));
      CHECK(permutation(backend, step, 3001, 3001) == expected);
      expected.resize(1500);
      CHECK(permutation(backend, step, 3001, 1500) == expected);
    }
    CHECK(permutation(backend, 0, 3001, 3001) != permutation(backend, 1, 3001, 3001));
  });
}

TEST_CASE("permutation refuses more samples than there are") {
  CpuBackend backend(1);
  CHECK_THROWS_AS(permutation(backend, 0, 5, 6), Error);
  CHECK_THROWS_AS(permutation(backend, 0, 5, 0), Error);
  CHECK_THROWS_AS(permutation(backend, 0, std::int64_t{1} << 31, 1), Error);
}
