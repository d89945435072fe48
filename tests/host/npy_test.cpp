#include "data/npy.hpp"

#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <map>

#include "sea/error.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/skip.hpp"

namespace {

using namespace sea;
using sea::test::contains;
using sea::test::error_of;
using sea::test::read_file;
using sea::test::TemporaryFolder;
using sea::test::write_file;

/// A .npy file by hand: version, dictionary, data.
std::string npy_bytes(const std::string& dictionary, const std::string& data, int version = 1) {
  const std::string header = dictionary + "\n";
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 255);
  return bytes + header + data;
}

std::string dictionary(const std::string& descr, const std::string& shape,
                       const std::string& order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string matrix_error(const TemporaryFolder& folder, const std::string& bytes) {
  write_file(folder / "x.npy", bytes);
  return error_of([&] { read_npy_matrix(folder / "x.npy"); });
}

/// What a half means, from its definition.
double half_value(unsigned bits) {
  const double sign = bits >> 15 ? -1.0 : 1.0;
  const int exponent = static_cast<int>(bits >> 10 & 31);
  const double fraction = (bits & 1023) / 1024.0;
  if (exponent == 31) return fraction == 0.0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  return exponent == 0 ? sign * fraction * std::pow(2.0, -14)
                       : sign * (1.0 + fraction) * std::pow(2.0, exponent - 15);
}

unsigned little_endian(const std::string& bytes, std::size_t at, int count) {
  unsigned value = 0;
  for (int i = 0; i < count; ++i) value |= unsigned{static_cast<unsigned char>(bytes.at(at + i))} << (8 * i);
  return value;
}

unsigned crc32(const std::string& bytes) {
  unsigned crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  return ~crc;
}

/// The entries of a zip archive that stores without compression, each checked against its CRC.
std::map<std::string, std::string> stored_entries(const std::string& zip) {
  std::map<std::string, std::string> entries;
  const std::size_t end = zip.rfind("PK\5\6");
  REQUIRE(end != std::string::npos);
  std::size_t place = little_endian(zip, end + 16, 4);
  for (unsigned left = little_endian(zip, end + 10, 2); left > 0; --left) {
    REQUIRE(zip.substr(place, 4) == "PK\1\2");
    REQUIRE(little_endian(zip, place + 10, 2) == 0);  // stored
    const unsigned crc = little_endian(zip, place + 16, 4), size = little_endian(zip, place + 24, 4);
    const unsigned name_size = little_endian(zip, place + 28, 2);
    const unsigned local = little_endian(zip, place + 42, 4);
    const std::string name = zip.substr(place + 46, name_size);
    const std::size_t data =
        local + 30 + little_endian(zip, local + 26, 2) + little_endian(zip, local + 28, 2);
    entries[name] = zip.substr(data, size);
    REQUIRE(crc32(entries[name]) == crc);
    place += 46 + name_size + little_endian(zip, place + 30, 2) + little_endian(zip, place + 32, 2);
  }
  return entries;
}

/// Files of this process may not pass `bytes`: writing more fails as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limited = before_;
    limited.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limited);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("npy: a matrix is written as NumPy writes it, and read back", "[npy]") {
  const TemporaryFolder folder;
  HostMatrix wide(3, 5);
  for (std::size_t i = 0; i < wide.values.size(); ++i) wide.values[i] = 0.5f * static_cast<float>(i) - 3.0f;
  write_npy(folder / "x.npy", wide.view().column_range(1, 2));

  // numpy.save of a (3, 2) float32 array: a header of 128 bytes in all, padded by spaces.
  std::string expected = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
  expected = std::string("\x93NUMPY\1\0\x76\0", 10) + expected +
             std::string(128 - 10 - expected.size() - 1, ' ') + "\n";
  expected += bytes_of<float>({-2.5f, -2.0f, 0.0f, 0.5f, 2.5f, 3.0f});
  CHECK(read_file(folder / "x.npy") == expected);

  const HostMatrix back = read_npy_matrix(folder / "x.npy");
  CHECK(back.rows == 3);
  CHECK(back.columns == 2);
  CHECK(back.values == std::vector<float>{-2.5f, -2.0f, 0.0f, 0.5f, 2.5f, 3.0f});
  CHECK(sea::test::entry_count(folder.path()) == 1);
}

