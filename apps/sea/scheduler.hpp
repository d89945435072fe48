#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "progress.hpp"
#include "search.hpp"
#include "train_process.hpp"
#include "training/folder_lock.hpp"

namespace sea {

/// The folder of a search while it is worked on, made where it is not there.
class SearchFolder {
 public:
  SearchFolder(const std::filesystem::path& path, const Search& search);

  void write(const Search& search) const { write_search(path_, search); }
  const std::filesystem::path& path() const { return path_; }
  int lock() const { return lock_->descriptor(); }

 private:
  std::filesystem::path path_;
  std::optional<FolderLock> lock_;
};

/// Runs the rows of a search rung by rung, `jobs` at a time, each in a process of its own.
class Scheduler {
 public:
  Scheduler(const std::filesystem::path& data, Search& search, const SearchFolder& folder, std::int64_t jobs,
            bool quiet);

  /// Ends where nothing is left to train, and is true then, or where the runs at hand have ended after a
  /// signal.
  bool run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Job {
    Job(SearchRow& its_row, std::int64_t its_epochs, std::int64_t its_threads,
        const std::vector<std::string>& words, int lock)
        : row(its_row), epochs(its_epochs), threads(its_threads), process(words, lock) {}
    SearchRow& row;
    std::int64_t epochs;
    std::int64_t threads;
    TrainProcess process;
    Clock::time_point start = Clock::now();
    std::string last_line = "starts";  ///< of its progress
    std::string error;                 ///< its last word, where it is one
  };

  void begin(const Rung& rung);
  void run_rung();
  void start_next();
  void listen();
  void hear(Job& job, const std::string& line);
  void end(Job& job);
  void show();
  std::string done() const;
  std::string time_left() const;
  bool stopped() const { return signal_ != 0; }

  std::filesystem::path data_;
  Search& search_;
  const SearchFolder& folder_;
  std::size_t jobs_;
  bool quiet_;
  std::int64_t threads_;
  bool shares_;  ///< epochs are shared out: there may be several rungs
  Rung rung_;
  std::size_t ended_in_rung_ = 0;
  std::list<RungRun> waiting_;
  std::list<Job> running_;
  std::set<std::string> notices_;
  StatusLine line_;
  int signal_ = 0;              ///< that the runs were sent
  double ended_seconds_ = 0.0;  ///< of the runs that ended in this process
  int ended_ = 0;
};

}  // namespace sea
