#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/file_bytes.hpp"
#include "data/npy.hpp"

namespace sea {

/// Reads and checks the header, and leaves the stream at the first number.
NpyHeader read_header(InputFile& input);

/// The bytes before an array's numbers: magic, version, length, dictionary padded to a multiple of 64.
std::string header_bytes(const std::string& descr, const std::vector<std::int64_t>& shape);

/// Bytes of one element, or nothing where the type has no fixed size.
std::optional<std::int64_t> element_bytes(const std::string& descr);

/// Numbers in an array of this shape; nothing where that passes 2^63.
std::optional<std::int64_t> element_count(const std::vector<std::int64_t>& shape);

/// "6710 x 128".
std::string shape_text(const std::vector<std::int64_t>& shape);

/// What a dtype holds, in words: "floats", "integers", "text".
std::string kind_of(const std::string& descr);

}  // namespace sea
