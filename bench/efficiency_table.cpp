// The paper's Table 5, measured here: memory and seconds per epoch of each model on each data set, each in a
// fresh process (docs/performance.md).

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "configuration/registry.hpp"
#include "data/atomic_file.hpp"
#include "data/file_bytes.hpp"
#include "data/synth.hpp"
#include "efficiency/measurement.hpp"
#include "efficiency/paper.hpp"
#include "efficiency/report.hpp"
#include "sea/error.hpp"
#include "support/provenance.hpp"
#include "training/device.hpp"
#include "training/signals.hpp"

namespace sea::bench {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  std::vector<std::string> datasets = paper_datasets(), models;
  std::string device = "auto", format = "text";
  std::optional<fs::path> data, output;
  std::int64_t batches = 0, threads = 0;
  fs::path measure;  ///< of the process that measures one row: where its result goes
};

struct Stopped {
  int signal;
};

void stop_where_asked() {
  if (SignalGuard::received() != 0) throw Stopped{SignalGuard::received()};
}

/// A folder for what is made on the way, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "efficiency_table.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error(name + ": cannot be made");
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// The paper's, in the order of its columns, and the further ones. `sea` itself is SEAa by another name.
std::vector<std::string> known_models() {
  std::vector<std::string> known = paper_models();
  for (const ModelDescription& model : models()) {
    const bool there = std::find(known.begin(), known.end(), model.name) != known.end();
    if (!there && model.presets.empty()) known.push_back(model.name);
  }
  return known;
}

/// The names out of `known` that `names` mean, in any case. Throws UsageError.
std::vector<std::string> chosen(const char* option, const std::vector<std::string>& names,
                                const std::vector<std::string>& known) {
  std::vector<std::string> result;
  for (const std::string& name : names) {
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const std::string& k) { return to_lower(k) == to_lower(name); });
    if (found == known.end())
      throw UsageError(fmt::format("{} {}: may be {}", option, printable(name), fmt::join(known, ", ")));
    result.push_back(*found);
  }
  return result;
}

/// Where a data set lies, and what it is.
struct Data {
  fs::path folder;
  std::string what;
};

Data make_data(const std::string& name, const std::optional<fs::path>& real, const fs::path& scratch) {
  constexpr std::uint64_t seed = 999;
  const SynthProgress progress = [](const char*, double) { stop_where_asked(); };
  const SynthSizes sizes = synth_preset(name);
  if (!real) {
    synthesize(scratch / name, sizes, seed, progress);
    return {scratch / name, "synthetic interactions and features of its size"};
  }
  const fs::path folder = *real / name;
  if (fs::exists(folder / "image_feat.npy") && fs::exists(folder / "text_feat.npy"))
    return {folder, "interactions and features of " + folder.string()};
  synthesize_like(scratch / name, folder, sizes.visual_width, sizes.textual_width, seed, progress);
  return {scratch / name, "interactions of " + folder.string() + ", synthetic features"};
}

/// One row in a process of its own.
Json measure_apart(const std::string& dataset, const std::string& model, const Data& data,
                   const Options& options, const fs::path& scratch) {
  const fs::path result = scratch / "row.json";
  std::vector<std::string> words = {"efficiency_table",
                                    "--measure",
                                    result.string(),
                                    "--models",
                                    model,
                                    "--data",
                                    data.folder.string(),
                                    "--device",
                                    options.device,
                                    "--threads",
                                    std::to_string(options.threads)};
  if (options.batches > 0) words.insert(words.end(), {"--batches", std::to_string(options.batches)});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments.data(), environ) != 0)
    throw Error("/proc/self/exe: cannot be started again to measure a row");
  int status = 0;
  for (bool told = false; waitpid(child, &status, WNOHANG) == 0;) {
    if (SignalGuard::received() != 0 && !told) {
      kill(child, SIGTERM);
      told = true;
    }
    usleep(10'000);
  }
  stop_where_asked();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(fmt::format("{}, {}: the process that measures it {} {}; nothing is written", dataset, model,
                            WIFEXITED(status) ? "ended with code" : "was ended by signal",
                            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)));
  const std::vector<char> bytes = read_bytes(result);
  return Json::parse(bytes.begin(), bytes.end());
}

