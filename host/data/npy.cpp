#include "data/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "data/atomic_file.hpp"
#include "data/npy_header.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

void require_order(const fs::path& file, const NpyHeader& header) {
  if (header.fortran_order && header.shape.size() > 1)
    throw Error(fmt::format("{}: is in Fortran order; save numpy.ascontiguousarray(array)", file.string()));
  if (header.descr[0] == '>')
    throw Error(fmt::format("{}: is big-endian (dtype '{}'); save it as little-endian", file.string(),
                            printable(header.descr)));
}

float half_to_float(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                  : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  if (exponent == 31)
    magnitude =
        fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  return half & 0x8000 ? -magnitude : magnitude;
}

float narrow(double value) {
  if (std::abs(value) > double{std::numeric_limits<float>::max()})
    return std::copysign(std::numeric_limits<float>::infinity(), static_cast<float>(value > 0 ? 1 : -1));
  return static_cast<float>(value);
}

/// Reads `count` numbers stored as T, block by block, and converts each.
template <class T, class Result, class Convert>
void read_converted(InputFile& input, std::vector<Result>& values, Convert convert) {
  std::vector<T> block(std::min<std::size_t>(values.size(), 1 << 16));
  for (std::size_t first = 0; first < values.size(); first += block.size()) {
    const std::size_t count = std::min(block.size(), values.size() - first);
    input.read(block.data(), static_cast<std::int64_t>(count * sizeof(T)));
    std::transform(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(count),
                   values.begin() + static_cast<std::ptrdiff_t>(first), convert);
  }
}

template <class T>
void read_as_double(InputFile& input, std::vector<double>& values) {
  read_converted<T>(input, values, [](T value) { return static_cast<double>(value); });
}

}  // namespace

NpyHeader read_npy_header(const fs::path& file) {
  InputFile input(file);
  return read_header(input);
}

HostMatrix read_npy_matrix(const fs::path& file) {
  InputFile input(file);
  return read_npy_matrix(input);
}

HostMatrix read_npy_matrix(InputFile& input) {
  const fs::path& file = input.path;
  const NpyHeader header = read_header(input);
  const std::string_view type = std::string_view(header.descr).substr(1);
  if (type != "f2" && type != "f4" && type != "f8")
    throw Error(fmt::format("{}: holds {} (dtype '{}'); float32, float16 or float64 is needed", file.string(),
                            kind_of(header.descr), printable(header.descr)));
  require_order(file, header);
  if (header.shape.size() != 2)
    throw Error(fmt::format("{}: has {} ({}); two are needed, items x width", file.string(),
                            counted(static_cast<std::int64_t>(header.shape.size()), "dimension"),
                            shape_text(header.shape)));
  HostMatrix matrix(header.shape[0], header.shape[1]);
  if (type == "f2") {
    read_converted<std::uint16_t>(input, matrix.values, half_to_float);
  } else if (type == "f4") {
    input.read(matrix.values.data(), static_cast<std::int64_t>(matrix.values.size() * sizeof(float)));
  } else {
    read_converted<double>(input, matrix.values, narrow);
  }
  return matrix;
}

std::vector<double> read_npy_values(const fs::path& file, std::vector<std::int64_t>& shape) {
  InputFile input(file);
  return read_npy_values(input, shape);
}

std::vector<double> read_npy_values(InputFile& input, std::vector<std::int64_t>& shape) {
  const fs::path& file = input.path;
  const NpyHeader header = read_header(input);
  require_order(file, header);
  std::vector<double> values(static_cast<std::size_t>(*element_count(header.shape)));
  const std::string_view type = std::string_view(header.descr).substr(1);
  if (type == "f2") {
    read_converted<std::uint16_t>(input, values, half_to_float);
  } else if (type == "f4") {
    read_as_double<float>(input, values);
  } else if (type == "f8") {
    read_as_double<double>(input, values);
  } else if (type == "i1") {
    read_as_double<std::int8_t>(input, values);
  } else if (type == "i2") {
    read_as_double<std::int16_t>(input, values);
  } else if (type == "i4") {
    read_as_double<std::int32_t>(input, values);
  } else if (type == "i8") {
    read_as_double<std::int64_t>(input, values);
  } else if (type == "u1") {
    read_as_double<std::uint8_t>(input, values);
  } else if (type == "u2") {
    read_as_double<std::uint16_t>(input, values);
  } else if (type == "u4") {
    read_as_double<std::uint32_t>(input, values);
  } else if (type == "u8") {
    read_as_double<std::uint64_t>(input, values);
  } else {
    throw Error(fmt::format("{}: holds {} (dtype '{}'); floats or integers are needed", file.string(),
                            kind_of(header.descr), printable(header.descr)));
  }
  shape = header.shape;
  return values;
}

void write_npy(const fs::path& file, ConstMatrixView matrix) {
  write_atomically(file, [&](std::ostream& out) {
    const std::string header = header_bytes("<f4", {matrix.rows, matrix.columns});
    out.write(header.data(), static_cast<std::streamsize>(header.size()));
    for (std::int64_t row = 0; row < matrix.rows; ++row)
      out.write(reinterpret_cast<const char*>(matrix.row(row)),
                static_cast<std::streamsize>(matrix.columns * static_cast<std::int64_t>(sizeof(float))));
  });
}

void write_npy_rows(const fs::path& file, std::int64_t rows, std::int64_t columns,
                    const std::function<void(std::int64_t, float*)>& fill) {
  write_atomically(file, [&](std::ostream& out) {
    const std::string header = header_bytes("<f4", {rows, columns});
    out.write(header.data(), static_cast<std::streamsize>(header.size()));
    std::vector<float> row(static_cast<std::size_t>(columns));
    for (std::int64_t i = 0; i < rows && out; ++i) {
      fill(i, row.data());
      out.write(reinterpret_cast<const char*>(row.data()),
                static_cast<std::streamsize>(row.size() * sizeof(float)));
    }
  });
}

}  // namespace sea
