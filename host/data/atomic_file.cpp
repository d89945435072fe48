#include "data/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <streambuf>
#include <system_error>
#include <vector>

#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& file, int reason) {
  throw Error(fmt::format("{}: cannot be written: {}", file.string(), std::strerror(reason)));
}

/// A file descriptor that is closed at the end of its scope.
class Descriptor {
 public:
  Descriptor(const fs::path& file, int flags) : value_(::open(file.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value() const { return value_; }

 private:
  int value_;
};

/// Bytes to a descriptor, keeping the reason of a failure, which std::ofstream loses.
class DescriptorBuffer : public std::streambuf {
 public:
  explicit DescriptorBuffer(int descriptor) : descriptor_(descriptor), buffer_(1 << 18) { reset(); }
  int reason() const { return reason_; }

 protected:
  int_type overflow(int_type character) override {
    if (sync() != 0) return traits_type::eof();
    if (!traits_type::eq_int_type(character, traits_type::eof()))
      return sputc(traits_type::to_char_type(character));
    return traits_type::not_eof(character);
  }

  std::streamsize xsputn(const char* bytes, std::streamsize count) override {
    if (count == 0) return 0;
    if (count <= epptr() - pptr()) {
      std::memcpy(pptr(), bytes, static_cast<std::size_t>(count));
      pbump(static_cast<int>(count));
      return count;
    }
    return sync() == 0 && write_all(bytes, static_cast<std::size_t>(count)) ? count : 0;
  }

  int sync() override {
    const bool written = write_all(pbase(), static_cast<std::size_t>(pptr() - pbase()));
    reset();
    return written ? 0 : -1;
  }

 private:
  void reset() { setp(buffer_.data(), buffer_.data() + buffer_.size()); }

  bool write_all(const char* bytes, std::size_t count) {
    while (count > 0) {
      const ssize_t written = ::write(descriptor_, bytes, count);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        reason_ = written < 0 ? errno : ENOSPC;
        return false;
      }
      bytes += written;
      count -= static_cast<std::size_t>(written);
    }
    return true;
  }

  int descriptor_;
  int reason_ = EIO;
  std::vector<char> buffer_;
};

bool flush_to_disk(int descriptor) {
  while (::fsync(descriptor) != 0) {
    // EINVAL: a file system that has nothing to flush to.
    if (errno != EINTR) return errno == EINVAL;
  }
  return true;
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& file) : file_(file) {
  std::error_code error;
  if (fs::is_symlink(file, error)) file_ = fs::weakly_canonical(file, error);
  const fs::file_status status = fs::status(file_, error);
  if (fs::is_directory(status)) throw Error(fmt::format("{}: is a folder, not a file", file_.string()));
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw Error(fmt::format("{}: is a device or pipe; give the name of a file", file_.string()));
  if (!file_.has_filename()) throw Error(fmt::format("'{}': is not the name of a file", file_.string()));
  const fs::path folder = file_.parent_path();
  if (!folder.empty() && !fs::is_directory(folder, error))
    throw Error(fmt::format("{}: cannot be written: there is no folder {}", file_.string(), folder.string()));
  // One fixed name, so that what a killed process left is overwritten by the next.
  temporary_ = folder / fmt::format(".{}.tmp", file_.filename().string());
}

AtomicFile::~AtomicFile() {
  std::error_code ignored;
  if (!committed_) fs::remove(temporary_, ignored);
}

void AtomicFile::commit() {
  {
    const Descriptor written(temporary_, O_RDONLY);
    if (written.value() < 0 || !flush_to_disk(written.value())) fail(file_, errno);
  }
  if (std::rename(temporary_.c_str(), file_.c_str()) != 0) fail(file_, errno);
  committed_ = true;
  // The rename itself reaches the disk with its folder. Where that fails the file is whole all the same.
  const fs::path folder = file_.has_parent_path() ? file_.parent_path() : fs::path(".");
  const Descriptor directory(folder, O_RDONLY | O_DIRECTORY);
  if (directory.value() >= 0) flush_to_disk(directory.value());
}

void write_atomically(const fs::path& file, const std::function<void(std::ostream&)>& write) {
  AtomicFile pending(file);
  {
    const Descriptor descriptor(pending.temporary(), O_WRONLY | O_CREAT | O_TRUNC);
    if (descriptor.value() < 0) fail(file, errno);
    DescriptorBuffer buffer(descriptor.value());
    std::ostream out(&buffer);
    write(out);
    if (!out.flush()) fail(file, buffer.reason());
  }
  pending.commit();
}

}  // namespace sea
