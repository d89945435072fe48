// What the models beside SEA are made of: initial values, and the wiring of SEA's modules, in numbers.

#include <algorithm>
#include <cmath>
#include <map>

#include "support/reference.hpp"
#include "support/training.hpp"

using namespace sea;
using namespace sea::test;

namespace {

namespace fs = std::filesystem;

std::unique_ptr<Model> build(Backend& backend, const fs::path& data, const std::string& model,
                             std::vector<std::string> settings) {
  settings.insert(settings.end(), {"embedding_size=8", "train_batch_size=256"});
  if (model.rfind("freedom", 0) == 0) settings.push_back("knn_k=5");
  ConfigurationRequest request;
  request.model = model;
  request.assignments = settings;
  return build_model(backend, data, request);
}

/// A trained array, or what is computed from some, in double precision.
struct Array {
  std::int64_t rows = 0, columns = 0;
  std::vector<double> values;
};
using Arrays = std::map<std::string, Array>;

Arrays arrays_of(const Program& program) {
  Arrays arrays;
  for (const ParameterView& parameter : program.parameters())
    arrays[parameter.name] = {
        parameter.rows, parameter.columns, {parameter.value, parameter.value + parameter.size()}};
  return arrays;
}

Array linear_of(const Arrays& arrays, const std::string& name, const Array& x) {
  const Array &weight = arrays.at(name + ".weight"), &bias = arrays.at(name + ".bias");
  Array y{x.rows, weight.rows,
          naive_product(x.values, weight.values, x.rows, x.columns, weight.rows, false, true)};
  for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] += bias.values[i % bias.values.size()];
  return y;
}

Array columns_of(const Array& x, std::int64_t first, std::int64_t count) {
  Array part{x.rows, count, {}};
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const auto row = x.values.begin() + i * x.columns + first;
    part.values.insert(part.values.end(), row, row + count);
  }
  return part;
}

Array batch_norm_relu_of(const Arrays& arrays, const std::string& name, Array x) {
  const Array &scale = arrays.at(name + ".weight"), &shift = arrays.at(name + ".bias");
  for (std::int64_t j = 0; j < x.columns; ++j) {
    double mean = 0.0, variance = 0.0;
    for (std::int64_t i = 0; i < x.rows; ++i)
      mean += x.values[i * x.columns + j] / static_cast<double>(x.rows);
    for (std::int64_t i = 0; i < x.rows; ++i)
      variance += std::pow(x.values[i * x.columns + j] - mean, 2) / static_cast<double>(x.rows);
    for (std::int64_t i = 0; i < x.rows; ++i) {
      double& value = x.values[i * x.columns + j];
      value = std::max(0.0, scale.values[j] * (value - mean) / std::sqrt(variance + 1e-5) + shift.values[j]);
    }
  }
  return x;
}

Array unit_rows_of(Array x) {
  for (std::int64_t i = 0; i < x.rows; ++i) {
    double squares = 0.0;
    for (std::int64_t j = 0; j < x.columns; ++j) squares += std::pow(x.values[i * x.columns + j], 2);
    for (std::int64_t j = 0; j < x.columns; ++j) x.values[i * x.columns + j] /= std::sqrt(squares);
  }
  return x;
}

double solosim_of(const Array& text, const Array& visual, double temperature) {
  const std::vector<double> logits =
      naive_product(text.values, visual.values, text.rows, text.columns, text.rows, false, true);
  double loss = 0.0;
  for (std::int64_t i = 0; i < text.rows; ++i) {
    double sum = 0.0;
    for (std::int64_t j = 0; j < text.rows; ++j) sum += std::exp(logits[i * text.rows + j] / temperature);
    loss += (std::log(sum) - logits[i * text.rows + i] / temperature) / static_cast<double>(text.rows);
  }
  return loss;
}

}  // namespace

TEST_CASE("models: initial values have the distribution of each array", "[models]") {
  const TrainingFixture fixture;
  CpuBackend backend(1);
  const auto xavier_uniform = [](double fans) { return std::sqrt(6.0 / fans); };
  struct Expected {
    std::string model, array;
    bool normal;
    double scale;  ///< the deviation, or the bound of a uniform draw
    std::int64_t first_row = 0, rows = -1;
  };
  const std::int64_t users = 120, items = 60, e = 8;
  const Dataset dataset = load_dataset(fixture.data, DatasetFiles{});
  const std::int64_t image = dataset.features[0].values.columns, text = dataset.features[1].values.columns;
  for (const Expected& expected :
       std::vector<Expected>{{"bpr", "user_embedding.weight", true, std::sqrt(2.0 / (users + e))},
                             {"bpr", "item_embedding.weight", true, std::sqrt(2.0 / (items + e))},
                             {"lightgcn", "node_embedding", false, xavier_uniform(users + e), 0, users},
                             {"lightgcn", "node_embedding", false, xavier_uniform(items + e), users, items},
                             {"layergcn", "node_embedding", false, xavier_uniform(users + e), 0, users},
                             {"freedom", "node_embedding", false, xavier_uniform(items + e), users, items},
                             {"freedom", "image_trs.weight", false, 1.0 / std::sqrt(image)},
                             {"freedom", "text_trs.weight", false, 1.0 / std::sqrt(text)},
                             {"vbpr", "u_embedding", false, xavier_uniform(users + 2 * e)},
                             {"vbpr", "i_embedding", false, xavier_uniform(items + e)},
                             {"vbpr", "item_linear.weight", true, std::sqrt(2.0 / (image + text + e))},
                             {"vbpr", "item_linear.bias", false, 0.0}}) {
    INFO(expected.model << ' ' << expected.array << " from row " << expected.first_row);
    const auto model = build(backend, fixture.data, expected.model, {});
    const Array array = arrays_of(model->program).at(expected.array);
    const std::int64_t rows = expected.rows < 0 ? array.rows : expected.rows;
    double largest = 0.0, squares = 0.0;
    for (std::int64_t i = expected.first_row * array.columns; i < (expected.first_row + rows) * array.columns;
         ++i) {
      largest = std::max(largest, std::abs(array.values[i]));
      squares += array.values[i] * array.values[i];
    }
    const double deviation = std::sqrt(squares / static_cast<double>(rows * array.columns));
    if (expected.normal) {
      CHECK(deviation == Approx(expected.scale).epsilon(0.1));
      CHECK(largest > 2.0 * expected.scale);
    } else {
      CHECK(largest <= expected.scale * (1.0 + 1e-6));
      CHECK(largest >= 0.9 * expected.scale);
      CHECK(deviation == Approx(expected.scale / std::sqrt(3.0)).epsilon(0.1));
    }
  }
}

