#include "training/recommend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "command.hpp"
#include "commands.hpp"
#include "id_finder.hpp"
#include "newcomers.hpp"
#include "output.hpp"
#include "recommendation_writer.hpp"
#include "run_data.hpp"
#include "sea/error.hpp"
#include "user_selection.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

struct RecommendOptions {
  fs::path run;
  UserSelection users;
  NewcomerFiles newcomers;
  std::optional<fs::path> candidates, without;
  bool include_seen = false;
  std::string top_k = "20", exclude, device = "auto", threads = "0";
  std::optional<fs::path> data, output;
};

/// The items that are ranked, ascending and distinct; all, where nothing is asked for: none are named.
std::vector<std::int32_t> candidates_of(const RecommendOptions& options, const Dataset& dataset) {
  std::vector<std::int32_t> items;
  if (!options.candidates && !options.without) return items;
  const IdFinder finder(dataset, IdFinder::Of::items);
  const auto read = [&](const char* option, const fs::path& file) {
    std::vector<std::int32_t> ids;
    finder.add_file(option, file, {}, ids);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  };
  if (options.candidates) {
    items = read("--candidates", *options.candidates);
  } else {
    items.resize(static_cast<std::size_t>(dataset.items));
    std::iota(items.begin(), items.end(), 0);
  }
  if (options.without) {
    const std::vector<std::int32_t> out = read("--without", *options.without);
    std::erase_if(items, [&](std::int32_t id) { return std::binary_search(out.begin(), out.end(), id); });
    if (items.empty())
      throw Error(fmt::format("--without {}: leaves no item to rank", options.without->string()));
  }
  return items;
}

void run_recommend(const RecommendOptions& options) {
  const std::int64_t top_k = parse_option("--top-k", options.top_k, 1, 2147483647);
  check_recommendation_file(options.output);
  const bool asked = check_users(options.users, options.newcomers.history.has_value());
  if (options.include_seen && !options.exclude.empty())
    throw UsageError("--include-seen and --exclude: give one of them");
  const SeenItems seen = options.include_seen         ? SeenItems::none
                         : options.exclude == "train" ? SeenItems::training
                                                      : SeenItems::all_splits;
  const Device device = open_device_of(options.device, options.threads);
  RunData run = load_run(options.run, options.data, best_file(options.run));
  const Dataset& dataset = run.dataset;

  std::vector<std::int32_t> users;
  if (asked) users = find_users(options.users, dataset);
  if (options.newcomers.any()) {
    const auto known = static_cast<std::int32_t>(dataset.users);
    take_in(*device.backend, options.newcomers, options.run, run);
    for (std::int32_t person = known; person < dataset.users; ++person) users.push_back(person);
  }
  const std::vector<std::int32_t> candidates = candidates_of(options, dataset);
  const std::int64_t ranked =
      candidates.empty() ? dataset.items : static_cast<std::int64_t>(candidates.size());
  const auto without_history =
      std::count_if(users.begin(), users.end(), [&](std::int32_t u) { return dataset.history(u).empty(); });
  const Scorer& scorer = scorer_of(run.description.configuration.model().score);
  if (without_history > 0) {
    print_notice(fmt::format("{} of {} users have no training history; they are shown the most popular items",
                             without_history, users.size()));
  }
  write_recommendations(options.output, dataset, users, std::min(top_k, ranked), without_history > 0,
                        [&](const std::function<void(const Recommendation&)>& receive) {
                          recommend(*device.backend, dataset, run.representations, users, top_k, seen,
                                    receive, scorer, candidates);
                        });
}

}  // namespace

void add_recommend(CLI::App& app) {
  auto options = std::make_shared<RecommendOptions>();
  Command command(app, "recommend", "the best items for users of a trained run");
  command.option("RUN", options->run, "folder of the run").required();
  command
      .option("--user", options->users.ids,
              "users, as in 7,12: by original id where u_id_mapping.csv is, else by number")
      .several();
  command.option("--user-index", options->users.numbers, "users by number, as in 7,12").several();
  command.option("--user-file", options->users.file, "file of users, one per line, named as for --user");
  command.flag("--all", options->users.all, "every user");
  command.option("--history", options->newcomers.history,
                 "file of people who were not in training, lines of a person and an item, parted by a tab");
  command.option("--new-items", options->newcomers.new_items,
                 "folder with the features of items that were not in training, in files named as the data's");
  command.option("--candidates", options->candidates, "file of the items to rank, one per line");
  command.option("--without", options->without, "file of items to leave out, one per line");
  command.option("--top-k", options->top_k, "items per user (default: 20)");
  command.option("--exclude", options->exclude, "train: leave out the training items alone")
      .one_of({"train"});
  command.flag("--include-seen", options->include_seen, "leave out nothing");
  command.option("--output", options->output,
                 "file that ends in .tsv, .jsonl or .npz, or - for stdout (default: .tsv on stdout)");
  command.option("--data", options->data, "folder of the data set, where it has moved");
  command.device_options(options->device, options->threads);
  command.run([options] { run_recommend(*options); });
}

}  // namespace sea
