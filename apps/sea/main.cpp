#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <exception>
#include <new>
#include <sstream>

#include "arguments.hpp"
#include "commands.hpp"
#include "output.hpp"
#include "sea/error.hpp"
#include "sea/version.hpp"

namespace sea {

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

int run(int argc, char** argv) {
  CLI::App app("SEA: train and use multimedia recommenders", "sea");
  app.set_version_flag("--version", "sea " SEA_VERSION);
  app.require_subcommand(1);
  for (const auto& add : {add_info, add_train, add_tune, add_evaluate, add_compare, add_recommend,
                          add_similar, add_neighbours, add_export, add_synth, add_models})
    add(app);
  check_arguments(app, {argv + 1, argv + std::max(argc, 1)});
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    std::ostringstream text, nothing;
    app.exit(success, text, nothing);
    write_stdout(text.str());
  } catch (const CLI::ParseError& error) {
    print_error(error.what());
    write_stderr(fmt::format("see sea{} --help\n", app.get_subcommands().empty()
                                                       ? ""
                                                       : " " + app.get_subcommands().front()->get_name()));
    return 2;
  }
  // What a result is worth shows when its last byte is out: a full disk behind stdout is a failure.
  flush_stdout();
  return 0;
}

}  // namespace

}  // namespace sea

int main(int argc, char** argv) {
  sea::open_standard_descriptors();
  // A reader that has gone is met where something is written; a training has a handler of its own.
  ::signal(SIGPIPE, SIG_IGN);
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
    sea::print_error(error.what());
    return 1;
  }
}
