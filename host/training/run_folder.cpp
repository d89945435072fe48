#include "training/run_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

#include "configuration/registry.hpp"
#include "data/atomic_file.hpp"
#include "data/json_text.hpp"
#include "data/memory.hpp"
#include "sea/error.hpp"
#include "sea/version.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

fs::path config_file(const fs::path& run) {
  return run / "config.json";
}
fs::path metrics_file(const fs::path& run) {
  return run / "metrics.jsonl";
}

std::string read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw Error(fmt::format("{}: cannot be read", file.string()));
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string text_of(const Json& json, const char* key, const std::string& source) {
  if (!json.contains(key) || !json[key].is_string())
    throw Error(fmt::format("{}: is not that of a run; it has no '{}'", source, key));
  return json[key].get<std::string>();
}

/// Keys whose change leaves every number of a run as it is, or only makes it longer.
bool changes_no_result(const std::string& key) {
  return key == "epochs" || key == "device" || key == "threads";
}

[[noreturn]] void write_failed(const fs::path& file, int reason) {
  throw Error(fmt::format("{}: cannot be written: {}", file.string(), std::strerror(reason)));
}

}  // namespace

fs::path checkpoint_file(const fs::path& run) {
  return run / "checkpoint.safetensors";
}
fs::path best_file(const fs::path& run) {
  return run / "best.safetensors";
}
fs::path result_file(const fs::path& run) {
  return run / "result.json";
}

Json read_json(const fs::path& file) {
  return parse_run_json(file, read_text(file));
}

Json parse_run_json(const fs::path& file, std::string_view text) {
  Json json = parse_json<Json>(text, false, true);
  if (!json.is_object()) throw Error(fmt::format("{}: is damaged; it is not a JSON object", file.string()));
  return json;
}

void write_json(const fs::path& file, const Json& json) {
  write_atomically(file, [&](std::ostream& out) { out << json.dump(2) << '\n'; });
}

std::string RunDescription::identity() const {
  std::string text = configuration.model().name + "\n" + fingerprint + "\n";
  for (const Key& key : configuration.model().keys) {
    if (!changes_no_result(key.name))
      text += fmt::format("{}={}\n", key.name, to_text(configuration.value(key.name)));
  }
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

Json to_json(const RunDescription& description) {
  Json json = to_json(description.configuration);
  json["data"] = description.data.string();
  json["fingerprint"] = description.fingerprint;
  json["interactions_fingerprint"] = description.interactions_fingerprint;
  if (!description.ids_fingerprint.empty()) json["ids_fingerprint"] = description.ids_fingerprint;
  json["version"] = SEA_VERSION;
  return json;
}

RunDescription run_description_of(const Json& json, const std::string& source) {
  try {
    return {configuration_of(json, source), text_of(json, "data", source),
            text_of(json, "fingerprint", source), text_of(json, "interactions_fingerprint", source),
            json.contains("ids_fingerprint") ? text_of(json, "ids_fingerprint", source) : ""};
  } catch (const UsageError& error) {
    throw Error(error.what());  // here it is state that is wrong, not how the command was used
  }
}

RunDescription read_run(const fs::path& run) {
  const fs::path file = config_file(run);
  std::error_code ignored;
  if (!fs::is_directory(run, ignored)) throw Error(fmt::format("{}: there is no run here", run.string()));
  if (!fs::is_regular_file(file, ignored))
    throw Error(fmt::format("{}: is not the folder of a run; it has no config.json", run.string()));
  return run_description_of(read_json(file), file.string());
}

RunFolder::RunFolder(const fs::path& path, const RunDescription& description)
    : path_(fs::absolute(path).lexically_normal()), identity_(description.identity()), keep_(false) {
  if (!path_.has_filename()) path_ = path_.parent_path();
  first_made_ = path_;
  std::error_code error;
  while (first_made_.has_relative_path() && !fs::exists(first_made_.parent_path(), error))
    first_made_ = first_made_.parent_path();
  if (path_.has_parent_path()) fs::create_directories(path_.parent_path(), error);
  if (error || !fs::create_directory(path_, error)) {
    if (error) throw Error(fmt::format("{}: cannot be made: {}", path_.string(), error.message()));
    throw Error(fmt::format("{}: is there already; go on with it by --resume, or name another --output",
                            path.string()));
  }
  try {
    lock();
    describe(description);
  } catch (...) {
    remove_made();
    throw;
  }
}

RunFolder::RunFolder(const fs::path& path) : path_(fs::absolute(path).lexically_normal()) {
  if (!path_.has_filename()) path_ = path_.parent_path();
  if (!fs::is_directory(path_)) throw Error(fmt::format("{}: is not a folder", path.string()));
  if (!has_description()) {
    for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
      const std::string name = entry.path().filename().string();
      if (name != "lock" && name != ".config.json.tmp")
        throw Error(fmt::format("{}: is not the folder of a run; it has no config.json", path.string()));
    }
    keep_ = false;
  }
  lock();
}

