// The models beside SEA, and SEA's modules plugged into them: from the recording to the command.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>

#include "data/graph.hpp"
#include "data/pruning.hpp"
#include "models/modules.hpp"
#include "sea/error.hpp"
#include "support/command.hpp"
#include "support/training.hpp"

using namespace sea;
using namespace sea::test;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const std::vector<std::string> small = {"train_batch_size=256",      "embedding_size=8", "topk=5,20",
                                        "learning_rate=0.01",        "epochs=4",         "eval_batch_size=64",
                                        "checkpoint_seconds=1000000"};

/// A model with the settings of its own that make it small, or its pruning felt.
struct Case {
  std::string model;
  std::vector<std::string> settings;
};

const std::vector<std::string> small_modules = {"club_steps=4", "head_hidden=8", "head_out=8",
                                                "club_hidden=4"};

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<Case> cases() {
  return {{"bpr", {}},
          {"lightgcn", {"n_layers=2"}},
          {"layergcn", {"n_layers=3", "dropout=0.3"}},
          {"vbpr", {}},
          {"freedom", {"knn_k=5", "n_mm_layers=2"}},
          {"mmgcn", {"reg_weight=0.1"}},
          {"dualgnn", {"user_neighbours=60"}},
          {"lattice", {"knn_k=5", "feat_embed_dim=8"}},
          {"slmrec", {}},
          {"bm3", {}},
          {"mgcn", {"knn_k=5", "n_layers=2"}},
          {"lgmrec", {"n_hyper_layer=2", "hyper_num=6"}},
          {"micro", {"knn_k=5", "n_layers=2", "eval_step=1", "lambda_coeff=0.5"}},
          {"mmssl", {"m_topk_rate=0.1", "T=2", "learning_rate=0.001"}},
          {"pamd",
           {"pretrain_epochs=2", "pretrain_batch_size=25", "pretrain_weight_decay=0.5", "learning_rate=0.01",
            "eval_step=1"}},
          {"vbpr+sea", small_modules},
          {"freedom+sea", joined({"knn_k=5"}, small_modules)},
          {"lattice+sea", joined({"knn_k=5", "feat_embed_dim=8"}, small_modules)},
          {"slmrec+sea", small_modules},
          {"bm3+sea", small_modules}};
}

/// Epochs of a pretraining, which stand before the others.
std::size_t pretraining_epochs(const std::string& model) {
  return model == "pamd" ? 2 : 0;
}

/// The loss that a model lowers first of all.
std::string main_loss(const std::string& model) {
  if (model.rfind("slmrec", 0) == 0) return "main";
  if (model == "pamd") return "total";
  return model.rfind("bm3", 0) == 0 ? "user_item" : "bpr";
}

ConfigurationRequest request_of(const Case& c, const std::vector<std::string>& more = {}) {
  ConfigurationRequest request;
  request.model = c.model;
  request.assignments = joined(joined(small, c.settings), more);
  return request;
}

std::unique_ptr<Model> build(Backend& backend, const fs::path& data, const Case& c,
                             const std::vector<std::string>& more = {}) {
  return build_model(backend, data, request_of(c, more));
}

std::vector<float> values_of(const Program& program, const Tensor& tensor) {
  const MatrixView view = program.value(tensor);
  std::vector<float> values;
  for (std::int64_t i = 0; i < view.rows; ++i)
    values.insert(values.end(), view.row(i), view.row(i) + view.columns);
  return values;
}

std::vector<std::vector<float>> parameters_of(const Program& program) {
  std::vector<std::vector<float>> all;
  for (const ParameterView& parameter : program.parameters())
    all.emplace_back(parameter.value, parameter.value + parameter.size());
  return all;
}

}  // namespace

