#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>

namespace sea {

/// A file on its way: whoever fills `temporary()`, a hidden file in the same folder, calls `commit()` to
/// flush it to the disk and rename it over `file`. Without a commit the temporary file is removed.
class AtomicFile {
 public:
  /// Throws Error where `file` cannot be a file: its folder is missing, or a folder or device has its name.
  explicit AtomicFile(const std::filesystem::path& file);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }
  /// Throws Error, naming the file and the reason (a full disk, say).
  void commit();

 private:
  std::filesystem::path file_, temporary_;
  bool committed_ = false;
};

/// Writes `file` so that it is there whole or not at all: `write` fills a temporary file in the same folder,
/// which is flushed to the disk and renamed over `file`. On failure the temporary file is removed and Error
/// is thrown, naming the file and the reason (a full disk, say).
void write_atomically(const std::filesystem::path& file, const std::function<void(std::ostream&)>& write);

}  // namespace sea
