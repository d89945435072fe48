// The `sea` command on input that cannot be used: one clear line, the right exit code, nothing left behind.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "data/npy.hpp"
#include "data/synth.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

using sea::test::CommandResult;
using sea::test::contains;
using sea::test::read_file;
using sea::test::TemporaryFolder;
using sea::test::write_file;

namespace {

namespace fs = std::filesystem;

CommandResult run_sea(std::vector<std::string> words) {
  words.insert(words.begin(), SEA_COMMAND);
  return sea::test::run_command(words);
}

/// Every path under a folder, hidden ones too.
std::set<fs::path> tree(const fs::path& folder) {
  std::set<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) paths.insert(entry.path());
  return paths;
}

/// A command that must fail: with `code`, at most three lines on stderr that name every one of `parts`,
/// nothing on stdout, and `folder` as it was.
void check_refused(const fs::path& folder, const std::vector<std::string>& words, int code,
                   const std::vector<std::string>& parts) {
  std::string shown = "sea";
  for (const std::string& word : words) shown += " " + word;
  const std::set<fs::path> before = tree(folder);
  const CommandResult result = run_sea(words);
  INFO(shown << "\n" << result.error);
  CHECK(result.code == code);
  CHECK(std::count(result.error.begin(), result.error.end(), '\n') <= 3);
  CHECK(contains(result.error, "error: "));
  CHECK(result.out.empty());
  for (const std::string& part : parts) {
    INFO("lacks: " << part);
    CHECK(contains(result.error, part));
  }
  CHECK(tree(folder) == before);
}

const std::vector<std::string> small_model = {"--set", "epochs=1",     "--set", "knn_k=2",
                                              "--set", "club_steps=2", "--set", "threads=1"};

/// A data set of 4 users and 4 items that can be trained on.
const std::string good_inter =
    "userID\titemID\tx_label\n"
    "0\t0\t0\n0\t1\t0\n0\t2\t1\n1\t1\t0\n1\t2\t0\n1\t3\t2\n2\t2\t0\n2\t3\t0\n2\t0\t1\n3\t3\t0\n3\t0\t0\n3\t1"
    "\t2\n";

void write_features(const fs::path& file, std::int64_t rows, std::int64_t columns) {
  sea::HostMatrix matrix(rows, columns);
  for (std::size_t i = 0; i < matrix.values.size(); ++i)
    matrix.values[i] = static_cast<float>(i * i % 7) - 3.0f;
  fs::create_directories(file.parent_path());
  sea::write_npy(file, matrix.view());
}

struct Tiny {
  TemporaryFolder folder;
  fs::path data = folder / "tiny";
  Tiny() {
    write_file(data / "tiny.inter", good_inter);
    write_features(data / "image_feat.npy", 4, 6);
    write_features(data / "text_feat.npy", 4, 4);
  }
  std::vector<std::string> train(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"train", data, "--output", folder / "run"};
    words.insert(words.end(), small_model.begin(), small_model.end());
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  void check_train_refused(int code, const std::vector<std::string>& parts,
                           const std::vector<std::string>& more = {}) const {
    check_refused(folder.path(), train(more), code, parts);
  }
};

/// A .npy file with a header of one's own.
std::string npy_with(const std::string& dictionary, std::size_t data_bytes) {
  std::string header = dictionary;
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size() & 255);
  text += static_cast<char>(header.size() >> 8);
  return text + header + std::string(data_bytes, '\0');
}

std::string with_line(const std::string& line) {
  return good_inter + line;
}

}  // namespace

TEST_CASE("hostile: the small data set itself can be trained on", "[command][hostile]") {
  const Tiny tiny;
  const CommandResult result = run_sea(tiny.train());
  INFO(result.error);
  CHECK(result.code == 0);
}

TEST_CASE("hostile: interactions", "[command][hostile]") {
  struct Case {
    std::string content;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {"userID\tx_label\n0\t0\n", {"tiny.inter", "itemID"}},
      {with_line("x\t1\t0\n"), {"tiny.inter", "line 14", "x"}},
      {with_line("-1\t1\t0\n"), {"line 14", "-1"}},
      {with_line("4000000000\t1\t0\n"), {"line 14", "4000000000"}},
      {with_line("1e23\t1\t0\n"), {"line 14", "1e23"}},
      {with_line("1\t2.5\t0\n"), {"line 14", "2.5"}},
      {with_line("1\t1\t3\n"), {"line 14", "3"}},
      {with_line("1\t1\n"), {"line 14"}},
      {"", {"tiny.inter", "empty"}},
      {"userID\titemID\tx_label\n", {"tiny.inter"}},
      {"userID\titemID\tx_label\n0\t1\t1\n0\t2\t2\n", {"tiny.inter", "train"}},
      {"user_id:token\titem_id:token\trating:float\n0\t1\t2\n", {"from_recbole.py"}},
  };
  for (const Case& c : cases) {
    const Tiny tiny;
    write_file(tiny.data / "tiny.inter", c.content);
    tiny.check_train_refused(1, c.parts);
  }
  const Tiny tiny;
  fs::remove(tiny.data / "tiny.inter");
  tiny.check_train_refused(1, {"tiny.inter"});
  check_refused(tiny.folder.path(), {"train", tiny.folder / "nowhere"}, 1, {"nowhere"});
}