TEST_CASE("models: training lowers the loss, with the same bits on any number of threads", "[models]") {
  const TrainingFixture fixture;
  for (const Case& c : cases()) {
    INFO(c.model);
    const fs::path one = fixture.folder / (c.model + "-1");
    train_run(fixture.data, one, request_of(c), 1);
    const std::vector<Json> lines = metrics_of_run(one);
    const std::size_t first = pretraining_epochs(c.model);
    REQUIRE(lines.size() == first + 4);
    for (const Json& line : lines) CHECK(std::isfinite(line["train_loss"]["total"].get<double>()));
    const std::string loss = main_loss(c.model);
    CHECK(lines[first + 3]["train_loss"][loss] < lines[first]["train_loss"][loss]);
    for (std::size_t i = 0; i < lines.size(); ++i) CHECK(lines[i].contains("valid") == (i >= first));
    CHECK(lines[0]["train_loss"].contains("align") == contains(c.model, "+sea"));
    CHECK(lines[0]["train_loss"].contains("distance") == contains(c.model, "+sea"));
    for (const int threads : {2, 4}) {
      const fs::path other = fixture.folder / (c.model + "-" + std::to_string(threads));
      train_run(fixture.data, other, request_of(c), threads);
      check_same_run(one, other);
    }
  }
}

TEST_CASE("models: resumed equals never stopped, between epochs and within, pruned graphs too", "[models]") {
  const TrainingFixture fixture;
  for (const Case& c : cases()) {
    const fs::path whole = fixture.folder / (c.model + "-whole");
    train_run(fixture.data, whole, request_of(c), 2);
    for (const int stop_at : {5, 9}) {
      INFO(c.model << " stopped at " << stop_at);
      const fs::path run = fixture.folder / (c.model + "-" + std::to_string(stop_at));
      CHECK(train_run(fixture.data, run, request_of(c), 1, {stop_at, 0}).stopped_by == StoppedBy::request);
      CHECK(train_run(fixture.data, run, request_of(c), 2, {stop_at - 1, 0}).stopped_by ==
            StoppedBy::request);
      CHECK(train_run(fixture.data, run, request_of(c), 1).stopped_by == StoppedBy::epochs);
      check_same_run(whole, run);
    }
  }
}

TEST_CASE("models: a pretraining with larger batches than the training's is gone on with at any step",
          "[models]") {
  const TrainingFixture fixture;
  const Case c{"pamd",
               {"pretrain_weight_decay=0.5", "pretrain_epochs=2", "pretrain_batch_size=25",
                "train_batch_size=16", "eval_step=1", "epochs=1"}};
  const fs::path whole = fixture.folder / "whole";
  train_run(fixture.data, whole, request_of(c), 2);
  for (int stop_at = 1; stop_at <= 7;
       ++stop_at) {  // 3 steps an epoch of the pretraining, then the training's
    INFO("stopped at " << stop_at);
    const fs::path run = fixture.folder / std::to_string(stop_at);
    CHECK(train_run(fixture.data, run, request_of(c), 1, {stop_at, 0}).stopped_by == StoppedBy::request);
    CHECK(train_run(fixture.data, run, request_of(c), 1).stopped_by == StoppedBy::epochs);
    check_same_run(whole, run);
  }
}

TEST_CASE("models: pamd's weight decays, one in the pretraining and one after it", "[models]") {
  const TrainingFixture fixture;
  // The encoders after three steps of the pretraining, and after three of the training: Adam's first step is
  // the gradient's sign, which the decay seldom turns.
  const auto encoders = [&](const std::string& pretraining, const std::string& training) {
    CpuBackend backend(1);
    const auto model = build(backend, fixture.data,
                             {"pamd",
                              {"pretrain_epochs=1", "pretrain_batch_size=20", "eval_step=1",
                               "pretrain_weight_decay=" + pretraining, "weight_decay=" + training}});
    std::vector<std::vector<float>> after;
    for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
      model->begin_epoch(epoch);
      for (std::int64_t i = 0; i < 3; ++i) model->step(epoch, i);
      for (const ParameterView& parameter : model->program.parameters()) {
        if (parameter.name == "en_img.weight")
          after.emplace_back(parameter.value, parameter.value + parameter.size());
      }
    }
    REQUIRE(after.size() == 2);
    return after;
  };
  const auto none = encoders("0", "0"), before = encoders("0.5", "0"), behind = encoders("0", "0.5");
  CHECK((before[0] != none[0]));
  CHECK((behind[0] == none[0]));
  CHECK((behind[1] != none[1]));
}

