// sea export --parts, against the paper's equations in double precision.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/safetensors.hpp"
#include "data/synth.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

using sea::Safetensors;
using sea::test::CommandResult;
using sea::test::contains;
using sea::test::read_file;
using sea::test::TemporaryFolder;
using sea::test::write_file;

namespace {

namespace fs = std::filesystem;

/// A matrix in double precision.
struct Matrix {
  std::int64_t rows = 0, columns = 0;
  std::vector<double> values;
  double at(std::int64_t row, std::int64_t column) const { return values.at(row * columns + column); }
};

Matrix read(const Safetensors& file, const std::string& name) {
  const std::vector<float> values = file.floats(name);
  return {file.shape(name).at(0), file.shape(name).at(1), {values.begin(), values.end()}};
}

/// f of every place.
template <class F>
Matrix make(std::int64_t rows, std::int64_t columns, const F& f) {
  Matrix y{rows, columns, {}};
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) y.values.push_back(f(i, j));
  }
  return y;
}

/// X W^T + b.
Matrix layer(const Matrix& x, const Safetensors& file, const std::string& name) {
  const Matrix w = read(file, name + ".weight"), b = read(file, name + ".bias");
  REQUIRE(w.columns == x.columns);
  return make(x.rows, w.rows, [&](std::int64_t i, std::int64_t j) {
    double sum = b.at(0, j);
    for (std::int64_t k = 0; k < x.columns; ++k) sum += x.at(i, k) * w.at(j, k);
    return sum;
  });
}

Matrix columns_of(const Matrix& x, std::int64_t first, std::int64_t count) {
  return make(x.rows, count, [&](std::int64_t i, std::int64_t j) { return x.at(i, first + j); });
}

/// The rows, each of length 1.
Matrix unit(const Matrix& x) {
  return make(x.rows, x.columns, [&](std::int64_t i, std::int64_t j) {
    double squares = 0.0;
    for (std::int64_t k = 0; k < x.columns; ++k) squares += x.at(i, k) * x.at(i, k);
    return x.at(i, j) / std::sqrt(squares);
  });
}

/// Batch normalisation over the rows, then ReLU.
Matrix normalize(const Matrix& x, const Safetensors& file, const std::string& name) {
  const Matrix scale = read(file, name + ".weight"), shift = read(file, name + ".bias");
  std::vector<double> mean(x.columns), variance(x.columns);
  for (std::int64_t j = 0; j < x.columns; ++j) {
    for (std::int64_t i = 0; i < x.rows; ++i) mean[j] += x.at(i, j) / double(x.rows);
    for (std::int64_t i = 0; i < x.rows; ++i)
      variance[j] += (x.at(i, j) - mean[j]) * (x.at(i, j) - mean[j]) / double(x.rows);
  }
  return make(x.rows, x.columns, [&](std::int64_t i, std::int64_t j) {
    const double h = (x.at(i, j) - mean[j]) / std::sqrt(variance[j] + 1e-5);
    return std::max(0.0, scale.at(0, j) * h + shift.at(0, j));
  });
}

void check_close(const Matrix& actual, const Matrix& expected, double bound) {
  REQUIRE(actual.rows == expected.rows);
  REQUIRE(actual.columns == expected.columns);
  double largest = 0.0, difference = 0.0;
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    largest = std::max(largest, std::abs(expected.values[i]));
    difference = std::max(difference, std::abs(actual.values[i] - expected.values[i]));
  }
  CHECK(largest > 1e-3);
  CHECK(difference <= bound * largest);
}

struct Fixture {
  TemporaryFolder folder;
  fs::path data = folder / "data";
  // The visual width is odd: its unique half is the wider one.
  Fixture() {
    sea::synthesize(data, {120, 60, 1300, 15, 12}, 5, [](const char*, double) {});
  }

