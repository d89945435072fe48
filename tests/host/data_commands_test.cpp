#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/npy.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

namespace {

using namespace sea;
using sea::test::contains;
using sea::test::run_command;
using sea::test::TemporaryFolder;
using sea::test::write_file;

test::CommandResult sea_command(std::vector<std::string> words) {
  words.insert(words.begin(), SEA_COMMAND);
  return run_command(words);
}

/// A failing command says why in one to three lines of stderr and prints no result.
void check_failure(const test::CommandResult& result, int code, const std::string& message) {
  INFO(result.error);
  CHECK(result.code == code);
  CHECK(contains(result.error, message));
  CHECK(std::count(result.error.begin(), result.error.end(), '\n') <= 3);
}

}  // namespace

TEST_CASE("sea synth and sea info", "[command]") {
  const TemporaryFolder folder;
  const std::string data = folder / "data";
  const auto made = sea_command({"synth", data, "--users", "50", "--items", "40", "--interactions", "400",
                                 "--visual-dim", "6", "--textual-dim", "5", "--seed", "3"});
  INFO(made.error);
  REQUIRE(made.code == 0);
  CHECK(made.out == data + "\n");
  CHECK(made.error.empty());
  const Dataset read = load_dataset(data, {});
  CHECK(read.users == 50);
  CHECK(read.items == 40);
  CHECK(read.features[0].values.columns == 6);
  CHECK(read.features[1].values.columns == 5);

  const auto info = sea_command({"info", data});
  CHECK(info.code == 0);
  CHECK(info.error.empty());
  CHECK(contains(info.out, "users          50\n"));
  CHECK(contains(info.out, "items          40 ("));
  CHECK(contains(info.out, "interactions   400\n"));
  CHECK(contains(info.out, "sparsity       80.0000 %\n"));
  CHECK(contains(info.out, "image_feat.npy  40 x 6  float32  finite, 0 zero rows, 0 duplicate rows\n"));
  CHECK(contains(info.out, "text_feat.npy   40 x 5  float32  finite, 0 zero rows, 0 duplicate rows\n"));

  const auto like =
      sea_command({"synth", folder / "like", "--like", data, "--visual-dim", "4", "--textual-dim", "3"});
  CHECK(like.code == 0);
  CHECK(sea::test::read_file(folder / "like" / "like.inter") ==
        sea::test::read_file(folder / "data" / "data.inter"));

  check_failure(sea_command({"synth", data}), 1, "exists already");
  check_failure(sea_command({"synth", folder / "x", "--users", "0"}), 2, "--users");
  check_failure(sea_command({"synth", folder / "x", "--items", "many"}), 2, "--items");
  check_failure(sea_command({"synth", folder / "x", "--seed", "-1"}), 2, "--seed");
  check_failure(sea_command({"synth", folder / "x", "--preset", "huge"}), 2, "--preset");
  check_failure(sea_command({"synth", folder / "x", "--interactions", "5"}), 2, "--interactions");
  check_failure(sea_command({"synth", folder / "x", "--like", data, "--users", "5"}), 2, "--users");
  check_failure(sea_command({"synth", folder / "x", "--like", data, "--visual-dim", "1"}), 2, "--visual-dim");
  check_failure(sea_command({"synth", folder / "x", "--like", folder / "none"}), 1, "no such data folder");
  check_failure(sea_command({"synth"}), 2, "OUTPUT");
  CHECK(sea::test::entry_count(folder.path()) == 2);
}

TEST_CASE("sea info: data that cannot be trained on", "[command]") {
  const TemporaryFolder folder;
  const std::string data = folder / "data";
  const std::string good = "userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n1\t2\t0\n1\t0\t2\n";
  write_file(folder / "data" / "data.inter", good + "1\t0\t2\n");
  const auto bare = sea_command({"info", data});
  CHECK(bare.code == 0);
  CHECK(contains(bare.out, "no .npy files"));
  CHECK(contains(bare.error, "data.inter: 1 line dropped"));

  HostMatrix features(3, 4);
  features.values[0] = 1.0f;
  write_npy(folder / "data" / "a.npy", features.view());
  features.values[5] = std::numeric_limits<float>::quiet_NaN();
  write_npy(folder / "data" / "b.npy", features.view());
  write_npy(folder / "data" / "c.npy", HostMatrix(2, 4).view());
  write_file(folder / "data" / "d.npy", "nonsense");
  write_file(folder / "data" / "i_id_mapping.csv", "asin\titemID\nA\tx\n");
  const auto info = sea_command({"info", data});
  CHECK(info.code == 0);
  CHECK(contains(info.out, "a.npy  3 x 4  float32  finite, 2 zero rows, 1 duplicate row\n"));
  CHECK(contains(info.out, "b.npy  3 x 4  float32  unusable: the value of row 1, column 1 is NaN"));
  CHECK(contains(info.out, "c.npy  2 x 4  float32  unusable: has 2 rows"));
  CHECK(contains(info.out, "d.npy  -      -        unusable: is not a .npy file"));
  CHECK(contains(info.out, "i_id_mapping.csv (unusable: "));

  // The counts stand, and the reason why no model can be trained.
  write_file(folder / "data" / "data.inter", "userID\titemID\tx_label\n0\t0\t0\n0\t1\t2\n");
  const auto unsplit = sea_command({"info", data});
  CHECK(contains(unsplit.out, "interactions   2\n"));
  check_failure(unsplit, 1, "the validation split (x_label 1) has no usable pair");

  check_failure(sea_command({"info", folder / "none"}), 1, "no such data folder");
  write_file(folder / "data" / "data.inter", good + "1\tx\t2\n");
  check_failure(sea_command({"info", data}), 1, "line 6: itemID is 'x'");
  check_failure(sea_command({"info"}), 2, "DATA");
}