TEST_CASE("models: the plugged-in modules read the halves of each modality, and VBPR's items their sum",
          "[models]") {
  const TrainingFixture fixture;
  CpuBackend backend(1);
  const Dataset dataset = load_dataset(fixture.data, DatasetFiles{});
  const std::vector<std::string> settings = {"align=solosim", "distance=l2",     "alpha=0.3",
                                             "beta=0.7",      "temperature=0.2", "head_hidden=8",
                                             "head_out=8",    "reg_weight=0.1"};
  for (const std::string name : {"vbpr+sea", "freedom+sea"}) {
    INFO(name);
    const auto model = build(backend, fixture.data, name, settings);
    Program& program = model->program;
    const Arrays arrays = arrays_of(program);
    const bool vbpr = name == "vbpr+sea";
    std::vector<Array> own, heads;
    double total = 0.0;
    model->training->draw();
    model->training->forward();
    const auto term = [&](const std::string& wanted) -> double {
      const std::vector<std::string>& names = program.losses().names();
      return program.losses().download().at(
          static_cast<std::size_t>(std::find(names.begin(), names.end(), wanted) - names.begin()));
    };
    for (std::size_t m = 0; m < 2; ++m) {
      const std::string modality = dataset.features[m].modality;
      const std::string layer = vbpr ? modality + ".linear" : m == 0 ? "image_trs" : "text_trs";
      const HostMatrix& raw = dataset.features[m].values;
      own.push_back(
          linear_of(arrays, layer, {raw.rows, raw.columns, {raw.values.begin(), raw.values.end()}}));
      const Array generic = columns_of(own[m], 0, 4), unique = columns_of(own[m], 4, 4);
      Array x =
          batch_norm_relu_of(arrays, modality + ".head.1", linear_of(arrays, modality + ".head.0", generic));
      x = batch_norm_relu_of(arrays, modality + ".head.4", linear_of(arrays, modality + ".head.3", x));
      heads.push_back(unit_rows_of(linear_of(arrays, modality + ".head.6", x)));
      double squares = 0.0;
      for (std::size_t i = 0; i < generic.values.size(); ++i)
        squares += std::pow(generic.values[i] - unique.values[i], 2);
      const double distance = -squares / static_cast<double>(generic.values.size());
      CHECK(term("distance." + modality) == Approx(distance).epsilon(1e-5));
      total += 0.7 / 2.0 * distance;
    }
    const double aligned = solosim_of(heads[1], heads[0], 0.2);
    CHECK(term("align") == Approx(aligned).epsilon(1e-5));
    total += 0.3 * aligned + term("bpr");
    if (vbpr) {
      total += 0.1 * term("norm");
    } else {
      total += 0.1 * (term("bpr_visual") + term("bpr_textual"));
    }
    model->training->update();
    model->schedule.step->finish();
    CHECK(term("total") == Approx(total).epsilon(1e-5));
    if (!vbpr) continue;

    // [free | Linear([text | visual]) + Linear_v(visual) + Linear_t(text)]
    const auto fresh = build(backend, fixture.data, name, settings);
    fresh->evaluate();
    const HostMatrix &visual = dataset.features[0].values, &text = dataset.features[1].values;
    Array both{visual.rows, text.columns + visual.columns, {}};
    for (std::int64_t i = 0; i < visual.rows; ++i) {
      both.values.insert(both.values.end(), text.view().row(i), text.view().row(i) + text.columns);
      both.values.insert(both.values.end(), visual.view().row(i), visual.view().row(i) + visual.columns);
    }
    const Array content = linear_of(arrays, "item_linear", both);
    const Array& free_items = arrays.at("i_embedding");
    const MatrixView items = fresh->program.value(fresh->items);
    double largest = 0.0;
    for (std::int64_t i = 0; i < items.rows; ++i) {
      for (std::int64_t j = 0; j < 8; ++j) {
        const std::int64_t at = i * 8 + j;
        const double sum = content.values[at] + own[0].values[at] + own[1].values[at];
        largest = std::max(
            {largest, std::abs(items(i, j) - free_items.values[at]), std::abs(items(i, 8 + j) - sum)});
      }
    }
    CHECK(largest < 1e-4);
  }
}
