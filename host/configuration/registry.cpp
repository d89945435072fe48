#include "configuration/registry.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data/file_bytes.hpp"
#include "sea/error.hpp"

namespace sea {

std::vector<Key> common_keys(double learning_rate) {
  constexpr std::int64_t largest_batch = 1 << 24;
  Key topk{"topk", "cut-offs of the metrics", KeyKind::cutoffs, std::vector<std::int64_t>{5, 10, 20, 50}};
  Key valid_metric{"valid_metric", "validation metric that early stopping follows", KeyKind::metric,
                   "Recall@20"};
  Key scheduler{"learning_rate_scheduler",
                "factor and epochs: the step size of epoch t is learning_rate factor^(t / epochs)",
                KeyKind::schedule, std::vector<double>{1.0, 50.0}};
  Key device{"device", "where to compute; auto takes the best there is", KeyKind::device, "auto"};
  return {
      integer_key("embedding_size", 64, 1, 4096,
                  "width of an embedding (one modality's, where there are two)"),
      choice_key("train_on", "train", {"train", "train+valid", "all"},
                 "the splits that are trained on; the rest is held out"),
      integer_key("train_batch_size", 2048, 1, largest_batch, "training pairs per step"),
      integer_key("eval_batch_size", 4096, 1, largest_batch, "users ranked at a time; changes no result"),
      number_key("learning_rate", learning_rate, 1e-12, 1.0, "Adam's step size"),
      scheduler,
      number_key("weight_decay", 0.0, 0.0, 1.0, "added to the gradient: this much of the parameter"),
      integer_key("epochs", 1000, 1, 1'000'000'000, "passes over the training pairs at most"),
      integer_key("stopping_step", 20, 1, 1'000'000'000,
                  "evaluations in a row without a gain that are tolerated; one more stops"),
      choice_key("early_stopping", "auto", {"auto", "off"},
                 "auto: where there are validation pairs; off: train for epochs, keep the last"),
      integer_key("eval_step", 1, 1, 1'000'000, "epochs from one evaluation to the next"),
      valid_metric,
      topk,
      integer_key("seed", 999, 0, std::int64_t{1} << 53, "seed of every random draw"),
      number_key("checkpoint_seconds", 60.0, 0.0, 1e9,
                 "seconds from one checkpoint to the next; 0: after every step"),
      device,
      choice_key("matmul_precision", "fp16x3", {"float32", "fp16x3", "tf32x3", "tf32"},
                 "how a GPU computes dense products; the processor does in float32"),
      integer_key("threads", 0, 0, 1024, "threads of the processor; 0 takes all; changes no result"),
  };
}

DatasetFiles dataset_files(const Configuration& configuration) {
  DatasetFiles files = configuration.model().files(configuration);
  const std::string train_on = configuration.text("train_on");
  files.train_on = train_on == "train"         ? TrainOn::train
                   : train_on == "train+valid" ? TrainOn::train_and_valid
                                               : TrainOn::all;
  return files;
}

ModelChoice find_model(const std::string& name, const std::string& source) {
  std::vector<std::string> names;
  for (const ModelDescription& model : models()) {
    if (to_lower(model.name) == to_lower(name)) return {&model, nullptr};
    names.push_back(model.name);
    for (const Preset& preset : model.presets) {
      if (to_lower(preset.name) == to_lower(name)) return {&model, &preset};
      names.push_back(preset.name);
    }
  }
  throw UsageError(fmt::format("{}: there is no model '{}'; the models are {}", source, printable(name),
                               fmt::join(names, ", ")));
}

}  // namespace sea
