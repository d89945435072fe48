#include <algorithm>
#include <set>

#include "sea/cpu.hpp"
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

/// Training data on a backend. Candidates are the items of any history.
struct Sampling {
  Sampling(Backend& backend, Rows history_rows, std::int32_t items)
      : rows(std::move(history_rows)), history(backend, rows, items) {
    std::set<std::int32_t> seen;
    for (const auto& row : rows) seen.insert(row.begin(), row.end());
    candidates.assign(seen.begin(), seen.end());
    for (std::size_t user = 0; user < rows.size(); ++user) {
      if (rows[user].size() == candidates.size()) continue;
      for (const std::int32_t item : rows[user]) {
        pair_users.push_back(static_cast<std::int32_t>(user));
        pair_items.push_back(item);
      }
    }
    device_users = to_device(backend, pair_users);
    device_items = to_device(backend, pair_items);
    device_candidates = to_device(backend, candidates);
  }

  SamplingView view() const {
    return {history.pattern(), device_users.span(), device_items.span(), device_candidates.span()};
  }
  std::int64_t pairs() const { return static_cast<std::int64_t>(pair_users.size()); }

  Rows rows;
  DeviceCsr history;
  std::vector<std::int32_t> candidates, pair_users, pair_items;
  Buffer<std::int32_t> device_users, device_items, device_candidates;
};

struct Batch {
  std::vector<std::int32_t> users, positives, negatives;
  bool operator==(const Batch&) const = default;
};

/// A batch of `batch_size` places, -7 where the operator did not write.
Batch sample(Backend& backend, const Sampling& sampling, std::uint64_t seed, const StepState& at,
             std::int64_t batch_size) {
  const std::vector<std::int32_t> unwritten(static_cast<std::size_t>(batch_size), -7);
  const Buffer<std::int32_t> users = to_device(backend, unwritten);
  const Buffer<std::int32_t> positives = to_device(backend, unwritten);
  const Buffer<std::int32_t> negatives = to_device(backend, unwritten);
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{at});
  backend.sample_batch(sampling.view(), seed, state.data(),
                       {users.span(), positives.span(), negatives.span()});
  return {users.download(), positives.download(), negatives.download()};
}

/// What the contract says, written out naively.
Batch reference(const Sampling& sampling, std::uint64_t seed, const StepState& at) {
  Batch batch;
  const KeyedPermutation order(seed, RandomPurpose::shuffle, at.epoch,
                               static_cast<std::uint32_t>(sampling.pairs()));
  for (std::int64_t i = 0; i < at.count; ++i) {
    const std::uint32_t pair = order(static_cast<std::uint32_t>(at.first + i));
    const std::int32_t user = sampling.pair_users[pair];
    const std::vector<std::int32_t>& history = sampling.rows[user];
    std::vector<std::int32_t> free;
    for (const std::int32_t item : sampling.candidates) {
      if (std::find(history.begin(), history.end(), item) == history.end()) free.push_back(item);
    }
    std::int32_t negative = -1;
    for (std::uint32_t attempt = 0; attempt <= 32 && negative < 0; ++attempt) {
      const Philox4x32 bits = random_bits(seed, RandomPurpose::negative, at.step, i, attempt);
      const auto& pool = attempt < 32 ? sampling.candidates : free;
      const std::int32_t item = pool[uniform_below(bits, static_cast<std::uint32_t>(pool.size()))];
      if (std::find(free.begin(), free.end(), item) != free.end()) negative = item;
    }
    batch.users.push_back(user);
    batch.positives.push_back(sampling.pair_items[pair]);
    batch.negatives.push_back(negative);
  }
  return batch;
}

