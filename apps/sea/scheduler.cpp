#include "scheduler.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <thread>

#include "configuration/registry.hpp"
#include "output.hpp"
#include "sea/error.hpp"
#include "training/signals.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;
using Seconds = std::chrono::duration<double>;

/// Processes of a search that was killed take a moment to be gone.
constexpr std::chrono::milliseconds lock_patience{2000};

}  // namespace

SearchFolder::SearchFolder(const fs::path& path, const Search& search) : path_(path) {
  std::error_code error;
  const bool made = fs::create_directories(path, error);
  const bool empty = made || fs::is_empty(path, error);
  if (error) throw Error(fmt::format("{}: cannot be made: {}", path.string(), error.message()));
  try {
    lock_.emplace(path, "another process is working on this search", lock_patience);
    write(search);
  } catch (...) {
    if (empty) fs::remove(path / "lock", error);
    if (made) fs::remove(path, error);
    throw;
  }
}

Scheduler::Scheduler(const fs::path& data, Search& search, const SearchFolder& folder, std::int64_t jobs,
                     bool quiet)
    : data_(data),
      search_(search),
      folder_(folder),
      jobs_(static_cast<std::size_t>(jobs)),
      quiet_(quiet),
      shares_(search.epoch_plan().shares()) {
  const std::int64_t asked = search.configuration().integer("threads");
  threads_ = asked > 0 ? asked : std::max<std::int64_t>(1, std::thread::hardware_concurrency());
}

bool Scheduler::run() {
  while (true) {
    const Rung rung = search_.next();
    if (rung.runs.empty()) return true;
    if (stopped()) return false;
    begin(rung);
    run_rung();
  }
}

void Scheduler::begin(const Rung& rung) {
  rung_ = rung;
  ended_in_rung_ = 0;
  waiting_.assign(rung.runs.begin(), rung.runs.end());
  if (quiet_ || !shares_) return;
  const auto [fewest, most] =
      std::minmax_element(rung.runs.begin(), rung.runs.end(),
                          [](const RungRun& a, const RungRun& b) { return a.epochs < b.epochs; });
  line_.finish(fmt::format("rung {}: {} {} to {} epochs", rung.number + 1, rung.runs.size(),
                           rung.runs.size() == 1 ? "run" : "runs",
                           fewest->epochs == most->epochs
                               ? std::to_string(most->epochs)
                               : fmt::format("{} to {}", fewest->epochs, most->epochs)));
}

void Scheduler::run_rung() {
  while (true) {
    if (const int received = SignalGuard::received(); received != 0 && !stopped()) {
      // A terminal that is gone is this process's own loss: its runs are asked to stop.
      signal_ = received == SIGINT ? SIGINT : SIGTERM;
      for (const Job& job : running_) job.process.signal(signal_);
    }
    while (!stopped() && !waiting_.empty() && running_.size() < jobs_) start_next();
    if (running_.empty()) return;
    listen();
    show();
  }
}

void Scheduler::start_next() {
  const std::int64_t epochs = waiting_.front().epochs;
  SearchRow& row = search_.rows[waiting_.front().run];
  waiting_.pop_front();
  // Threads change no bit of a result: the last runs may have those that nobody else is left to use.
  std::int64_t idle = threads_;
  for (const Job& job : running_) idle -= job.threads;
  const auto places = static_cast<std::int64_t>(std::min(jobs_ - running_.size(), waiting_.size() + 1));
  const std::int64_t threads = std::max<std::int64_t>(1, idle / places);

  const Configuration& configuration = row.description.configuration;
  const fs::path run = folder_.path() / row.run;
  std::vector<std::string> words = {data_, "--model",   configuration.model().name, "--output",
                                    run,   "--threads", std::to_string(threads)};
  for (const std::string& assignment : assignments_of(configuration))
    words.insert(words.end(), {"--set", assignment});
  // Said even where it is the default: a run may have been begun on another device.
  words.insert(words.end(), {"--device", configuration.text("device")});
  if (shares_) words.insert(words.end(), {"--epochs", std::to_string(epochs)});
  if (fs::exists(run)) words.push_back("--resume");
  row.error.clear();
  row.result.reset();
  running_.emplace_back(row, epochs, threads, words, folder_.lock());
}