/// Everything that would end a run of an hour at its end is asked at its start.
void check(Options& options) {
  options.datasets = chosen("--datasets", options.datasets, paper_datasets());
  const std::vector<std::string> known = known_models();
  options.models = options.models.empty() ? known : chosen("--models", options.models, known);
  require_device(options.device);
  if (options.output) {
    const fs::path parent = options.output->parent_path();
    if (!parent.empty() && !fs::is_directory(parent))
      throw UsageError(fmt::format("--output {}: its folder is not there", options.output->string()));
  }
  if (!options.data) return;
  for (const std::string& name : options.datasets) {
    const fs::path file = *options.data / name / (name + ".inter");
    if (!fs::exists(file))
      throw UsageError(fmt::format("--data {}: {} is not there", options.data->string(), file.string()));
  }
}

void run(Options options) {
  if (!options.measure.empty()) {
    const Json row = measure_epoch(
        {options.models.at(0), *options.data, options.device, options.threads, options.batches});
    write_atomically(options.measure, [&](std::ostream& out) { out << row << '\n'; });
    return;
  }
  check(options);
  SignalGuard signals;
  signals.defer();
  const ScratchFolder scratch;
  Json report = provenance();
  report["data"] = Json::object();
  report["rows"] = Json::array();
  for (const std::string& dataset : options.datasets) {
    fmt::print(stderr, "{}: its data\n", dataset);
    const Data data = make_data(dataset, options.data, scratch.path());
    report["data"][dataset] = data.what;
    for (const std::string& model : options.models) {
      fmt::print(stderr, "{}: {}\n", dataset, model);
      report["rows"].push_back(
          beside_paper(dataset, measure_apart(dataset, model, data, options, scratch.path())));
    }
    if (data.folder.parent_path() == scratch.path()) fs::remove_all(data.folder);
  }
  fmt::print("{}", options.format == "markdown" ? as_markdown(report) : as_text(report));
  if (options.output)
    write_atomically(*options.output, [&](std::ostream& out) { out << report.dump(1) << '\n'; });
}

int main_of(int argc, char** argv) {
  Options options;
  CLI::App app("measures the paper's Table 5: memory and seconds per epoch", "efficiency_table");
  app.add_option("--device", options.device, "auto, cpu, cuda or cuda:N");
  app.add_option("--datasets", options.datasets, "out of baby,sports,clothing")->delimiter(',');
  app.add_option("--models", options.models,
                 fmt::format("out of {} (all of them without it)", fmt::join(known_models(), ",")))
      ->delimiter(',');
  app.add_option(
      "--data", options.data,
      "folder with baby/, sports/, clothing/; features are made where a folder has none. Without it "
      "everything is made");
  app.add_option("--batches", options.batches, "time so many batches of an epoch and scale")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--threads", options.threads, "0 takes all")->check(CLI::Range(0, 1024));
  app.add_option("--output", options.output, "JSON file to write");
  app.add_option("--format", options.format, "text or markdown")->check(CLI::IsMember({"text", "markdown"}));
  app.add_option("--measure", options.measure)->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "error: {}\nsee efficiency_table --help\n", error.what());
    return 2;
  }
  run(options);
  return 0;
}

}  // namespace

}  // namespace sea::bench

int main(int argc, char** argv) {
  try {
    return sea::bench::main_of(argc, argv);
  } catch (const sea::bench::Stopped& stopped) {
    fmt::print(stderr, "note: stopped; nothing was written\n");
    return 128 + stopped.signal;
  } catch (const sea::UsageError& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
