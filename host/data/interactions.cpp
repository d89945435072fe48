#include "data/interactions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <iterator>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

#include "data/file_bytes.hpp"
#include "data/memory.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t largest_id = std::numeric_limits<std::int32_t>::max() - 1;
constexpr std::array<std::string_view, 3> column_names = {"userID", "itemID", "x_label"};

struct Pair {
  std::int32_t user, item;
};

/// What the text of a file says, in its order, by split.
struct ParsedPairs {
  std::array<std::vector<Pair>, 3> splits;
  std::int32_t largest_user = -1, largest_item = -1;
  std::int64_t largest_user_line = 0, largest_item_line = 0;
  bool carriage_returns = false;
};

/// Walks over the lines of a file and the fields of a line, without copying any.
class InteractionsParser {
 public:
  InteractionsParser(const fs::path& file, std::string_view text) : file_(file), rest_(text) {
    while (!rest_.empty() && (rest_.back() == '\n' || rest_.back() == '\r')) rest_.remove_suffix(1);
    if (rest_.substr(0, 3) == "\xEF\xBB\xBF") rest_.remove_prefix(3);  // a byte order mark
  }

  ParsedPairs parse() {
    if (rest_.empty()) throw Error(fmt::format("{}: is empty", file_.string()));
    read_column_names(next_line());
    if (rest_.empty())
      throw Error(fmt::format("{}: has a header and no interactions below it", file_.string()));
    while (!rest_.empty()) read_pair(next_line());
    return std::move(result_);
  }

 private:
  template <class... Values>
  [[noreturn]] void fail(fmt::format_string<Values...> format, Values&&... values) const {
    throw Error(fmt::format("{}, line {}: {}", file_.string(), line_number_,
                            fmt::format(format, std::forward<Values>(values)...)));
  }

  std::string_view next_line() {
    ++line_number_;
    std::string_view line = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(std::min(rest_.size(), line.size() + 1));
    if (!line.empty() && line.back() == '\r') {
      line.remove_suffix(1);
      result_.carriage_returns = true;
    }
    return line;
  }

  void read_column_names(std::string_view line) {
    std::vector<std::string_view> names;
    for (bool more = true; more;) {
      const std::size_t length = line.find('\t');
      names.push_back(line.substr(0, length));
      more = length != std::string_view::npos;
      if (more) line.remove_prefix(length + 1);
    }
    columns_ = names.size();
    for (const std::string_view name : names) {
      if (name.find(":token") != std::string_view::npos)
        fail("column '{}' is of RecBole's atomic format; datasets/from_recbole.py{} converts it",
             printable(name), names_split(header_text(names)) ? " --split-field x_label" : "");
    }
    for (std::size_t c = 0; c < column_names.size(); ++c) {
      const auto found = std::find(names.begin(), names.end(), column_names[c]);
      if (found == names.end()) {
        if (names.size() == 1 && names[0].find(',') != std::string_view::npos)
          fail("the header is separated by commas, not by tabs; datasets/from_csv.py{} converts such a file",
               names_split(names[0]) ? " --split x_label" : "");
        fail(
            "there is no column '{}' in the header '{}'; userID, itemID and x_label are needed, separated by "
            "tabs",
            column_names[c], header_text(names));
      }
      if (std::find(found + 1, names.end(), column_names[c]) != names.end())
        fail("the header names column '{}' twice", column_names[c]);
      places_[c] = static_cast<std::size_t>(found - names.begin());
    }
  }

  /// Whether a header of another format tells of a split, which a converter has to be told to keep.
  static bool names_split(std::string_view text) { return text.find("x_label") != std::string_view::npos; }

  static std::string header_text(const std::vector<std::string_view>& names) {
    std::string text;
    for (const std::string_view name : names) text += (text.empty() ? "" : " ") + std::string(name);
    return printable(text);
  }

  void read_pair(std::string_view line) {
    std::array<std::string_view, 3> fields;
    std::size_t column = 0;
    const char *field = line.data(), *const end = field + line.size();
    while (true) {
      const void* tab = std::memchr(field, '\t', static_cast<std::size_t>(end - field));
      const char* stop = tab != nullptr ? static_cast<const char*>(tab) : end;
      for (std::size_t c = 0; c < places_.size(); ++c) {
        if (places_[c] == column) fields[c] = {field, static_cast<std::size_t>(stop - field)};
      }
      ++column;
      if (tab == nullptr) break;
      field = stop + 1;
    }
    if (column != columns_) {
      if (line.empty()) fail("the line is empty");
      fail("{} where the header names {}", counted(static_cast<std::int64_t>(column), "column"), columns_);
    }
    const std::int32_t user = read_id(fields[0], 0), item = read_id(fields[1], 1);
    if (fields[2] != "0" && fields[2] != "1" && fields[2] != "2")
      fail("x_label is '{}'; it may be 0 (training), 1 (validation) or 2 (test)", printable(fields[2]));
    if (user > result_.largest_user) {
      result_.largest_user = user;
      result_.largest_user_line = line_number_;
    }
    if (item > result_.largest_item) {
      result_.largest_item = item;
      result_.largest_item_line = line_number_;
    }
    result_.splits[static_cast<std::size_t>(fields[2][0] - '0')].push_back({user, item});
  }

