#include "training/recommend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>

#include "commands.hpp"
#include "recommendation_writer.hpp"
#include "run_data.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

struct RecommendOptions {
  fs::path run;
  std::vector<std::string> users;
  bool all = false, include_seen = false;
  std::string top_k = "20", exclude, device = "auto", threads = "0";
  std::optional<fs::path> data, output;
};

/// A user by number, or by original id where the data set has them.
std::int32_t find_user(const std::string& id, const Dataset& dataset) {
  std::int64_t number = -1;
  const auto [end, problem] = std::from_chars(id.data(), id.data() + id.size(), number);
  const bool is_number = problem == std::errc() && end == id.data() + id.size();
  if (is_number && number >= 0 && number < dataset.users) return static_cast<std::int32_t>(number);
  const auto name = std::find(dataset.user_names.begin(), dataset.user_names.end(), id);
  if (name != dataset.user_names.end()) return static_cast<std::int32_t>(name - dataset.user_names.begin());
  throw Error(fmt::format("--user {}: is unknown; users are the numbers from 0 to {}{}", id,
                          dataset.users - 1,
                          dataset.user_names.empty() ? "" : " and the original ids of u_id_mapping.csv"));
}

void run_recommend(const RecommendOptions& options) {
  const std::int64_t top_k = parse_option("--top-k", options.top_k, 1, 2147483647);
  check_recommendation_file(options.output);
  if (options.all && !options.users.empty()) throw UsageError("--user and --all: give one of them");
  if (!options.all && options.users.empty()) throw UsageError("--user or --all is needed");
  if (options.include_seen && !options.exclude.empty())
    throw UsageError("--include-seen and --exclude: give one of them");
  const SeenItems seen = options.include_seen         ? SeenItems::none
                         : options.exclude == "train" ? SeenItems::training
                                                      : SeenItems::all_splits;
  const Device device = open_device_of(options.device, options.threads);
  const RunData run = load_run(options.run, options.data, best_file(options.run));
  const Dataset& dataset = run.dataset;

  std::vector<std::int32_t> users;
  if (options.all) {
    users.resize(static_cast<std::size_t>(dataset.users));
    std::iota(users.begin(), users.end(), 0);
  }
  for (const std::string& id : options.users) users.push_back(find_user(id, dataset));
  const auto without_history =
      std::count_if(users.begin(), users.end(), [&](std::int32_t u) { return dataset.train.row(u).empty(); });
  if (without_history > 0) {
    print_notice(fmt::format("{} of {} users have no training history; they are shown the most popular items",
                             without_history, users.size()));
  }
  write_recommendations(options.output, dataset, users, std::min(top_k, dataset.items), without_history > 0,
                        [&](const std::function<void(const Recommendation&)>& receive) {
                          recommend(*device.backend, dataset, run.representations, users, top_k, seen,
                                    receive);
                        });
}

}  // namespace

void add_recommend(CLI::App& app) {
  auto options = std::make_shared<RecommendOptions>();
  CLI::App* command = app.add_subcommand("recommend", "the best items for users of a trained run");
  command->add_option("RUN", options->run, "folder of the run")->required();
  command->add_option("--user", options->users, "one user or several, by number or original id")
      ->expected(1, 1 << 20);
  command->add_flag("--all", options->all, "every user");
  command->add_option("--top-k", options->top_k, "items a user (default: 20)");
  command->add_option("--exclude", options->exclude, "train: leave out the training items alone")
      ->transform(CLI::IsMember({"train"}, CLI::ignore_case));
  command->add_flag("--include-seen", options->include_seen, "leave out nothing");
  command->add_option("--output", options->output, ".tsv, .jsonl or .npz (default: .tsv on stdout)");
  command->add_option("--data", options->data, "folder of the data set, where it has moved");
  command->add_option("--device", options->device, "auto, cpu, cuda or cuda:N");
  command->add_option("--threads", options->threads, "of the processor; 0 takes all");
  command->callback([options] { run_recommend(*options); });
}

}  // namespace sea
