#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "commands.hpp"
#include "data/dataset.hpp"
#include "models/registry.hpp"
#include "progress.hpp"
#include "run_data.hpp"
#include "sea/error.hpp"
#include "search.hpp"
#include "train_process.hpp"
#include "training/device.hpp"
#include "training/folder_lock.hpp"
#include "training/signals.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct TuneOptions {
  fs::path data;
  ConfigurationRequest request;
  std::vector<std::string> grid;
  std::string jobs = "1";
  std::optional<fs::path> output;
  bool resume = false, quiet = false;
};

/// What a search that is there already may be gone on with.
const std::vector<std::string> may_change = {"device", "threads"};

/// Processes of a search that was killed take a moment to be gone.
constexpr std::chrono::milliseconds lock_patience{2000};

ConfigurationRequest request_of(const ConfigurationRequest& request, const Grid& grid,
                                const std::vector<KeyValue>& values) {
  ConfigurationRequest combined = request;
  for (std::size_t i = 0; i < values.size(); ++i)
    combined.assignments.push_back(fmt::format("{}={}", grid.axes()[i].key, to_text(values[i])));
  return combined;
}

/// A key of the grid that is also set on the command line would silently lose one of the two values.
void check_set_once(const Grid& grid, const ConfigurationRequest& request) {
  const auto check = [&](const std::string& name, const std::string& source) {
    for (const Grid::Axis& axis : grid.axes()) {
      if (axis.key == name) throw UsageError(fmt::format("{}: {} is in the grid too", source, name));
    }
  };
  for (const std::string& assignment : request.assignments)
    check(assignment.substr(0, assignment.find('=')), fmt::format("--set {}", assignment));
  if (request.model) {
    const ModelChoice choice = find_model(*request.model, "--model");
    if (choice.preset != nullptr) {
      for (const auto& [name, value] : choice.preset->values)
        check(name, fmt::format("--model {}", choice.preset->name));
    }
  }
  if (request.seed) check("seed", fmt::format("--seed {}", *request.seed));
  if (request.epochs) check("epochs", fmt::format("--epochs {}", *request.epochs));
}

/// The combinations of a search, each resolved and so checked; what describes the data is still empty.
Search new_search(const TuneOptions& options) {
  if (options.grid.empty())
    throw UsageError("--grid: is missing; say which keys to search: --grid key=v1,v2");
  Search search{Grid(options.grid, model_of(options.request)), {}};
  check_set_once(search.grid, options.request);
  const std::int64_t size = search.grid.size();
  const std::size_t digits = std::to_string(size).size();
  for (std::int64_t i = 0; i < size; ++i) {
    const std::vector<KeyValue> values = search.grid.combination(i);
    search.rows.push_back(
        {fmt::format("{:0{}}", i + 1, digits),
         values,
         {resolve_configuration(request_of(options.request, search.grid, values)), {}, {}, {}},
         std::nullopt,
         {}});
  }
  return search;
}

/// A search that is gone on with: what the command line says must be what it was begun with.
Search resumed_search(const TuneOptions& options, const fs::path& folder) {
  Search search = read_search(folder);
  if (!options.grid.empty()) {
    const Grid now(options.grid, search.configuration().model());
    if (now != search.grid) {
      throw UsageError(fmt::format("--resume: the grid was {} in {} and would be {}; name another --output",
                                   to_text(search.grid), folder.string(), to_text(now)));
    }
  }
  check_set_once(search.grid, options.request);
  for (SearchRow& row : search.rows) {
    row.description.configuration = resume_configuration(request_of(options.request, search.grid, row.values),
                                                         row.description.configuration, folder, may_change);
  }
  return search;
}

/// Reads and checks the data once for every choice of feature files, and notes in the rows what they are.
/// Throws Error where they are not those that the search was begun with. Returns what deserves a sentence.
std::set<std::string> check_data(const fs::path& data, Search& search) {
  std::set<std::string> notices;
  std::map<std::pair<std::string, std::string>, Dataset> seen;
  for (SearchRow& row : search.rows) {
    RunDescription& description = row.description;
    const DatasetFiles files = description.configuration.model().files(description.configuration);
    auto [place, added] =
        seen.try_emplace({files.vision_feature_file.value_or(""), files.text_feature_file.value_or("")});
    Dataset& dataset = place->second;
    if (added) {
      dataset = load_dataset(data, files);
      dataset.features.clear();  // they have been read and checked; each run reads its own
      notices.insert(dataset.notices.begin(), dataset.notices.end());
    }
    if (!description.fingerprint.empty() && description.fingerprint != dataset.fingerprint)
      throw Error(fmt::format("--resume: {} is not the data that the search was begun on", data.string()));
    description.data = fs::canonical(data);
    description.fingerprint = dataset.fingerprint;
    description.interactions_fingerprint = dataset.interactions_fingerprint;
  }
  return notices;
}