/// Histories of random lengths over the even items only; the last user has every candidate but one.
Rows mixed_histories(int users, std::int32_t items, std::uint64_t seed) {
  Rows rows(static_cast<std::size_t>(users));
  for (int user = 0; user < users; ++user) {
    const auto most = static_cast<std::uint32_t>(items / 2);
    const auto draw = [&](int index) {
      return uniform_below(random_bits(seed, RandomPurpose::synthetic, user, index), most);
    };
    std::set<std::int32_t> history;
    const std::uint32_t length = user % 7 == 0 ? 0 : 1 + draw(0) % 9;
    for (std::uint32_t i = 1; i <= length; ++i) {
      history.insert(2 * static_cast<std::int32_t>(draw(static_cast<int>(i))));
    }
    rows[user].assign(history.begin(), history.end());
  }
  rows.back().clear();
  for (std::int32_t item = 0; item + 2 < items; item += 2) rows.back().push_back(item);
  rows[1] = {items - 2};
  return rows;
}

}  // namespace

TEST_CASE("sample_batch draws what its contract says, bit for bit") {
  for_each_backend([](Backend& backend) {
    const Sampling sampling(backend, mixed_histories(40, 60, 3), 60);
    for (const StepState& at : {StepState{0, 0, 0, 100}, StepState{17, 2, 31, 77}, StepState{9, 1, 5, 0},
                                StepState{std::int64_t{1} << 33, 3, sampling.pairs() - 1, 1}}) {
      const Batch expected = reference(sampling, 999, at);
      Batch drawn = sample(backend, sampling, 999, at, 128);
      for (auto* part : {&drawn.users, &drawn.positives, &drawn.negatives}) {
        // Places beyond the count stay as they were.
        CHECK(std::all_of(part->begin() + at.count, part->end(), [](std::int32_t x) { return x == -7; }));
        part->resize(static_cast<std::size_t>(at.count));
      }
      CHECK(drawn == expected);
    }
  });
}

TEST_CASE("sample_batch takes the r-th free candidate, r drawn by attempt 32, once 32 draws are rejected") {
  for_each_backend([](Backend& backend) {
    Rows rows(2);
    for (std::int32_t item = 0; item < 300; ++item) rows[item % 100 == 37 ? 1 : 0].push_back(item);
    const Sampling sampling(backend, rows, 300);
    const StepState at{3, 1, 0, sampling.pairs()};
    CHECK(sample(backend, sampling, 999, at, sampling.pairs()) == reference(sampling, 999, at));
  });
}

TEST_CASE("an epoch of batches visits every pair once, each epoch in another order") {
  for_each_backend([](Backend& backend) {
    const Sampling sampling(backend, mixed_histories(50, 80, 4), 80);
    std::vector<std::pair<std::int32_t, std::int32_t>> all;
    for (std::size_t i = 0; i < sampling.pair_users.size(); ++i) {
      all.emplace_back(sampling.pair_users[i], sampling.pair_items[i]);
    }
    std::sort(all.begin(), all.end());
    constexpr std::int64_t batch_size = 32;
    REQUIRE(sampling.pairs() % batch_size != 0);
    StepState at{0, 0, 0, batch_size};
    std::vector<std::vector<std::pair<std::int32_t, std::int32_t>>> epochs(3);
    std::int64_t smallest = batch_size;
    while (at.epoch < 3) {
      const Batch batch = sample(backend, sampling, 5, at, batch_size);
      for (std::int64_t i = 0; i < at.count; ++i) {
        epochs[at.epoch].emplace_back(batch.users[i], batch.positives[i]);
        const auto& history = sampling.rows[batch.users[i]];
        CHECK_FALSE(std::binary_search(history.begin(), history.end(), batch.negatives[i]));
        CHECK(std::binary_search(sampling.candidates.begin(), sampling.candidates.end(), batch.negatives[i]));
      }
      smallest = std::min(smallest, at.count);
      const Buffer<StepState> state = to_device(backend, std::vector<StepState>{at});
      backend.advance_step(state.data(), sampling.pairs(), batch_size);
      at = state.download().front();
    }
    CHECK(smallest == sampling.pairs() % batch_size);
    CHECK(epochs[0] != epochs[1]);
    CHECK(epochs[1] != epochs[2]);
    for (auto& epoch : epochs) {
      std::sort(epoch.begin(), epoch.end());
      CHECK(epoch == all);
    }
  });
}

