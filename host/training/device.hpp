#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "sea/backend.hpp"

namespace sea {

struct Device {
  std::unique_ptr<Backend> backend;
  std::string name;  ///< "cpu", "cuda:0", ...
  int threads = 0;   ///< of the processor; beside a GPU there is one
  /// On a GPU: the most bytes of its memory that were in use, with what libraries hold.
  std::function<std::int64_t()> peak_memory = {};
  std::string notice = {};  ///< what deserves a sentence, where `auto` passed over a GPU
};

/// Throws what `open_device` would where there is no such device, and opens none: a process that has opened a
/// GPU keeps some of its memory to its end.
void require_device(const std::string& name);

/// The device that `name` (auto, cpu, cuda, cuda:N) asks for, with `threads` threads, 0 for all, and on a GPU
/// dense products in `matmul_precision` (float32, tf32x3, tf32, fp16x3). Throws Error where this build or
/// machine has none such.
Device open_device(const std::string& name, std::int64_t threads,
                   const std::string& matmul_precision = "fp16x3");

}  // namespace sea
