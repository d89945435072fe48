#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace sea {

/// The file `lock` in a folder, held as long as this lives and by one process at a time.
class FolderLock {
 public:
  /// Throws Error "FOLDER: `busy`" where another process still holds it after `patience`.
  FolderLock(const std::filesystem::path& folder, const std::string& busy,
             std::chrono::milliseconds patience = {});
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// A process that inherits it holds the lock as well.
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

}  // namespace sea
