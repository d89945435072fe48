#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace sea {

/// What CLI11 would blame on another argument, or pass over: throws UsageError for a command or an option
/// that does not exist, naming what it may have been meant for, and for an empty value. `words` is the
/// command line without the program.
void check_arguments(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace sea
