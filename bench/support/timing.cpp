#include "support/timing.hpp"

#include <algorithm>
#include <chrono>

namespace sea::bench {

namespace {

constexpr double gpu_warmup_seconds = 1.0;
constexpr std::int64_t gpu_stretch = 200, gpu_stretches = 5;

}  // namespace

Timing timing_of_steps(bool gpu, std::optional<std::int64_t> steps, std::optional<std::int64_t> warmup) {
  if (!gpu) return {warmup.value_or(2), 0.0, steps.value_or(10), 1};
  return {warmup.value_or(2), gpu_warmup_seconds, steps.value_or(gpu_stretches * gpu_stretch), gpu_stretch};
}

Timing timing_of_evaluations(bool gpu, std::int64_t evaluations, std::optional<std::int64_t> warmup) {
  return {warmup.value_or(2), gpu ? gpu_warmup_seconds : 0.0, evaluations, 1};
}

Timed time_calls(const Timing& timing, const TimedWork& work, const std::function<double()>& now) {
  Timed timed;
  for (const double start = now(); timed.warmup < timing.warmup || now() - start < timing.warmup_seconds;
       ++timed.warmup) {
    work.call(timed.warmup);
    work.synchronize();
  }
  work.begin();
  const std::int64_t stretches = std::max<std::int64_t>(timing.calls / timing.stretch, 1);
  std::int64_t done = 0;
  for (std::int64_t i = 1; i <= stretches; ++i) {
    const std::int64_t first = done, end = timing.calls * i / stretches;
    const double start = now();
    for (; done < end; ++done) work.call(timed.warmup + done);
    work.synchronize();
    timed.seconds.push_back((now() - start) / static_cast<double>(end - first));
  }
  return timed;
}

Timed time_calls(const Timing& timing, const TimedWork& work) {
  return time_calls(timing, work, [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  });
}

}  // namespace sea::bench
