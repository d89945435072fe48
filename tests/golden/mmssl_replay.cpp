// MMSSL: the halves of a step, graphs that are given, and four steps that rebuild them.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "golden/company_second.hpp"
#include "sea/error.hpp"

namespace sea::test {

namespace {

using nlohmann::json;

const RenamedKeys renamed = {{"batch_size", "train_batch_size"},
                             {"regs", "reg_weight"},
                             {"lr", "learning_rate"},
                             {"D_lr", "discriminator_learning_rate"},
                             {"adamw_weight_decay", "weight_decay"}};
const std::vector<std::string> modalities = {"image", "text"};
/// The model's graphs begin with the four of the interactions; then four of each modality.
constexpr std::size_t first_graph = 4, graphs_of_modality = 4;

class Replay {
 public:
  explicit Replay(const GoldenCase& golden)
      : golden_(golden),
        configuration_(golden.configuration(renamed)),
        model_(golden.build(configuration_)) {}

  void run() {
    if (golden_.settings().contains("losses")) return run_sequence();
    const bool discriminator = golden_.has("inputs/d.image.npy");
    if (golden_.has("graphs")) give_graphs();
    if (golden_.has("scores.npy")) {
      model_->evaluate();
      golden_.compare_scores(*model_);
    }
    golden_.upload_batch(*model_, golden_.settings().at("batch"));
    Tape& tape = *model_->schedule.step->tapes()[discriminator ? 0 : 1];
    half(tape, "inputs/");
    compare_gradients();
    golden_.compare_loss("total", discriminator ? discriminator_loss() : generator_loss(),
                         golden_.settings().at("loss"));
  }

 private:
  /// The tape without its draws, which are those of `folder`.
  void half(Tape& tape, const std::string& folder) {
    const bool discriminator = &tape == model_->schedule.step->tapes()[0];
    for (const auto& [name, tensor] : model_->values) {
      if (name.rfind(discriminator ? "d." : "g.", 0) != 0) continue;
      if (name != "d.gumbel") {
        golden_.upload(*model_, tensor, folder + name + ".npy");
        continue;
      }
      std::vector<float> noise;
      for (const double x : golden_.values(folder + "d.uniform.npy"))
        noise.push_back(static_cast<float>(-std::log(-std::log(x + 1e-8) + 1e-8)));
      const MatrixView to = model_->program.value(tensor);
      if (static_cast<std::int64_t>(noise.size()) != to.size()) throw Error("the uniform draws do not fit");
      golden_.backend().copy_to_device(to.data, noise.data(), noise.size() * sizeof(float));
    }
    tape.forward();
    tape.backward();
  }

  void run_sequence() {
    const json& losses = golden_.settings().at("losses");
    Step& step = *model_->schedule.step;
    for (std::size_t i = 0; i < losses.size(); ++i) {
      golden_.upload_batch(*model_, golden_.settings().at("batches")[i]);
      for (std::size_t t = 0; t < 2; ++t) {
        half(*step.tapes()[t], fmt::format("inputs/{}/", i));
        golden_.compare_loss(fmt::format("step {}, half {}", i, t),
                             t == 0 ? discriminator_loss() : generator_loss(), losses[i][t]);
        step.tapes()[t]->update();
      }
      step.finish();
      model_->schedule.after_step(0, static_cast<std::int64_t>(i));
      if (i == 1) compare_graphs();  // of the likenesses of step 0; later ones are empty
    }
    golden_.compare_parameters_after(model_->program);
    model_->evaluate();
    golden_.compare_scores(*model_);
  }

  double term(const std::string& name) const {
    const std::vector<std::string>& names = model_->program.losses().names();
    const auto at = std::find(names.begin(), names.end(), name) - names.begin();
    return model_->program.losses().download().at(static_cast<std::size_t>(at));
  }
  double number(const char* key) const { return configuration_.number(key); }
  double discriminator_loss() const {
    return term("fake") - term("real") + number("gp_rate") * 0.3 * term("penalty");
  }
  double generator_loss() const {
    double loss =
        term("bpr") - number("G_rate") * term("adversarial") +
        number("reg_weight") * term("norm") / static_cast<double>(configuration_.integer("train_batch_size"));
    for (const std::string& name : modalities) {
      loss += number("cl_rate") * term("contrast." + name) +
              number("feat_reg_decay") *
                  (term("features." + name + ".users") + term("features." + name + ".items"));
    }
    return loss;
  }

  void compare_gradients() const {
    double largest = 0.0;
    const json& trained = golden_.settings().at("trained");
    const auto expected = [&](const std::string& name) {
      return golden_.values("gradients/" + name + ".npy");
    };
    for (const std::string name : trained) largest = std::max(largest, norm(expected(name)));
    for (const std::string name : trained) {
      if (!golden_.compares(name)) continue;
      const std::vector<double> gradient = expected(name);
      golden_.report().add("gradients", name, distance(model_->program.download_gradient(name), gradient),
                           1e-4 * std::max(norm(gradient), 1e-3 * largest));
    }
  }

  static std::string file_of(const std::string& modality, bool users) {
    return fmt::format("graphs/{}_{}_graph.npy", modality, users ? "ui" : "iu");
  }

  /// The case's graphs and their transposes take the places of the model's.
  void give_graphs() {
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      for (const bool users : {true, false}) {
        const std::vector<double> dense = golden_.values(file_of(modalities[m], users));
        const std::size_t place = first_graph + graphs_of_modality * m + (users ? 0 : 2);
        give_graph(place, dense, false);
        give_graph(place + 1, dense, true);
      }
    }
  }
  void give_graph(std::size_t place, const std::vector<double>& dense, bool transposed) {
    DeviceCsr& graph = model_->graphs.at(place);
    const std::int64_t rows = graph.pattern().rows, columns = graph.pattern().columns;
    std::vector<std::int64_t> offsets = {0};
    std::vector<std::int32_t> ids;
    std::vector<float> values;
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        const double value = dense.at(static_cast<std::size_t>(transposed ? j * rows + i : i * columns + j));
        if (value == 0.0) continue;
        ids.push_back(static_cast<std::int32_t>(j));
        values.push_back(static_cast<float>(value));
      }
      offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
    const auto capacity = static_cast<std::size_t>(graph.capacity());
    ids.resize(capacity);
    values.resize(capacity);
    graph.upload(offsets, ids, values);
  }

  void compare_graphs() const {
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      for (const bool users : {true, false}) {
        const std::vector<double> expected = golden_.values(file_of(modalities[m], users));
        const CsrView graph =
            model_->graphs.at(first_graph + graphs_of_modality * m + (users ? 0 : 2)).view();
        // As the product with the unit matrix.
        Backend& backend = golden_.backend();
        std::vector<float> unit(static_cast<std::size_t>(graph.columns * graph.columns));
        for (std::int64_t j = 0; j < graph.columns; ++j)
          unit[static_cast<std::size_t>(j * graph.columns + j)] = 1.0f;
        const Buffer<float> from = to_device(backend, unit), to(backend, graph.rows * graph.columns);
        backend.spmm(graph, from.matrix(graph.columns, graph.columns), {},
                     to.matrix(graph.rows, graph.columns));
        golden_.report().add("graphs", file_of(modalities[m], users), distance(to.download(), expected),
                             1e-5 * std::max(1.0, norm(expected)));
      }
    }
  }

  const GoldenCase& golden_;
  Configuration configuration_;
  std::unique_ptr<Model> model_;
};

}  // namespace

void replay_mmssl(const GoldenCase& golden) {
  Replay(golden).run();
}

}  // namespace sea::test
