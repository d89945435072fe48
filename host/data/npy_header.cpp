#include "data/npy_header.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <string_view>

#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view magic("\x93NUMPY", 6);
constexpr std::int64_t longest_header = 1 << 16;
constexpr std::int64_t most_dimensions = 32;  // NumPy's own bound before its version 2

/// Reads the Python dictionary of a header: exactly what NumPy writes, keys in any order.
class HeaderParser {
 public:
  HeaderParser(const fs::path& file, std::string_view text) : file_(file), text_(text) {}

  NpyHeader parse() {
    NpyHeader header;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!take('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        if (peek() == '[')
          throw Error(
              fmt::format("{}: has a structured dtype; an array of plain numbers is needed", file_.string()));
        header.descr = quoted();
        has_descr = true;
      } else if (key == "fortran_order") {
        header.fortran_order = boolean();
        has_order = true;
      } else if (key == "shape") {
        header.shape = shape();
        has_shape = true;
      } else {
        malformed(fmt::format("it has the key '{}'", printable(key)));
      }
      if (!take(',') && peek() != '}') malformed("a comma is missing");
    }
    if (peek() != '\0') malformed("something follows its dictionary");
    if (!has_descr || !has_order || !has_shape) malformed("descr, fortran_order or shape is missing");
    return header;
  }

 private:
  [[noreturn]] void malformed(const std::string& why) const {
    throw Error(fmt::format("{}: the .npy header cannot be read: {}", file_.string(), why));
  }
  char peek() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) ++position_;
    return position_ < text_.size() ? text_[position_] : '\0';
  }
  bool take(char c) {
    if (peek() != c || position_ >= text_.size()) return false;
    ++position_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) malformed(fmt::format("'{}' is missing", c));
  }
  std::string quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') malformed("a quoted word is missing");
    const std::size_t end = text_.find(quote, ++position_);
    if (end == std::string_view::npos) malformed("a quote is not closed");
    std::string word(text_.substr(position_, end - position_));
    position_ = end + 1;
    return word;
  }
  bool boolean() {
    peek();
    for (const std::string_view word : {"False", "True"}) {
      if (text_.substr(position_, word.size()) != word) continue;
      position_ += word.size();
      return word == "True";
    }
    malformed("fortran_order is neither True nor False");
  }
  std::vector<std::int64_t> shape() {
    std::vector<std::int64_t> sizes;
    expect('(');
    while (!take(')')) {
      peek();
      std::int64_t size = 0;
      const char* end = text_.data() + text_.size();
      const auto [next, error] = std::from_chars(text_.data() + position_, end, size);
      if (error != std::errc() || size < 0)
        malformed("its shape is not made of numbers from 0 to 9223372036854775807");
      position_ = static_cast<std::size_t>(next - text_.data());
      take('L');  // Python 2 wrote long integers so
      sizes.push_back(size);
      if (static_cast<std::int64_t>(sizes.size()) > most_dimensions)
        malformed(fmt::format("its shape has more than {} dimensions", most_dimensions));
      if (!take(',') && peek() != ')') malformed("its shape is not closed");
    }
    return sizes;
  }

  const fs::path& file_;
  std::string_view text_;
  std::size_t position_ = 0;
};

}  // namespace

std::optional<std::int64_t> element_bytes(const std::string& descr) {
  if (descr.size() < 3 || std::string_view("<>|=").find(descr[0]) == std::string_view::npos) return {};
  if (std::string_view("fiubcSaUVmM").find(descr[1]) == std::string_view::npos) return {};
  std::int64_t size = 0;
  const auto [next, error] = std::from_chars(descr.data() + 2, descr.data() + descr.size(), size);
  // Times are followed by their unit, "<M8[ns]".
  if (error != std::errc() || size < 1 || size > std::numeric_limits<std::int32_t>::max()) return {};
  if (next != descr.data() + descr.size() && *next != '[') return {};
  return descr[1] == 'U' ? 4 * size : size;
}