TEST_CASE("models: negatives of pamd are any items, those of the others occur in training", "[models]") {
  const TrainingFixture fixture;
  // Item 7 stands in validation alone.
  std::istringstream lines(read_file(fixture.data / "data.inter"));
  std::string inter;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t item = line.find('\t') + 1, label = line.rfind('\t') + 1;
    if (line.substr(item, label - 1 - item) == "7") line.replace(label, std::string::npos, "1");
    inter += line + '\n';
  }
  write_file(fixture.data / "data.inter", inter);
  CpuBackend backend(1);
  const auto candidates = [&](const std::string& name) {
    const auto model = build(backend, fixture.data, {name, {"eval_step=1"}});
    const ConstIndexView of = model->sampling.view().candidates;
    return std::vector<std::int32_t>(of.begin(), of.end());
  };
  std::vector<std::int32_t> all(60);
  std::iota(all.begin(), all.end(), 0);
  CHECK(candidates("pamd") == all);
  all.erase(all.begin() + 7);
  CHECK(candidates("vbpr") == all);
}

TEST_CASE("models: an epoch's pruned graph is a function of the epoch, and evaluation sees the whole one",
          "[models]") {
  const TrainingFixture fixture;
  CpuBackend backend(2);
  for (const Case& c : {Case{"layergcn", {"dropout=0.5"}}, Case{"freedom", {"knn_k=5", "dropout=0.5"}}}) {
    INFO(c.model);
    const auto pruned = build(backend, fixture.data, c);
    const auto whole = build(backend, fixture.data, c, {"dropout=0"});
    CHECK(!whole->schedule.begin_epoch);
    REQUIRE(pruned->schedule.begin_epoch);
    CHECK(parameters_of(pruned->program) == parameters_of(whole->program));

    whole->training->draw();
    pruned->training->draw();
    whole->training->forward();
    const float whole_loss = whole->program.losses().download().front();
    const auto loss_in_epoch = [&](std::int64_t epoch) {
      pruned->begin_epoch(epoch);
      pruned->training->forward();
      return pruned->program.losses().download().front();
    };
    pruned->training->forward();
    const float first = pruned->program.losses().download().front();  // built for epoch 0
    const float second = loss_in_epoch(1);
    CHECK(first != whole_loss);
    CHECK(second != whole_loss);
    CHECK(second != first);
    CHECK(loss_in_epoch(0) == first);
    CHECK(loss_in_epoch(1) == second);

    // FREEDOM keeps pairs by their degrees; LayerGCN in even epochs, and all alike in odd ones.
    const HostCsr& train = load_dataset(fixture.data, DatasetFiles{}).train;
    for (const std::int64_t epoch : {0, 1}) {
      const KeptPairs kept = c.model == "layergcn" && epoch == 1 ? KeptPairs::uniform : KeptPairs::by_degree;
      const HostCsr expected =
          interaction_graph(prune_pairs(train, kept_pair_count(train.nonzeros(), 0.5), kept, 999, epoch));
      pruned->begin_epoch(epoch);
      const CsrView graph = pruned->graphs.back().view();
      CHECK(std::equal(expected.row_offsets.begin(), expected.row_offsets.end(), graph.row_offsets));
      CHECK(std::equal(expected.column_indices.begin(), expected.column_indices.end(), graph.column_indices));
      CHECK(std::equal(expected.values.begin(), expected.values.end(), graph.values));
    }

    pruned->evaluate();
    whole->evaluate();
    CHECK(values_of(pruned->program, pruned->users) == values_of(whole->program, whole->users));
    CHECK(values_of(pruned->program, pruned->items) == values_of(whole->program, whole->items));
    pruned->schedule.step->run();  // looking changed nothing of the training
    CHECK(pruned->program.losses().download().front() == second);
  }
}

