// .npy: item features, and arrays of any type.

#include "data/file_bytes.hpp"
#include "data/npy.hpp"
#include "data/npy_header.hpp"
#include "fuzz.hpp"

namespace sea::fuzz {

namespace {

std::string file(const std::string& dictionary, std::size_t data_bytes, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    bytes += static_cast<char>(dictionary.size() >> (8 * i) & 255);
  bytes += dictionary;
  for (std::size_t i = 0; i < data_bytes; ++i) bytes += static_cast<char>(37 * i + 11);
  return bytes;
}

}  // namespace

std::vector<std::string> seeds() {
  const auto of = [](const std::string& descr, const std::string& shape, std::size_t data_bytes) {
    return file("{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n", data_bytes);
  };
  std::vector<std::string> all = {
      of("<f4", "(2, 3)", 24),
      of("<f2", "(2, 3)", 12),
      of("<f8", "(3, 2)", 48),
      of(">f4", "(1, 1)", 4),
      of("|O", "(1,)", 8),
      of("<M8[ns]", "(1,)", 8),
      of("<U3", "(2,)", 24),
      of("<f4", "(0, 4611686018427387904)", 0),
      of("<f4", "(4611686018427387904, 4)", 16),
      of("<f0", "(5, 461168601842387904)", 0),
      of("<f4", "()", 4),
      file("{\"shape\": (2L, 3L), 'descr':'<f4','fortran_order':True}", 24, 2),
      file("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4, 3),
      "\x93NUMPY"};
  for (const char* type : {"|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "|b1"})
    all.push_back(of(type, "(2,)", 2 * static_cast<std::size_t>(type[2] - '0')));
  std::string many = "(";
  for (int i = 0; i < 500; ++i) many += "1,";
  all.push_back(of("<f4", many + ")", 4));
  return all;
}

void read(std::string_view bytes) {
  const std::filesystem::path path = "data/image_feat.npy";
  expect_sentence([&] {
    InputFile input(path, bytes);
    const NpyHeader header = read_header(input);
    if (header.data_offset > input.size) fail("numbers behind the end");
    const std::optional<std::int64_t> count = element_count(header.shape);
    if (!count || *count * *element_bytes(header.descr) != input.size - header.data_offset)
      fail("a shape that does not fit the file");
  });
  expect_sentence([&] {
    InputFile input(path, bytes);
    const HostMatrix matrix = read_npy_matrix(input);
    if (matrix.rows < 0 || matrix.columns < 0 ||
        matrix.rows * matrix.columns != static_cast<std::int64_t>(matrix.values.size()))
      fail("a matrix that its values do not fill");
  });
  expect_sentence([&] {
    InputFile input(path, bytes);
    std::vector<std::int64_t> shape;
    const std::vector<double> values = read_npy_values(input, shape);
    if (element_count(shape) != static_cast<std::int64_t>(values.size()))
      fail("a shape that its values do not fill");
  });
}

}  // namespace sea::fuzz