void Scheduler::listen() {
  std::vector<pollfd> descriptors;
  for (const Job& job : running_) descriptors.push_back({job.process.descriptor(), POLLIN, 0});
  constexpr int longest_wait = 200;  // ms, so that a signal is seen soon
  if (::poll(descriptors.data(), descriptors.size(), longest_wait) <= 0) return;
  auto descriptor = descriptors.begin();
  for (auto job = running_.begin(); job != running_.end(); ++descriptor) {
    std::vector<std::string> lines;
    const bool open = (descriptor->revents == 0) || job->process.read(lines);
    for (const std::string& line : lines) hear(*job, line);
    if (open) {
      ++job;
      continue;
    }
    std::list<Job> ended;
    const auto next = std::next(job);
    ended.splice(ended.begin(), running_, job);
    end(ended.front());
    job = next;
  }
}

void Scheduler::hear(Job& job, const std::string& line) {
  constexpr std::string_view error = "error: ", notice = "note: ";
  if (line.rfind(error, 0) == 0) {
    job.error = line.substr(error.size());
  } else if (line.rfind(notice, 0) != 0) {
    job.last_line = line;
  } else if (!stopped() && !quiet_ && notices_.insert(line).second) {
    line_.finish(fmt::format("{} (run {})", line, job.row.run));
  }
}

void Scheduler::end(Job& job) {
  const int code = job.process.wait();
  SearchRow& row = job.row;
  // A run that was asked to stop and has saved its state waits for another day.
  if (code != 0 && stopped() && code == 128 + signal_) return;
  if (code != 0) {
    row.error = !job.error.empty() ? job.error
                : code > 128       ? fmt::format("the process was ended by signal {}", code - 128)
                                   : fmt::format("the process ended with exit code {}", code);
  } else {
    try {
      row.result = read_result(folder_.path() / row.run);
    } catch (const Error& error) {
      row.error = error.what();
    }
    if (!row.error.empty()) {
      row.result.reset();
    } else if (!row.result || row.result->description.identity() != row.description.identity()) {
      row.result.reset();
      row.error = "the data changed while it was trained";
    }
  }
  if (shares_ && row.result) {
    const TrainingResult& training = row.result->training;
    row.rungs.push_back({rung_.number, training.epochs_run, training.valid.at(search_.valid_metric()),
                         training.stopped_by == StoppedBy::early_stopping});
  }
  ++ended_in_rung_;
  folder_.write(search_);
  ended_seconds_ += Seconds(Clock::now() - job.start).count();
  ++ended_;
  if (quiet_) return;
  const std::string head = fmt::format("{}  run {}  {}", done(), row.run, values_text(search_, row));
  if (row.result) {
    const TrainingResult& training = row.result->training;
    line_.finish(fmt::format("{}  best epoch {}  valid {} {:.4f}  {}{}", head, training.best_epoch,
                             search_.valid_metric(), training.valid.at(search_.valid_metric()),
                             duration_text(row.result->total_seconds), time_left()));
  } else {
    line_.finish(fmt::format("{}  failed: {}", head, row.error));
  }
}

/// "3/8", of the rung at hand or of the search.
std::string Scheduler::done() const {
  return shares_ ? fmt::format("{}/{}", ended_in_rung_, rung_.runs.size())
                 : fmt::format("{}/{}", search_.finished() + search_.failed(), search_.rows.size());
}

/// Where the runs that have ended are a measure of those that have not.
std::string Scheduler::time_left() const {
  if (shares_ || ended_ == 0 || waiting_.size() + running_.size() == 0) return {};
  const double each = ended_seconds_ / ended_;
  double seconds = each * static_cast<double>(waiting_.size());
  for (const Job& job : running_) seconds += std::max(0.0, each - Seconds(Clock::now() - job.start).count());
  const double at_a_time = static_cast<double>(std::min(jobs_, waiting_.size() + running_.size()));
  return seconds > 0.0 ? fmt::format("  about {} left", duration_text(seconds / at_a_time)) : std::string();
}

void Scheduler::show() {
  if (quiet_ || !line_.terminal() || running_.empty()) return;
  std::string text = fmt::format("{} done{}", done(), stopped() ? "  stopping" : time_left());
  for (const Job& job : running_)
    text += fmt::format("  | run {} {}: {}", job.row.run, values_text(search_, job.row), job.last_line);
  line_.rewrite(text);
}

}  // namespace sea