RunFolder::~RunFolder() {
  if (!keep_) remove_made();
}

void RunFolder::lock() {
  lock_.emplace(path_, "another process is training this run");
}

void RunFolder::remove_made() noexcept {
  std::error_code ignored;
  for (const char* name : {"config.json", "metrics.jsonl", "lock"}) fs::remove(path_ / name, ignored);
  if (first_made_.empty()) return;  // somebody else made the folder
  // `remove` takes empty folders alone: what somebody else put there stays.
  for (fs::path folder = path_; fs::remove(folder, ignored) && folder != first_made_;)
    folder = folder.parent_path();
}

bool RunFolder::has_description() const {
  std::error_code ignored;
  return fs::exists(config_file(path_), ignored);
}

void RunFolder::describe(const RunDescription& description) {
  const Json json = to_json(description);
  if (has_description() && read_json(config_file(path_)) == json) return;
  write_json(config_file(path_), json);
}

void RunFolder::require_space(std::int64_t bytes) const {
  std::error_code error;
  const fs::space_info space = fs::space(path_, error);
  if (error || space.available >= static_cast<std::uintmax_t>(bytes)) return;
  throw Error(fmt::format("{}: the disk has {} left; checkpoints of this run take {}", path_.string(),
                          bytes_text(static_cast<std::int64_t>(space.available)), bytes_text(bytes)));
}

void RunFolder::append_metrics(const Json& line) {
  const fs::path file = metrics_file(path_);
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) write_failed(file, errno);
  const off_t before = ::lseek(descriptor, 0, SEEK_END);
  const std::string text = line.dump() + "\n";
  std::size_t written = 0;
  int reason = 0;
  while (written < text.size() && reason == 0) {
    const ssize_t count = ::write(descriptor, text.data() + written, text.size() - written);
    if (count > 0) written += static_cast<std::size_t>(count);
    if (count <= 0 && errno != EINTR) reason = count < 0 ? errno : ENOSPC;
  }
  if (reason != 0 && ::ftruncate(descriptor, before) != 0) reason = errno;
  ::close(descriptor);
  if (reason != 0) write_failed(file, reason);
}

void RunFolder::flush_metrics() const {
  const fs::path file = metrics_file(path_);
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0 && errno == ENOENT) return;  // no epoch has ended yet
  const bool flushed = descriptor >= 0 && (::fsync(descriptor) == 0 || errno == EINVAL);
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!flushed) write_failed(file, reason);
}

double RunFolder::cut_metrics(std::int64_t epochs) {
  const fs::path file = metrics_file(path_);
  const std::string text = fs::exists(file) ? read_text(file) : "";
  const MetricsLines kept = parse_metrics(file, text, epochs);
  if (kept.bytes != text.size()) {
    std::error_code error;
    fs::resize_file(file, kept.bytes, error);
    if (error) throw Error(fmt::format("{}: cannot be cut: {}", file.string(), error.message()));
  }
  return kept.seconds;
}

MetricsLines parse_metrics(const fs::path& file, std::string_view text, std::int64_t epochs) {
  MetricsLines lines;
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    const std::size_t newline = text.find('\n', lines.bytes);
    const Json line = newline == std::string_view::npos
                          ? Json()
                          : parse_json<Json>(text.substr(lines.bytes, newline - lines.bytes));
    const auto number = [&](const char* key) {
      return line.is_object() && line.contains(key) && line[key].is_number();
    };
    if (!number("epoch") || line["epoch"] != epoch || !number("train_seconds") || !number("eval_seconds")) {
      throw Error(fmt::format("{}, line {}: is not that of epoch {}, which the checkpoint has behind it",
                              file.string(), epoch + 1, epoch));
    }
    lines.seconds += line["train_seconds"].get<double>() + line["eval_seconds"].get<double>();
    lines.bytes = newline + 1;
  }
  return lines;
}

void RunFolder::write_result(const Json& result) {
  write_json(result_file(path_), result);
}

void RunFolder::remove_result() {
  std::error_code error;
  fs::remove(result_file(path_), error);
  if (error)
    throw Error(fmt::format("{}: cannot be removed: {}", result_file(path_).string(), error.message()));
}

fs::path RunFolder::checkpoint_file() const {
  return sea::checkpoint_file(path_);
}
fs::path RunFolder::best_file() const {
  return sea::best_file(path_);
}

}  // namespace sea
