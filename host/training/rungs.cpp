#include "training/rungs.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace sea {

namespace {

/// The last result of a run before rung `rung`; nothing where it has none.
std::optional<RungResult> last_before(const RunProgress& run, std::int64_t rung) {
  std::optional<RungResult> last;
  for (const RungResult& result : run.rungs) {
    if (result.rung < rung) last = result;
  }
  return last;
}

bool has_result(const RunProgress& run, std::int64_t rung) {
  return std::any_of(run.rungs.begin(), run.rungs.end(),
                     [&](const RungResult& result) { return result.rung == rung; });
}

std::int64_t epochs_before(const RunProgress& run, std::int64_t rung) {
  const std::optional<RungResult> last = last_before(run, rung);
  return last ? last->epochs_run : 0;
}

}  // namespace

std::int64_t rung_count(const EpochPlan& plan, std::int64_t runs) {
  std::int64_t rungs = 1;
  for (std::int64_t left = runs; plan.halving && left > 1; left = (left + 1) / 2) ++rungs;
  return rungs;
}

Rung next_rung(const EpochPlan& plan, const std::vector<RunProgress>& runs) {
  const std::int64_t rungs = rung_count(plan, static_cast<std::int64_t>(runs.size()));
  std::vector<std::size_t> in(runs.size());
  std::iota(in.begin(), in.end(), std::size_t{0});
  std::int64_t spent = 0;
  for (std::int64_t rung = 0;; ++rung) {
    std::vector<std::size_t> active;
    for (const std::size_t run : in) {
      const std::optional<RungResult> last = last_before(runs[run], rung);
      if (!last || (!last->ended && last->epochs_run < plan.epochs)) active.push_back(run);
    }
    const auto count = static_cast<std::int64_t>(active.size());
    std::int64_t share = 0;
    if (count > 0 && plan.budget)
      share = (*plan.budget - spent) / (std::max<std::int64_t>(1, rungs - rung) * count);
    Rung next{rung, {}};
    std::vector<std::size_t> failed;
    bool trains = false;
    for (const std::size_t run : active) {
      const std::int64_t before = epochs_before(runs[run], rung);
      const std::int64_t target = plan.budget    ? before + share
                                  : rung < rungs ? plan.epochs >> std::min<std::int64_t>(62, rungs - 1 - rung)
                                                 : 0;
      const std::int64_t epochs = std::min(target, plan.epochs);
      if (epochs <= before) continue;
      trains = true;
      if (has_result(runs[run], rung)) {
        spent += epochs_before(runs[run], rung + 1) - before;
      } else if (runs[run].failed) {
        failed.push_back(run);
        spent += epochs - before;
      } else {
        next.runs.push_back({run, epochs});
      }
    }
    if (!next.runs.empty()) return next;
    if (!trains && rung + 1 >= rungs) return next;
    for (const std::size_t run : failed) in.erase(std::find(in.begin(), in.end(), run));
    if (in.empty()) return next;
    if (!plan.halving || rung + 1 >= rungs) continue;
    const auto valid_of = [&](std::size_t run) {
      const std::optional<RungResult> last = last_before(runs[run], rung + 1);
      return last ? last->valid : -std::numeric_limits<double>::infinity();
    };
    const std::size_t stay = (in.size() + failed.size() + 1) / 2;
    std::stable_sort(in.begin(), in.end(),
                     [&](std::size_t a, std::size_t b) { return valid_of(a) > valid_of(b); });
    in.resize(std::min(stay, in.size()));
    std::sort(in.begin(), in.end());
  }
}

}  // namespace sea