/// The folder of a search while it is worked on, made where it is not there.
class SearchFolder {
 public:
  SearchFolder(const fs::path& path, const Search& search) : path_(path) {
    std::error_code error;
    const bool made = fs::create_directories(path, error);
    if (error) throw Error(fmt::format("{}: cannot be made: {}", path.string(), error.message()));
    try {
      lock_.emplace(path, "another process is working on this search", lock_patience);
      write(search);
    } catch (...) {
      if (made) {
        fs::remove(path / "lock", error);
        fs::remove(path, error);
      }
      throw;
    }
  }
  void write(const Search& search) const { write_search(path_, search); }
  const fs::path& path() const { return path_; }
  int lock() const { return lock_->descriptor(); }

 private:
  fs::path path_;
  std::optional<FolderLock> lock_;
};

/// Runs the waiting rows of a search, some at a time.
class Scheduler {
 public:
  Scheduler(const TuneOptions& options, Search& search, const SearchFolder& folder, std::int64_t jobs)
      : options_(options), search_(search), folder_(folder), jobs_(static_cast<std::size_t>(jobs)) {
    const std::int64_t asked = search.configuration().integer("threads");
    threads_ = asked > 0 ? asked : std::max<std::int64_t>(1, std::thread::hardware_concurrency());
    for (SearchRow& row : search.rows) {
      if (!row.result) waiting_.push_back(&row);
    }
  }

  /// Ends where no row waits any more, or the runs at hand have ended after a signal.
  void run();

 private:
  struct Job {
    Job(SearchRow& its_row, std::int64_t its_threads, const std::vector<std::string>& words, int lock)
        : row(its_row), threads(its_threads), process(words, lock) {}
    SearchRow& row;
    std::int64_t threads;
    TrainProcess process;
    Clock::time_point start = Clock::now();
    std::string last_line = "starts";  ///< of its progress
    std::string error;                 ///< its last word, where it is one
  };

  void start_next();
  void listen();
  void hear(Job& job, const std::string& line);
  void end(Job& job);
  void show();
  std::string time_left() const;
  bool stopped() const { return signal_ != 0; }

  const TuneOptions& options_;
  Search& search_;
  const SearchFolder& folder_;
  std::size_t jobs_;
  std::int64_t threads_;
  std::list<SearchRow*> waiting_;
  std::list<Job> running_;
  std::set<std::string> notices_;
  StatusLine line_;
  int signal_ = 0;
  double ended_seconds_ = 0.0;  ///< of the runs that ended in this process
  int ended_ = 0;
};

void Scheduler::run() {
  while (true) {
    if (const int received = SignalGuard::received(); received != 0 && !stopped()) {
      signal_ = received;
      for (const Job& job : running_) job.process.signal(signal_);
    }
    while (!stopped() && !waiting_.empty() && running_.size() < jobs_) start_next();
    if (running_.empty()) return;
    listen();
    show();
  }
}

void Scheduler::start_next() {
  SearchRow& row = *waiting_.front();
  waiting_.pop_front();
  // Threads change no bit of a result: the last runs may have those that nobody else is left to use.
  std::int64_t idle = threads_;
  for (const Job& job : running_) idle -= job.threads;
  const auto places = static_cast<std::int64_t>(std::min(jobs_ - running_.size(), waiting_.size() + 1));
  const std::int64_t threads = std::max<std::int64_t>(1, idle / places);

  const Configuration& configuration = row.description.configuration;
  const fs::path run = folder_.path() / row.run;
  std::vector<std::string> words = {options_.data, "--model",   configuration.model().name, "--output",
                                    run,           "--threads", std::to_string(threads)};
  for (const std::string& assignment : assignments_of(configuration))
    words.insert(words.end(), {"--set", assignment});
  // Said even where it is the default: a run may have been begun on another device.
  words.insert(words.end(), {"--device", configuration.text("device")});
  if (fs::exists(run)) words.push_back("--resume");
  row.error.clear();
  running_.emplace_back(row, threads, words, folder_.lock());
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
  } else if (!stopped() && !options_.quiet && notices_.insert(line).second) {
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
  folder_.write(search_);
  ended_seconds_ += Seconds(Clock::now() - job.start).count();
  ++ended_;
  if (options_.quiet) return;
  const std::string head = fmt::format("{}/{}  run {}  {}", search_.finished() + search_.failed(),
                                       search_.rows.size(), row.run, values_text(search_, row));
  if (row.result) {
    const TrainingResult& training = row.result->training;
    line_.finish(fmt::format("{}  best epoch {}  valid {} {:.4f}  {}{}", head, training.best_epoch,
                             search_.valid_metric(), training.valid.at(search_.valid_metric()),
                             duration_text(row.result->total_seconds), time_left()));
  } else {
    line_.finish(fmt::format("{}  failed: {}", head, row.error));
  }
}

/// Where the runs that have ended are a measure of those that have not.
std::string Scheduler::time_left() const {
  if (ended_ == 0 || waiting_.size() + running_.size() == 0) return {};
  const double each = ended_seconds_ / ended_;
  double seconds = each * static_cast<double>(waiting_.size());
  for (const Job& job : running_) seconds += std::max(0.0, each - Seconds(Clock::now() - job.start).count());
  const double at_a_time = static_cast<double>(std::min(jobs_, waiting_.size() + running_.size()));
  return seconds > 0.0 ? fmt::format("  about {} left", duration_text(seconds / at_a_time)) : std::string();
}