  CommandResult sea_command(std::vector<std::string> words) const {
    words.insert(words.begin(), SEA_COMMAND);
    return sea::test::run_command(words);
  }
  fs::path train(const std::string& name, std::vector<std::string> more) const {
    const fs::path run = folder / name;
    more.insert(more.begin(),
                {"train", data, "--output", run, "--epochs", "3", "--threads", "2", "--set",
                 "embedding_size=8", "--set", "train_batch_size=128", "--set", "learning_rate=0.01"});
    const CommandResult trained = sea_command(more);
    INFO(trained.error);
    REQUIRE(trained.code == 0);
    return run;
  }
  Safetensors parts_of(const fs::path& run) const {
    const fs::path file = folder / (run.filename().string() + ".safetensors");
    const CommandResult exported = sea_command({"export", run, "--parts", "--output", file});
    INFO(exported.error);
    REQUIRE(exported.code == 0);
    return Safetensors::read(file);
  }
  Matrix features(std::size_t modality) const {
    const sea::Dataset dataset = sea::load_dataset(data, {});
    const sea::HostMatrix& x = dataset.features.at(modality).values;
    return {x.rows, x.columns, {x.values.begin(), x.values.end()}};
  }
};

TEST_CASE("export --parts: SEA's halves, projections and heads, by their equations", "[command][parts]") {
  const Fixture fixture;
  const fs::path run = fixture.train("run", {"--set", "knn_k=5"});
  const Safetensors best = Safetensors::read(run / "best.safetensors"), parts = fixture.parts_of(run);
  CHECK(parts.floats("item_embeddings") == best.floats("item_embeddings"));
  CHECK(parts.names().size() == 12);
  for (const std::size_t m : {0, 1}) {
    const std::string name = m == 0 ? "visual" : "textual";
    INFO(name);
    const Matrix whole = layer(fixture.features(m), best, name + ".item_linear");
    const std::int64_t half = whole.columns / 2;
    const Matrix generic = columns_of(whole, 0, half), unique = columns_of(whole, half, whole.columns - half);
    check_close(read(parts, name + "_generic"), generic, 1e-5);
    check_close(read(parts, name + "_unique"), unique, 1e-5);
    check_close(read(parts, name + "_generic_projection"), layer(generic, best, name + ".generic_projection"),
                1e-5);
    check_close(read(parts, name + "_unique_projection"), layer(unique, best, name + ".unique_projection"),
                1e-5);
    Matrix head = normalize(layer(generic, best, name + ".head.0"), best, name + ".head.1");
    head = normalize(layer(head, best, name + ".head.3"), best, name + ".head.4");
    check_close(read(parts, name + "_aligned"), unit(layer(head, best, name + ".head.6")), 1e-4);
  }
  // The same bits at another number of threads, and as .npz.
  const fs::path again = fixture.folder / "again.safetensors", npz = fixture.folder / "parts.npz";
  REQUIRE(fixture.sea_command({"export", run, "--parts", "--threads", "1", "--output", again}).code == 0);
  CHECK(read_file(again) == read_file(fixture.folder / "run.safetensors"));
  REQUIRE(fixture.sea_command({"export", run, "--parts", "--output", npz}).code == 0);
  CHECK(contains(read_file(npz), "visual_aligned.npy"));

  // Where a loss is left out, so is what it alone reads.
  const Safetensors plain = fixture.parts_of(
      fixture.train("plain", {"--set", "knn_k=5", "--set", "align=none", "--set", "distance=none"}));
  CHECK(plain.names().size() == 6);
  CHECK(plain.shape("visual_unique") == std::vector<std::int64_t>{60, 8});
}

