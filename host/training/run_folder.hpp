#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "configuration/configuration.hpp"
#include "training/folder_lock.hpp"

namespace sea {

/// What config.json of a run says.
struct RunDescription {
  Configuration configuration;
  std::filesystem::path data;  ///< absolute
  std::string fingerprint, interactions_fingerprint;
  std::string ids_fingerprint = {};  ///< of the original ids; empty where there are none

  /// 16 hexadecimal digits over everything that the result depends on: what a checkpoint must agree with.
  std::string identity() const;
};

nlohmann::ordered_json to_json(const RunDescription& description);
/// Back again; throws Error, beginning with `source`, where `json` is no such description.
RunDescription run_description_of(const nlohmann::ordered_json& json, const std::string& source);

/// Throws Error where `run` is no run, or its config.json is damaged.
RunDescription read_run(const std::filesystem::path& run);

/// A run's folder while it is trained: only one process at a time holds it. Files: config.json,
/// metrics.jsonl, checkpoint.safetensors, best.safetensors, result.json, and `lock`.
class RunFolder {
 public:
  /// Makes the folder and writes config.json. Throws Error that names --resume where `path` is there. What
  /// was made is removed again with this object, unless `keep` was called: a training that fails before it
  /// has anything to show leaves nothing behind.
  RunFolder(const std::filesystem::path& path, const RunDescription& description);
  /// Takes up a run that is there, or an empty folder, which is left empty where the training fails before it
  /// has anything to show. Throws Error where another process holds it, and where the folder is none of a
  /// run.
  explicit RunFolder(const std::filesystem::path& path);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  void keep() { keep_ = true; }
  /// What its checkpoints must agree with, see RunDescription::identity.
  const std::string& identity() const { return identity_; }
  void set_identity(const RunDescription& description) { identity_ = description.identity(); }
  /// Whether config.json is there: it is not where the folder was empty.
  bool has_description() const;
  /// Writes config.json where it is missing or says something else.
  void describe(const RunDescription& description);

  /// Throws Error where the folder's file system has less than `bytes` left.
  void require_space(std::int64_t bytes) const;

  /// Adds a line to metrics.jsonl: whole, or not at all.
  void append_metrics(const nlohmann::ordered_json& line);
  /// Brings metrics.jsonl to the disk.
  void flush_metrics() const;
  /// Cuts metrics.jsonl after its first `epochs` lines; returns the seconds they tell of. Throws Error where
  /// they are not there.
  double cut_metrics(std::int64_t epochs);

  void write_result(const nlohmann::ordered_json& result);
  void remove_result();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoint_file() const;
  std::filesystem::path best_file() const;

 private:
  void lock();
  void remove_made() noexcept;

  std::filesystem::path path_;
  std::filesystem::path first_made_;  ///< the topmost folder that was made, empty for a run taken up
  std::string identity_;
  std::optional<FolderLock> lock_;
  bool keep_ = true;
};

/// `run`/checkpoint.safetensors, `run`/best.safetensors and `run`/result.json.
std::filesystem::path checkpoint_file(const std::filesystem::path& run);
std::filesystem::path best_file(const std::filesystem::path& run);
std::filesystem::path result_file(const std::filesystem::path& run);

/// Reads a JSON object that a run left; throws Error where it is damaged.
nlohmann::ordered_json read_json(const std::filesystem::path& file);
/// Likewise of its text, which the messages say is that of `file`.
nlohmann::ordered_json parse_run_json(const std::filesystem::path& file, std::string_view text);

/// Writes `file`, whole or not at all.
void write_json(const std::filesystem::path& file, const nlohmann::ordered_json& json);

/// The first lines of a metrics.jsonl.
struct MetricsLines {
  std::size_t bytes = 0;  ///< that they take
  double seconds = 0.0;   ///< that they tell of
};
/// Those of epochs 0 to `epochs` - 1. Throws Error, beginning with `file`, where `text` begins with others.
MetricsLines parse_metrics(const std::filesystem::path& file, std::string_view text, std::int64_t epochs);

}  // namespace sea
