// datasets/from_amazon.py on files of its formats, which tests/support/amazon_files.py makes.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/npy.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/skip.hpp"

namespace {

using namespace sea;
using sea::test::contains;
using sea::test::read_file;
using sea::test::run_command;
using sea::test::TemporaryFolder;
using sea::test::write_file;

constexpr std::size_t record_bytes = 10 + 4 * 4096;
const std::string source = sea::test::source_folder().string();

/// The three raw files of 60 users and 40 items, the first without metadata, the second without features.
struct RawFiles {
  TemporaryFolder folder;
  std::filesystem::path raw = folder / "raw";
  RawFiles() {
    const auto made = run_command({"python3", "-B", source + "/tests/support/amazon_files.py", raw, "--users",
                                   "60", "--items", "40", "--reviews", "500", "--others", "30"});
    INFO(made.error);
    REQUIRE(made.code == 0);
  }
  test::CommandResult convert(const std::string& output, std::vector<std::string> more,
                              const std::string& python = "python3") const {
    more.insert(more.begin(), {python, "-B", source + "/datasets/from_amazon.py", raw / "reviews.json.gz",
                               raw / "meta.json.gz", raw / "images.b", folder / output});
    return run_command(more);
  }
  std::string bytes(const std::string& name) const { return read_file(raw / name); }
  void check_failure(const test::CommandResult& result, const std::string& message) const {
    INFO(result.error);
    CHECK(result.code == 1);
    CHECK(contains(result.error, message));
    CHECK(std::count(result.error.begin(), result.error.end(), '\n') == 1);
    CHECK(sea::test::entry_count(folder.path()) == 1);  // the raw files
  }
};

/// Row `item` of features is the mean of all other rows.
bool is_mean(const HostMatrix& features, std::int64_t item) {
  for (std::int64_t j = 0; j < features.columns; ++j) {
    double sum = 0.0;
    for (std::int64_t row = 0; row < features.rows; ++row)
      sum += row == item ? 0.0 : features.view().row(row)[j];
    const double mean = sum / static_cast<double>(features.rows - 1);
    if (!(std::abs(features.view().row(item)[j] - mean) < 1e-6 * std::max(1.0, std::abs(mean)))) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("from_amazon.py: reviews, split and visual features", "[converters]") {
  if (!sea::test::has_python()) return;
  const RawFiles files;
  // A user with four reviews, who goes, and a review that is there twice, in plain text in place of gzip.
  const auto plain = run_command(
      {"python3", "-c",
       "import gzip, sys\n"
       "t = gzip.open(sys.argv[1], 'rt').read()\n"
       "first = t.split('\\n')[0]\n"
       "few = ''.join('{\"reviewerID\": \"FEW\", \"asin\": \"B00000000%d\"}\\n' % i for i in range(4))\n"
       "open(sys.argv[1], 'w').write(few + t + first + '\\n')",
       files.raw / "reviews.json.gz"});
  REQUIRE(plain.code == 0);
  const auto made = files.convert("shop", {"--text", "none"});
  INFO(made.error);
  REQUIRE(made.code == 0);
  CHECK(made.error ==
        "note: 1 repeated pairs were dropped\n"
        "note: 1 of 40 items have no visual features and got the mean of the others\n");
  CHECK(contains(made.out, "60 users, 40 items, "));
  CHECK(sea::test::entry_count(files.folder / "shop") == 4);
  const Dataset data = load_dataset(files.folder / "shop", {"image_feat.npy", std::nullopt});
  CHECK(data.notices.empty());
  CHECK(data.train.nonzeros() + data.valid.nonzeros() + data.test.nonzeros() == 500);
  for (std::int64_t user = 0; user < data.users; ++user) {
    const auto count = data.train.row(user).size() + data.valid.row(user).size() + data.test.row(user).size();
    CHECK(data.valid.row(user).size() == std::max<std::size_t>(1, count / 10));
    CHECK(data.test.row(user).size() == std::max<std::size_t>(1, (count + 5) / 10));
  }
  // Ids by first appearance: the reviews stand item by item, each by ascending user.
  CHECK(data.item_names[0] == "B000000000");
  CHECK(data.item_names[39] == "B000000039");
  CHECK(data.user_names[0] == "A000000");
  CHECK(contains(read_file(files.folder / "shop" / "i_id_mapping.csv"), "asin\titemID\nB000000000\t0\n"));
  const HostMatrix& images = data.features[0].values;
  REQUIRE(images.columns == 4096);
  const std::string raw = files.bytes("images.b");
  for (std::size_t record = 0; record < raw.size() / record_bytes; ++record) {
    const std::string asin = raw.substr(record * record_bytes, 10);
    const auto item =
        std::find(data.item_names.begin(), data.item_names.end(), asin) - data.item_names.begin();
    if (item == 40) continue;  // nobody reviewed it
    CHECK(std::memcmp(images.view().row(item), raw.data() + record * record_bytes + 10, 4 * 4096) == 0);
  }
  CHECK(is_mean(images, 1));
  // The same seed is the same split, another another.
  REQUIRE(files.convert("again", {"--text", "none"}).code == 0);
  REQUIRE(files.convert("other", {"--text", "none", "--seed", "1"}).code == 0);
  const std::string inter = read_file(files.folder / "shop" / "shop.inter");
  CHECK(read_file(files.folder / "again" / "again.inter") == inter);
  CHECK(read_file(files.folder / "other" / "other.inter") != inter);
}

TEST_CASE("from_amazon.py: text features", "[converters]") {
  if (!sea::test::has_python()) return;
  const RawFiles files;
  // In place of the package a module that tells what it was given: the length of each text and its first
  // letters.
  write_file(files.folder / "modules" / "sentence_transformers.py",
             "class SentenceTransformer:\n"
             "    def __init__(self, name):\n"
             "        assert name == 'all-MiniLM-L6-v2'\n"
             "    def encode(self, sentences, show_progress_bar):\n"
             "        open('" +
                 (files.folder / "sentences").string() +
                 "', 'w').write('\\n'.join(sentences))\n"
                 "        return [[len(s), s.count('word')] for s in sentences]\n");
  const std::string path = "PYTHONPATH=" + (files.folder / "modules").string();
  const auto made = run_command({"env", path, "python3", "-B", source + "/datasets/from_amazon.py",
                                 files.raw / "reviews.json.gz", files.raw / "meta.json.gz",
                                 files.raw / "images.b", files.folder / "shop"});
  INFO(made.error);
  REQUIRE(made.code == 0);
  CHECK(contains(made.error, "note: 1 of 40 items have no metadata and got the mean of the others\n"));
  const std::string sentences = read_file(files.folder / "sentences");
  CHECK(std::count(sentences.begin(), sentences.end(), '\n') == 38);
  // Title, brand, the first list of categories, description; a blank in place of what is not there.
  CHECK(sentences.rfind("A \"fine\" one's word", 0) == 0);
  CHECK(contains(sentences, " Shoes word"));
  CHECK(contains(sentences, " Made of word"));
  CHECK(!contains(sentences, "Other"));
  const HostMatrix texts = load_dataset(files.folder / "shop", {}).features[1].values;
  CHECK(texts.columns == 2);
  CHECK(texts.view().row(1)[0] == static_cast<float>(sentences.find('\n')));
  CHECK(is_mean(texts, 0));

  const std::filesystem::path file = files.folder / "own.npy";
  HostMatrix own(40, 3);
  for (std::size_t i = 0; i < own.values.size(); ++i) own.values[i] = static_cast<float>(i);
  write_npy(file, own.view());
  REQUIRE(files.convert("own", {"--text", file}).code == 0);
  CHECK(load_dataset(files.folder / "own", {}).features[1].values.values == own.values);
  std::filesystem::remove(file);

  // scikit-learn where some python3 has it.
  for (const std::string python : {"python3", "/usr/bin/python3"}) {
    if (run_command({python, "-c", "import sklearn"}).code != 0) continue;
    const auto tfidf = files.convert("tfidf", {"--text", "tfidf"}, python);
    INFO(tfidf.error);
    REQUIRE(tfidf.code == 0);
    CHECK(contains(tfidf.error, "text features are 39 wide"));
    const HostMatrix features = load_dataset(files.folder / "tfidf", {}).features[1].values;
    CHECK(is_mean(features, 0));
    double square = 0.0;
    for (std::int64_t j = 0; j < features.columns; ++j)
      square += double{features.view().row(5)[j]} * features.view().row(5)[j];
    CHECK(square == Approx(1.0).epsilon(1e-5));
    return;
  }
  sea::test::skip("no scikit-learn");
}

TEST_CASE("from_amazon.py: files that are damaged are named with their line or record", "[converters]") {
  if (!sea::test::has_python()) return;
  const RawFiles files;
  // Two users of the reviews, one line each, are not enough for anything but --core 1.
  const std::string reviews = files.bytes("reviews.json.gz"), meta = files.bytes("meta.json.gz"),
                    images = files.bytes("images.b");
  const std::string good = "{\"reviewerID\": \"A\", \"asin\": \"B000000002\"}\n";
  std::filesystem::path modules = files.raw / "modules";
  write_file(modules / "sentence_transformers.py",
             "class SentenceTransformer:\n"
             "    def __init__(self, name): pass\n"
             "    def encode(self, sentences, show_progress_bar): return [[1, 2]] * len(sentences)\n");
  const auto with = [&](const std::string& name, const std::string& content, const std::string& message) {
    const std::string before = files.bytes(name);
    write_file(files.raw / name, content);
    files.check_failure(
        run_command({"env", "PYTHONPATH=" + modules.string(), "python3", "-B",
                     source + "/datasets/from_amazon.py", files.raw / "reviews.json.gz",
                     files.raw / "meta.json.gz", files.raw / "images.b", files.folder / "out"}),
        message);
    write_file(files.raw / name, before);
  };
  with("reviews.json.gz", reviews.substr(0, reviews.size() / 2), "reviews.json.gz: is cut off after line");
  std::string flipped = reviews;
  for (std::size_t at = reviews.size() / 2; at < reviews.size() / 2 + 40; ++at) flipped[at] = '\x55';
  with("reviews.json.gz", flipped, "reviews.json.gz");
  with("reviews.json.gz", "", "reviews.json.gz: is empty");
  with("reviews.json.gz", good + "{\"reviewerID\": \n",
       "reviews.json.gz, line 2: is not JSON: {\"reviewerID\":");
  with("reviews.json.gz", good + "\n[1]\n", "reviews.json.gz, line 3: has no reviewerID");
  with("reviews.json.gz", "{\"reviewerID\": \"A\", \"asin\": 3}\n", "line 1: has no asin");
  with("reviews.json.gz", good, "no interactions are left when every user and item must have 5");
  with("meta.json.gz", meta.substr(0, meta.size() / 2), "meta.json.gz: is cut off after line");
  const std::string item = "{'asin': 'B000000002', 'title': 'a'}\n";
  with("meta.json.gz", item + "{'asin': 'B000000003', 'title': 'a}\n",
       "meta.json.gz, line 2: is neither JSON nor a Python dictionary: {'asin': 'B000000003'");
  with("meta.json.gz", item + "{'title': 'a'}\n", "meta.json.gz, line 2: names no asin");
  with("meta.json.gz", item + "\xff\xfe\n", "meta.json.gz, line 2: is neither JSON nor");
  with("meta.json.gz", "{'asin': 'B999999999'}\n", "has metadata of none of the 40 items");
  // A call is text, and never run.
  with("meta.json.gz",
       "{'asin': 'B000000002', 'title': open('" + (files.folder / "run").string() + "', 'w')}\n",
       "meta.json.gz, line 1: is neither JSON nor");
  with("images.b", images.substr(0, 2 * record_bytes + 100),
       "images.b: record 3 is short: 100 of 16,394 bytes");
  with("images.b", images.substr(3), "images.b: record 1 begins with");
  with("images.b", images.substr(0, record_bytes), "has features of none of the 40 items");
  std::string infinite = images;
  const float infinity = HUGE_VALF;
  std::memcpy(infinite.data() + 40 * record_bytes + 10 + 4 * 7, &infinity, 4);
  with("images.b", infinite, "images.b: record 41, of B00000001");

  std::filesystem::rename(files.raw / "images.b", files.raw / "away.b");
  files.check_failure(files.convert("out", {"--text", "none"}), "images.b: cannot be read");
  std::filesystem::rename(files.raw / "away.b", files.raw / "images.b");
  files.check_failure(files.convert("out", {"--text", "bert"}),
                      "--text bert: must be sentence-transformers, tfidf");
  files.check_failure(files.convert("out", {"--text", files.raw / "none.npy"}), "none.npy: cannot be read");
  HostMatrix few(39, 3);
  write_npy(files.raw / "few.npy", few.view());
  files.check_failure(files.convert("out", {"--text", files.raw / "few.npy"}),
                      "has 39 rows, and there are 40 items");
  // What is not installed is said before anything is read.
  write_file(modules / "sentence_transformers.py", "raise ImportError('none')\n");
  write_file(modules / "sklearn.py", "raise ImportError('none')\n");
  with("reviews.json.gz", "",
       "sentence-transformers, which makes the paper's text features, is not installed");
  files.check_failure(run_command({"env", "PYTHONPATH=" + modules.string(), "python3", "-B",
                                   source + "/datasets/from_amazon.py", files.raw / "reviews.json.gz",
                                   files.raw / "meta.json.gz", files.raw / "images.b", files.folder / "out",
                                   "--text", "tfidf"}),
                      "scikit-learn, which --text tfidf needs, is not installed");
}