std::string kind_of(const std::string& descr) {
  switch (descr[1]) {
    case 'f':
      return "floats";
    case 'i':
    case 'u':
      return "integers";
    case 'b':
      return "booleans";
    case 'c':
      return "complex numbers";
    case 'S':
    case 'a':
    case 'U':
      return "text";
    case 'm':
    case 'M':
      return "times";
    default:
      return "raw bytes";
  }
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += fmt::format("{}{}", text.empty() ? "" : " x ", size);
  return shape.empty() ? "a single number" : text;
}

std::optional<std::int64_t> element_count(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(count, size, &count)) return {};
  }
  return count;
}

NpyHeader read_header(InputFile& input) {
  const std::string name = input.path.string();
  char prefix[12] = {};
  if (input.size < 10)
    throw Error(fmt::format("{}: is not a .npy file: it has only {}", name, counted(input.size, "byte")));
  input.read(prefix, 10);
  if (std::string_view(prefix, magic.size()) != magic)
    throw Error(fmt::format("{}: is not a .npy file: it does not start with NumPy's mark", name));
  const int version = static_cast<unsigned char>(prefix[6]);
  if (version < 1 || version > 3)
    throw Error(fmt::format("{}: is of .npy version {}; versions 1, 2 and 3 can be read", name, version));
  const auto byte = [&](int i) { return std::int64_t{static_cast<unsigned char>(prefix[i])}; };
  std::int64_t length = byte(8) | byte(9) << 8;
  std::int64_t offset = 10;
  if (version > 1) {
    if (input.size < 12) throw Error(fmt::format("{}: is truncated within its header", name));
    input.read(prefix + 10, 2);
    length |= byte(10) << 16 | byte(11) << 24;
    offset = 12;
  }
  if (length > longest_header)
    throw Error(
        fmt::format("{}: the .npy header cannot be read: it claims {}", name, counted(length, "byte")));
  if (length > input.size - offset) throw Error(fmt::format("{}: is truncated within its header", name));
  std::string text(static_cast<std::size_t>(length), ' ');
  input.read(text.data(), length);
  NpyHeader header = HeaderParser(input.path, text).parse();
  header.data_offset = offset + length;

  const std::optional<std::int64_t> bytes = element_bytes(header.descr);
  if (!bytes) {
    const bool objects = header.descr.find('O') != std::string::npos;
    throw Error(fmt::format("{}: holds {} (dtype '{}'); an array of plain numbers is needed", name,
                            objects ? "Python objects" : "an unknown type", printable(header.descr)));
  }
  // The file's own length comes first: an absurd shape is an error before anything is allocated for it.
  const std::int64_t there = input.size - header.data_offset;
  const std::optional<std::int64_t> count = element_count(header.shape);
  std::int64_t promised = 0;
  if (!count || __builtin_mul_overflow(*count, *bytes, &promised))
    throw Error(fmt::format("{}: has an absurd shape, {}, for a file of {}", name, shape_text(header.shape),
                            counted(input.size, "byte")));
  if (promised != there)
    throw Error(fmt::format("{}: is {}: its shape {} of dtype '{}' needs {}, and {} after the header", name,
                            promised > there ? "truncated" : "too long", shape_text(header.shape),
                            printable(header.descr), counted(promised, "byte"),
                            fmt::format("{} {}", grouped(there), there == 1 ? "follows" : "follow")));
  return header;
}

std::string header_bytes(const std::string& descr, const std::vector<std::int64_t>& shape) {
  std::string sizes;
  for (const std::int64_t size : shape) sizes += fmt::format("{}, ", size);
  if (shape.size() > 1) sizes.resize(sizes.size() - 2);
  if (shape.size() == 1) sizes.pop_back();
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, sizes);
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  std::string bytes(magic);
  bytes += '\1';
  bytes += '\0';
  bytes += static_cast<char>(text.size() & 255);
  bytes += static_cast<char>(text.size() >> 8);
  return bytes + text;
}

}  // namespace sea
