#include "configuration/reference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "configuration/registry.hpp"

namespace sea {

namespace {

std::string row_of(const Key& key) {
  return fmt::format("| `{}` | `{}` | {} | {} |\n", key.name, key.fallback_text(), key.allowed(),
                     key.meaning);
}

std::string table_of(const std::vector<std::string>& rows) {
  std::string text = "| key | default | it must be | meaning |\n| --- | --- | --- | --- |\n";
  for (const std::string& row : rows) text += row;
  return text;
}

bool has_row(const ModelDescription& model, const std::string& row) {
  return std::any_of(model.keys.begin(), model.keys.end(),
                     [&](const Key& key) { return row_of(key) == row; });
}

}  // namespace

std::string markdown_reference() {
  std::vector<std::string> common;
  for (const Key& key : models().front().keys) {
    const std::string row = row_of(key);
    if (std::all_of(models().begin(), models().end(), [&](const auto& model) { return has_row(model, row); }))
      common.push_back(row);
  }
  std::string text = "## Keys of every model\n\n" + table_of(common);
  for (const ModelDescription& model : models()) {
    std::vector<std::string> own;
    for (const Key& key : model.keys) {
      if (std::find(common.begin(), common.end(), row_of(key)) == common.end()) own.push_back(row_of(key));
    }
    const std::string summary{model.summary};
    text +=
        fmt::format("\n## Keys of `{}`\n\n{}{}.\n\n", model.name,
                    std::string(1, static_cast<char>(std::toupper(static_cast<unsigned char>(summary[0])))),
                    summary.substr(1));
    text += table_of(own);
  }
  return text;
}

}  // namespace sea