void Scheduler::show() {
  if (options_.quiet || !line_.terminal() || running_.empty()) return;
  std::string text = fmt::format("{}/{} done{}", search_.finished() + search_.failed(), search_.rows.size(),
                                 stopped() ? "  stopping" : time_left());
  for (const Job& job : running_)
    text += fmt::format("  | run {} {}: {}", job.row.run, values_text(search_, job.row), job.last_line);
  line_.rewrite(text);
}

/// Throws Error where `folder` is there and not one that this command may work in. Whether it has a search.
bool has_search(const fs::path& folder, bool resume) {
  if (!fs::exists(folder)) return false;
  if (!resume) {
    throw Error(fmt::format("{}: is there already; go on with it by --resume, or name another --output",
                            folder.string()));
  }
  if (!fs::is_directory(folder)) throw Error(fmt::format("{}: is not a folder", folder.string()));
  if (fs::exists(search_file(folder))) return true;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name != "lock" && name != ".tune.json.tmp")
      throw Error(fmt::format("{}: is not the folder of a search; it has no tune.json", folder.string()));
  }
  return false;
}

void run_tune(const TuneOptions& options) {
  SignalGuard signals;
  if (options.request.seed && options.request.seed->find(',') != std::string::npos) {
    throw UsageError(
        fmt::format("--seed {0}: a search has one seed; --grid seed={0} makes it a key of the grid",
                    *options.request.seed));
  }
  const std::int64_t jobs = parse_option("--jobs", options.jobs, 1, 1024);
  const fs::path folder =
      options.output.value_or(default_folder(options.data, model_of(options.request).name, "tune"));
  const bool goes_on = has_search(folder, options.resume);
  Search search = goes_on ? resumed_search(options, folder) : new_search(options);
  const std::string device = search.configuration().text("device");
  require_device(device);  // one that is not there is missed now, not in every run
  const std::set<std::string> notices = check_data(options.data, search);

  for (SearchRow& row : search.rows) {
    row.result = read_result(folder / row.run);
    if (row.result && row.result->description.identity() != row.description.identity()) row.result.reset();
  }
  signals.defer();
  const SearchFolder place(folder, search);
  if (!options.quiet) {
    if (options.resume && !goes_on)
      print_notice(fmt::format("{}: is not there yet; the search starts now", folder.string()));
    for (const std::string& text : notices) print_notice(text);
    fmt::print(stderr, "{} combinations, {} finished\n", search.rows.size(), search.finished());
  }
  Scheduler(options, search, place, jobs).run();
  if (SignalGuard::received() != 0 && search.finished() + search.failed() < search.rows.size()) {
    if (!options.quiet) {
      print_notice(fmt::format("stopped with {} of {} combinations finished; go on with --resume --output {}",
                               search.finished(), search.rows.size(), folder.string()));
    }
    throw ExitCode{128 + SignalGuard::received()};
  }
  fmt::print("{}", search_table(search));
  if (search.finished() > 0) fmt::print("{}\n", command_of(*search.ranking().front(), options.data.string()));
  if (search.failed() > 0) {
    std::fflush(stdout);
    throw Error(fmt::format("{} of {} combinations failed; --resume tries them again", search.failed(),
                            search.rows.size()));
  }
}

}  // namespace

void add_tune(CLI::App& app) {
  auto options = std::make_shared<TuneOptions>();
  CLI::App* command = app.add_subcommand("tune", "train every combination of a grid of settings");
  const auto add_list = [&](const char* name, std::vector<std::string>& list, const char* meaning) {
    command->add_option(name, list, meaning)->expected(1)->allow_extra_args(false)->take_all();
  };
  command->add_option("DATA", options->data, "folder of the data set")->required();
  add_list("--grid", options->grid, "key=value,value,... as often as there are keys to search");
  command->add_option("--model", options->request.model, "see sea models (default: sea)");
  command->add_option("--config", options->request.config,
                      "JSON file of configuration keys, comments allowed");
  add_list("--set", options->request.assignments, "key=value of all runs, as often as there are keys to set");
  command->add_option("--jobs", options->jobs, "runs at a time (default: 1)");
  command->add_option("--device", options->request.device, "auto, cpu, cuda or cuda:N");
  command->add_option("--threads", options->request.threads, "of the processor, for all runs; 0 takes all");
  command->add_option("--output", options->output, "folder of the search (default: runs/DATA-MODEL-tune)");
  command->add_option("--seed", options->request.seed, "of every run");
  command->add_option("--epochs", options->request.epochs, "of a run at most");
  command->add_flag("--resume", options->resume, "go on with a search that was interrupted");
  command->add_flag("--quiet", options->quiet, "no progress, no notices");
  command->callback([options] { run_tune(*options); });
}

}  // namespace sea