TEST_CASE("hostile: feature files", "[command][hostile]") {
  const auto floats = [](const std::string& shape, const std::string& order, const std::string& type) {
    return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", type, order, shape);
  };
  struct Case {
    std::string content;
    std::vector<std::string> parts;
  };
  const Tiny good;
  const std::string bytes = read_file(good.data / "image_feat.npy");
  std::string nan = bytes, infinite = bytes;
  const float values[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()};
  nan.replace(nan.size() - 4, 4, reinterpret_cast<const char*>(&values[0]), 4);
  infinite.replace(infinite.size() - 4, 4, reinterpret_cast<const char*>(&values[1]), 4);
  const std::vector<Case> cases = {
      {bytes.substr(0, bytes.size() - 5), {"truncated"}},
      {bytes.substr(0, 20), {"image_feat.npy"}},
      {"", {"image_feat.npy"}},
      {"not an array", {"image_feat.npy"}},
      {npy_with(floats("(4, 9223372036854775807)", "False", "<f4"), 64), {"shape"}},
      {npy_with(floats("(1000000000, 4)", "False", "<f4"), 64), {"image_feat.npy"}},
      {npy_with(floats("(4, 6)", "False", "<U4"), 4 * 6 * 16), {"text"}},
      {npy_with(floats("(4, 6)", "False", "<i8"), 4 * 6 * 8), {"integers"}},
      {npy_with(floats("(4, 6)", "True", "<f4"), 4 * 6 * 4), {"Fortran"}},
      {npy_with(floats("(24,)", "False", "<f4"), 24 * 4), {"image_feat.npy", "dimension"}},
      {npy_with(floats("(3, 6)", "False", "<f4"), 3 * 6 * 4), {"3", "4"}},
      {npy_with(floats("(5, 6)", "False", "<f4"), 5 * 6 * 4), {"5", "4"}},
      {nan, {"row 3", "NaN"}},
      {infinite, {"row 3", "inf"}},
  };
  for (const Case& c : cases) {
    const Tiny tiny;
    write_file(tiny.data / "image_feat.npy", c.content);
    std::vector<std::string> parts = c.parts;
    parts.push_back("image_feat.npy");
    tiny.check_train_refused(1, parts);
  }
  const Tiny tiny;
  fs::remove(tiny.data / "text_feat.npy");
  write_features(tiny.data / "audio_feat.npy", 4, 4);
  tiny.check_train_refused(1, {"text_feat.npy", "audio_feat.npy"});
  tiny.check_train_refused(2, {"text_feature_file is null", "set align=none"},
                           {"--set", "text_feature_file=null"});
}

