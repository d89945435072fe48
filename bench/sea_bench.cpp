// Times every operator of include/sea/backend.hpp, each in its own NAME_bench.cpp, on every backend that is
// here (docs/performance.md).

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "commit.hpp"
#include "sea/error.hpp"
#include "sea/version.hpp"
#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// A row on one device and size. Its inputs are made when it first runs and kept until another row runs.
struct TimedRow {
  std::string name;  ///< OPERATOR/BACKEND/SIZE, and /YARDSTICK
  std::string ours;  ///< of a yardstick: the row that it is compared with
  const Row* row = nullptr;
  const Size* size = nullptr;
  Device* device = nullptr;
  Ceilings ceilings;
};

class Runner {
 public:
  void run(const TimedRow& timed, benchmark::State& state) {
    try {
      if (current_ != &timed) prepare(timed);
      double seconds = 0.0;
      while (state.KeepRunningBatch(calls_)) {
        const double elapsed = timer_();
        seconds += elapsed;
        state.SetIterationTime(elapsed);
      }
      report(timed, state, seconds / static_cast<double>(state.iterations()));
    } catch (const Unavailable& error) {
      state.SkipWithError(error.what());
      clear();
    } catch (const std::exception& error) {
      state.SkipWithError(error.what());
      failed_ = true;
      clear();
    }
  }

  bool failed() const { return failed_; }
  void clear() {
    timer_ = nullptr;
    case_.reset();
    current_ = nullptr;
  }

 private:
  void prepare(const TimedRow& timed) {
    clear();
    case_ = std::make_unique<Case>(*timed.device, *timed.size);
    timed.row->prepare(*case_);
    Device& device = *timed.device;
    const auto& call = case_->timed().call;
    timer_ = device.timer(call, 1);
    timer_();
    const double once = std::max(timer_(), 1e-9);
    constexpr double most_calls = 256.0;
    calls_ =
        static_cast<std::int64_t>(std::clamp(std::ceil(device.shortest_timing() / once), 1.0, most_calls));
    if (calls_ > 1) timer_ = device.timer(call, calls_);
    current_ = &timed;
  }

  void report(const TimedRow& timed, benchmark::State& state, double seconds) {
    const Work& work = case_->work();
    const auto rate = [&](double count) { return benchmark::Counter(count / seconds); };
    state.counters["bytes/s"] = rate(work.bytes);
    state.counters["FLOP/s"] = rate(work.operations);
    state.counters["ceiling"] = std::max(work.bytes / timed.ceilings.bytes_per_second,
                                         work.operations / timed.ceilings.operations_per_second) /
                                seconds;
    if (timed.ours.empty()) {
      seconds_[timed.name] = seconds;
    } else if (const auto ours = seconds_.find(timed.ours); ours != seconds_.end()) {
      state.counters["times_ours"] = seconds / ours->second;
    }
    if (!case_->timed().label.empty()) state.SetLabel(case_->timed().label);
  }

  const TimedRow* current_ = nullptr;
  std::unique_ptr<Case> case_;
  std::int64_t calls_ = 1;
  std::function<double()> timer_;
  std::map<std::string, double> seconds_;
  bool failed_ = false;
};

std::vector<std::unique_ptr<Device>> open_devices(const std::string& backend, int threads) {
  std::vector<std::unique_ptr<Device>> devices;
  if (backend != "cuda") devices.push_back(open_cpu_device(threads));
  if (backend != "cpu") {
    if (auto cuda = open_cuda_device(); cuda != nullptr) {
      devices.push_back(std::move(cuda));
    } else if (backend == "cuda") {
      throw Error(
          "--backend cuda: this build has no CUDA backend, or this machine no GPU; use --backend cpu");
    }
  }
  return devices;
}

std::vector<TimedRow> rows_of(Device& device, const Ceilings& ceilings) {
  std::vector<TimedRow> rows;
  for (const OperatorRows& op : operators()) {
    for (const Size& size : op.sizes) {
      for (const Row& row : op.rows) {
        const std::string ours = fmt::format("{}/{}/{}", row.name, device.name(), size.name);
        const bool yardstick = !row.yardstick.empty();
        rows.push_back({yardstick ? ours + "/" + row.yardstick : ours, yardstick ? ours : "", &row, &size,
                        &device, ceilings});
      }
    }
  }
  return rows;
}

void describe(Device& device, const Ceilings& ceilings) {
  const std::string prefix = device.name() + "_";
  benchmark::AddCustomContext(prefix + "backend", device.backend().description());
  benchmark::AddCustomContext(prefix + "copy_bytes_per_second",
                              fmt::format("{:.4g}", ceilings.bytes_per_second));
  benchmark::AddCustomContext(prefix + "product_operations_per_second",
                              fmt::format("{:.4g}", ceilings.operations_per_second));
}

void print_help() {
  fmt::print(
      "times the operators; rows are OPERATOR/BACKEND/SIZE, those of another way to the same result end in "
      "its name\n"
      "          [--backend cpu|cuda]  every one that is here without it\n"
      "          [--threads <n>]       of the processor; 0 takes all\n");
  benchmark::PrintDefaultHelp();
}

int run(int argc, char** argv) {
  const bool lists = std::any_of(argv, argv + argc, [](std::string_view argument) {
    return argument.starts_with("--benchmark_list_tests") && !argument.ends_with("=false");
  });
  benchmark::Initialize(&argc, argv, print_help);
  std::string backend;
  int threads = 0;
  CLI::App app("times the operators", "sea_bench");
  app.add_option("--backend", backend)->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--threads", threads)->check(CLI::Range(0, 1024));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "error: {}\nsee sea_bench --help\n", error.what());
    return 2;
  }

  const std::vector<std::unique_ptr<Device>> devices = open_devices(backend, threads);
  std::vector<TimedRow> rows;
  benchmark::AddCustomContext("sea_version", SEA_VERSION);
  benchmark::AddCustomContext("sea_commit", commit);
  for (const auto& device : devices) {
    Ceilings ceilings;
    if (!lists) {
      ceilings = device->measure_ceilings();
      describe(*device, ceilings);
    }
    const std::vector<TimedRow> more = rows_of(*device, ceilings);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  Runner runner;
  for (const TimedRow& row : rows) {
    benchmark::RegisterBenchmark(row.name.c_str(), [&](benchmark::State& state) { runner.run(row, state); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::RunSpecifiedBenchmarks();
  runner.clear();
  benchmark::Shutdown();
  return runner.failed() ? 1 : 0;
}

}  // namespace

}  // namespace sea::bench

int main(int argc, char** argv) {
  try {
    return sea::bench::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
