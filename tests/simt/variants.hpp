#pragma once

#include <string>

#include "simt/testing.hpp"
#include "tuned_file.hpp"

// What the tests of the choices of kernels/variants.cuh share: every one of a list, the tuned one among them,
// is held to one reference.
namespace sea::simt::test {

/// What `run` returns, in either of two orders of blocks and threads.
template <class Run>
auto in_two_orders(const Run& run) {
  set_schedule_seed(1);
  const auto result = run();
  set_schedule_seed(2);
  CHECK(run() == result);
  return result;
}

/// As it is written in tuned.cuh.
template <class Choice>
std::string name_of() {
  return cuda::spelling_of(Choice{}).type;
}

}  // namespace sea::simt::test
