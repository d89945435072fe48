#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace sea::bench {

/// How calls are timed: what runs before, how many there are, and how many between two synchronisations.
struct Timing {
  std::int64_t warmup = 0;      ///< calls before the timed ones, at least
  double warmup_seconds = 0.0;  ///< and for so long, at least
  std::int64_t calls = 1;
  std::int64_t stretch =
      1;  ///< calls from one synchronisation to the next, at least, where there are so many
};

/// Training steps. On the processor 2 and 10, each timed alone. A GPU idles at a fraction of its clock and
/// runs beside the host: it works for a second first, and then 5 stretches of 200 are timed. What is given
/// stands.
Timing timing_of_steps(bool gpu, std::optional<std::int64_t> steps, std::optional<std::int64_t> warmup);

/// Evaluations, each of which waits for its result: 2 before them; on a GPU for at least a second.
Timing timing_of_evaluations(bool gpu, std::int64_t evaluations, std::optional<std::int64_t> warmup);

struct Timed {
  std::vector<double> seconds;  ///< of one call, an entry for each stretch
  std::int64_t warmup = 0;      ///< calls before
};

struct TimedWork {
  std::function<void(std::int64_t)>
      call;                           ///< with its number, which starts at 0 with the first of the warm-up
  std::function<void()> synchronize;  ///< waits for all calls so far
  std::function<void()> begin;        ///< between the warm-up and the first timed call
};

/// Calls and times; `now` is a clock in seconds.
Timed time_calls(const Timing& timing, const TimedWork& work, const std::function<double()>& now);
/// By the machine's clock.
Timed time_calls(const Timing& timing, const TimedWork& work);

}  // namespace sea::bench
