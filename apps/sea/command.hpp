#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace sea {

/// An option of a command, to say more of it.
class CommandOption {
 public:
  explicit CommandOption(CLI::Option* option) : option_(option) {}

  CommandOption& required();
  /// Takes the words up to the next option, one at least.
  CommandOption& several();
  /// Takes one word, as often as the option is given.
  CommandOption& repeated();
  /// The word must be one of `words`, in any case.
  CommandOption& one_of(const std::vector<std::string>& words);

 private:
  CLI::Option* option_;
};

/// What a subcommand is asked with. CLI11 is behind it, whose header takes seconds to compile.
class Command {
 public:
  /// Adds the subcommand.
  Command(CLI::App& app, const std::string& name, const std::string& meaning);

  /// `name` without dashes is an argument by its place. `value`, which keeps what it has where the option is
  /// not given, is a string or a path, either of them optional, or a vector of strings or paths.
  template <class T>
  CommandOption option(const std::string& name, T& value, const std::string& meaning);
  void flag(const std::string& name, bool& value, const std::string& meaning);
  /// --device and --threads, where a command computes by itself.
  void device_options(std::string& device, std::string& threads);
  /// Whether the option was given.
  bool has(const std::string& name) const;
  /// Called when all options have their values.
  void run(const std::function<void()>& body);

 private:
  CLI::App* app_;
};

}  // namespace sea
