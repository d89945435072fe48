#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/dataset.hpp"

namespace sea {

/// The lines of a text file and their numbers, without their ends, empty lines and a byte order mark. Throws
/// Error that begins with `option` where it cannot be read.
std::vector<std::pair<std::int64_t, std::string>> read_lines(const std::string& option,
                                                             const std::filesystem::path& file);

/// Users, or items, by what a command line or a file calls them: by original id where the data set has them,
/// else by number. Throws Error that names who is unknown.
class IdFinder {
 public:
  enum class Of { users, items };
  IdFinder(const Dataset& dataset, Of of);

  std::int32_t by_number(const std::string& text, const std::string& source) const;
  /// `number_option` is where numbers go to, if there is such an option.
  std::int32_t by_id(const std::string& id, const std::string& source,
                     std::string_view number_option = {}) const;

  /// Those of the words of an option, lists by commas among them; an original id may hold commas.
  void add_ids(const std::string& option, const std::vector<std::string>& words,
               std::string_view number_option, std::vector<std::int32_t>& ids) const;
  void add_numbers(const std::string& option, const std::vector<std::string>& words,
                   std::vector<std::int32_t>& ids) const;
  /// Those of a file, one a line. Throws Error where it names nobody.
  void add_file(const std::string& option, const std::filesystem::path& file, std::string_view number_option,
                std::vector<std::int32_t>& ids) const;

 private:
  const char* one() const { return of_ == Of::users ? "user" : "item"; }

  Of of_;
  std::int64_t count_;
  std::filesystem::path mapping_;
  bool has_names_;
  /// The first and the last number of an original id.
  std::unordered_map<std::string, std::pair<std::int32_t, std::int32_t>> ids_;
};

}  // namespace sea
