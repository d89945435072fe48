#include "command.hpp"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>

namespace sea {

namespace fs = std::filesystem;

CommandOption& CommandOption::required() {
  option_->required();
  return *this;
}

CommandOption& CommandOption::several() {
  constexpr int many = 1 << 20;
  option_->expected(1, many);
  return *this;
}

CommandOption& CommandOption::repeated() {
  option_->expected(1)->allow_extra_args(false)->take_all();
  return *this;
}

CommandOption& CommandOption::one_of(const std::vector<std::string>& words) {
  option_->transform(CLI::IsMember(words, CLI::ignore_case));
  return *this;
}

Command::Command(CLI::App& app, const std::string& name, const std::string& meaning)
    : app_(app.add_subcommand(name, meaning)) {}

template <class T>
CommandOption Command::option(const std::string& name, T& value, const std::string& meaning) {
  return CommandOption(app_->add_option(name, value, meaning));
}

template CommandOption Command::option(const std::string&, std::string&, const std::string&);
template CommandOption Command::option(const std::string&, fs::path&, const std::string&);
template CommandOption Command::option(const std::string&, std::optional<std::string>&, const std::string&);
template CommandOption Command::option(const std::string&, std::optional<fs::path>&, const std::string&);
template CommandOption Command::option(const std::string&, std::vector<std::string>&, const std::string&);
template CommandOption Command::option(const std::string&, std::vector<fs::path>&, const std::string&);

void Command::flag(const std::string& name, bool& value, const std::string& meaning) {
  app_->add_flag(name, value, meaning);
}

void Command::device_options(std::string& device, std::string& threads) {
  option("--device", device, "auto, cpu, cuda or cuda:N");
  option("--threads", threads, "of the processor; 0 takes all");
}

bool Command::has(const std::string& name) const {
  return app_->count(name) > 0;
}

void Command::run(const std::function<void()>& body) {
  app_->callback(body);
}

}  // namespace sea
