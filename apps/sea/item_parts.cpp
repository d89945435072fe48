#include "item_parts.hpp"

#include <memory>

#include "configuration/registry.hpp"
#include "models/model.hpp"
#include "training/checkpoint.hpp"

namespace sea {

std::vector<std::string> models_with_parts() {
  std::vector<std::string> names;
  for (const ModelDescription& model : models()) {
    if (model.parts) names.push_back(model.name);
  }
  return names;
}

std::vector<std::pair<std::string, HostMatrix>> item_parts(Backend& backend, const std::filesystem::path& run,
                                                           const RunDescription& description,
                                                           Dataset& dataset) {
  const Configuration& configuration = description.configuration;
  const std::unique_ptr<Model> model =
      configuration.model().parts(backend, dataset, configuration, [](const std::string&) {});
  read_best(best_file(run), description.identity(), *model);
  model->evaluate();
  std::vector<std::pair<std::string, HostMatrix>> parts;
  for (const auto& [name, tensor] : model->parts)
    parts.emplace_back(name, to_host(backend, model->program.value(tensor)));
  return parts;
}

}  // namespace sea
