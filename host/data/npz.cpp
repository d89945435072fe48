#include <fmt/format.h>
#include <zip.h>

#include <memory>
#include <system_error>

#include "data/atomic_file.hpp"
#include "data/npy.hpp"
#include "data/npy_header.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void zip_failed(const fs::path& file, const char* reason) {
  throw Error(fmt::format("{}: cannot be written: {}", file.string(), reason));
}

void add_array(zip_t* archive, const fs::path& file, const NpzArray& array, const std::string& header) {
  const std::optional<std::int64_t> bytes = element_bytes(array.descr);
  const std::optional<std::int64_t> count = element_count(array.shape);
  if (!bytes || !count)
    throw Error(fmt::format("{}: array '{}' has dtype '{}', which cannot be written", file.string(),
                            array.name, array.descr));
  // libzip copies the list of fragments, and reads the bytes when the archive is closed.
  zip_buffer_fragment_t fragments[2] = {};
  fragments[0].data = reinterpret_cast<zip_uint8_t*>(const_cast<char*>(header.data()));
  fragments[0].length = header.size();
  fragments[1].data = static_cast<zip_uint8_t*>(const_cast<void*>(array.data));
  fragments[1].length = static_cast<zip_uint64_t>(*count * *bytes);
  zip_source_t* source = zip_source_buffer_fragment(archive, fragments, *count > 0 ? 2 : 1, 0);
  if (source == nullptr) zip_failed(file, zip_strerror(archive));
  const zip_int64_t index = zip_file_add(archive, (array.name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    zip_failed(file, zip_strerror(archive));
  }
  // Stored as it is, under NumPy's own date of 1980-01-01: the same arrays are the same bytes.
  const auto entry = static_cast<zip_uint64_t>(index);
  if (zip_set_file_compression(archive, entry, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, entry, 0, 1 << 5 | 1, 0) != 0)
    zip_failed(file, zip_strerror(archive));
}

}  // namespace

void write_npz(const fs::path& file, const std::vector<NpzArray>& arrays) {
  AtomicFile pending(file);
  std::error_code ignored;
  fs::remove(pending.temporary(), ignored);
  int code = 0;
  zip_t* opened = zip_open(pending.temporary().c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (opened == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    zip_failed(file, reason.c_str());
  }
  std::unique_ptr<zip_t, decltype(&zip_discard)> archive(opened, &zip_discard);
  std::vector<std::string> headers;
  headers.reserve(arrays.size());  // libzip keeps pointers into them
  for (const NpzArray& array : arrays) {
    headers.push_back(header_bytes(array.descr, array.shape));
    add_array(archive.get(), file, array, headers.back());
  }
  if (zip_close(archive.get()) != 0) zip_failed(file, zip_strerror(archive.get()));
  static_cast<void>(archive.release());  // closed
  pending.commit();
}

}  // namespace sea
