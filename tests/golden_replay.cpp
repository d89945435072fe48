// Replays a folder of golden numbers (independent implementations in double precision): the same data,
// parameters, batches and permutations, compared array by array. A folder whose manifest has cases is of the
// layout of the golden SEA runs; any other is of the layout of the other models' numbers, whose data and
// batches are those of the folder `golden` beside it. Prints one row for each group of arrays, with the
// largest error as a share of its bound, and exits with 1 past a bound.

#include <fmt/format.h>

#include <iostream>

#include "golden/golden.hpp"
#include "support/backend_under_test.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: golden_replay DIR\n";
    return 2;
  }
  try {
    const std::unique_ptr<sea::Backend> backend = sea::test::backend_under_test();
    if (backend == nullptr) {
      fmt::print("skipped 1: no GPU\ntests skipped: 1\n");
      return 0;
    }
    fmt::print("{}\n", backend->description());
    const sea::test::GoldenFolder golden(argv[1]);
    if (golden.manifest().contains("cases")) return sea::test::replay_sea(golden, *backend) ? 0 : 1;
    const sea::test::GoldenFolder beside(
        std::filesystem::absolute(golden.path() / ".").parent_path().parent_path() / "golden");
    for (const char* name : {"mmgcn", "dualgnn", "lattice", "slmrec", "bm3"}) {
      if (golden.manifest().contains(name))
        return sea::test::replay_company_first(golden, beside, *backend) ? 0 : 1;
    }
    if (sea::test::is_company_second(golden))
      return sea::test::replay_company_second(golden, beside, *backend) ? 0 : 1;
    return sea::test::replay_models(golden, beside, *backend) ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