TEST_CASE("models: freedom begins with the features as they are, and trains them", "[models]") {
  const TrainingFixture fixture;
  CpuBackend backend(1);
  const auto model = build(backend, fixture.data, {"freedom", {"knn_k=5"}});
  const Dataset dataset = load_dataset(fixture.data, DatasetFiles{});
  const std::vector<ParameterView> parameters = model->program.parameters();
  const auto find = [&](const std::string& name) {
    for (const ParameterView& parameter : parameters) {
      if (parameter.name == name)
        return std::vector<float>(parameter.value, parameter.value + parameter.size());
    }
    return std::vector<float>();
  };
  CHECK(find("image_embedding.weight") == dataset.features[0].values.values);
  CHECK(find("text_embedding.weight") == dataset.features[1].values.values);
  model->step(0, 0);
  CHECK(find("image_embedding.weight") != dataset.features[0].values.values);
  CHECK(find("text_embedding.weight") != dataset.features[1].values.values);
}

TEST_CASE("models: one modality alone, and what does not go together", "[models]") {
  const TrainingFixture fixture;
  for (const std::string missing : {"vision_feature_file=null", "text_feature_file=null"}) {
    for (const Case& c :
         {Case{"vbpr", {missing}}, Case{"freedom", {"knn_k=5", missing}}, Case{"mmgcn", {missing}},
          Case{"dualgnn", {missing}}, Case{"lattice", {"knn_k=5", missing}}, Case{"bm3", {missing}},
          Case{"lattice+sea", joined({"knn_k=5", missing, "align=none", "distance=l2"}, {})},
          Case{"bm3+sea", joined({missing, "align=none"}, small_modules)},
          Case{"vbpr+sea", joined({missing, "align=none"}, small_modules)},
          Case{"freedom+sea", joined({"knn_k=5", missing, "align=none", "distance=l2"}, {})}}) {
      INFO(c.model << " " << missing);
      const fs::path run = fixture.folder / (c.model + missing);
      CHECK(train_run(fixture.data, run, request_of(c), 2).epochs_run == 4);
      const std::vector<Json> lines = metrics_of_run(run);
      const std::string loss = main_loss(c.model);
      CHECK(lines[3]["train_loss"][loss] < lines[0]["train_loss"][loss]);
    }
  }
  const auto refusal = [](const Case& c) { return error_of([&] { resolve_configuration(request_of(c)); }); };
  const std::vector<std::string> no_features = {"vision_feature_file=null", "text_feature_file=null"};
  CHECK(contains(refusal({"vbpr", no_features}), "vbpr needs one of them"));
  CHECK(contains(refusal({"freedom+sea", no_features}), "freedom+sea needs one of them"));
  CHECK(contains(refusal({"vbpr+sea", {"text_feature_file=null"}}), "align=none"));
  CHECK(contains(refusal({"vbpr+sea", {"embedding_size=7"}}), "must be even"));
  for (const std::string model : {"mmgcn", "dualgnn", "lattice", "bm3"})
    CHECK(contains(refusal({model, no_features}), model + " needs one of them"));
  for (const std::string missing : {"vision_feature_file", "text_feature_file"}) {
    CHECK(contains(refusal({"slmrec", {missing + "=null"}}), missing + " is null; slmrec needs both"));
    CHECK(contains(refusal({"slmrec+sea", {missing + "=null"}}), "slmrec+sea needs both"));
  }
  CHECK(contains(refusal({"slmrec", {"embedding_size=1"}}), "must be at least 2"));
  CHECK(contains(refusal({"lattice+sea", {"feat_embed_dim=7"}}), "feat_embed_dim is 7"));
  CHECK(contains(refusal({"bm3+sea", {"embedding_size=7"}}), "must be even"));
  CHECK(contains(refusal({"bm3", {"dropout=1"}}), "dropout"));
  CHECK(contains(refusal({"dualgnn", {"user_neighbours=201"}}), "from 1 to 200"));
  for (const std::string both : {"mgcn", "lgmrec", "micro", "mmssl", "pamd"})
    CHECK(contains(refusal({both, {"text_feature_file=null", "eval_step=1"}}),
                   both + " needs both modalities"));
  CHECK(contains(refusal({"lgmrec", {"keep_rate=0"}}), "keep_rate"));
  CHECK(contains(refusal({"micro", {"lambda_coeff=1.5"}}), "lambda_coeff"));
  CHECK(contains(refusal({"mmssl", {"T=0"}}), "T"));
  CHECK(contains(refusal({"mmssl", {"G_drop1=1"}}), "G_drop1"));
  CHECK(contains(refusal({"pamd", {"temperature=0"}}), "temperature"));
  CHECK(contains(refusal({"pamd", {"pretrain_epochs=-1"}}), "pretrain_epochs"));
  CHECK(contains(refusal({"bpr", {"n_layers=2"}}), "there is no key 'n_layers'"));
  CHECK(contains(refusal({"layergcn", {"dropout=1"}}), "dropout"));
  for (const std::string model : {"freedom", "lattice", "mgcn", "micro"}) {
    CHECK(contains(error_of([&] {
                     CpuBackend backend(1);
                     build(backend, fixture.data, {model, {"knn_k=61", "eval_step=1"}});
                   }),
                   "knn_k is 61"));
  }
}