TEST_CASE("hostile: configurations and options", "[command][hostile]") {
  struct Case {
    std::vector<std::string> options;
    int code;
    std::vector<std::string> parts;
  };
  const Tiny tiny;
  write_file(tiny.folder / "broken.json", "{\"knn_k\": 3,\n oops}");
  write_file(tiny.folder / "unknown.json", "{\"knnk\": 3}");
  const std::vector<Case> cases = {
      {{"--set", "embeding_size=8"}, 2, {"--set", "embedding_size"}},
      {{"--set", "embedding_size"}, 2, {"--set", "key=value"}},
      {{"--set", "learning_rate=nan"}, 2, {"--set", "learning_rate", "nan"}},
      {{"--set", "learning_rate=-1"}, 2, {"learning_rate", "-1"}},
      {{"--set", "train_batch_size=0"}, 2, {"train_batch_size", "'0'"}},
      {{"--set", "temperature=0.01"}, 2, {"temperature", "0.025"}},
      {{"--set", "knn_k=5"}, 2, {"knn_k", "5", "4"}},
      {{"--set", "align=cosine"}, 2, {"align", "cosine", "solosim"}},
      {{"--epochs", "0"}, 2, {"--epochs", "'0'"}},
      {{"--epochs", "-1"}, 2, {"--epochs", "'-1'"}},
      {{"--seed", "one"}, 2, {"--seed", "one"}},
      {{"--seed", "1,"}, 2, {"--seed"}},
      {{"--seed", "4,4"}, 2, {"--seed", "twice"}},
      {{"--threads", "many"}, 2, {"--threads", "many"}},
      {{"--model", "bogus"}, 2, {"--model", "bogus", "SEAa"}},
      {{"--device", "tpu"}, 2, {"--device", "tpu"}},
      {{"--device", "cuda"}, 1, {"--device cuda", "CUDA"}},
      {{"--device", "cuda:7"}, 1, {"--device cuda:7"}},
      {{"--config", tiny.folder / "broken.json"}, 2, {"--config", "broken.json", "line 2"}},
      {{"--config", tiny.folder / "unknown.json"}, 2, {"--config", "unknown.json", "knn_k"}},
      {{"--config", tiny.folder / "missing.json"}, 2, {"--config", "missing.json"}},
      {{"--bogus"}, 2, {"--bogus"}},
      {{"--config"}, 2, {"--config"}},
  };
  for (const Case& c : cases) tiny.check_train_refused(c.code, c.parts, c.options);
  const fs::path folder = tiny.folder.path();
  check_refused(folder, {}, 2, {"subcommand"});
  check_refused(folder, {"trian", "x"}, 2, {"trian", "train"});
  check_refused(folder, {"train"}, 2, {"DATA"});
}

TEST_CASE("hostile: run folders, and what reads them", "[command][hostile]") {
  const Tiny tiny;
  const fs::path folder = tiny.folder.path(), run = folder / "run";
  REQUIRE(run_sea(tiny.train()).code == 0);

  tiny.check_train_refused(1, {"run", "--resume"});
  write_file(folder / "occupied" / "file", "x");
  check_refused(folder, {"train", tiny.data, "--output", folder / "occupied"}, 1, {"occupied", "--output"});
  tiny.check_train_refused(2, {"--resume", "knn_k", "2", "3"}, {"--resume", "--set", "knn_k=3"});
  tiny.check_train_refused(2, {"--resume", "seed"}, {"--resume", "--seed", "5"});
  const CommandResult finished = run_sea(tiny.train({"--resume"}));
  CHECK(finished.code == 0);
  CHECK(contains(finished.error, "finished"));

  for (const std::string command : {"evaluate", "recommend", "export"}) {
    std::vector<std::string> words = {command, tiny.data};
    if (command == "recommend") words.insert(words.end(), {"--user", "0"});
    if (command == "export") words.insert(words.end(), {"--output", folder / "e.npz"});
    check_refused(folder, words, 1, {"tiny", "config.json"});
    words[1] = folder / "nowhere";
    check_refused(folder, words, 1, {"nowhere"});
  }
  const std::string run_text = run;
  const auto recommend = [&](const std::vector<std::string>& more, int code,
                             const std::vector<std::string>& parts) {
    std::vector<std::string> words = {"recommend", run_text};
    words.insert(words.end(), more.begin(), more.end());
    check_refused(folder, words, code, parts);
  };
  recommend({"--user", "4"}, 1, {"--user 4", "3"});
  recommend({"--user", "-1"}, 1, {"--user -1"});
  recommend({"--user", "someone"}, 1, {"--user someone"});
  recommend({"--user", "0", "99999999999999999999"}, 1, {"99999999999999999999"});
  recommend({"--user", "0", "--top-k", "0"}, 2, {"--top-k 0"});
  recommend({"--user", "0", "--top-k", "1.5"}, 2, {"--top-k 1.5"});
  recommend({"--user", "0", "--output", folder / "r.csv"}, 2, {"--output", ".tsv"});
  recommend({"--user", "0", "--output", folder / "nowhere" / "r.tsv"}, 1, {"nowhere"});
  recommend({"--user", "0", "--exclude", "test"}, 2, {"--exclude"});
  recommend({"--user", "0", "--exclude", "train", "--include-seen"}, 2, {"--include-seen"});
  recommend({}, 2, {"--user", "--all"});
  check_refused(folder, {"evaluate", run, "--split", "all"}, 2, {"--split"});
  check_refused(folder, {"evaluate", run, "--top-k", "0"}, 2, {"--top-k"});
  check_refused(folder, {"evaluate", run, "--device", "tpu"}, 2, {"--device tpu"});
  check_refused(folder, {"evaluate", run, "--device", "cuda"}, 1, {"--device cuda"});
  check_refused(folder, {"evaluate", run, "--threads", "x"}, 2, {"--threads x"});
  check_refused(folder, {"evaluate", run, "--checkpoint", "first"}, 2, {"--checkpoint"});
  check_refused(folder, {"export", run}, 2, {"--output"});
  check_refused(folder, {"export", run, "--output", folder / "e.txt"}, 2, {"--output", ".safetensors"});
}

