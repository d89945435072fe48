#include "data/safetensors.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "data/atomic_file.hpp"
#include "data/file_bytes.hpp"
#include "data/json_text.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// Where a writer of ours keeps the hash of header and data, so that a flipped bit is noticed.
constexpr const char* checksum_key = "xxh3";
constexpr const char* metadata_key = "__metadata__";
constexpr std::size_t prefix_bytes = 8;

std::optional<std::int64_t> dtype_bytes(const std::string& dtype) {
  static const std::map<std::string, std::int64_t> sizes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"I16", 2}, {"U16", 2}, {"F16", 2}, {"BF16", 2},
      {"I32", 4},  {"U32", 4}, {"F32", 4}, {"I64", 8}, {"U64", 8}, {"F64", 8}};
  const auto found = sizes.find(dtype);
  if (found == sizes.end()) return {};
  return found->second;
}

/// Bytes of an array; nothing where the type is unknown or the size passes 2^63.
std::optional<std::int64_t> array_bytes(const std::string& dtype, const std::vector<std::int64_t>& shape) {
  const std::optional<std::int64_t> element = dtype_bytes(dtype);
  if (!element) return {};
  std::int64_t bytes = *element;
  for (const std::int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) return {};
  }
  return bytes;
}

std::string dump(const Json& header) {
  return header.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The hash of a header without its checksum and of the data that follows it.
class Checksum {
 public:
  explicit Checksum(const Json& header) : state_(XXH3_createState(), &XXH3_freeState) {
    XXH3_64bits_reset(state_.get());
    const std::string text = dump(header);
    add(text.data(), text.size());
  }
  void add(const void* bytes, std::size_t count) {
    if (count > 0) XXH3_64bits_update(state_.get(), bytes, count);
  }
  std::string text() const { return fmt::format("{:016x}", XXH3_64bits_digest(state_.get())); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

[[noreturn]] void malformed(const fs::path& file, const std::string& why) {
  throw Error(fmt::format("{}: is not a whole .safetensors file: {}", file.string(), why));
}

}  // namespace

void write_safetensors(const fs::path& file, const std::vector<SafetensorsArray>& arrays,
                       const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  header[metadata_key] = metadata;
  std::vector<std::size_t> sizes;
  std::int64_t offset = 0;
  for (const SafetensorsArray& array : arrays) {
    const std::optional<std::int64_t> bytes = array_bytes(array.dtype, array.shape);
    if (!bytes)
      throw Error(fmt::format("{}: array '{}' has dtype '{}' or a shape that cannot be written",
                              file.string(), array.name, array.dtype));
    if (header.contains(array.name))
      throw Error(fmt::format("{}: two arrays are named '{}'", file.string(), array.name));
    header[array.name] = {
        {"dtype", array.dtype}, {"shape", array.shape}, {"data_offsets", {offset, offset + *bytes}}};
    sizes.push_back(static_cast<std::size_t>(*bytes));
    offset += *bytes;
  }
  Checksum checksum(header);
  for (std::size_t i = 0; i < arrays.size(); ++i) checksum.add(arrays[i].data, sizes[i]);
  header[metadata_key][checksum_key] = checksum.text();

  std::string text = dump(header);
  text.append((prefix_bytes - text.size() % prefix_bytes) % prefix_bytes, ' ');  // the data starts aligned
  write_atomically(file, [&](std::ostream& out) {
    char prefix[prefix_bytes];
    for (std::size_t i = 0; i < prefix_bytes; ++i)
      prefix[i] = static_cast<char>(std::uint64_t{text.size()} >> (8 * i) & 255);
    out.write(prefix, sizeof prefix);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    for (std::size_t i = 0; i < arrays.size(); ++i)
      out.write(static_cast<const char*>(arrays[i].data), static_cast<std::streamsize>(sizes[i]));
  });
}

Safetensors Safetensors::read(const fs::path& file) {
  return parse(file, read_bytes(file));
}

Safetensors Safetensors::parse(const fs::path& file, std::vector<char> content) {
  Safetensors result;
  result.file_ = file;
  result.bytes_ = std::move(content);
  const std::vector<char>& bytes = result.bytes_;
  if (bytes.size() < prefix_bytes)
    malformed(file, fmt::format("it has only {}", counted(static_cast<std::int64_t>(bytes.size()), "byte")));
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < prefix_bytes; ++i)
    length |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  if (length > bytes.size() - prefix_bytes) malformed(file, "its header is cut off or was never one");
  const std::string_view text(bytes.data() + prefix_bytes, static_cast<std::size_t>(length));
  Json header = parse_json<Json>(text);
  if (!header.is_object()) malformed(file, "its header is not a JSON object");
  const std::size_t data_begin = prefix_bytes + static_cast<std::size_t>(length);
  const std::size_t data_bytes = bytes.size() - data_begin;

  std::string checksum;
  if (header.contains(metadata_key)) {
    Json& metadata = header[metadata_key];
    if (!metadata.is_object()) malformed(file, "its metadata is not a JSON object");
    for (const auto& [key, value] : metadata.items()) {
      if (!value.is_string())
        malformed(file, fmt::format("its metadata '{}' is not a string", printable(key)));
    }
    if (metadata.contains(checksum_key)) {
      checksum = metadata[checksum_key].get<std::string>();
      metadata.erase(checksum_key);
    }
    result.metadata_ = metadata.get<std::map<std::string, std::string>>();
  }
  std::vector<std::pair<std::size_t, std::size_t>> spans;
  for (const auto& [name, entry] : header.items()) {
    if (name == metadata_key) continue;
    const std::string what = fmt::format("array '{}'", printable(name));
    const auto natural = [](const Json& number) { return number.is_number_unsigned(); };
    if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() ||
        !entry.contains("shape") || !entry["shape"].is_array() ||
        !std::all_of(entry["shape"].begin(), entry["shape"].end(), natural) ||
        !entry.contains("data_offsets") || !entry["data_offsets"].is_array() ||
        entry["data_offsets"].size() != 2 ||
        !std::all_of(entry["data_offsets"].begin(), entry["data_offsets"].end(), natural))
      malformed(file, what + " is not described by dtype, shape and data_offsets");
    Entry array;
    array.dtype = entry["dtype"].get<std::string>();
    for (const Json& size : entry["shape"]) {
      if (size.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
        malformed(file, what + " has an absurd shape");
      array.shape.push_back(size.get<std::int64_t>());
    }
    const auto begin = entry["data_offsets"][0].get<std::uint64_t>();
    const auto end = entry["data_offsets"][1].get<std::uint64_t>();
    if (begin > end || end > data_bytes)
      malformed(file, what + " reaches beyond its end; it may be truncated");
    const std::optional<std::int64_t> size = array_bytes(array.dtype, array.shape);
    if (!size || static_cast<std::uint64_t>(*size) != end - begin)
      malformed(file, what + " has a dtype and shape that do not match its bytes");
    array.begin = data_begin + static_cast<std::size_t>(begin);
    array.end = data_begin + static_cast<std::size_t>(end);
    spans.emplace_back(array.begin, array.end);
    result.arrays_.emplace(name, std::move(array));
  }
  std::sort(spans.begin(), spans.end());
  std::size_t covered = data_begin;
  for (const auto& [begin, end] : spans) {
    if (begin != covered) malformed(file, "its arrays overlap or leave gaps");
    covered = end;
  }
  if (covered != bytes.size()) malformed(file, "bytes that belong to no array stand at its end");
  if (!checksum.empty()) {
    Checksum actual(header);
    actual.add(bytes.data() + data_begin, data_bytes);
    if (actual.text() != checksum) malformed(file, "its checksum does not match; some bytes were changed");
  }
  return result;
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> result;
  for (const auto& [name, entry] : arrays_) result.push_back(name);
  return result;
}

const std::vector<std::int64_t>& Safetensors::shape(const std::string& name) const {
  return find(name, "").shape;
}

std::vector<float> Safetensors::floats(const std::string& name) const {
  const Entry& entry = find(name, "F32");
  std::vector<float> values((entry.end - entry.begin) / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes_.data() + entry.begin, entry.end - entry.begin);
  return values;
}

std::vector<std::int64_t> Safetensors::integers(const std::string& name) const {
  const Entry& entry = find(name, "I64");
  std::vector<std::int64_t> values((entry.end - entry.begin) / sizeof(std::int64_t));
  if (!values.empty()) std::memcpy(values.data(), bytes_.data() + entry.begin, entry.end - entry.begin);
  return values;
}

std::span<const char> Safetensors::float_bytes(const std::string& name) const {
  const Entry& entry = find(name, "F32");
  return std::span(bytes_).subspan(entry.begin, entry.end - entry.begin);
}

const Safetensors::Entry& Safetensors::find(const std::string& name, const std::string& dtype) const {
  const auto found = arrays_.find(name);
  if (found == arrays_.end()) throw Error(fmt::format("{}: has no array '{}'", file_.string(), name));
  if (!dtype.empty() && found->second.dtype != dtype)
    throw Error(fmt::format("{}: array '{}' is of type {}; {} is needed", file_.string(), name,
                            printable(found->second.dtype), dtype));
  return found->second;
}

}  // namespace sea
