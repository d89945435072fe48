#pragma once

#include <memory>

#include "sea/backend.hpp"

namespace sea::test {

/// The backend that this program tests: the CPU, CUDA emulated, or a GPU; null where there is no GPU.
std::unique_ptr<Backend> backend_under_test();

}  // namespace sea::test