TEST_CASE("hostile: other data under a run, damaged and foreign files in it", "[command][hostile]") {
  const Tiny tiny;
  const fs::path folder = tiny.folder.path(), run = folder / "run", best = run / "best.safetensors";
  REQUIRE(run_sea(tiny.train()).code == 0);
  const std::string best_bytes = read_file(best), config = read_file(run / "config.json");

  write_file(best, best_bytes.substr(0, best_bytes.size() / 2));
  check_refused(folder, {"evaluate", run}, 1, {"best.safetensors"});
  write_file(best, "garbage that is no file of tensors");
  check_refused(folder, {"recommend", run, "--user", "0"}, 1, {"best.safetensors"});
  std::string flipped = best_bytes;
  flipped[flipped.size() - 9] ^= 4;
  write_file(best, flipped);
  check_refused(folder, {"export", run, "--output", folder / "e.npz"}, 1, {"best.safetensors", "checksum"});
  std::vector<std::string> other = tiny.train({"--seed", "5"});
  other[3] = folder / "other";
  REQUIRE(run_sea(other).code == 0);
  fs::copy(folder / "other" / "best.safetensors", best, fs::copy_options::overwrite_existing);
  check_refused(folder, {"evaluate", run}, 1, {"best.safetensors", "not written by this run"});
  fs::remove(best);
  check_refused(folder, {"evaluate", run}, 1, {"best.safetensors"});
  write_file(best, best_bytes);
  write_file(run / "config.json", "{");
  check_refused(folder, {"evaluate", run}, 1, {"config.json"});
  write_file(run / "config.json", "{}");
  check_refused(folder, {"evaluate", run}, 1, {"config.json", "data"});
  write_file(run / "config.json", config);
  CHECK(run_sea({"evaluate", run}).code == 0);

  // One pair more: training does not go on with it. Another user or item: nothing knows it.
  write_file(tiny.data / "tiny.inter", with_line("2\t1\t0\n"));
  tiny.check_train_refused(1, {"--resume", "tiny"}, {"--resume", "--epochs", "2"});
  for (const char* line : {"2\t4\t0\n", "4\t1\t0\n"}) {
    write_file(tiny.data / "tiny.inter", with_line(line));
    check_refused(folder, {"evaluate", run}, 1, {"tiny", "run", "4 and 4", "train anew"});
    check_refused(folder, {"recommend", run, "--user", "0"}, 1, {"tiny", "run", "4 and 4", "train anew"});
  }
  tiny.check_train_refused(1, {"--resume", "tiny"}, {"--resume", "--epochs", "2"});
  write_file(tiny.data / "tiny.inter", good_inter);
  CHECK(run_sea({"evaluate", run}).code == 0);
  // Other features leave evaluation as it is, and training not.
  write_features(tiny.data / "text_feat.npy", 4, 5);
  CHECK(run_sea({"evaluate", run}).code == 0);
  tiny.check_train_refused(1, {"--resume", "tiny"}, {"--resume", "--epochs", "2"});
  fs::rename(tiny.data, folder / "away");
  check_refused(folder, {"evaluate", run}, 1, {"tiny", "--data"});
}

TEST_CASE("hostile: what is accepted with one notice", "[command][hostile]") {
  struct Case {
    std::string what, content;
  };
  std::string crlf = good_inter;
  for (std::size_t at = 0; (at = crlf.find('\n', at)) != std::string::npos; at += 2) crlf.insert(at, "\r");
  const std::vector<Case> cases = {{"same split before", with_line("0\t0\t0\n0\t0\t0\n")},
                                   {"train", with_line("0\t1\t2\n")},
                                   {"without", with_line("4\t1\t2\n")},
                                   {"CRLF", crlf},
                                   {"train_batch_size", good_inter}};
  for (const Case& c : cases) {
    const Tiny tiny;
    write_file(tiny.data / "tiny.inter", c.content);
    const int batch = c.what == "train_batch_size" ? 2048 : 4;
    const CommandResult result = run_sea(tiny.train({"--set", fmt::format("train_batch_size={}", batch)}));
    INFO(c.what << "\n" << result.error);
    CHECK(result.code == 0);
    std::size_t notices = 0;
    for (std::size_t at = 0; (at = result.error.find("note: ", at)) != std::string::npos; ++at) ++notices;
    CHECK(notices == 1);
    CHECK(contains(result.error, c.what));
  }
}
