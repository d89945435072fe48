#include "user_selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "configuration/key.hpp"
#include "data/file_bytes.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

class UserFinder {
 public:
  explicit UserFinder(const Dataset& dataset) : dataset_(dataset) {
    for (std::size_t user = 0; user < dataset.user_names.size(); ++user) {
      const auto number = static_cast<std::int32_t>(user);
      const auto [place, added] = users_.try_emplace(dataset.user_names[user], number, number);
      if (!added) place->second.second = number;
    }
  }

  bool has_names() const { return !dataset_.user_names.empty(); }
  bool knows(const std::string& id) const { return users_.count(id) != 0; }

  std::int32_t by_number(const std::string& text, const std::string& source) const {
    std::int64_t number = -1;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc() || end != text.data() + text.size() || number < 0 ||
        number >= dataset_.users) {
      throw Error(fmt::format("{}: '{}' is unknown; users are the numbers from 0 to {}", source,
                              printable(text), dataset_.users - 1));
    }
    return static_cast<std::int32_t>(number);
  }

  /// By original id where the data set has them, else by number.
  std::int32_t by_id(const std::string& id, const std::string& source) const {
    if (!has_names()) return by_number(id, source);
    const auto found = users_.find(id);
    if (found == users_.end()) {
      throw Error(
          fmt::format("{}: '{}' is unknown; it is no original id of {}, and numbers go to --user-index",
                      source, printable(id), (dataset_.folder / "u_id_mapping.csv").string()));
    }
    const auto [first, last] = found->second;
    if (first != last) {
      throw Error(fmt::format("{}: '{}' is the original id of the users {} and {}; choose by --user-index",
                              source, printable(id), first, last));
    }
    return first;
  }

 private:
  const Dataset& dataset_;
  /// The first and the last user of an original id.
  std::unordered_map<std::string, std::pair<std::int32_t, std::int32_t>> users_;
};

void add_file(const fs::path& file, const UserFinder& finder, std::vector<std::int32_t>& users) {
  std::ifstream in(file, std::ios::binary);
  std::error_code ignored;
  if (!in || fs::is_directory(file, ignored))
    throw Error(fmt::format("--user-file {}: there is no such file, or it cannot be read", file.string()));
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  std::string_view rest = text;
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (rest.substr(0, byte_order_mark.size()) == byte_order_mark) rest.remove_prefix(byte_order_mark.size());
  const std::size_t before = users.size();
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    users.push_back(
        finder.by_id(std::string(line), fmt::format("--user-file {}, line {}", file.string(), number)));
  }
  if (users.size() == before) throw Error(fmt::format("--user-file {}: names no user", file.string()));
}

}  // namespace

void check_users(const UserSelection& selection) {
  const bool some = !selection.ids.empty() || !selection.numbers.empty() || selection.file;
  if (!some && !selection.all) throw UsageError("--user, --user-index, --user-file or --all is needed");
  if (some && selection.all) throw UsageError("--all has every user; leave the other users out");
}

std::vector<std::int32_t> find_users(const UserSelection& selection, const Dataset& dataset) {
  std::vector<std::int32_t> users;
  if (selection.all) {
    users.resize(static_cast<std::size_t>(dataset.users));
    std::iota(users.begin(), users.end(), 0);
    return users;
  }
  const UserFinder finder(dataset);
  for (const std::string& word : selection.ids) {
    // An original id may hold commas.
    const std::vector<std::string> ids =
        finder.knows(word) ? std::vector<std::string>{word} : split_at_commas(word);
    for (const std::string& id : ids) users.push_back(finder.by_id(id, "--user " + word));
  }
  for (const std::string& word : selection.numbers) {
    for (const std::string& number : split_at_commas(word))
      users.push_back(finder.by_number(number, "--user-index " + word));
  }
  if (selection.file) add_file(*selection.file, finder, users);
  return users;
}

}  // namespace sea
