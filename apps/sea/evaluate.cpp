#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "commands.hpp"
#include "configuration/key.hpp"
#include "data/atomic_file.hpp"
#include "output.hpp"
#include "run_data.hpp"
#include "sea/device_csr.hpp"
#include "sea/error.hpp"
#include "tables.hpp"
#include "training/checkpoint.hpp"
#include "training/evaluation.hpp"
#include "training/trainer.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

struct EvaluateOptions {
  fs::path run;
  std::string split = "test", checkpoint = "best", device = "auto", threads = "0";
  std::optional<std::string> top_k;
  std::optional<fs::path> data, output;
  bool warm_items = false, mask_validation = false;
};

std::vector<std::int64_t> cutoffs_of(const EvaluateOptions& options, const Configuration& configuration) {
  if (!options.top_k) return metric_cutoffs(configuration);
  Configuration asked = configuration;
  asked.set_text("topk", *options.top_k, fmt::format("--top-k {}", *options.top_k));
  return asked.cutoffs("topk");
}

/// The held-out pairs that are asked for.
HostCsr held_out_of(const EvaluateOptions& options, const Dataset& dataset) {
  const bool test = options.split == "test";
  const HostCsr& split = test ? dataset.test : dataset.valid;
  if (split.nonzeros() == 0) {
    const bool other = (test ? dataset.valid : dataset.test).nonzeros() > 0;
    throw Error(fmt::format("{}: there are no {} pairs to evaluate {} on{}", dataset.folder.string(),
                            test ? "test" : "validation", options.run.string(),
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

/// What the ranking leaves out.
HostCsr masked_of(const EvaluateOptions& options, const Dataset& dataset) {
  return options.mask_validation ? pairs_of_either(dataset.train, dataset.valid) : dataset.train;
}

void run_evaluate(const EvaluateOptions& options) {
  if (options.output && to_lower(options.output->extension().string()) != ".json")
    throw UsageError(fmt::format("--output {}: must end in .json", options.output->string()));
  if (options.mask_validation && options.split != "test")
    throw UsageError("--mask-validation: goes with --split test alone");
  const Device device = open_device_of(options.device, options.threads);
  Backend& backend = *device.backend;
  const fs::path file = options.checkpoint == "best" ? best_file(options.run) : checkpoint_file(options.run);
  const RunData run = load_run(options.run, options.data, file);
  const std::vector<std::int64_t> cutoffs = cutoffs_of(options, run.description.configuration);
  const Dataset& dataset = run.dataset;
  const Scorer& scorer = scorer_of(run.description.configuration.model().score);
  const HostMatrix &users = run.representations.users, &items = run.representations.items;

  const HostCsr masked = masked_of(options, dataset);
  const DeviceCsr history(backend, dataset.users, dataset.items, masked.row_offsets, masked.column_indices,
                          {});
  const Buffer<float> device_users = to_device(backend, users.values);
  const Buffer<float> device_items = to_device(backend, items.values);
  const HostCsr held_out = held_out_of(options, dataset);
  Evaluator evaluator(backend, history.pattern(), {&held_out}, cutoffs,
                      run.description.configuration.integer("eval_batch_size"), users.columns, scorer);
  const Metrics metrics = evaluator
                              .evaluate(device_users.matrix(users.rows, users.columns),
                                        device_items.matrix(items.rows, items.columns))
                              .front();
  if (options.output) {
    nlohmann::ordered_json json;
    json["run"] = fs::canonical(options.run).string();
    json["checkpoint"] = options.checkpoint;
    json["split"] = options.split;
    json["warm_items"] = options.warm_items;
    json["mask_validation"] = options.mask_validation;
    json["users"] = metrics.users;
    json["metrics"] = to_json(metrics);
    write_atomically(*options.output, [&](std::ostream& out) { out << json.dump(2) << '\n'; });
  }
  print_result("{}", metrics_table({{options.split, metrics}}));
}

}  // namespace

void add_evaluate(CLI::App& app) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* command = app.add_subcommand("evaluate", "metrics of a trained run");
  command->add_option("RUN", options->run, "folder of the run")->required();
  command->add_option("--split", options->split, "valid or test (default: test)")
      ->transform(CLI::IsMember({"valid", "test"}, CLI::ignore_case));
  command->add_option("--top-k", options->top_k, "cut-offs, as in 10,20 (default: those of the run)");
  command->add_option("--checkpoint", options->checkpoint, "best or last (default: best)")
      ->transform(CLI::IsMember({"best", "last"}, CLI::ignore_case));
  command->add_flag("--warm-items", options->warm_items,
                    "leave out held-out pairs whose item has no training pair");
  command->add_flag("--mask-validation", options->mask_validation,
                    "leave a user's validation items out of the ranking for test, as RecBole does");
  command->add_option("--data", options->data, "folder of the data set, where it has moved");
  command->add_option("--output", options->output, "file that ends in .json, to write as well");
  command->add_option("--device", options->device, "auto, cpu, cuda or cuda:N");
  command->add_option("--threads", options->threads, "of the processor; 0 takes all");
  command->callback([options] { run_evaluate(*options); });
}

}  // namespace sea
