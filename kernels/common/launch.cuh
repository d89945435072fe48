#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "common/check.cuh"
#include "common/cuda.cuh"

namespace sea::cuda {

/// How a kernel is started. `shared_bytes` is what it takes by `shared_memory<Shared>()`; above 48 KB is
/// fine.
struct Grid {
  dim3 blocks;
  dim3 threads;
  std::size_t shared_bytes = 0;
  bool cooperative = false;  ///< needed by `grid_sync`; all blocks must fit on the device at one time
};

/// Bytes of shared memory per block that a device must have: every kernel finds room in them.
inline constexpr std::size_t least_shared_memory = 120 * 1024;

/// A number of blocks or threads as CUDA takes it.
inline unsigned grid_size(std::int64_t count) {
  return static_cast<unsigned>(count);
}

namespace detail {

/// Lets `kernel` be started with `bytes` of shared memory on the current device. What is allowed stays so:
/// backends on other threads may be about to start the same kernel with more.
cudaError_t allow_shared_memory(const void* kernel, std::size_t bytes);

/// Shapes and numbers among a kernel's arguments, for the message of an error; pointers say nothing.
template <class T>
std::string describe_argument(const T& argument) {
  if constexpr (std::is_arithmetic_v<T>) {
    return ' ' + std::to_string(argument);
  } else if constexpr (std::is_convertible_v<T, ConstMatrixView>) {
    const ConstMatrixView matrix = argument;
    return ' ' + std::to_string(matrix.rows) + " x " + std::to_string(matrix.columns) +
           " (leading dimension " + std::to_string(matrix.leading_dimension) + ')';
  } else if constexpr (std::is_convertible_v<T, CsrPatternView>) {
    const CsrPatternView matrix = argument;
    return " sparse " + std::to_string(matrix.rows) + " x " + std::to_string(matrix.columns);
  } else {
    return {};
  }
}

inline std::string describe_grid(const Grid& grid) {
  const auto extent = [](const dim3& size) {
    return std::to_string(size.x) + " x " + std::to_string(size.y) + " x " + std::to_string(size.z);
  };
  return "blocks " + extent(grid.blocks) + ", threads " + extent(grid.threads) + ", shared memory " +
         std::to_string(grid.shared_bytes) + (grid.cooperative ? ", cooperative" : "");
}

#if defined(SEA_SIMT)

template <class... Parameters>
cudaError_t start(cudaStream_t stream, const char* operator_name, const Grid& grid,
                  void (*kernel)(Parameters...), Parameters... arguments) {
  simt::KernelLaunch description{operator_name,
                                 grid.blocks,
                                 grid.threads,
                                 grid.shared_bytes,
                                 grid.cooperative,
                                 [kernel, values = std::tuple<Parameters...>(arguments...)] {
                                   std::apply(kernel, values); }};
  return simt::launch(reinterpret_cast<const void*>(kernel), std::move(description), stream);
}

#else

template <class... Parameters>
cudaError_t start(cudaStream_t stream, const char*, const Grid& grid, void (*kernel)(Parameters...),
                  Parameters... arguments) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t configuration{};
  configuration.gridDim = grid.blocks;
  configuration.blockDim = grid.threads;
  configuration.dynamicSmemBytes = grid.shared_bytes;
  configuration.stream = stream;
  configuration.attrs = &attribute;
  configuration.numAttrs = grid.cooperative ? 1 : 0;
  return cudaLaunchKernelEx(&configuration, kernel, arguments...);
}

#endif

}  // namespace detail

/// Starts a kernel on a stream. Every kernel of the library is started here. Arguments convert to the
/// kernel's parameters; a grid without blocks starts nothing. Throws Error with the operator's name and the
/// shapes.
template <class... Parameters, class... Arguments>
void launch(cudaStream_t stream, const char* operator_name, const Grid& grid, void (*kernel)(Parameters...),
            const Arguments&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments),
                "one argument for each of the kernel's parameters");
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
  constexpr std::size_t without_asking = 48 * 1024;
  cudaError_t status = cudaSuccess;
  if (grid.shared_bytes > without_asking) {
    status = detail::allow_shared_memory(reinterpret_cast<const void*>(kernel), grid.shared_bytes);
  }
  if (status == cudaSuccess) {
    status = detail::start<Parameters...>(stream, operator_name, grid, kernel, arguments...);
  }
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // told here, and no error of a later call
  const std::string shapes = (std::string() + ... + detail::describe_argument(arguments));
  throw Error(std::string(operator_name) + ": a kernel was not started: " + cudaGetErrorString(status) +
              " (" + detail::describe_grid(grid) + "; arguments" + shapes + ')');
}

}  // namespace sea::cuda
