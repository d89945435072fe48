#include "sea/keyed_permutation.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "support/catch.hpp"
#include "support/chi_square.hpp"

using namespace sea;
using namespace sea::test;

namespace {

std::vector<std::uint32_t> images(const KeyedPermutation& permutation) {
  std::vector<std::uint32_t> result(permutation.size);
  for (std::uint32_t i = 0; i < permutation.size; ++i) result[i] = permutation(i);
  return result;
}

/// The place of an order of 0, 1, ... in the lexicographic list of all orders.
std::size_t order_number(const std::vector<std::uint32_t>& order) {
  std::size_t number = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    number *= order.size() - i;
    for (std::size_t j = i + 1; j < order.size(); ++j) number += order[j] < order[i];
  }
  return number;
}

}  // namespace

TEST_CASE("a keyed permutation is a bijection of its size") {
  std::vector<std::uint32_t> sizes(70);
  std::iota(sizes.begin(), sizes.end(), 1u);
  for (const std::uint32_t large : {1000u, 4096u, 4097u, 65536u, 65537u, 118551u}) sizes.push_back(large);
  for (const std::uint32_t size : sizes) {
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      std::vector<std::uint32_t> sorted = images({seed, RandomPurpose::shuffle, 7, size});
      std::sort(sorted.begin(), sorted.end());
      bool complete = true;
      for (std::uint32_t i = 0; i < size; ++i) complete = complete && sorted[i] == i;
      INFO("size " << size);
      CHECK(complete);
    }
  }
}

TEST_CASE("a keyed permutation of the largest sizes stays inside and can be walked") {
  const KeyedPermutation permutation(3, RandomPurpose::shuffle, 0, 0x7fffffffu);
  std::vector<std::uint32_t> some;
  for (std::uint32_t i = 0; i < 1000; ++i) some.push_back(permutation(i * 2147483u));
  CHECK(*std::max_element(some.begin(), some.end()) < 0x7fffffffu);
  std::sort(some.begin(), some.end());
  CHECK(std::unique(some.begin(), some.end()) == some.end());
}

TEST_CASE("all orders of small sets are equally likely over keys") {
  for (const std::uint32_t size : {2u, 3u, 4u, 5u, 6u}) {
    std::size_t orders = 1;
    for (std::uint32_t i = 2; i <= size; ++i) orders *= i;
    std::vector<std::int64_t> counts(orders);
    for (int step = 0; step < 60000; ++step) {
      ++counts[order_number(images({11, RandomPurpose::permutation, step, size}))];
    }
    INFO("size " << size);
    CHECK(chi_square_excess(counts) < 5.0);
  }
}

TEST_CASE("every index goes everywhere, and pairs of neighbours go to all pairs, equally often over keys") {
  constexpr std::uint32_t size = 23;
  std::vector<std::int64_t> places(size * size), distances(size);
  for (int step = 0; step < 20000; ++step) {
    const std::vector<std::uint32_t> image = images({5, RandomPurpose::shuffle, step, size});
    for (std::uint32_t i = 0; i < size; ++i) ++places[i * size + image[i]];
    ++distances[(image[4] + size - image[3]) % size];
  }
  CHECK(chi_square_excess(places) < 5.0);
  CHECK(distances[0] == 0);
  CHECK(chi_square_excess({distances.begin() + 1, distances.end()}) < 5.0);
}

TEST_CASE("another seed, purpose or step is another order") {
  const std::vector<std::uint32_t> base = images({1, RandomPurpose::shuffle, 0, 500});
  CHECK(images({1, RandomPurpose::shuffle, 0, 500}) == base);
  CHECK(images({2, RandomPurpose::shuffle, 0, 500}) != base);
  CHECK(images({1, RandomPurpose::permutation, 0, 500}) != base);
  CHECK(images({1, RandomPurpose::shuffle, 1, 500}) != base);
}
