// sea_bench at its smallest sizes: every operator that has a kernel has a row that ran.

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/skip.hpp"

using sea::test::CommandResult;
using sea::test::contains;
using sea::test::read_file;
using sea::test::run_command;
using sea::test::TemporaryFolder;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

#if defined(SEA_BENCH)

#if defined(__SANITIZE_THREAD__)
// Yardsticks run threads of an OpenMP library, of which ThreadSanitizer knows nothing.
constexpr const char* smallest = "--benchmark_filter=:1000/manual_time$";
constexpr bool yardsticks = false;
#else
constexpr const char* smallest = "--benchmark_filter=:1000/";
constexpr bool yardsticks = true;
#endif

std::set<std::string> operators_with_kernels() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(sea::test::source_folder() / "kernels")) {
    if (entry.path().extension() == ".cu" && entry.path().stem() != "backend")
      names.insert(entry.path().stem().string());
  }
  return names;
}

#endif

}  // namespace

#if defined(SEA_BENCH)

TEST_CASE("sea_bench: every operator with a kernel is timed, and the rows add up") {
  const TemporaryFolder folder;
  const std::string file = (folder / "rows.json").string();
  const CommandResult result = run_command({SEA_BENCH, "--backend", "cpu", "--threads", "2", smallest,
                                            "--benchmark_min_time=0.0001", "--benchmark_out=" + file});
  INFO(result.out << result.error);
  REQUIRE(result.code == 0);
  const Json measured = Json::parse(read_file(file));
  const Json& context = measured["context"];
  CHECK(contains(context["cpu_backend"].get<std::string>(), "2 threads"));
  CHECK_FALSE(context["sea_commit"].get<std::string>().empty());
  const double copy = std::stod(context["cpu_copy_bytes_per_second"].get<std::string>());
  const double product = std::stod(context["cpu_product_operations_per_second"].get<std::string>());
  CHECK(copy > 0.0);
  CHECK(product > 0.0);

  std::set<std::string> timed;
  std::map<std::string, Json> rows;
  for (const Json& row : measured["benchmarks"]) {
    const std::string name = row["name"];
    INFO(name);
    REQUIRE_FALSE(row.contains("error_occurred"));
    REQUIRE(row["real_time"].get<double>() > 0.0);
    const double least = std::max(row["bytes/s"].get<double>() / copy, row["FLOP/s"].get<double>() / product);
    CHECK(row["ceiling"].get<double>() == Approx(least).epsilon(0.01));
    timed.insert(name.substr(0, name.find('/')));
    rows[name] = row;
  }
  for (const std::string& name : operators_with_kernels()) {
    INFO("kernels/" << name << ".cu has no row in bench/" << name << "_bench.cpp");
    CHECK(timed.count(name) == 1);
  }

  // Rates are the stated work over the time, which is in microseconds.
  const auto work = [&](const std::string& name, const char* rate) {
    return rows.at(name)[rate].get<double>() * rows.at(name)["real_time"].get<double>() * 1e-6;
  };
  CHECK(work("adam/cpu/elements:1000/manual_time", "bytes/s") == Approx(28000.0));
  CHECK(work("spmm/cpu/edges:1000/manual_time", "FLOP/s") == Approx(2.0 * 2000 * 128));
  if (!yardsticks) return;
  for (const char* yardstick :
       {"spmm/cpu/edges:1000/library", "matmul/cpu/items:1000/library", "linear/cpu/items:1000/library",
        "adam/cpu/elements:1000/plain", "topk_dot/cpu/items:1000/brute_force",
        "contrastive_alignment/cpu/items:1000/materialized", "factored_linear/cpu/items:1000/unfactored"}) {
    INFO(yardstick);
    const std::string name = yardstick;
    const Json& row = rows.at(name + "/manual_time");
    const Json& ours = rows.at(name.substr(0, name.rfind('/')) + "/manual_time");
    CHECK(row["times_ours"].get<double>() ==
          Approx(row["real_time"].get<double>() / ours["real_time"].get<double>()).epsilon(0.01));
  }
}

TEST_CASE("sea_bench: refuses a backend that it does not know") {
  const CommandResult result = run_command({SEA_BENCH, "--backend", "gpu"});
  CHECK(result.code == 2);
  CHECK(contains(result.error, "--backend"));
  CHECK(contains(result.error, "cpu"));
  CHECK(contains(result.error, "cuda"));
}

#else

TEST_CASE("sea_bench: every operator with a kernel is timed, and the rows add up") {
  sea::test::skip("sea_bench was not built: no Google Benchmark or Eigen");
}

#endif
