#include "data/synth.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "command.hpp"
#include "commands.hpp"
#include "data/file_bytes.hpp"
#include "output.hpp"
#include "sea/error.hpp"
#include "training/signals.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

struct SynthCommand {
  fs::path output;
  std::optional<fs::path> like;
  std::optional<std::string> preset, users, items, interactions, visual_width, textual_width, seed;
};

/// How far the work has come, on one line of a terminal; the line is wiped out at the end.
class WorkLine {
 public:
  WorkLine() : terminal_(isatty(STDERR_FILENO) != 0) {}
  ~WorkLine() {
    if (terminal_) write_stderr("\r\033[K");
  }
  WorkLine(const WorkLine&) = delete;
  WorkLine& operator=(const WorkLine&) = delete;

  void show(const char* what, double share) {
    if (!terminal_) return;
    write_stderr(fmt::format("\r\033[Kmaking {} {:3.0f} %", what, 100.0 * share));
  }

 private:
  bool terminal_;
};

SynthSizes sizes_of(const SynthCommand& command) {
  SynthSizes sizes = synth_preset(command.preset.value_or("small"));
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max() - 1;
  const auto set = [](std::int64_t& size, const char* option, const std::optional<std::string>& text) {
    if (text) size = parse_option(option, *text, 1, most);
  };
  set(sizes.users, "--users", command.users);
  set(sizes.items, "--items", command.items);
  set(sizes.interactions, "--interactions", command.interactions);
  set(sizes.visual_width, "--visual-dim", command.visual_width);
  set(sizes.textual_width, "--textual-dim", command.textual_width);
  return sizes;
}

void refuse_beside_like(const SynthCommand& command) {
  const std::pair<const char*, const std::optional<std::string>*> options[] = {
      {"--preset", &command.preset},
      {"--users", &command.users},
      {"--items", &command.items},
      {"--interactions", &command.interactions}};
  for (const auto& [name, value] : options) {
    if (value->has_value())
      throw UsageError(
          fmt::format("{} cannot go with --like, which keeps the real users, items and interactions", name));
  }
}

void run_synth(const SynthCommand& command) {
  const auto seed = static_cast<std::uint64_t>(
      parse_option("--seed", command.seed.value_or("999"), 0, std::numeric_limits<std::int64_t>::max()));
  SignalGuard signals;
  signals.defer();
  try {
    WorkLine line;
    const SynthProgress progress = [&](const char* what, double share) {
      if (SignalGuard::received() != 0) throw ExitCode{128 + SignalGuard::received()};
      line.show(what, share);
    };
    if (command.like) {
      refuse_beside_like(command);
      SynthCommand widths = command;
      widths.preset = "baby";  // the paper's widths
      const SynthSizes sizes = sizes_of(widths);
      check_widths(sizes);
      synthesize_like(command.output, *command.like, sizes.visual_width, sizes.textual_width, seed, progress);
    } else {
      synthesize(command.output, sizes_of(command), seed, progress);
    }
  } catch (const ExitCode&) {
    print_notice("stopped; nothing was written");
    throw;
  }
  print_result("{}\n", command.output.string());
}

}  // namespace

void add_synth(CLI::App& app) {
  auto options = std::make_shared<SynthCommand>();
  Command command(app, "synth", "make a synthetic data set, or synthetic features for a real one");
  command.option("OUTPUT", options->output, "folder to make; it must not exist").required();
  command.option("--preset", options->preset,
                 "small (default), or the paper's sizes: baby, sports, clothing");
  command.option("--users", options->users, "in place of the preset's");
  command.option("--items", options->items, "likewise");
  command.option("--interactions", options->interactions, "likewise");
  command.option("--visual-dim", options->visual_width, "columns of image_feat.npy");
  command.option("--textual-dim", options->textual_width, "columns of text_feat.npy");
  command.option("--seed", options->seed, "the same seed makes the same data (default: 999)");
  command.option("--like", options->like, "keep this data set's interactions and make features for them");
  command.run([options] { run_synth(*options); });
}

}  // namespace sea