  std::int32_t read_id(std::string_view field, std::size_t column) const {
    std::int32_t id = 0;
    const char* end = field.data() + field.size();
    const auto [next, error] = std::from_chars(field.data(), end, id);
    if (error != std::errc() || next != end || id < 0 || id > largest_id)
      fail("{} is '{}'; an id is a whole number from 0 to {}", column_names[column], printable(field),
           largest_id);
    return id;
  }

  const fs::path& file_;
  std::string_view rest_;
  std::int64_t line_number_ = 0;
  std::size_t columns_ = 0;
  std::array<std::size_t, 3> places_ = {};
  ParsedPairs result_;
};

/// Where ids have holes the size of the machine, says so before anything is allocated by id.
void check_memory(const fs::path& file, const ParsedPairs& parsed, std::int64_t memory) {
  const std::int64_t users = std::int64_t{parsed.largest_user} + 1,
                     items = std::int64_t{parsed.largest_item} + 1;
  // Offsets of three splits and of the interaction graph.
  const std::int64_t needed = static_cast<std::int64_t>(sizeof(std::int64_t)) * (3 * users + (users + items));
  if (needed <= memory) return;
  const bool user = users >= items;
  throw Error(fmt::format(
      "{}, line {}: {} {} makes {} {}, whose index alone needs {} of memory where {} are free; ids should be "
      "consecutive from 0",
      file.string(), user ? parsed.largest_user_line : parsed.largest_item_line, user ? "userID" : "itemID",
      user ? parsed.largest_user : parsed.largest_item, grouped(user ? users : items),
      user ? "users" : "items", bytes_text(needed), bytes_text(memory)));
}

/// One row per user, ids ascending, repeated pairs counted in `repeated` and kept once.
HostCsr rows_of(const std::vector<Pair>& pairs, std::int64_t users, std::int64_t items,
                std::int64_t& repeated) {
  HostCsr matrix;
  matrix.rows = users;
  matrix.columns = items;
  std::vector<std::int64_t>& offsets = matrix.row_offsets;
  offsets.assign(static_cast<std::size_t>(users) + 1, 0);
  for (const Pair& pair : pairs) ++offsets[static_cast<std::size_t>(pair.user) + 1];
  for (std::size_t user = 1; user < offsets.size(); ++user) offsets[user] += offsets[user - 1];
  matrix.column_indices.resize(pairs.size());
  for (const Pair& pair : pairs)
    matrix.column_indices[static_cast<std::size_t>(offsets[static_cast<std::size_t>(pair.user)]++)] =
        pair.item;
  // Filling moved each offset to the next row's start.
  offsets.pop_back();
  offsets.insert(offsets.begin(), 0);

  const auto begin = matrix.column_indices.begin();
  auto kept = begin;
  for (std::size_t user = 0; user + 1 < offsets.size(); ++user) {
    const auto first = begin + offsets[user], last = begin + offsets[user + 1];
    std::sort(first, last);
    offsets[user] = kept - begin;
    kept = std::unique_copy(first, last, kept);
  }
  repeated += matrix.column_indices.end() - kept;
  offsets.back() = kept - begin;
  matrix.column_indices.erase(kept, matrix.column_indices.end());
  return matrix;
}

struct Dropped {
  std::int64_t in_train = 0, without_history = 0, users_without_history = 0;
};

/// Takes out of a held-out split what stands in training, and users of whom training knows nothing.
void drop_unusable(HostCsr& split, const HostCsr& train, std::vector<bool>& without_history,
                   Dropped& dropped) {
  HostCsr kept;
  kept.rows = split.rows;
  kept.columns = split.columns;
  kept.row_offsets.reserve(split.row_offsets.size());
  kept.column_indices.reserve(split.column_indices.size());
  for (std::int64_t user = 0; user < split.rows; ++user) {
    const ConstIndexView held_out = split.row(user), history = train.row(user);
    if (history.empty() && !held_out.empty()) {
      dropped.without_history += static_cast<std::int64_t>(held_out.size());
      if (!without_history[static_cast<std::size_t>(user)]) ++dropped.users_without_history;
      without_history[static_cast<std::size_t>(user)] = true;
    } else {
      std::set_difference(held_out.begin(), held_out.end(), history.begin(), history.end(),
                          std::back_inserter(kept.column_indices));
      dropped.in_train +=
          static_cast<std::int64_t>(held_out.size()) - (kept.nonzeros() - kept.row_offsets.back());
    }
    kept.row_offsets.push_back(kept.nonzeros());
  }
  split = std::move(kept);
}

