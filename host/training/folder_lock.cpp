#include "training/folder_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "sea/error.hpp"

namespace sea {

FolderLock::FolderLock(const std::filesystem::path& folder, const std::string& busy,
                       std::chrono::milliseconds patience) {
  const std::filesystem::path file = folder / "lock";
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0)
    throw Error(fmt::format("{}: cannot be written: {}", file.string(), std::strerror(errno)));
  const auto end = std::chrono::steady_clock::now() + patience;
  while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    if (reason == EWOULDBLOCK && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    ::close(descriptor_);
    if (reason != EWOULDBLOCK)
      throw Error(fmt::format("{}: cannot be locked: {}", file.string(), std::strerror(reason)));
    throw Error(fmt::format("{}: {}", folder.string(), busy));
  }
}

FolderLock::~FolderLock() {
  ::close(descriptor_);
}

}  // namespace sea
