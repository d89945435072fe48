#pragma once

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace sea {

// Each adds a subcommand whose callback does the work. Results go to stdout; progress, notices and errors to
// stderr. A callback throws Error (exit 1) or UsageError (exit 2, the message names the option).

void add_info(CLI::App& app);
void add_train(CLI::App& app);
void add_tune(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_compare(CLI::App& app);
void add_recommend(CLI::App& app);
void add_similar(CLI::App& app);
void add_neighbours(CLI::App& app);
void add_export(CLI::App& app);
void add_synth(CLI::App& app);
void add_models(CLI::App& app);

/// Thrown by a command that ends with another code than 0 and has said why.
struct ExitCode {
  int value;
};

/// Throws UsageError that names `option` where `text` is no whole number in [minimum, maximum].
std::int64_t parse_option(const std::string& option, const std::string& text, std::int64_t minimum,
                          std::int64_t maximum);

}  // namespace sea
