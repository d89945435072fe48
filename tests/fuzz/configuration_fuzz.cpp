// The JSON of --config, of a run's config.json, and of a search's grid.

#include <nlohmann/json.hpp>

#include "configuration/configuration.hpp"
#include "configuration/registry.hpp"
#include "configuration/search_space.hpp"
#include "fuzz.hpp"
#include "training/run_folder.hpp"

namespace sea::fuzz {

using Json = nlohmann::ordered_json;

std::vector<std::string> seeds() {
  std::vector<std::string> all = {
      R"({"model": "SEAb", "alpha": 0.5, "topk": [5, 10], "text_feature_file": null, "align": "none"} // comment)",
      R"({"model": "freedom+sea", "device": "cuda:1", "valid_metric": "NDCG@5", "knn_k": 3, "seed": 1})",
      R"({"alpha": [0.1, 1], "beta": ["0.5", 2], "align": ["solosim", "none"]})",
      R"({"knnk": 3})",
      R"({"seed": 1e400})",
      R"({"seed": 9223372036854775808, "alpha": -0.0, "beta": 1e-400})",
      R"({"topk": [1, 18446744073709551615], "eval_step": 2, "epochs": 1})",
      R"({"align": "\u001b[2J\ud800"})",
      R"({"align": ")" + std::string(3000, 'x') + R"("})",
      R"({")" + std::string(3000, 'y') + R"(": 1})",
      R"({"model": ")" + std::string(3000, 'z') + R"("})",
      R"({"align": )" + nested(20000) + "}",
      nested(20000),
      "/* open",
      ""};
  for (const ModelDescription& model : models()) {
    Json json = to_json(Configuration(model));
    all.push_back(json.dump());
    json["data"] = "/data";
    json["fingerprint"] = json["interactions_fingerprint"] = "0123456789abcdef";
    json["version"] = "0.1.0";
    all.push_back(json.dump());
  }
  return all;
}

void read(std::string_view bytes) {
  expect_sentence([&] {
    const Configuration configuration =
        configuration_of(parse_json_object(bytes, "--config my.json"), "--config my.json");
    // What is written for it is the same configuration.
    const Json written = to_json(configuration);
    const Configuration again = configuration_of(Json::parse(written.dump()), "again");
    for (const Key& key : configuration.model().keys) {
      if (again.value(key.name) != configuration.value(key.name))
        fail("the value of " + key.name + " changed");
    }
    for (const std::string& assignment : assignments_of(configuration)) {
      if (assignment.find('=') == std::string::npos) fail("an assignment without =");
    }
  });
  expect_sentence([&] {
    const RunDescription run =
        run_description_of(parse_run_json("run/config.json", bytes), "run/config.json");
    if (run.identity().size() != 16) fail("an identity of another length");
    if (run_description_of(to_json(run), "again").identity() != run.identity()) fail("the identity changed");
  });
  expect_sentence([&] {
    const auto json = parse_run_json("search/search.json", bytes);
    // The same bytes as choices or as ranges: the one of them that they are.
    const auto nothing = nlohmann::ordered_json::object();
    const bool ranges = json.begin() != json.end() && json.begin()->is_object();
    const SearchSpace space(ranges ? nothing : json, ranges ? json : nothing, models().front(),
                            "search/search.json");
    if (space.size() && *space.size() < 1) fail("a space of an impossible size");
    if (space.draw(1, 1).front().size() != space.axes().size()) fail("a combination of another length");
  });
}

}  // namespace sea::fuzz
