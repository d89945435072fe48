#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "commands.hpp"
#include "data/features.hpp"
#include "data/file_bytes.hpp"
#include "data/id_mapping.hpp"
#include "data/interactions.hpp"
#include "data/memory.hpp"
#include "data/npy.hpp"
#include "output.hpp"
#include "run_data.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

/// A message about `file` without the file's name before it.
std::string reason(const fs::path& file, const Error& error) {
  const std::string message = error.what(), prefix = file.string() + ": ";
  return message.substr(0, prefix.size()) == prefix ? message.substr(prefix.size()) : message;
}

std::string dtype_name(const std::string& descr) {
  const std::string type = descr.substr(1);
  const std::pair<const char*, const char*> names[] = {
      {"f2", "float16"}, {"f4", "float32"}, {"f8", "float64"}, {"i1", "int8"},
      {"i2", "int16"},   {"i4", "int32"},   {"i8", "int64"},   {"u1", "uint8"},
      {"u2", "uint16"},  {"u4", "uint32"},  {"u8", "uint64"},  {"b1", "bool"}};
  for (const auto& [code, name] : names) {
    if (type == code) return name;
  }
  return printable(descr);
}

std::string shape_name(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : " x ") + grouped(size);
  return text.empty() ? "scalar" : text;
}

struct FileRow {
  std::string name, shape = "-", dtype = "-", health;
};

/// One .npy file as a modality's features of so many items.
FileRow examine(const fs::path& file, std::int64_t items) {
  FileRow row;
  row.name = file.filename().string();
  try {
    const NpyHeader header = read_npy_header(file);
    row.shape = shape_name(header.shape);
    row.dtype = dtype_name(header.descr);
    const ItemFeatures features = load_features(file.parent_path(), "feature", row.name, items);
    const RowHealth health = row_health(features.values.view());
    row.health = fmt::format("finite, {}, {}", counted(health.zero_rows, "zero row"),
                             counted(health.duplicate_rows, "duplicate row"));
  } catch (const Error& error) {
    row.health = "unusable: " + reason(file, error);
  }
  return row;
}

void print_files(const Interactions& data) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(data.folder)) {
    if (entry.path().extension() == ".npy") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    print_result("\nno .npy files: only the models that need no features can be trained on this folder: {}\n",
                 fmt::join(models_without_features(), ", "));
    return;
  }
  std::vector<FileRow> rows;
  rows.reserve(files.size() + 1);
  for (const fs::path& file : files) rows.push_back(examine(file, data.items));
  std::size_t name_width = 4, shape_width = 5, dtype_width = 5;
  for (const FileRow& row : rows) {
    name_width = std::max(name_width, row.name.size());
    shape_width = std::max(shape_width, row.shape.size());
    dtype_width = std::max(dtype_width, row.dtype.size());
  }
  rows.insert(rows.begin(), {"file", "shape", "dtype", "health"});
  print_result("\n");
  for (const FileRow& row : rows)
    print_result("{:<{}}  {:<{}}  {:<{}}  {}\n", row.name, name_width, row.shape, shape_width, row.dtype,
                 dtype_width, row.health);
}

void print_split(const std::string& name, const HostCsr& split) {
  std::int64_t users = 0;
  for (std::int64_t user = 0; user < split.rows; ++user) users += split.row(user).empty() ? 0 : 1;
  const double mean = users == 0 ? 0.0 : static_cast<double>(split.nonzeros()) / static_cast<double>(users);
  print_result("{:<6} {:>12} {:>12} {:>14.2f}\n", name, grouped(split.nonzeros()), grouped(users), mean);
}

/// Says of a mapping file that it is there, or what is wrong with it.
std::string mapping_text(const fs::path& file, const std::string& column, std::int64_t count) {
  std::vector<std::string> notices;
  try {
    if (read_id_mapping(file, column, count, notices).empty()) return {};
  } catch (const Error& error) {
    return fmt::format("{} (unusable: {})", file.filename().string(), reason(file, error));
  }
  for (const std::string& text : notices) print_notice(text);
  return file.filename().string();
}

void run_info(const fs::path& folder) {
  const Interactions data = read_interactions(folder, available_memory());
  for (const std::string& text : data.notices) print_notice(text);
  const std::int64_t pairs = data.train.nonzeros() + data.valid.nonzeros() + data.test.nonzeros();
  const double cells = static_cast<double>(data.users) * static_cast<double>(data.items);
  std::vector<bool> trained(static_cast<std::size_t>(data.items));
  for (const std::int32_t item : data.train.column_indices) trained[static_cast<std::size_t>(item)] = true;
  const std::string users = mapping_text(data.folder / "u_id_mapping.csv", "userID", data.users);
  const std::string items = mapping_text(data.folder / "i_id_mapping.csv", "itemID", data.items);
  print_result("{:<14} {}\n{:<14} {}\n{:<14} {}\n", "data set", data.name, "folder", data.folder.string(),
               "users", grouped(data.users));
  print_result("{:<14} {} ({} without a training pair)\n", "items", grouped(data.items),
               grouped(std::count(trained.begin(), trained.end(), false)));
  print_result("{:<14} {}\n{:<14} {:.4f} %\n", "interactions", grouped(pairs), "sparsity",
               100.0 * (1.0 - static_cast<double>(pairs) / cells));
  print_result(
      "{:<14} {}\n", "original ids",
      users.empty() && items.empty() ? "none" : users + (users.empty() || items.empty() ? "" : ", ") + items);
  print_result("\n{:<6} {:>12} {:>12} {:>14}\n", "split", "pairs", "users", "pairs per user");
  print_split("train", data.train);
  print_split("valid", data.valid);
  print_split("test", data.test);
  print_files(data);
  check_training(data);
  if (data.valid.nonzeros() == 0)
    print_notice("there are no validation pairs: sea train has no early stopping and needs --epochs");
  if (data.test.nonzeros() == 0) print_notice("there are no test pairs: sea evaluate has nothing to rank");
}

}  // namespace

void add_info(CLI::App& app) {
  auto folder = std::make_shared<fs::path>();
  Command command(app, "info", "what a data set holds, and whether it can be used");
  command.option("DATA", *folder, "folder of the data set").required();
  command.run([folder] { run_info(*folder); });
}

}  // namespace sea
