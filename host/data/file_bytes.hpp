#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sea {

/// A regular file opened for reading, and its length. Throws Error where it is missing, a folder or
/// unreadable.
struct InputFile {
  explicit InputFile(const std::filesystem::path& file);
  /// Reads from `content`, which must live as long, and which the messages say is that of `file`.
  InputFile(const std::filesystem::path& file, std::string_view content);
  /// Reads exactly `count` bytes. Throws Error where they are not there.
  void read(void* bytes, std::int64_t count);

  std::filesystem::path path;
  std::int64_t size = 0;  ///< bytes

 private:
  std::ifstream stream_;
  std::optional<std::string_view> content_;  ///< what is left of it
};

/// The whole of a file.
std::vector<char> read_bytes(const std::filesystem::path& file);

/// The XXH3 hash of a file's bytes.
std::uint64_t hash_file(const std::filesystem::path& file);

/// `text` for an error message: at most `longest` bytes, what is not printable ASCII as `?`.
std::string printable(std::string_view text, std::size_t longest = 40);

/// "1 pair", "2 pairs", "12,345 pairs".
std::string counted(std::int64_t count, std::string_view singular);

/// 12345678 as "12,345,678".
std::string grouped(std::int64_t number);

/// The names in `folder` that end in `extension` (".npy"), sorted, comma-separated; "none" where there are
/// none.
std::string list_files(const std::filesystem::path& folder, std::string_view extension);

}  // namespace sea