TEST_CASE("export --parts: MICRO's fused view is the attended mean of both, and what is left of each",
          "[command][parts]") {
  const Fixture fixture;
  const fs::path run = fixture.train("run", {"--model", "micro", "--set", "knn_k=5", "--set", "eval_step=1"});
  const Safetensors best = Safetensors::read(run / "best.safetensors"), parts = fixture.parts_of(run);
  const Matrix generic = read(parts, "generic");
  const auto view = [&](const std::string& name) {
    const Matrix unique = read(parts, name + "_unique");
    return make(generic.rows, generic.columns,
                [&](std::int64_t i, std::int64_t j) { return generic.at(i, j) + unique.at(i, j); });
  };
  const Matrix views[] = {view("visual"), view("textual")}, v = read(best, "query.2.weight");
  std::vector<double> scores[2];
  for (const std::size_t m : {0, 1}) {
    const Matrix hidden = layer(views[m], best, "query.0");
    for (std::int64_t i = 0; i < hidden.rows; ++i) {
      double sum = 0.0;
      for (std::int64_t j = 0; j < hidden.columns; ++j) sum += std::tanh(hidden.at(i, j)) * v.at(0, j);
      scores[m].push_back(sum);
    }
  }
  const Matrix attended = make(generic.rows, generic.columns, [&](std::int64_t i, std::int64_t j) {
    const double visual = 1.0 / (1.0 + std::exp(scores[1][i] - scores[0][i]));
    return visual * views[0].at(i, j) + (1.0 - visual) * views[1].at(i, j);
  });
  check_close(generic, attended, 1e-5);

  // What an item is ranked by: its propagated row and the unit fused view.
  const sea::Dataset dataset = sea::load_dataset(fixture.data, {std::nullopt, std::nullopt});
  const Matrix nodes = read(best, "node_embedding");
  std::vector<Matrix> layers = {nodes};
  std::vector<std::vector<std::int64_t>> neighbours(nodes.rows);
  for (std::int64_t user = 0; user < dataset.users; ++user) {
    for (const std::int32_t item : dataset.train.row(user)) {
      neighbours[user].push_back(dataset.users + item);
      neighbours[dataset.users + item].push_back(user);
    }
  }
  for (int depth = 0; depth < 2; ++depth) {
    const Matrix below = layers.back();
    layers.push_back(make(nodes.rows, nodes.columns, [&](std::int64_t i, std::int64_t j) {
      double sum = below.at(i, j);  // a node is a neighbour of itself
      for (const std::int64_t n : neighbours[i]) sum += below.at(n, j);
      return sum / double(neighbours[i].size() + 1);
    }));
  }
  const Matrix fused = unit(generic);
  check_close(read(best, "item_embeddings"),
              make(generic.rows, generic.columns,
                   [&](std::int64_t i, std::int64_t j) {
                     const std::int64_t node = dataset.users + i;
                     return (layers[0].at(node, j) + layers[1].at(node, j) + layers[2].at(node, j)) / 3.0 +
                            fused.at(i, j);
                   }),
              1e-5);
}

