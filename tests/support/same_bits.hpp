#pragma once

#include "sea/cpu.hpp"
#include "support/catch.hpp"

namespace sea::test {

/// Checks that `run(backend)` returns the same on 1 to 4 threads of the processor.
template <class Run>
void check_same_bits(const Run& run) {
  CpuBackend one(1);
  const auto expected = run(one);
  for (const int threads : {2, 3, 4}) {
    CpuBackend backend(threads);
    INFO(threads << " threads");
    CHECK(run(backend) == expected);
  }
}

}  // namespace sea::test
