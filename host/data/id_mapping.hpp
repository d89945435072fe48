#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sea {

/// Reads a table of two or more columns, original id and number, with a header, tab- or comma-separated, as
/// MMRec writes it: the number's column is the one named `number_column` ("userID", "itemID"), else the
/// second. Returns the original id of each number in [0, count), the number itself where the file has none,
/// and adds a notice about those. Returns nothing where the file does not exist. Throws Error with file, line
/// and value.
std::vector<std::string> read_id_mapping(const std::filesystem::path& file, const std::string& number_column,
                                         std::int64_t count, std::vector<std::string>& notices);

/// Likewise of the table in `text`, which the messages say is that of `file`.
std::vector<std::string> parse_id_mapping(const std::filesystem::path& file, std::string_view text,
                                          const std::string& number_column, std::int64_t count,
                                          std::vector<std::string>& notices);

}  // namespace sea
