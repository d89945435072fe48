// The best of a stream of scores, as this machine computes it.

#include "cpu/candidates.hpp"

#include "support/candidates.hpp"

TEST_CASE("candidates are the best of a stream of scores") {
  sea::test::check_candidates<sea::cpu::Candidates>();
}
