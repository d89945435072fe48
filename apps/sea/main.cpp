#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <new>

#include "commands.hpp"
#include "models/key.hpp"
#include "sea/error.hpp"
#include "sea/version.hpp"

namespace sea {

void print_notice(const std::string& text) {
  fmt::print(stderr, "note: {}\n", text);
}

std::int64_t parse_option(const std::string& option, const std::string& text, std::int64_t minimum,
                          std::int64_t maximum) {
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < minimum || value > maximum) {
    throw UsageError(
        fmt::format("{} {}: must be a whole number from {} to {}", option, text, minimum, maximum));
  }
  return value;
}

namespace {

/// One line, whatever a message may hold.
void print_error(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  fmt::print(stderr, "error: {}\n", text);
}

void refuse_unknown_command(const CLI::App& app, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw UsageError(
        fmt::format("there is no command '{}'; did you mean {}?", name, nearest_name(name, names)));
}

int run(int argc, char** argv) {
  CLI::App app("SEA: train and use multimedia recommenders", "sea");
  app.set_version_flag("--version", "sea " SEA_VERSION);
  app.require_subcommand(1);
  for (const auto& add :
       {add_info, add_train, add_tune, add_evaluate, add_recommend, add_export, add_synth, add_models})
    add(app);
  if (argc > 1 && argv[1][0] != '-') refuse_unknown_command(app, argv[1]);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    print_error(error.what());
    fmt::print(stderr, "see sea{} --help\n",
               app.get_subcommands().empty() ? "" : " " + app.get_subcommands().front()->get_name());
    return 2;
  }
  // What a result is worth shows when its last byte is out: a full disk behind stdout is a failure.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) throw Error("stdout: cannot be written");
  return 0;
}

}  // namespace

}  // namespace sea

int main(int argc, char** argv) {
  try {
    return sea::run(argc, argv);
  } catch (const sea::ExitCode& code) {
    return code.value;
  } catch (const sea::UsageError& error) {
    sea::print_error(error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    sea::print_error("out of memory");
    return 1;
  } catch (const std::exception& error) {
    // A result longer than stdout's buffer fails where it is printed.
    sea::print_error(std::ferror(stdout) != 0 ? "stdout: cannot be written" : error.what());
    return 1;
  }
}
