#include <algorithm>
#include <set>

#include "sea/cpu.hpp"
#include "sea/detail/free_number.hpp"
#include "sea/error.hpp"
#include "sea/keyed_permutation.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/chi_square.hpp"
#include "support/device_csr.hpp"

using namespace sea;
using namespace sea::test;

namespace {

using Rows = std::vector<std::vector<std::int32_t>>;

/// Training data on a backend: users with an item, and not every item, are drawn.
struct Sampling {
  Sampling(Backend& backend, Rows history_rows, std::int32_t items_)
      : rows(std::move(history_rows)), items(items_), history(backend, rows, items_) {
    for (std::size_t user = 0; user < rows.size(); ++user) {
      if (!rows[user].empty() && static_cast<std::int32_t>(rows[user].size()) < items)
        users.push_back(static_cast<std::int32_t>(user));
    }
    device_users = to_device(backend, users);
  }
  UserSamplingView view() const { return {history.pattern(), device_users.span()}; }

  Rows rows;
  std::int32_t items;
  DeviceCsr history;
  std::vector<std::int32_t> users;
  Buffer<std::int32_t> device_users;
};

struct Batch {
  std::vector<std::int32_t> users, positives, negatives;
  bool operator==(const Batch&) const = default;
};

/// A batch of `batch_size` places, -7 where the operator did not write.
Batch sample(Backend& backend, const Sampling& sampling, std::uint64_t seed, const StepState& at,
             std::int64_t batch_size) {
  const std::vector<std::int32_t> unwritten(static_cast<std::size_t>(batch_size), -7);
  const Buffer<std::int32_t> users = to_device(backend, unwritten), positives = to_device(backend, unwritten),
                             negatives = to_device(backend, unwritten);
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{at});
  backend.sample_user_batch(sampling.view(), seed, state.data(),
                            {users.span(), positives.span(), negatives.span()});
  return {users.download(), positives.download(), negatives.download()};
}

/// What the contract says, written out naively.
Batch reference(const Sampling& sampling, std::uint64_t seed, const StepState& at, std::int64_t batch_size) {
  Batch batch;
  const auto users = static_cast<std::uint32_t>(sampling.users.size());
  const KeyedPermutation order(seed, RandomPurpose::batch_user, at.step, users);
  for (std::int64_t i = 0; i < at.count; ++i) {
    const auto draw = [&](RandomPurpose purpose, std::uint32_t attempt, std::size_t bound) {
      return uniform_below(random_bits(seed, purpose, at.step, i, attempt),
                           static_cast<std::uint32_t>(bound));
    };
    const bool distinct = batch_size <= static_cast<std::int64_t>(users);
    const std::int32_t user = sampling.users[distinct ? order(static_cast<std::uint32_t>(i))
                                                      : draw(RandomPurpose::batch_user, 0, users)];
    const std::vector<std::int32_t>& history = sampling.rows[user];
    std::vector<std::int32_t> free;
    for (std::int32_t item = 0; item < sampling.items; ++item) {
      if (std::find(history.begin(), history.end(), item) == history.end()) free.push_back(item);
    }
    std::int32_t negative = -1;
    for (std::uint32_t attempt = 0; attempt < 32 && negative < 0; ++attempt) {
      const auto item = static_cast<std::int32_t>(
          draw(RandomPurpose::negative, attempt, static_cast<std::size_t>(sampling.items)));
      if (std::find(free.begin(), free.end(), item) != free.end()) negative = item;
    }
    if (negative < 0) negative = free[draw(RandomPurpose::negative, 32, free.size())];
    batch.users.push_back(user);
    batch.positives.push_back(history[draw(RandomPurpose::batch_item, 0, history.size())]);
    batch.negatives.push_back(negative);
  }
  return batch;
}

/// Histories of random lengths over the even items only; user 3 has none, the last all items but two, the one
/// before it all.
Rows mixed_histories(int users, std::int32_t items, std::uint64_t seed) {
  Rows rows(static_cast<std::size_t>(users));
  for (int user = 0; user < users; ++user) {
    const auto draw = [&](int index, std::int32_t bound) {
      return static_cast<std::int32_t>(uniform_below(random_bits(seed, RandomPurpose::synthetic, user, index),
                                                     static_cast<std::uint32_t>(bound)));
    };
    std::set<std::int32_t> history;
    const int length = 1 + draw(0, 9);
    for (int i = 1; i <= length; ++i) history.insert(2 * draw(i, items / 2));
    rows[user].assign(history.begin(), history.end());
  }
  rows[3].clear();
  for (const std::size_t user : {rows.size() - 2, rows.size() - 1}) {
    rows[user].clear();
    for (std::int32_t item = 0; item < items; ++item) {
      if (user == rows.size() - 2 || (item != 0 && item != items / 3)) rows[user].push_back(item);
    }
  }
  return rows;
}

}  // namespace

TEST_CASE("sample_user_batch draws what its contract says, bit for bit") {
  for_each_backend([](Backend& backend) {
    const Sampling sampling(backend, mixed_histories(150, 300, 3), 300);
    REQUIRE(sampling.users.size() == 148);
    // Fewer users than the batch size too; a count below it; a step beyond 32 bits.
    for (const auto& [at, batch_size] : {std::pair(StepState{0, 0, 0, 148}, 148),
                                         {StepState{17, 2, 31, 77}, 128},
                                         {StepState{9, 1, 5, 0}, 64},
                                         {StepState{4, 0, 0, 200}, 200},
                                         {StepState{std::int64_t{1} << 33, 3, 7, 65}, 65}}) {
      const Batch expected = reference(sampling, 999, at, batch_size);
      Batch drawn = sample(backend, sampling, 999, at, batch_size);
      for (auto* part : {&drawn.users, &drawn.positives, &drawn.negatives}) {
        // Places beyond the count stay as they were.
        CHECK(std::all_of(part->begin() + at.count, part->end(), [](std::int32_t x) { return x == -7; }));
        part->resize(static_cast<std::size_t>(at.count));
      }
      CHECK(drawn == expected);
    }
  });
}

