// The best of a stream of scores, as a machine without AVX-512 computes it: under a name of its own, since
// this machine's is in the same program.

#include "support/candidates.hpp"

#undef __AVX512F__
#define Candidates PlainCandidates
#include "cpu/candidates.hpp"
#undef Candidates

TEST_CASE("candidates are the best of a stream of scores without AVX-512 too") {
  sea::test::check_candidates<sea::cpu::PlainCandidates>();
}
