// NAME.inter: the interactions of a data folder.

#include <algorithm>

#include "data/interactions.hpp"
#include "fuzz.hpp"

namespace sea::fuzz {

namespace {

/// Ids up to about eight thousand: larger ones are refused for the size of their index, which would be slow
/// to make.
constexpr std::int64_t memory = 256 << 10;

void check(const HostCsr& split, const Interactions& all) {
  if (split.rows != all.users || split.columns != all.items) fail("a split of another shape");
  if (static_cast<std::int64_t>(split.row_offsets.size()) != split.rows + 1) fail("a row without an offset");
  if (split.row_offsets.front() != 0 || split.row_offsets.back() != split.nonzeros())
    fail("offsets that do not span the items");
  if (!std::is_sorted(split.row_offsets.begin(), split.row_offsets.end())) fail("offsets that descend");
  for (std::int64_t user = 0; user < split.rows; ++user) {
    const ConstIndexView row = split.row(user);
    if (row.empty()) continue;
    if (row.front() < 0 || row.back() >= all.items) fail("an item that is not there");
    if (std::adjacent_find(row.begin(), row.end(), std::greater_equal<>()) != row.end())
      fail("items that do not ascend");
  }
}

void check_held_out(const HostCsr& split, const HostCsr& train) {
  for (std::int64_t user = 0; user < split.rows; ++user) {
    const ConstIndexView held_out = split.row(user), history = train.row(user);
    if (!held_out.empty() && history.empty()) fail("a held-out user without history");
    for (const std::int32_t item : held_out) {
      if (std::binary_search(history.begin(), history.end(), item)) fail("a held-out pair of training");
    }
  }
}

}  // namespace

std::vector<std::string> seeds() {
  return {"userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n1\t0\t2\n",
          "\xEF\xBB\xBFx_label\trating\tuserID\titemID\ttimestamp\r\n0\t5.0\t3\t7\t1\r\n1\t4.0\t3\t7\t2\r\n",
          "userID\titemID\tx_label\n0\t0\t0\n0\t0\t0\n0\t0\t1\n4\t2\t2\n0\t2\t0\n0\t1\t0\n",
          "userID,itemID,x_label\n0,0,0\n",
          "user_id:token\titem_id:token\n",
          "userID\titemID\tx_label\n2147483646\t0\t0\n",
          "userID\titemID\tx_label\n7000\t2\t0\n0\t1\t0\n",
          "userID\titemID\tx_label\n-1\t2\t0\n",
          "userID\titemID\titemID\tx_label\n0\t1\n",
          "\n\n"};
}

void read(std::string_view bytes) {
  expect_sentence([&] {
    const Interactions all = parse_interactions("data/data.inter", bytes, memory);
    for (const HostCsr* split : {&all.train, &all.valid, &all.test}) check(*split, all);
    if (all.train.nonzeros() > 0) {
      check_held_out(all.valid, all.train);
      check_held_out(all.test, all.train);
    }
    check_training(all);
  });
}

}  // namespace sea::fuzz
