#include "recommendation_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "configuration/key.hpp"
#include "data/atomic_file.hpp"
#include "data/npy.hpp"
#include "output.hpp"
#include "sea/error.hpp"
#include "table_writer.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

using Sink = std::function<void(const std::string&)>;

void write_tsv(const Sink& out, const Dataset& dataset, bool any_popular,
               const RecommendationSource& source) {
  const bool user_names = !dataset.user_names.empty(), item_names = !dataset.item_names.empty();
  out(fmt::format("userID\trank\titemID\tscore{}{}{}\n", user_names ? "\tuser" : "",
                  item_names ? "\titem" : "", any_popular ? "\tsource" : ""));
  source([&](const Recommendation& list) {
    std::string text;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      text += fmt::format("{}\t{}\t{}\t{}", list.user, i + 1, list.items[i], list.scores[i]);
      if (user_names) text += '\t' + tsv_field(dataset.user_names[list.user]);
      if (item_names) text += '\t' + tsv_field(dataset.item_names[list.items[i]]);
      if (any_popular) text += list.popular ? "\tpopular" : "\tmodel";
      text += '\n';
    }
    out(text);
  });
}

void write_jsonl(const Sink& out, const Dataset& dataset, bool any_popular,
                 const RecommendationSource& source) {
  source([&](const Recommendation& list) {
    std::string text;
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
      text += line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
    }
    out(text);
  });
}

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
    arrays.push_back({"user", user_names.type(), {rows}, user_names.bytes.data()});
  if (!dataset.item_names.empty())
    arrays.push_back({"item", item_names.type(), {rows, top_k}, item_names.bytes.data()});
  if (any_popular) arrays.push_back({"popular", "|b1", {rows}, popular.data()});
  sea::write_npz(file, arrays);
}

}  // namespace

void check_recommendation_file(const std::optional<fs::path>& output) {
  if (is_stdout(output)) return;
  const std::string end = ending_of(*output);
  if (end != ".tsv" && end != ".jsonl" && end != ".npz")
    throw UsageError(
        fmt::format("--output {}: must end in .tsv, .jsonl or .npz, or be - for stdout", output->string()));
}

void write_recommendations(const std::optional<fs::path>& output, const Dataset& dataset,
                           ConstIndexView users, std::int64_t top_k, bool any_popular,
                           const RecommendationSource& source) {
  if (is_stdout(output)) {
    write_tsv(write_stdout, dataset, any_popular, source);
  } else if (ending_of(*output) == ".npz") {
    write_npz(*output, dataset, users, top_k, any_popular, source);
  } else {
    const bool tsv = ending_of(*output) == ".tsv";
    write_atomically(*output, [&](std::ostream& out) {
      (tsv ? write_tsv : write_jsonl)([&](const std::string& text) { out << text; }, dataset, any_popular,
                                      source);
    });
  }
}

}  // namespace sea
