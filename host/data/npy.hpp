#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/file_bytes.hpp"
#include "data/host_matrix.hpp"

namespace sea {

/// What the header of a .npy file says.
struct NpyHeader {
  std::string descr;  ///< as NumPy writes it: "<f4", "<i8", ...
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::int64_t data_offset = 0;  ///< bytes before the first number
};

/// Reads and checks the header: magic, version, dictionary, shape, and that the file is exactly as long as it
/// says.
NpyHeader read_npy_header(const std::filesystem::path& file);

/// A two-dimensional float16, float32 or float64 array in C order, as float32. Throws Error for any other
/// type, order or number of dimensions. Values are not examined.
HostMatrix read_npy_matrix(const std::filesystem::path& file);

HostMatrix read_npy_matrix(InputFile& input);

/// Any float or integer array in C order, flattened, as double; `shape` receives its dimensions.
std::vector<double> read_npy_values(const std::filesystem::path& file, std::vector<std::int64_t>& shape);
std::vector<double> read_npy_values(InputFile& input, std::vector<std::int64_t>& shape);

/// One array of a .npz archive to be written.
struct NpzArray {
  std::string name;   ///< without ".npy"
  std::string descr;  ///< as NumPy writes it: "<f4", "<i8", "|S12", "|b1"
  std::vector<std::int64_t> shape;
  const void* data = nullptr;
};

/// Writes `matrix` as float32 in C order, to a temporary file beside `file` that is flushed and renamed.
void write_npy(const std::filesystem::path& file, ConstMatrixView matrix);

/// Likewise, without holding the matrix: `fill(i, row)` is called for each row in order and writes its
/// numbers.
void write_npy_rows(const std::filesystem::path& file, std::int64_t rows, std::int64_t columns,
                    const std::function<void(std::int64_t, float*)>& fill);

/// Writes an uncompressed .npz archive, likewise.
void write_npz(const std::filesystem::path& file, const std::vector<NpzArray>& arrays);

}  // namespace sea
