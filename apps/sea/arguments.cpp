#include "arguments.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

#include "configuration/registry.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

const CLI::App& find_command(const CLI::App& app, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == name) return *command;
    names.push_back(command->get_name());
  }
  const std::string meant = did_you_mean(name, names);
  throw UsageError(
      fmt::format("there is no command '{}'{}", name,
                  meant.empty() ? fmt::format("; the commands are {}", fmt::join(names, ", ")) : meant));
}

std::string title(const CLI::App& command) {
  return command.get_parent() == nullptr ? "sea" : "sea " + command.get_name();
}

/// The keys of all models, each once.
std::vector<std::string> all_keys() {
  std::vector<std::string> names;
  for (const ModelDescription& model : models()) {
    for (const Key& key : model.keys) {
      if (std::find(names.begin(), names.end(), key.name) == names.end()) names.push_back(key.name);
    }
  }
  return names;
}

[[noreturn]] void refuse_option(const CLI::App& app, const CLI::App& command, const std::string& name) {
  const std::string head = fmt::format("{}: {} has no such option", name, title(command));
  std::string bare = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  std::replace(bare.begin(), bare.end(), '-', '_');
  const bool takes_keys = command.get_option_no_throw("--set") != nullptr;
  const std::vector<std::string> keys = takes_keys ? all_keys() : std::vector<std::string>();
  if (std::find(keys.begin(), keys.end(), bare) != keys.end())
    throw UsageError(fmt::format("{}; it is a configuration key: --set {}=VALUE", head, bare));

  std::vector<std::string> options;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& known : option->get_lnames()) options.push_back("--" + known);
  }
  std::replace(bare.begin(), bare.end(), '_', '-');
  if (const std::string meant = did_you_mean("--" + bare, options); !meant.empty())
    throw UsageError(head + meant);
  std::replace(bare.begin(), bare.end(), '-', '_');
  std::vector<std::string> settings;
  for (const std::string& key : similar_names(bare, keys))
    settings.push_back(fmt::format("--set {}=VALUE", key));
  if (!settings.empty())
    throw UsageError(fmt::format("{}; did you mean {}?", head, fmt::join(settings, " or ")));
  std::vector<std::string> others;
  for (const CLI::App* other : app.get_subcommands({})) {
    if (other->get_option_no_throw(name) != nullptr) others.push_back("sea " + other->get_name());
  }
  throw UsageError(others.empty() ? fmt::format("{}; {} --help lists them", head, title(command))
                                  : fmt::format("{}; {} {} it", head, fmt::join(others, ", "),
                                                others.size() == 1 ? "has" : "have"));
}

}  // namespace

void check_arguments(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") return;
    const bool number = word.size() > 1 && std::isdigit(static_cast<unsigned char>(word[1])) != 0;
    if (word.size() < 2 || word[0] != '-' || number) {
      if (command == &app) {
        command = &find_command(app, word);
      } else if (word.empty()) {
        for (const CLI::Option* option : command->get_options()) {
          if (option->get_positional())
            throw UsageError(fmt::format("{}: is empty; it is to be the {}", option->get_name(true),
                                         option->get_description()));
        }
      }
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const CLI::Option* option = command->get_option_no_throw(name);
    if (option == nullptr) refuse_option(app, *command, name);
    if (option->get_items_expected_max() == 0) continue;  // a flag
    if (equals == std::string::npos && ++i == words.size()) return;
    if (equals == std::string::npos ? words[i].empty() : equals + 1 == word.size())
      throw UsageError(
          fmt::format("{}: its value is empty; it is to be: {}", name, option->get_description()));
  }
}

}  // namespace sea