TEST_CASE("npy: headers of every version, keys in any order", "[npy]") {
  const TemporaryFolder folder;
  const std::string data = bytes_of<float>({1, 2, 3, 4, 5, 6});
  const int version = GENERATE(1, 2, 3);
  const std::string text =
      GENERATE(as<std::string>(), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
               "{\"shape\": (2L, 3L), 'descr':'<f4','fortran_order':False}",
               "{'fortran_order': False , 'shape': ( 2 , 3 , ) , 'descr': '<f4' }      ");
  write_file(folder / "x.npy", npy_bytes(text, data, version));
  const NpyHeader header = read_npy_header(folder / "x.npy");
  CHECK(header.descr == "<f4");
  CHECK_FALSE(header.fortran_order);
  CHECK(header.shape == std::vector<std::int64_t>{2, 3});
  CHECK(header.data_offset == static_cast<std::int64_t>((version == 1 ? 10 : 12) + text.size() + 1));
  CHECK(read_npy_matrix(folder / "x.npy").values == std::vector<float>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("npy: every half becomes the float it means", "[npy]") {
  const TemporaryFolder folder;
  std::vector<std::uint16_t> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  write_file(folder / "x.npy", npy_bytes(dictionary("<f2", "(256, 256)"), bytes_of(halves)));
  const HostMatrix matrix = read_npy_matrix(folder / "x.npy");
  int wrong = 0;
  for (unsigned i = 0; i < 65536; ++i) {
    const double expected = half_value(i);
    const float value = matrix.values[i];
    const bool same = std::isnan(expected)
                          ? std::isnan(value)
                          : double{value} == expected && std::signbit(value) == std::signbit(expected);
    wrong += same ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("npy: doubles are rounded to floats, too large ones are infinite", "[npy]") {
  const TemporaryFolder folder;
  write_file(folder / "x.npy",
             npy_bytes(dictionary("<f8", "(2, 2)"), bytes_of<double>({0.1, -1e300, 3.4028234e38, 1e-300})));
  const std::vector<float> values = read_npy_matrix(folder / "x.npy").values;
  CHECK(values[0] == 0.1f);
  CHECK(values[1] == -std::numeric_limits<float>::infinity());
  CHECK(values[2] == 3.4028234e38f);
  CHECK(values[3] == 0.0f);
}

TEST_CASE("npy: values of any number type as doubles", "[npy]") {
  const TemporaryFolder folder;
  std::vector<std::int64_t> shape;
  const auto values_of = [&](const std::string& descr, const std::string& sizes, const std::string& data) {
    write_file(folder / "x.npy", npy_bytes(dictionary(descr, sizes), data));
    return read_npy_values(folder / "x.npy", shape);
  };
  CHECK(values_of("<i8", "(2,)", bytes_of<std::int64_t>({-5, 1LL << 40})) ==
        std::vector<double>{-5, 1099511627776.0});
  CHECK(shape == std::vector<std::int64_t>{2});
  CHECK(values_of("<i4", "(1, 2, 1)", bytes_of<std::int32_t>({-7, 8})) == std::vector<double>{-7, 8});
  CHECK(shape == std::vector<std::int64_t>{1, 2, 1});
  CHECK(values_of("<i2", "(1,)", bytes_of<std::int16_t>({-300})) == std::vector<double>{-300});
  CHECK(values_of("|i1", "(1,)", bytes_of<std::int8_t>({-3})) == std::vector<double>{-3});
  CHECK(values_of("|u1", "(1,)", bytes_of<std::uint8_t>({200})) == std::vector<double>{200});
  CHECK(values_of("<u2", "(1,)", bytes_of<std::uint16_t>({60000})) == std::vector<double>{60000});
  CHECK(values_of("<u4", "(1,)", bytes_of<std::uint32_t>({4000000000u})) == std::vector<double>{4e9});
  CHECK(values_of("<u8", "(1,)", bytes_of<std::uint64_t>({1ull << 63})) ==
        std::vector<double>{9223372036854775808.0});
  CHECK(values_of("<f2", "(1,)", bytes_of<std::uint16_t>({0x3E00})) == std::vector<double>{1.5});
  CHECK(values_of("<f4", "()", bytes_of<float>({0.1f})) == std::vector<double>{double{0.1f}});
  CHECK(shape.empty());
  CHECK(values_of("<f8", "(1,)", bytes_of<double>({0.1})) == std::vector<double>{0.1});
  write_file(folder / "x.npy", npy_bytes(dictionary("|b1", "(1,)"), "\1"));
  CHECK(
      contains(error_of([&] { read_npy_values(folder / "x.npy", shape); }), "holds booleans (dtype '|b1')"));
}

TEST_CASE("npy: files that are no float matrix are one clear error each", "[npy]") {
  const TemporaryFolder folder;
  const std::string six = bytes_of<float>({1, 2, 3, 4, 5, 6});
  const auto error = [&](const std::string& bytes) { return matrix_error(folder, bytes); };
  const auto header_error = [&](const std::string& text) { return error(npy_bytes(text, six)); };

  CHECK(contains(error_of([&] { read_npy_matrix(folder / "none.npy"); }), "none.npy: no such file"));
  CHECK(contains(error_of([&] { read_npy_matrix(folder.path()); }), "is not a regular file"));
  CHECK(contains(error(""), "x.npy: is not a .npy file: it has only 0 bytes"));
  CHECK(contains(error("PK\3\4 a zip archive"), "does not start with NumPy's mark"));
  CHECK(contains(error(npy_bytes(dictionary("<f4", "(2, 3)"), six, 9)), "version 9"));
  const std::string whole = npy_bytes(dictionary("<f4", "(2, 3)"), six);
  CHECK(error(whole).empty());
  CHECK(contains(error(whole.substr(0, 30)), "truncated within its header"));
  CHECK(contains(
      error(whole.substr(0, whole.size() - 1)),
      "is truncated: its shape 2 x 3 of dtype '<f4' needs 24 bytes, and 23 follow after the header"));
  CHECK(contains(error(whole + "x"), "is too long"));
  for (std::size_t size = 0; size < whole.size(); ++size) REQUIRE_FALSE(error(whole.substr(0, size)).empty());

  CHECK(contains(header_error(dictionary("<i4", "(2, 3)")), "holds integers (dtype '<i4'); float32"));
  CHECK(contains(header_error(dictionary("|u1", "(24, 1)")), "holds integers"));
  CHECK(contains(header_error(dictionary("<U1", "(2, 3)")), "holds text (dtype '<U1')"));
  CHECK(contains(header_error(dictionary("|S4", "(2, 3)")), "holds text"));
  CHECK(contains(header_error(dictionary("<c8", "(1, 3)")), "holds complex numbers"));
  CHECK(contains(header_error(dictionary("|b1", "(8, 3)")), "holds booleans"));
  CHECK(contains(header_error(dictionary("<M8[ns]", "(1, 3)")), "holds times"));
  CHECK(contains(header_error(dictionary("|O", "(2, 3)")), "holds Python objects"));
  // Elements of no bytes fit a file at any count.
  for (const char* descr : {"<f0", "<i0", "<U0", "|S0"}) {
    write_file(folder / "zero.npy", npy_bytes(dictionary(descr, "(5, 461168601842387904)"), ""));
    std::vector<std::int64_t> shape;
    CHECK(contains(error_of([&] { read_npy_values(folder / "zero.npy", shape); }), "holds an unknown type"));
  }
  CHECK(contains(header_error(dictionary(">f4", "(2, 3)")), "big-endian"));
  CHECK(contains(header_error(dictionary("<f4", "(2, 3)", "True")), "Fortran order"));
  CHECK(contains(header_error(dictionary("<f4", "(6,)")), "has 1 dimension (6); two are needed"));
  CHECK(contains(header_error(dictionary("<f4", "(1, 2, 3)")), "has 3 dimensions (1 x 2 x 3)"));
  CHECK(contains(error(npy_bytes(dictionary("<f4", "()"), "abcd")), "has 0 dimensions"));
  CHECK(contains(header_error("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }"),
                 "structured"));

  for (const char* text :
       {"", "{", "{}", "not a dictionary", "{'descr': '<f4', 'fortran_order': False, }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, x), }", "{'descr': '<f4', 'shape': (2 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } import os",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'extra': 1}", "{'descr': '<f4"}) {
    INFO(text);
    CHECK(contains(header_error(text), "the .npy header cannot be read"));
  }
}

TEST_CASE("npy: messages are of printable text and no longer than a screen", "[npy]") {
  const TemporaryFolder folder;
  std::string ones = "(";
  for (int i = 0; i < 5000; ++i) ones += "1, ";
  CHECK(contains(matrix_error(folder, npy_bytes(dictionary("<f4", ones + ")"), "1234")),
                 "its shape has more than 32 dimensions"));
  const std::string unit(5000, 'x');
  for (const std::string& descr : {"<M8[\x1b[2J" + unit, "<f4[\x1b[2J" + unit, ">f4[\x1b" + unit}) {
    for (const char* shape : {"(1,)", "(1, 1)", "(9, 9)"}) {
      const std::string message = matrix_error(folder, npy_bytes(dictionary(descr, shape), "12345678"));
      CHECK_FALSE(message.empty());
      CHECK(message.size() < 1000);
      CHECK(message.find('\x1b') == std::string::npos);
    }
  }
}

TEST_CASE("npy: an absurd shape is an error before anything is allocated", "[npy]") {
  const TemporaryFolder folder;
  const std::string shape = GENERATE(as<std::string>(), "(1000000000000, 4096)", "(4611686018427387904, 4)",
                                     "(2305843009213693952, 2)", "(4294967296, 4294967296)",
                                     "(9223372036854775807, 9223372036854775807)", "(-1, 4)", "(-2, -3)",
                                     "(99999999999999999999, 1)");
  INFO(shape);
  const std::string error = matrix_error(folder, npy_bytes(dictionary("<f4", shape), std::string(24, 'x')));
  CHECK((contains(error, "absurd shape") || contains(error, "is truncated") ||
         contains(error, "its shape is not")));
}

TEST_CASE("npz: arrays are stored under NumPy's names, the same bytes every time", "[npy]") {
  const TemporaryFolder folder;
  const std::vector<float> scores = {0.25f, -1.5f, 3.0f, 4.0f, 5.0f, 6.0f};
  const std::vector<std::int32_t> items = {7, -8};
  const std::vector<std::int64_t> users = {1LL << 40};
  const std::vector<NpzArray> arrays = {{"score", "<f4", {2, 3}, scores.data()},
                                        {"itemID", "<i4", {2}, items.data()},
                                        {"userID", "<i8", {1, 1}, users.data()},
                                        {"empty", "<f4", {0, 3}, nullptr}};
  write_npz(folder / "a.npz", arrays);
  write_npz(folder / "b.npz", arrays);
  const std::string bytes = read_file(folder / "a.npz");
  CHECK(bytes == read_file(folder / "b.npz"));
  CHECK(sea::test::entry_count(folder.path()) == 2);

  const std::map<std::string, std::string> entries = stored_entries(bytes);
  REQUIRE(entries.size() == 4);
  const auto values_of = [&](const std::string& name, std::vector<std::int64_t> expected_shape) {
    write_file(folder / "x.npy", entries.at(name + ".npy"));
    std::vector<std::int64_t> shape;
    const std::vector<double> values = read_npy_values(folder / "x.npy", shape);
    CHECK(shape == expected_shape);
    return values;
  };
  CHECK(values_of("score", {2, 3}) == std::vector<double>{0.25, -1.5, 3, 4, 5, 6});
  CHECK(values_of("itemID", {2}) == std::vector<double>{7, -8});
  CHECK(values_of("userID", {1, 1}) == std::vector<double>{1099511627776.0});
  CHECK(values_of("empty", {0, 3}).empty());
}

TEST_CASE("npy: a write that fails leaves the old file and nothing else", "[npy]") {
  const TemporaryFolder folder;
  const HostMatrix small(2, 2), large(1000, 1000);
  const std::vector<NpzArray> arrays = {{"x", "<f4", {1000, 1000}, large.values.data()}};
  write_npy(folder / "x.npy", small.view());
  write_file(folder / "x.npz", "old");
  const std::string before = read_file(folder / "x.npy");
  std::string npy_error, npz_error;
  {
    const FileSizeLimit limit(1 << 20);
    npy_error = error_of([&] { write_npy(folder / "x.npy", large.view()); });
    npz_error = error_of([&] { write_npz(folder / "x.npz", arrays); });
  }
  CHECK(contains(npy_error, "x.npy: cannot be written: File too large"));
  CHECK(contains(npz_error, "x.npz: cannot be written"));
  CHECK(read_file(folder / "x.npy") == before);
  CHECK(read_file(folder / "x.npz") == "old");
  CHECK(sea::test::entry_count(folder.path()) == 2);

  CHECK(
      contains(error_of([&] { write_npy(folder / "none" / "x.npy", small.view()); }), "there is no folder"));
  CHECK(contains(error_of([&] { write_npy(folder.path(), small.view()); }), "is a folder, not a file"));
  CHECK(contains(error_of([&] { write_npy("/dev/null", small.view()); }), "is a device or pipe"));
}

TEST_CASE("npy: the golden arrays read as their manifest says", "[npy]") {
  const auto shared = sea::test::shared_folder();
  if (!shared) return;
  const HostMatrix visual = read_npy_matrix(*shared / "golden" / "image_feat.npy");
  CHECK(visual.rows == 23);
  CHECK(visual.columns == 24);
  std::vector<std::int64_t> shape;
  const std::vector<double> graph = read_npy_values(*shared / "golden" / "graphs" / "interaction.npy", shape);
  CHECK(shape == std::vector<std::int64_t>{60, 60});
  double total = 0.0;
  for (const double value : graph) total += value;
  CHECK(total > 1.0);
}
