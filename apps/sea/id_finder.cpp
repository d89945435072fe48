#include "id_finder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "configuration/key.hpp"
#include "data/file_bytes.hpp"
#include "sea/error.hpp"

namespace sea {

namespace fs = std::filesystem;

std::vector<std::pair<std::int64_t, std::string>> read_lines(const std::string& option,
                                                             const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::error_code ignored;
  if (!in || fs::is_directory(file, ignored))
    throw Error(fmt::format("{} {}: there is no such file, or it cannot be read", option, file.string()));
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  std::string_view rest = text;
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (rest.substr(0, byte_order_mark.size()) == byte_order_mark) rest.remove_prefix(byte_order_mark.size());
  std::vector<std::pair<std::int64_t, std::string>> lines;
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!line.empty()) lines.emplace_back(number, line);
  }
  return lines;
}

IdFinder::IdFinder(const Dataset& dataset, Of of)
    : of_(of),
      count_(of == Of::users ? dataset.users : dataset.items),
      mapping_(dataset.folder / (of == Of::users ? "u_id_mapping.csv" : "i_id_mapping.csv")) {
  const std::vector<std::string>& names = of == Of::users ? dataset.user_names : dataset.item_names;
  has_names_ = !names.empty();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto number = static_cast<std::int32_t>(i);
    const auto [place, added] = ids_.try_emplace(names[i], number, number);
    if (!added) place->second.second = number;
  }
}

std::int32_t IdFinder::by_number(const std::string& text, const std::string& source) const {
  std::int64_t number = -1;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size() || number < 0 || number >= count_) {
    throw Error(fmt::format("{}: '{}' is unknown; {}s are the numbers from 0 to {}", source, printable(text),
                            one(), count_ - 1));
  }
  return static_cast<std::int32_t>(number);
}

std::int32_t IdFinder::by_id(const std::string& id, const std::string& source,
                             std::string_view number_option) const {
  if (!has_names_) return by_number(id, source);
  const auto found = ids_.find(id);
  if (found == ids_.end()) {
    throw Error(fmt::format(
        "{}: '{}' is unknown; it is no original id of {}{}", source, printable(id), mapping_.string(),
        number_option.empty() ? "" : fmt::format(", and numbers go to {}", number_option)));
  }
  const auto [first, last] = found->second;
  if (first != last) {
    throw Error(fmt::format("{}: '{}' is the original id of the {}s {} and {}{}", source, printable(id),
                            one(), first, last,
                            number_option.empty() ? "" : fmt::format("; choose by {}", number_option)));
  }
  return first;
}

void IdFinder::add_ids(const std::string& option, const std::vector<std::string>& words,
                       std::string_view number_option, std::vector<std::int32_t>& ids) const {
  for (const std::string& word : words) {
    const std::vector<std::string> parts =
        ids_.count(word) != 0 ? std::vector<std::string>{word} : split_at_commas(word);
    for (const std::string& id : parts)
      ids.push_back(by_id(id, fmt::format("{} {}", option, word), number_option));
  }
}

void IdFinder::add_numbers(const std::string& option, const std::vector<std::string>& words,
                           std::vector<std::int32_t>& ids) const {
  for (const std::string& word : words) {
    for (const std::string& number : split_at_commas(word))
      ids.push_back(by_number(number, fmt::format("{} {}", option, word)));
  }
}

void IdFinder::add_file(const std::string& option, const fs::path& file, std::string_view number_option,
                        std::vector<std::int32_t>& ids) const {
  const auto lines = read_lines(option, file);
  if (lines.empty()) throw Error(fmt::format("{} {}: names no {}", option, file.string(), one()));
  for (const auto& [number, line] : lines)
    ids.push_back(by_id(line, fmt::format("{} {}, line {}", option, file.string(), number), number_option));
}

}  // namespace sea
