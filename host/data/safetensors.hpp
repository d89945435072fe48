#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace sea {

/// One array to be written. `dtype` is the format's name: F32, F64, I32, I64.
struct SafetensorsArray {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  const void* data = nullptr;
};

/// Writes a .safetensors file (little-endian header length, JSON header, data): to a temporary file beside it
/// that is flushed to the disk and renamed, so that a reader sees the old file or the whole new one. Throws
/// Error, and leaves no temporary file behind, where the disk is full. Adds a checksum of everything to the
/// metadata under the name "xxh3".
void write_safetensors(const std::filesystem::path& file, const std::vector<SafetensorsArray>& arrays,
                       const std::map<std::string, std::string>& metadata);

/// A .safetensors file read whole.
class Safetensors {
 public:
  /// Throws Error for a file that is missing, truncated, of another format, or against its own checksum
  /// (which `metadata()` leaves out; a file of another writer has none).
  static Safetensors read(const std::filesystem::path& file);

  /// Likewise of `content`, which the messages say is that of `file`.
  static Safetensors parse(const std::filesystem::path& file, std::vector<char> content);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(const std::string& name) const { return arrays_.count(name) != 0; }
  std::vector<std::string> names() const;
  const std::vector<std::int64_t>& shape(const std::string& name) const;
  /// The numbers of an array. Throws Error where the array is missing or of another type.
  std::vector<float> floats(const std::string& name) const;
  std::vector<std::int64_t> integers(const std::string& name) const;
  /// The bytes of an array of floats, where they lie in the file; for arrays too large to be copied idly.
  std::span<const char> float_bytes(const std::string& name) const;

 private:
  struct Entry {
    std::string dtype;
    std::vector<std::int64_t> shape;
    std::size_t begin = 0, end = 0;
  };
  const Entry& find(const std::string& name, const std::string& dtype) const;

  std::filesystem::path file_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Entry> arrays_;
  std::vector<char> bytes_;
};

}  // namespace sea
