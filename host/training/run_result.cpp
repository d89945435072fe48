#include "training/run_result.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sea/error.hpp"
#include "sea/version.hpp"

namespace sea {

using Json = nlohmann::ordered_json;

Json to_json(const RunResult& result) {
  Json json;
  json["best_epoch"] = result.training.best_epoch;
  json["epochs_run"] = result.training.epochs_run;
  json["stopped_by"] = result.training.stopped_by == StoppedBy::early_stopping ? "early_stopping" : "epochs";
  if (!result.training.valid.empty()) json["valid"] = to_json(result.training.valid);
  if (!result.training.test.empty()) json["test"] = to_json(result.training.test);
  json["total_seconds"] = result.total_seconds;
  json["seed"] = result.description.configuration.integer("seed");
  json["device"] = result.device;
  json["threads"] = result.threads;
  json["version"] = SEA_VERSION;
  json["config"] = to_json(result.description);
  return json;
}

std::optional<RunResult> read_result(const std::filesystem::path& run) {
  const std::filesystem::path file = result_file(run);
  if (!std::filesystem::exists(file)) return {};
  const Json json = read_json(file);
  try {
    RunResult result{run_description_of(json.at("config"), file.string()), {}, 0.0, {}, 0};
    result.training.best_epoch = json.at("best_epoch").get<std::int64_t>();
    result.training.epochs_run = json.at("epochs_run").get<std::int64_t>();
    result.training.stopped_by =
        json.at("stopped_by") == "early_stopping" ? StoppedBy::early_stopping : StoppedBy::epochs;
    if (json.contains("valid")) result.training.valid = metrics_of(json.at("valid"));
    if (json.contains("test")) result.training.test = metrics_of(json.at("test"));
    result.total_seconds = json.at("total_seconds").get<double>();
    result.device = json.at("device").get<std::string>();
    result.threads = json.at("threads").get<std::int64_t>();
    return result;
  } catch (const std::exception&) {
    throw Error(fmt::format("{}: is damaged; it is not the result of a run", file.string()));
  }
}

}  // namespace sea