fs::path data_folder(const fs::path& given) {
  std::error_code error;
  if (given.empty()) throw Error("the name of the data folder is empty");
  if (!fs::exists(given, error)) throw Error(fmt::format("{}: there is no such data folder", given.string()));
  if (!fs::is_directory(given, error))
    throw Error(fmt::format("{}: is a file; give the data set's folder", given.string()));
  fs::path folder = fs::absolute(given).lexically_normal();
  return folder.has_filename() ? folder : folder.parent_path();
}

/// `folder/NAME.inter`; where a folder was renamed, its only .inter file.
fs::path interactions_file(const fs::path& folder) {
  const fs::path file = folder / (folder.filename().string() + ".inter");
  std::error_code error;
  if (fs::exists(file, error)) return file;
  std::vector<fs::path> others;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".inter") others.push_back(entry.path());
  }
  if (others.size() == 1) return others.front();
  const bool recbole = std::any_of(others.begin(), others.end(), [](const fs::path& other) {
    return other.stem().extension() == ".train";
  });
  throw Error(fmt::format(
      "{}: no such file; the interactions of a folder are NAME/NAME.inter, or its only .inter file (.inter "
      "files here: {}){}",
      file.string(), list_files(folder, ".inter"),
      recbole ? "; datasets/from_recbole.py converts three files of one split" : ""));
}

}  // namespace

Interactions read_interactions(const fs::path& folder, std::int64_t memory, TrainOn train_on) {
  Interactions result;
  result.folder = data_folder(folder);
  result.name = result.folder.filename().string();
  result.file = interactions_file(result.folder);
  const std::vector<char> bytes = read_bytes(result.file);
  Interactions parsed = parse_interactions(result.file, {bytes.data(), bytes.size()}, memory, train_on);
  parsed.name = std::move(result.name);
  parsed.folder = std::move(result.folder);
  return parsed;
}

Interactions parse_interactions(const fs::path& file, std::string_view text, std::int64_t memory,
                                TrainOn train_on) {
  ParsedPairs parsed = InteractionsParser(file, text).parse();
  check_memory(file, parsed, memory);

  Interactions result;
  result.file = file;
  result.users = std::int64_t{parsed.largest_user} + 1;
  result.items = std::int64_t{parsed.largest_item} + 1;
  for (const std::size_t label : {1, 2}) {
    if (train_on == TrainOn::train || (train_on == TrainOn::train_and_valid && label == 2)) continue;
    std::vector<Pair>& split = parsed.splits[label];
    parsed.splits[0].insert(parsed.splits[0].end(), split.begin(), split.end());
    split.clear();
  }
  std::int64_t repeated = 0;
  result.train = rows_of(parsed.splits[0], result.users, result.items, repeated);
  result.valid = rows_of(parsed.splits[1], result.users, result.items, repeated);
  result.test = rows_of(parsed.splits[2], result.users, result.items, repeated);
  Dropped dropped;
  if (result.train.nonzeros() > 0) {
    std::vector<bool> without_history(static_cast<std::size_t>(result.users));
    drop_unusable(result.valid, result.train, without_history, dropped);
    drop_unusable(result.test, result.train, without_history, dropped);
  }

  const std::string name = result.file.filename().string();
  if (parsed.carriage_returns) result.notices.push_back(fmt::format("{}: lines end in CRLF", name));
  if (repeated > 0)
    result.notices.push_back(fmt::format("{}: {} dropped: the pair stands in the same split before", name,
                                         counted(repeated, "line")));
  if (dropped.in_train > 0)
    result.notices.push_back(
        fmt::format("{}: {} dropped from validation or test: the pair stands in training too", name,
                    counted(dropped.in_train, "pair")));
  if (dropped.without_history > 0)
    result.notices.push_back(fmt::format(
        "{}: {} dropped from validation or test: {} without any training pair", name,
        counted(dropped.without_history, "pair"), counted(dropped.users_without_history, "user")));
  return result;
}

void check_training(const Interactions& interactions) {
  if (interactions.train.nonzeros() == 0)
    throw Error(
        fmt::format("{}: the training split (x_label 0) has no usable pair", interactions.file.string()));
}

}  // namespace sea
