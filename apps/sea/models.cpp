#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "command.hpp"
#include "commands.hpp"
#include "configuration/reference.hpp"
#include "configuration/registry.hpp"
#include "output.hpp"

namespace sea {

namespace {

void print_models() {
  for (const ModelDescription& model : models()) {
    print_result("{}: {}\n", model.name, model.summary);
    for (const Preset& preset : model.presets) {
      std::string values;
      for (const auto& [key, value] : preset.values)
        values += fmt::format("{}{}={}", values.empty() ? "" : ", ", key, to_text(value));
      print_result("  {}: {} with {}\n", preset.name, model.name, values);
    }
    std::size_t name_width = 0, default_width = 0;
    for (const Key& key : model.keys) {
      name_width = std::max(name_width, key.name.size());
      default_width = std::max(default_width, key.fallback_text().size());
    }
    print_result("  {:<{}}  {:<{}}  meaning; what it may be\n", "key", name_width, "default", default_width);
    for (const Key& key : model.keys) {
      print_result("  {:<{}}  {:<{}}  {}; {}\n", key.name, name_width, key.fallback_text(), default_width,
                   key.meaning, key.allowed());
    }
  }
}

}  // namespace

void add_models(CLI::App& app) {
  Command command(app, "models", "the models and their configuration keys");
  const auto markdown = std::make_shared<bool>(false);
  command.flag("--markdown", *markdown, "as the tables of docs/configuration.md");
  command.run([markdown] {
    if (*markdown) {
      write_stdout(markdown_reference());
    } else {
      print_models();
    }
  });
}

}  // namespace sea
