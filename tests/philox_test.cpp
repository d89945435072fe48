#include "sea/philox.hpp"

#include <set>
#include <tuple>

#include "support/catch.hpp"
#include "support/chi_square.hpp"

using namespace sea;
using namespace sea::test;

TEST_CASE("philox4x32_10 gives the known answers of the Random123 distribution") {
  const auto check = [](Philox4x32 counter, std::uint64_t key, Philox4x32 expected) {
    const Philox4x32 bits = philox4x32_10(counter, key);
    for (int i = 0; i < 4; ++i) CHECK(bits.word[i] == expected.word[i]);
  };
  check({{0, 0, 0, 0}}, 0, {{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}});
  check({{0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu}}, 0xffffffffffffffffu,
        {{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}});
  check({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0x299f31d0a4093822u,
        {{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}});
}

TEST_CASE("random_bits differ wherever seed, purpose, step, index or stream do") {
  std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>> seen;
  int draws = 0;
  for (const std::uint64_t seed : {0ull, 1ull, 1ull << 32}) {
    for (const RandomPurpose purpose : {RandomPurpose::shuffle, RandomPurpose::synthetic}) {
      for (const std::int64_t step : {0ll, 1ll, 1ll << 32, 255ll << 32}) {
        for (const std::int64_t index : {0ll, 1ll, 1ll << 32, 255ll << 32}) {
          for (const std::uint32_t stream : {0u, 1u, 32u}) {
            const Philox4x32 bits = random_bits(seed, purpose, step, index, stream);
            seen.insert({bits.word[0], bits.word[1], bits.word[2], bits.word[3]});
            ++draws;
          }
        }
      }
    }
  }
  CHECK(seen.size() == static_cast<std::size_t>(draws));
}

TEST_CASE("uniform_below is the high part of a product, and uniform") {
  CHECK(uniform_below({{0, 0, 0, 0}}, 7) == 0);
  CHECK(uniform_below({{0xffffffffu, 0xffffffffu, 0, 0}}, 7) == 6);
  CHECK(uniform_below({{0xffffffffu, 0xffffffffu, 0, 0}}, 0xffffffffu) == 0xfffffffeu);
  CHECK(uniform_below({{0, 0x80000000u, 0, 0}}, 10) == 5);
  CHECK(uniform_below({{0xffffffffu, 0x7fffffffu, 0, 0}}, 10) == 4);
  for (const std::uint32_t bound : {1u, 2u, 3u, 10u, 97u}) {
    std::vector<std::int64_t> counts(bound);
    for (int i = 0; i < 20000; ++i) {
      ++counts.at(uniform_below(random_bits(5, RandomPurpose::negative, 0, i), bound));
    }
    if (bound > 1) CHECK(chi_square_excess(counts) < 5.0);
  }
}

TEST_CASE("uniform_float covers [0, 1) evenly and never reaches 1") {
  CHECK(uniform_float(0) == 0.0f);
  CHECK(uniform_float(0xffffffffu) == 1.0f - 0x1.0p-24f);
  CHECK(uniform_float(0x80000000u) == 0.5f);
  std::vector<std::int64_t> counts(64);
  for (int i = 0; i < 20000; ++i) {
    const float value = uniform_float(random_bits(6, RandomPurpose::initial_value, 0, i).word[0]);
    ++counts.at(static_cast<std::size_t>(value * 64.0f));
  }
  CHECK(chi_square_excess(counts) < 5.0);
}

TEST_CASE("open_uniform_float lies evenly between 0 and 1 and reaches neither") {
  CHECK(open_uniform_float(0) == 0x1.0p-24f);
  CHECK(open_uniform_float(0xffffffffu) == 1.0f - 0x1.0p-24f);
  CHECK(open_uniform_float(0x80000000u) == 0.5f + 0x1.0p-24f);
  CHECK(open_uniform_float(0x7fffffffu) == 0.5f - 0x1.0p-24f);
}