TEST_CASE("models: an epoch's user graph is a function of the epoch, and evaluation sees the last one",
          "[models]") {
  const TrainingFixture fixture;
  CpuBackend backend(2);
  const auto model = build(backend, fixture.data, {"dualgnn", {"user_neighbours=120"}});
  const auto users_in_epoch = [&](std::int64_t epoch) {
    model->begin_epoch(epoch);
    model->evaluate();
    return values_of(model->program, model->users);
  };
  model->evaluate();
  const std::vector<float> built = values_of(model->program, model->users), first = users_in_epoch(0),
                           second = users_in_epoch(1);
  CHECK(built == first);
  CHECK(second != first);
  CHECK(users_in_epoch(0) == first);
}

TEST_CASE(
    "models: lattice learns its graph in the first batch of an epoch, and then moves without a gradient",
    "[models]") {
  const TrainingFixture fixture;
  CpuBackend backend(2);
  const auto model = build(backend, fixture.data, {"lattice", {"knn_k=5", "feat_embed_dim=8"}});
  const auto state = [&](const std::string& name) {
    for (const StateView& view : model->program.states()) {
      if (view.name == name) return std::vector<float>(view.value, view.value + view.size());
    }
    return std::vector<float>();
  };
  const auto weight = [&] {
    for (const ParameterView& view : model->program.parameters()) {
      if (view.name == "image_trs.weight") return std::vector<float>(view.value, view.value + view.size());
    }
    return std::vector<float>();
  };
  REQUIRE(model->schedule.steps > 2);
  model->begin_epoch(0);
  const std::vector<float> start = weight();
  model->step(0, 0);
  const std::vector<float> values = state("item_graph.values"), neighbours = state("item_graph.neighbours");
  CHECK(std::any_of(values.begin(), values.end(), [](float x) { return x != 0.0f; }));
  const std::vector<float> after_first = weight();
  CHECK(after_first != start);
  // Adam's first step without a gradient: m decays by 0.9, v by 0.999, both corrected for t = 2.
  model->step(0, 1);
  const std::vector<float> after_second = weight();
  const double share =
      0.9 * (1.0 - 0.9) / (1.0 - 0.9 * 0.9) / std::sqrt(0.999 * 0.001 / (1.0 - 0.999 * 0.999));
  for (std::size_t i = 0; i < start.size(); ++i) {
    const double first_move = after_first[i] - start[i], second_move = after_second[i] - after_first[i];
    if (std::abs(first_move) < 0.0099) continue;  // a gradient near Adam's epsilon
    CHECK(second_move == Approx(share * first_move).epsilon(5e-3));
  }
  CHECK(state("item_graph.values") == values);
  model->evaluate();  // builds a graph of its own
  CHECK(state("item_graph.values") == values);
  CHECK(state("item_graph.neighbours") == neighbours);
  for (std::int64_t i = 2; i < model->schedule.steps; ++i) model->step(0, i);
  model->begin_epoch(1);
  model->step(1, 0);
  CHECK(state("item_graph.values") != values);
}