TEST_CASE("sample_user_batch: users of a batch are distinct, and each is drawn equally often") {
  CpuBackend backend(2);
  const Sampling sampling(backend, mixed_histories(60, 80, 4), 80);
  std::vector<std::int64_t> counts(60);
  for (std::int64_t step = 0; step < 600; ++step) {
    const Batch batch = sample(backend, sampling, 5, {step, 0, 0, 20}, 20);
    CHECK(std::set<std::int32_t>(batch.users.begin(), batch.users.end()).size() == 20);
    for (const std::int32_t user : batch.users) ++counts[user];
  }
  CHECK(counts[3] == 0);
  CHECK(counts[58] == 0);
  std::vector<std::int64_t> drawn;
  for (const std::int32_t user : sampling.users) drawn.push_back(counts[user]);
  CHECK(chi_square_excess(drawn) < 5.0);
}

TEST_CASE("sample_user_batch: positives are uniform over the history, negatives over all items outside it") {
  CpuBackend backend(2);
  // Nobody has an item above 39. A batch larger than the two users draws them again and again.
  Rows rows(2);
  for (std::int32_t item = 0; item < 40; ++item) rows[item % 2].push_back(item);
  const Sampling sampling(backend, rows, 60);
  std::vector<std::int64_t> users(2), positives(40), even(40), odd(40);
  for (std::int64_t step = 0; step < 300; ++step) {
    const Batch batch = sample(backend, sampling, 8, {step, 0, 0, 64}, 64);
    for (std::size_t i = 0; i < 64; ++i) {
      const std::int32_t user = batch.users[i], item = batch.negatives[i];
      ++users[user];
      REQUIRE(batch.positives[i] % 2 == user);
      ++positives[batch.positives[i]];
      REQUIRE((item >= 40 || item % 2 != user));
      // The user's own 20 items are left out.
      ++(user == 0 ? even : odd)[item >= 40 ? item - 20 : item / 2];
    }
  }
  for (const auto* counts : {&users, &positives, &even, &odd}) CHECK(chi_square_excess(*counts) < 5.0);
}

TEST_CASE("sample_user_batch: a user who has nearly every item gets one of the rest, each equally often") {
  CpuBackend backend(2);
  constexpr std::int32_t items = 2000;
  const std::vector<std::int32_t> lacked{0, 777, items - 1};
  Rows rows(1);
  for (std::int32_t item = 0; item < items; ++item) {
    if (std::find(lacked.begin(), lacked.end(), item) == lacked.end()) rows[0].push_back(item);
  }
  const Sampling sampling(backend, rows, items);
  std::vector<std::int64_t> counts(3);
  for (std::int64_t step = 0; step < 40; ++step) {
    const Batch batch = sample(backend, sampling, 12, {step, 0, 0, 100}, 100);
    CHECK(batch == reference(sampling, 12, {step, 0, 0, 100}, 100));
    for (const std::int32_t item : batch.negatives) {
      const auto place = std::find(lacked.begin(), lacked.end(), item);
      REQUIRE(place != lacked.end());
      ++counts[static_cast<std::size_t>(place - lacked.begin())];
    }
  }
  CHECK(chi_square_excess(counts) < 5.0);
}

TEST_CASE("free_number counts the numbers that are not taken") {
  const std::vector<std::int32_t> taken{0, 1, 4, 5, 9};
  const std::vector<std::int64_t> free{2, 3, 6, 7, 8, 10, 11};
  for (std::size_t r = 0; r < free.size(); ++r)
    CHECK(detail::free_number(taken.data(), 5, static_cast<std::int64_t>(r)) == free[r]);
  CHECK(detail::free_number(nullptr, 0, 7) == 7);
  for (std::int32_t number = -1; number < 11; ++number)
    CHECK(detail::contains(taken.data(), 5, number) ==
          (std::find(taken.begin(), taken.end(), number) != taken.end()));
}

TEST_CASE("sample_user_batch draws the same bits on any number of threads") {
  std::vector<Batch> batches;
  for (const int threads : {1, 2, 3, 4}) {
    CpuBackend backend(threads);
    const Sampling sampling(backend, mixed_histories(1200, 500, 6), 500);
    batches.push_back(sample(backend, sampling, 1, {4, 0, 3, 1000}, 1000));
  }
  for (const Batch& batch : batches) CHECK(batch == batches.front());
}

TEST_CASE("sample_user_batch refuses a count beyond the batch, no users, and a user without a draw") {
  CpuBackend backend(1);
  const Sampling sampling(backend, {{0, 1}, {2}}, 3);
  CHECK_THROWS_AS(sample(backend, sampling, 1, {0, 0, 0, 3}, 2), Error);
  std::int32_t out[3] = {};
  const StepState state{0, 0, 0, 1};
  const BatchView one{{out, 1}, {out + 1, 1}, {out + 2, 1}};
  CHECK_THROWS_AS(backend.sample_user_batch({sampling.view().history, {}}, 1, &state, one), Error);
  CHECK_THROWS_AS(backend.sample_user_batch(sampling.view(), 1, &state, {{out, 1}, {out + 1, 1}, {}}), Error);

  const Sampling odd(backend, {{0, 1, 2}, {}}, 3);
  for (const std::int32_t user : {0, 1}) {
    const std::vector<std::int32_t> users{user};
    CHECK_THROWS_AS(backend.sample_user_batch({odd.view().history, users}, 1, &state, one), Error);
  }
}
