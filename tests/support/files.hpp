#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace sea::test {

/// A fresh folder that is removed with everything in it at the end of its scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Writes `content` as it is; the file's folder is made where it is missing.
void write_file(const std::filesystem::path& file, std::string_view content);
std::string read_file(const std::filesystem::path& file);

/// The repository.
std::filesystem::path source_folder();

/// The message of the sea::Error that `action` throws; empty where it throws none.
std::string error_of(const std::function<void()>& action);

bool contains(std::string_view text, std::string_view part);

/// How many entries a folder has, hidden ones too.
int entry_count(const std::filesystem::path& folder);

}  // namespace sea::test
