#include "training/recommend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "commands.hpp"
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
  bool include_seen = false;
  std::string top_k = "20", exclude, device = "auto", threads = "0";
  std::optional<fs::path> data, output;
};

void run_recommend(const RecommendOptions& options) {
  const std::int64_t top_k = parse_option("--top-k", options.top_k, 1, 2147483647);
  check_recommendation_file(options.output);
  check_users(options.users);
  if (options.include_seen && !options.exclude.empty())
    throw UsageError("--include-seen and --exclude: give one of them");
  const SeenItems seen = options.include_seen         ? SeenItems::none
                         : options.exclude == "train" ? SeenItems::training
                                                      : SeenItems::all_splits;
  const Device device = open_device_of(options.device, options.threads);
  const RunData run = load_run(options.run, options.data, best_file(options.run));
  const Dataset& dataset = run.dataset;

  const std::vector<std::int32_t> users = find_users(options.users, dataset);
  const auto without_history =
      std::count_if(users.begin(), users.end(), [&](std::int32_t u) { return dataset.train.row(u).empty(); });
  const Scorer& scorer = scorer_of(run.description.configuration.model().score);
  if (without_history > 0) {
    print_notice(fmt::format("{} of {} users have no training history; they are shown the most popular items",
                             without_history, users.size()));
  }
  write_recommendations(options.output, dataset, users, std::min(top_k, dataset.items), without_history > 0,
                        [&](const std::function<void(const Recommendation&)>& receive) {
                          recommend(*device.backend, dataset, run.representations, users, top_k, seen,
                                    receive, scorer);
                        });
}

}  // namespace

void add_recommend(CLI::App& app) {
  auto options = std::make_shared<RecommendOptions>();
  CLI::App* command = app.add_subcommand("recommend", "the best items for users of a trained run");
  command->add_option("RUN", options->run, "folder of the run")->required();
  constexpr int many = 1 << 20;
  command
      ->add_option("--user", options->users.ids,
                   "users, as in 7,12: by original id where u_id_mapping.csv is, else by number")
      ->expected(1, many);
  command->add_option("--user-index", options->users.numbers, "users by number, as in 7,12")
      ->expected(1, many);
  command->add_option("--user-file", options->users.file, "file of users, one per line, named as for --user");
  command->add_flag("--all", options->users.all, "every user");
  command->add_option("--top-k", options->top_k, "items per user (default: 20)");
  command->add_option("--exclude", options->exclude, "train: leave out the training items alone")
      ->transform(CLI::IsMember({"train"}, CLI::ignore_case));
  command->add_flag("--include-seen", options->include_seen, "leave out nothing");
  command->add_option("--output", options->output,
                      "file that ends in .tsv, .jsonl or .npz, or - for stdout (default: .tsv on stdout)");
  command->add_option("--data", options->data, "folder of the data set, where it has moved");
  command->add_option("--device", options->device, "auto, cpu, cuda or cuda:N");
  command->add_option("--threads", options->threads, "of the processor; 0 takes all");
  command->callback([options] { run_recommend(*options); });
}

}  // namespace sea