TEST_CASE("export --parts: of a model with SEA's modules the halves that they read, and the heads",
          "[command][parts]") {
  const Fixture fixture;
  // The trained features, or those of the files, and the layer that a modality's representation comes from.
  struct Case {
    std::string model, width, features[2], layer[2];
  };
  const std::vector<Case> cases = {
      {"vbpr", "embedding_size", {"", ""}, {"visual.linear", "textual.linear"}},
      {"freedom",
       "embedding_size",
       {"image_embedding.weight", "text_embedding.weight"},
       {"image_trs", "text_trs"}},
      {"lattice",
       "feat_embed_dim",
       {"image_embedding.weight", "text_embedding.weight"},
       {"image_trs", "text_trs"}},
      {"slmrec", "embedding_size", {"unit", "unit"}, {"v_dense", "t_dense"}},
      {"bm3",
       "embedding_size",
       {"image_embedding.weight", "text_embedding.weight"},
       {"image_trs", "text_trs"}},
  };
  for (const Case& c : cases) {
    INFO(c.model);
    std::vector<std::string> more = {"--model", c.model + "+sea", "--set", c.width + "=8"};
    if (c.model == "freedom" || c.model == "lattice") more.insert(more.end(), {"--set", "knn_k=5"});
    const fs::path run = fixture.train(c.model, more);
    const Safetensors best = Safetensors::read(run / "best.safetensors"), parts = fixture.parts_of(run);
    CHECK(parts.names().size() == 8);
    CHECK(parts.floats("item_embeddings") == best.floats("item_embeddings"));
    for (const std::size_t m : {0, 1}) {
      const std::string name = m == 0 ? "visual" : "textual";
      INFO(name);
      const Matrix features = c.features[m].empty()     ? fixture.features(m)
                              : c.features[m] == "unit" ? unit(fixture.features(m))
                                                        : read(best, c.features[m]);
      const Matrix whole = layer(features, best, c.layer[m]);
      REQUIRE(whole.columns == 8);
      const Matrix generic = columns_of(whole, 0, 4);
      check_close(read(parts, name + "_generic"), generic, 1e-5);
      check_close(read(parts, name + "_unique"), columns_of(whole, 4, 4), 1e-5);
      Matrix head = normalize(layer(generic, best, name + ".head.0"), best, name + ".head.1");
      head = normalize(layer(head, best, name + ".head.3"), best, name + ".head.4");
      check_close(read(parts, name + "_aligned"), unit(layer(head, best, name + ".head.6")), 1e-4);
    }
  }

  // One modality, and no alignment.
  const Safetensors one = fixture.parts_of(fixture.train(
      "one", {"--model", "vbpr+sea", "--set", "text_feature_file=null", "--set", "align=none"}));
  CHECK(one.names() ==
        std::vector<std::string>{"item_embeddings", "user_embeddings", "visual_generic", "visual_unique"});
  // The items most like one by its unique part.
  const CommandResult alike =
      fixture.sea_command({"similar", fixture.folder / "bm3", "--item", "3", "--by", "unique"});
  INFO(alike.error);
  CHECK(alike.code == 0);
}

TEST_CASE("export --parts: PAMD's are those of its representation; refusals are one line",
          "[command][parts]") {
  const Fixture fixture;
  const fs::path run =
      fixture.train("run", {"--model", "pamd", "--set", "pretrain_epochs=2", "--set", "eval_step=1"});
  const Safetensors parts = fixture.parts_of(run);
  for (const std::string name : {"visual", "textual"}) {
    CHECK(parts.floats(name + "_generic") == parts.floats("item_common_" + name));
    CHECK(parts.floats(name + "_unique") == parts.floats("item_specific_" + name));
  }

  const fs::path none = fixture.folder / "none.npz";
  const auto check_refused = [&](const fs::path& of, const std::vector<std::string>& more, int code,
                                 const std::vector<std::string>& texts) {
    std::vector<std::string> words = {"export", of, "--output", none};
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult result = fixture.sea_command(words);
    INFO(result.error);
    CHECK(result.code == code);
    CHECK(std::count(result.error.begin(), result.error.end(), '\n') == 1);
    for (const std::string& text : texts) CHECK(contains(result.error, text));
    CHECK(!fs::exists(none));
  };
  const fs::path bpr = fixture.train("bpr", {"--model", "bpr"});
  check_refused(bpr, {"--parts"}, 2,
                {"--parts: bpr",
                 "sea, micro, pamd, vbpr+sea, freedom+sea, lattice+sea, slmrec+sea, bm3+sea have them"});
  check_refused(run, {"--data", fixture.data}, 2, {"--data", "--parts"});
  check_refused(run, {"--threads", "1"}, 2, {"--threads", "--parts"});
  const fs::path other = fixture.folder / "other";
  sea::synthesize(other, {120, 60, 1300, 15, 12}, 6, [](const char*, double) {});
  check_refused(run, {"--parts", "--data", other}, 1, {"other", "not those that"});
  fs::rename(fixture.data / "text_feat.npy", fixture.folder / "text_feat.npy");
  check_refused(run, {"--parts"}, 1, {"text_feat.npy"});
  check_refused(run, {"--parts", "--data", fixture.folder / "nowhere"}, 1, {"nowhere"});
}

}  // namespace