TEST_CASE("models: a training of lattice that diverges ends in a sentence", "[models]") {
  const TrainingFixture fixture;
  const Case hostile{"lattice", {"knn_k=5", "feat_embed_dim=8"}};
  const auto spoil = [](Model& model) {
    for (const ParameterView& parameter : model.program.parameters()) {
      if (parameter.name != "text_trs.weight") continue;
      std::fill(parameter.value, parameter.value + parameter.size(), std::numeric_limits<float>::quiet_NaN());
    }
  };
  CHECK(contains(
      error_of([&] { train_run(fixture.data, fixture.folder / "run", request_of(hostile), 2, {}, spoil); }),
      "the training diverged"));
}

TEST_CASE("models: every combination of the plugged-in modules trains", "[models]") {
  const TrainingFixture fixture;
  for (const std::string model : {"vbpr+sea", "freedom+sea", "lattice+sea", "slmrec+sea", "bm3+sea"}) {
    for (const std::string align : {"solosim", "infonce", "none"}) {
      for (const std::string distance : {"club", "l2", "none"}) {
        INFO(model << " " << align << " " << distance);
        CpuBackend backend(1);
        std::vector<std::string> settings = {"align=" + align, "distance=" + distance};
        if (model == "freedom+sea" || model == "lattice+sea") settings.push_back("knn_k=5");
        const auto built = build(backend, fixture.data, {model, joined(settings, small_modules)});
        for (int step = 0; step < 3; ++step) built->step(0, step);
        CHECK(std::isfinite(built->program.losses().download().back()));
      }
    }
  }
}

TEST_CASE("models: the command trains, evaluates, recommends and exports with each of them", "[models]") {
  const TrainingFixture fixture;
  const auto run_sea = [](std::vector<std::string> words) {
    words.insert(words.begin(), SEA_COMMAND);
    return run_command(words);
  };
  for (const Case& c : cases()) {
    INFO(c.model);
    const fs::path run = fixture.folder / (c.model + "-run");
    std::vector<std::string> words = {"train",    fixture.data, "--model",   c.model,
                                      "--output", run,          "--threads", "1"};
    for (const std::string& setting : joined(joined(small, c.settings), {"epochs=2"})) {
      words.push_back("--set");
      words.push_back(setting);
    }
    const CommandResult trained = run_sea(words);
    INFO(trained.error);
    REQUIRE(trained.code == 0);
    CHECK(Json::parse(read_file(run / "config.json"))["model"] == c.model);
    const fs::path evaluation = fixture.folder / "evaluation.json";
    REQUIRE(run_sea({"evaluate", run, "--output", evaluation}).code == 0);
    // Further metrics may stand beside them; those of the training come back to the last digit.
    const Json evaluated = Json::parse(read_file(evaluation))["metrics"];
    const Json tested = Json::parse(read_file(run / "result.json"))["test"];
    CHECK_FALSE(tested.empty());
    for (const auto& [name, value] : tested.items()) {
      INFO(name);
      REQUIRE(evaluated.contains(name));
      CHECK(evaluated[name] == value);
    }
    CHECK(contains(run_sea({"recommend", run, "--user", "7"}).out, "7\t1\t"));
    CHECK(run_sea({"export", run, "--output", fixture.folder / (c.model + ".safetensors")}).code == 0);
    CHECK(fs::exists(fixture.folder / (c.model + ".safetensors")));
  }
}
