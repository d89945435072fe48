#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/learned_pattern.hpp"
#include "support/same_bits.hpp"

using namespace sea;
using namespace sea::test;

TEST_CASE("transpose_values brings a pattern's values into the transpose's order") {
  for_each_backend([](Backend& backend) {
    const std::vector<std::vector<std::int64_t>> shapes{
        {0}, {1}, {3, 0, 5, 2}, std::vector<std::int64_t>(300, 90)};
    for (const std::vector<std::int64_t>& lengths : shapes) {
      const LearnedPattern p = random_pattern(lengths, 100, 1);
      // Longer arrays than the pattern: only its own places are read and written.
      const std::int64_t places = p.entries() + 700;
      std::vector<std::int32_t> permutation = p.permutation;
      permutation.resize(static_cast<std::size_t>(places), 0);
      const std::vector<float> values = random_values(places, 2);
      const DeviceCsr transpose(backend, p.transposed, static_cast<std::int64_t>(p.rows.size()));
      const Buffer<std::int32_t> index = to_device(backend, permutation);
      const Buffer<float> in = to_device(backend, values), out = garbage(backend, places);
      backend.transpose_values(transpose.pattern(), index.span(), in.span(), out.span());
      const std::vector<float> result = out.download();
      // Entry by entry: the transpose's row is the entry's column.
      std::int64_t t = 0, wrong = 0;
      for (std::size_t column = 0; column < p.transposed.size(); ++column) {
        for (const std::int32_t row : p.transposed[column]) {
          std::int64_t e = 0;
          for (std::int32_t i = 0; i < row; ++i) e += static_cast<std::int64_t>(p.rows[i].size());
          while (p.column_of[e] != static_cast<std::int32_t>(column)) ++e;
          wrong += result[t++] != values[e];
        }
      }
      CHECK(wrong == 0);
      CHECK(t == p.entries());
      for (; t < places; ++t) wrong += result[t] == result[t];
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("transpose_values of a range of rows writes their places alone") {
  for_each_backend([](Backend& backend) {
    const LearnedPattern p = random_pattern(std::vector<std::int64_t>(300, 9), 40, 1);
    const DeviceCsr transpose(backend, p.transposed, 300);
    const std::vector<float> values = random_values(p.entries(), 2);
    const Buffer<std::int32_t> index = to_device(backend, p.permutation);
    const Buffer<float> in = to_device(backend, values), out = garbage(backend, p.entries());
    backend.transpose_values(transpose.pattern().row_range(7, 20), index.span(), in.span(), out.span());
    const std::vector<float> result = out.download();
    std::int64_t t = 0, wrong = 0;
    for (std::size_t row = 0; row < p.transposed.size(); ++row) {
      for (std::size_t k = 0; k < p.transposed[row].size(); ++k, ++t) {
        const bool inside = row >= 7 && row < 27;
        wrong += inside ? result[t] != values[p.permutation[t]] : result[t] == result[t];
      }
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("transpose_values refuses arrays that are too short") {
  CpuBackend backend(1);
  const LearnedPattern p = random_pattern({2, 2}, 3, 3);
  const DeviceCsr transpose(backend, p.transposed, 2);
  std::vector<float> values(4), out(4);
  CHECK_NOTHROW(backend.transpose_values(transpose.pattern(), p.permutation, values, out));
  CHECK_THROWS_AS(
      backend.transpose_values(transpose.pattern(), ConstIndexView(p.permutation).first(3), values, out),
      Error);
  CHECK_THROWS_AS(
      backend.transpose_values(transpose.pattern(), p.permutation, values, std::span<float>(out).first(3)),
      Error);
}
