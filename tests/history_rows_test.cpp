#include <algorithm>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/device_csr.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

const std::vector<std::vector<std::int32_t>> histories = {{0, 3, 4}, {}, {1}, {0, 1, 2, 3, 4, 5, 6}};
const std::vector<std::int32_t> batch = {3, 0, 0, 1, 2, 3};

std::vector<float> rows(Backend& backend, bool inverted, std::int64_t count, std::int64_t gap) {
  const DeviceCsr history(backend, histories, 7);
  const Buffer<std::int32_t> users = to_device(backend, batch);
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{1, 2, 3, count}});
  const StridedMatrix y(backend, 6, 7, gap);
  backend.history_rows(history.pattern(), users.span(), inverted, state.data(), y.view());
  return y.values();
}

}  // namespace

TEST_CASE("history_rows: ones at the history, or everywhere else, and nothing behind the batch") {
  for_each_backend([](Backend& backend) {
    for (const std::int64_t count : {6, 4, 0}) {
      for (const bool inverted : {false, true}) {
        CAPTURE(count, inverted);
        std::vector<float> expected;
        for (std::int64_t b = 0; b < 6; ++b) {
          const std::vector<std::int32_t>& history = histories[batch[b]];
          for (std::int32_t item = 0; item < 7; ++item) {
            const bool seen = std::find(history.begin(), history.end(), item) != history.end();
            expected.push_back(b < count && seen != inverted ? 1.0f : 0.0f);
          }
        }
        for (const std::int64_t gap : {0, 1, 5}) CHECK(rows(backend, inverted, count, gap) == expected);
      }
    }
  });
}

TEST_CASE("history_rows: more columns than a block's threads, and a history as long") {
  for_each_backend([](Backend& backend) {
    std::vector<std::vector<std::int32_t>> long_histories(2);
    for (std::int32_t item = 0; item < 700; item += 2) long_histories[1].push_back(item);
    const DeviceCsr history(backend, long_histories, 700);
    const Buffer<std::int32_t> users = to_device(backend, std::vector<std::int32_t>{1, 0});
    const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{1, 2, 3, 2}});
    const StridedMatrix y(backend, 2, 700, 4);
    backend.history_rows(history.pattern(), users.span(), false, state.data(), y.view());
    std::vector<float> expected(1400, 0.0f);
    for (std::size_t item = 0; item < 700; item += 2) expected[item] = 1.0f;
    CHECK(y.values() == expected);
    backend.history_rows(history.pattern(), users.span(), true, state.data(), y.view());
    for (float& value : expected) value = 1.0f - value;
    CHECK(y.values() == expected);
  });
}

TEST_CASE("history_rows gives the same bits on any number of threads") {
  check_same_bits([](Backend& backend) { return rows(backend, true, 5, 2); });
}

TEST_CASE("history_rows refuses shapes that do not fit") {
  CpuBackend backend(1);
  const DeviceCsr history(backend, histories, 7);
  std::vector<float> values(49);
  std::vector<std::int32_t> users(6);
  const StepState six{0, 0, 0, 6}, seven{0, 0, 0, 7};
  const MatrixView good(values.data(), 6, 7), narrow(values.data(), 6, 6);
  CHECK_THROWS_AS(backend.history_rows(history.pattern(), users, false, &six, narrow), Error);
  CHECK_THROWS_AS(backend.history_rows(history.pattern(), users, false, &seven, good), Error);
}
