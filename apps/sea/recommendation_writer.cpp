#include "recommendation_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "data/atomic_file.hpp"
#include "data/npy.hpp"
#include "models/key.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

std::string ending(const fs::path& file) {
  return to_lower(file.extension().string());
}

/// A field of a .tsv: what would end it becomes a space.
std::string field(std::string text) {
  for (char& c : text) {
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

void write_tsv(std::ostream& out, const Dataset& dataset, bool any_popular,
               const RecommendationSource& source) {
  const bool user_names = !dataset.user_names.empty(), item_names = !dataset.item_names.empty();
  out << "userID\trank\titemID\tscore" << (user_names ? "\tuser" : "") << (item_names ? "\titem" : "")
      << (any_popular ? "\tsource" : "") << '\n';
  source([&](const Recommendation& list) {
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      out << fmt::format("{}\t{}\t{}\t{}", list.user, i + 1, list.items[i], list.scores[i]);
      if (user_names) out << '\t' << field(dataset.user_names[list.user]);
      if (item_names) out << '\t' << field(dataset.item_names[list.items[i]]);
      if (any_popular) out << (list.popular ? "\tpopular" : "\tmodel");
      out << '\n';
    }
  });
}

void write_jsonl(std::ostream& out, const Dataset& dataset, bool any_popular,
                 const RecommendationSource& source) {
  source([&](const Recommendation& list) {
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      nlohmann::ordered_json line;
      line["userID"] = list.user;
      line["rank"] = i + 1;
      line["itemID"] = list.items[i];
      line["score"] = list.scores[i];
      if (!dataset.user_names.empty()) line["user"] = dataset.user_names[list.user];
      if (!dataset.item_names.empty()) line["item"] = dataset.item_names[list.items[i]];
      if (any_popular) line["source"] = list.popular ? "popular" : "model";
      // An original id need not be UTF-8.
      out << line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
    }
  });
}

/// Names of equal length, as NumPy's byte strings are.
struct ByteStrings {
  std::size_t length = 1;
  std::vector<char> bytes;

  ByteStrings(const std::vector<std::string>& names, const std::vector<std::int64_t>& numbers) {
    for (const std::string& name : names) length = std::max(length, name.size());
    bytes.resize(numbers.size() * length);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (numbers[i] < 0) continue;
      const std::string& name = names[static_cast<std::size_t>(numbers[i])];
      std::memcpy(bytes.data() + i * length, name.data(), name.size());
    }
  }
};

void write_npz(const fs::path& file, const Dataset& dataset, ConstIndexView users, std::int64_t top_k,
               bool any_popular, const RecommendationSource& source) {
  const auto rows = static_cast<std::int64_t>(users.size());
  const std::vector<std::int64_t> user_ids(users.begin(), users.end());
  std::vector<std::int64_t> items(static_cast<std::size_t>(rows * top_k), -1);
  std::vector<float> scores(items.size(), -std::numeric_limits<float>::infinity());
  std::vector<char> popular;
  source([&](const Recommendation& list) {
    const auto begin = static_cast<std::ptrdiff_t>(popular.size()) * top_k;
    std::copy(list.items.begin(), list.items.end(), items.begin() + begin);
    std::copy(list.scores.begin(), list.scores.end(), scores.begin() + begin);
    popular.push_back(list.popular ? 1 : 0);
  });
  std::vector<NpzArray> arrays = {{"userID", "<i8", {rows}, user_ids.data()},
                                  {"itemID", "<i8", {rows, top_k}, items.data()},
                                  {"score", "<f4", {rows, top_k}, scores.data()}};
  const ByteStrings user_names(dataset.user_names,
                               dataset.user_names.empty() ? std::vector<std::int64_t>() : user_ids);
  const ByteStrings item_names(dataset.item_names,
                               dataset.item_names.empty() ? std::vector<std::int64_t>() : items);
  if (!dataset.user_names.empty())
    arrays.push_back({"user", fmt::format("|S{}", user_names.length), {rows}, user_names.bytes.data()});
  if (!dataset.item_names.empty())
    arrays.push_back(
        {"item", fmt::format("|S{}", item_names.length), {rows, top_k}, item_names.bytes.data()});
  if (any_popular) arrays.push_back({"popular", "|b1", {rows}, popular.data()});
  sea::write_npz(file, arrays);
}

}  // namespace

void check_recommendation_file(const std::optional<fs::path>& output) {
  if (!output) return;
  const std::string end = ending(*output);
  if (end != ".tsv" && end != ".jsonl" && end != ".npz")
    throw UsageError(fmt::format("--output {}: must end in .tsv, .jsonl or .npz", output->string()));
}

void write_recommendations(const std::optional<fs::path>& output, const Dataset& dataset,
                           ConstIndexView users, std::int64_t top_k, bool any_popular,
                           const RecommendationSource& source) {
  if (!output) {
    write_tsv(std::cout, dataset, any_popular, source);
    if (!std::cout.flush()) throw Error("stdout: cannot be written");
  } else if (ending(*output) == ".npz") {
    write_npz(*output, dataset, users, top_k, any_popular, source);
  } else {
    const bool tsv = ending(*output) == ".tsv";
    write_atomically(*output, [&](std::ostream& out) {
      (tsv ? write_tsv : write_jsonl)(out, dataset, any_popular, source);
    });
  }
}

}  // namespace sea
