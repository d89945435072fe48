#include "data/file_bytes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

#include "sea/error.hpp"

namespace sea {

namespace fs = std::filesystem;

InputFile::InputFile(const fs::path& file) : path(file) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (!fs::exists(status)) throw Error(fmt::format("{}: no such file", file.string()));
  if (!fs::is_regular_file(status)) throw Error(fmt::format("{}: is not a regular file", file.string()));
  size = static_cast<std::int64_t>(fs::file_size(file, error));
  if (!error) stream_.open(file, std::ios::binary);
  if (error || !stream_)
    throw Error(fmt::format("{}: cannot be read: {}", file.string(), std::strerror(errno)));
}

InputFile::InputFile(const fs::path& file, std::string_view content)
    : path(file), size(static_cast<std::int64_t>(content.size())), content_(content) {}

void InputFile::read(void* bytes, std::int64_t count) {
  std::int64_t there = 0;
  if (content_) {
    there =
        static_cast<std::int64_t>(content_->copy(static_cast<char*>(bytes), static_cast<std::size_t>(count)));
    content_->remove_prefix(static_cast<std::size_t>(there));
  } else {
    stream_.read(static_cast<char*>(bytes), static_cast<std::streamsize>(count));
    there = stream_.gcount();
  }
  if (there != count)
    throw Error(fmt::format("{}: cannot be read to its end; it changed or the disk fails", path.string()));
}

std::vector<char> read_bytes(const fs::path& file) {
  InputFile input(file);
  std::vector<char> bytes(static_cast<std::size_t>(input.size));
  input.read(bytes.data(), input.size);
  return bytes;
}

std::uint64_t hash_file(const fs::path& file) {
  InputFile input(file);
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  std::vector<char> block(1 << 20);
  for (std::int64_t left = input.size; left > 0;) {
    const std::int64_t count = std::min<std::int64_t>(left, static_cast<std::int64_t>(block.size()));
    input.read(block.data(), count);
    XXH3_64bits_update(state.get(), block.data(), static_cast<std::size_t>(count));
    left -= count;
  }
  return XXH3_64bits_digest(state.get());
}

std::string printable(std::string_view text, std::size_t longest) {
  std::string result(text.substr(0, longest));
  for (char& c : result) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text.size() > longest ? result + "..." : result;
}

std::string counted(std::int64_t count, std::string_view singular) {
  return fmt::format("{} {}{}", grouped(count), singular, count == 1 ? "" : "s");
}

std::string grouped(std::int64_t number) {
  const std::string digits = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > first && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string list_files(const fs::path& folder, std::string_view extension) {
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == extension) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace sea
