#include "run_evaluation.hpp"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "command.hpp"
#include "commands.hpp"
#include "configuration/key.hpp"
#include "sea/device_csr.hpp"
#include "sea/error.hpp"
#include "training/evaluation.hpp"
#include "training/trainer.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

/// The held-out pairs that are asked for.
HostCsr held_out_of(const EvaluationOptions& options, const Dataset& dataset, const fs::path& run) {
  const bool test = options.split == "test";
  const HostCsr& split = test ? dataset.test : dataset.valid;
  if (split.nonzeros() == 0) {
    const bool other = (test ? dataset.valid : dataset.test).nonzeros() > 0;
    throw Error(fmt::format("{}: there are no {} pairs to evaluate {} on{}", dataset.folder.string(),
                            test ? "test" : "validation", run.string(),
                            other ? fmt::format("; --split {} has some", test ? "valid" : "test") : ""));
  }
  if (!options.warm_items) return split;
  HostCsr known = with_warm_items(split, dataset.train);
  if (known.nonzeros() == 0) {
    throw Error(fmt::format("--warm-items: no item of the {} split has a training pair in {}", options.split,
                            dataset.folder.string()));
  }
  return known;
}

}  // namespace

void EvaluationOptions::check() const {
  if (mask_validation && split != "test") throw UsageError("--mask-validation: goes with --split test alone");
  metric_list();
  resampling_seed(*this);
}

std::vector<std::int64_t> EvaluationOptions::cutoffs(const Configuration& configuration) const {
  if (!top_k) return metric_cutoffs(configuration);
  Configuration asked = configuration;
  asked.set_text("topk", *top_k, fmt::format("--top-k {}", *top_k));
  return asked.cutoffs("topk");
}

std::vector<std::size_t> EvaluationOptions::metric_list() const {
  return parse_metrics(metrics, fmt::format("--metrics {}", metrics));
}

fs::path EvaluationOptions::file(const fs::path& run) const {
  return checkpoint == "best" ? best_file(run) : checkpoint_file(run);
}

void add_evaluation_options(Command& command, EvaluationOptions& options) {
  command.option("--split", options.split, "valid or test (default: test)").one_of({"valid", "test"});
  command.option("--top-k", options.top_k, "cut-offs, as in 10,20 (default: those of the run)");
  command.option("--metrics", options.metrics,
                 "as in recall,ndcg: recall, ndcg, precision, map, hit, mrr, averagepopularity, "
                 "itemcoverage, giniindex (default: all)");
  command.option("--checkpoint", options.checkpoint, "best or last (default: best)").one_of({"best", "last"});
  command.flag("--warm-items", options.warm_items,
               "leave out held-out pairs whose item has no training pair");
  command.flag("--mask-validation", options.mask_validation,
               "leave a user's validation items out of the ranking for test, as RecBole does");
  command.option("--seed", options.seed, "of the resamples (default: 999)");
  command.option("--data", options.data, "folder of the data set, where it has moved");
  command.device_options(options.device, options.threads);
}

std::uint64_t resampling_seed(const EvaluationOptions& options) {
  return static_cast<std::uint64_t>(
      parse_option("--seed", options.seed, 0, std::numeric_limits<std::int64_t>::max()));
}

RunEvaluation evaluate_run(Backend& backend, const RunData& run, const fs::path& name,
                           const EvaluationOptions& options, const std::vector<std::int64_t>& cutoffs,
                           const std::vector<std::string>& kinds) {
  const Dataset& dataset = run.dataset;
  const Configuration& configuration = run.description.configuration;
  const HostMatrix &users = run.representations.users, &items = run.representations.items;
  // What the ranking leaves out.
  const HostCsr masked =
      options.mask_validation ? pairs_of_either(dataset.train, dataset.valid) : dataset.train;
  const HostCsr held_out = held_out_of(options, dataset, name);
  const DeviceCsr history(backend, dataset.users, dataset.items, masked.row_offsets, masked.column_indices,
                          {});
  const Buffer<float> device_users = to_device(backend, users.values);
  const Buffer<float> device_items = to_device(backend, items.values);
  Evaluator evaluator(backend, history.pattern(), {&held_out}, cutoffs,
                      configuration.integer("eval_batch_size"), users.columns,
                      scorer_of(configuration.model().score));

  RunEvaluation evaluation;
  evaluation.groups = evaluation_groups(kinds, dataset.train, held_out);
  evaluation.groups.insert(evaluation.groups.begin(), EvaluationGroup{"all", "all"});
  const std::vector<std::int64_t> popularity = item_popularity(dataset.train);
  std::vector<GroupEvaluation> sums;
  for (const EvaluationGroup& group : evaluation.groups)
    sums.emplace_back(group, options.metric_list(), cutoffs, popularity);
  evaluator.rank(device_users.matrix(users.rows, users.columns),
                 device_items.matrix(items.rows, items.columns),
                 [&](std::int64_t user, ConstIndexView ranked) {
                   for (GroupEvaluation& sum : sums) sum.add(user, ranked, held_out.row(user));
                 });
  for (const GroupEvaluation& sum : sums) evaluation.metrics.push_back(sum.result());
  return evaluation;
}

}  // namespace sea