TEST_CASE("negatives are uniform over the candidates outside the history") {
  CpuBackend backend(2);
  // 60 candidates, all multiples of 3; user 0 has half of them.
  Rows rows(2);
  for (std::int32_t i = 0; i < 60; ++i) rows[i % 2].push_back(3 * i);
  const Sampling sampling(backend, rows, 200);
  std::vector<std::int64_t> counts(60);
  for (std::int64_t step = 0; step < 400; ++step) {
    const Batch batch = sample(backend, sampling, 8, {step, step, 0, 60}, 60);
    for (std::int64_t i = 0; i < 60; ++i) {
      REQUIRE(batch.negatives[i] % 3 == 0);
      REQUIRE(batch.negatives[i] / 3 % 2 != batch.users[i]);
      ++counts[batch.negatives[i] / 3];
    }
  }
  CHECK(chi_square_excess(counts) < 5.0);
}

TEST_CASE("a user who has nearly every candidate gets one of the rest, each equally often") {
  CpuBackend backend(2);
  // Of 2,000 candidates user 0 lacks three, and 32 draws find one of them in one case of twenty.
  constexpr std::int32_t items = 2000;
  const std::vector<std::int32_t> lacked{0, 777, items - 1};
  for (std::size_t lacking = 1; lacking <= lacked.size(); ++lacking) {
    const std::vector<std::int32_t> free(lacked.begin(), lacked.begin() + static_cast<std::int64_t>(lacking));
    Rows rows(2);
    for (std::int32_t item = 0; item < items; ++item) {
      if (std::find(free.begin(), free.end(), item) == free.end()) rows[0].push_back(item);
    }
    rows[1] = free;
    const Sampling sampling(backend, rows, items);
    std::vector<std::int64_t> counts(lacking);
    const std::int64_t pairs = sampling.pairs();
    for (std::int64_t step = 0; step < 4; ++step) {
      const Batch batch = sample(backend, sampling, 12, {step, step, 0, pairs}, pairs);
      for (std::int64_t i = 0; i < pairs; ++i) {
        if (batch.users[i] != 0) continue;
        const auto place = std::find(free.begin(), free.end(), batch.negatives[i]);
        REQUIRE(place != free.end());
        ++counts[static_cast<std::size_t>(place - free.begin())];
      }
    }
    if (lacking > 1) CHECK(chi_square_excess(counts) < 5.0);
  }
}

TEST_CASE("sample_batch draws the same bits on any number of threads") {
  std::vector<Batch> batches;
  for (const int threads : {1, 2, 3, 4}) {
    CpuBackend backend(threads);
    const Sampling sampling(backend, mixed_histories(300, 500, 6), 500);
    batches.push_back(sample(backend, sampling, 1, {4, 0, 3, 1000}, 1000));
  }
  for (const Batch& batch : batches) CHECK(batch == batches.front());
}

TEST_CASE("sample_batch refuses a state beyond the pairs, and a user without a free candidate") {
  CpuBackend backend(1);
  const Sampling sampling(backend, {{0, 1}, {2}}, 3);
  CHECK_THROWS_AS(sample(backend, sampling, 1, {0, 0, 2, 2}, 2), Error);
  CHECK_THROWS_AS(sample(backend, sampling, 1, {0, 0, 0, 3}, 2), Error);

  const Sampling full(backend, {{0, 1, 2}, {2}}, 3);
  const std::vector<std::int32_t> user{0}, item{1};
  SamplingView view = full.view();
  view.pair_users = user;
  view.pair_items = item;
  StepState state{0, 0, 0, 1};
  std::int32_t users = 0, positives = 0, negatives = 0;
  CHECK_THROWS_AS(backend.sample_batch(view, 1, &state, {{&users, 1}, {&positives, 1}, {&negatives, 1}}),
                  Error);
}
