// The places of element-wise kernels in rows too wide to be run here, such as a large learned graph's values.

#include "common/elementwise.cuh"

#include "simt/testing.hpp"

using namespace sea::simt::test;
using namespace sea::cuda;

namespace {

constexpr std::int64_t width = 4;

__global__ void mark_kernel(int* marks) {
  ++marks[elementwise_row() * 24 + elementwise_column<width>() / width];
}

}  // namespace

TEST_CASE("element-wise blocks stay within CUDA's limits and cover rows of any width") {
  const std::int64_t columns =
      GENERATE(std::int64_t{1}, std::int64_t{65'535} * 1024, std::int64_t{65'535} * 1024 + 1,
               std::int64_t{3} * 65'535 * 1024 - 5, std::int64_t{1} << 36);
  const Grid grid = elementwise_grid(1, columns, width);
  CAPTURE(columns, grid.blocks.y, grid.blocks.z);
  CHECK(grid.blocks.y <= 65'535);
  CHECK(grid.blocks.z <= 65'535);
  const std::int64_t of_a_block = std::int64_t{grid.threads.x} * width;
  const std::int64_t covered = std::int64_t{grid.blocks.y} * grid.blocks.z * of_a_block;
  CHECK(covered >= columns);
  CHECK(covered - columns < grid.blocks.z * of_a_block);
}

TEST_CASE("element-wise places go on along z, each once") {
  const Stream stream;
  const DeviceArray<int> marks(stream, std::vector<int>(48));
  launch(stream, "mark", {dim3(2, 3, 2), dim3(4)}, &mark_kernel, marks.data());
  CHECK(marks.download() == std::vector<int>(48, 1));
}

TEST_CASE("a matrix without columns starts no element-wise block") {
  const Grid grid = elementwise_grid(7, 0, width);
  CHECK(grid.blocks.y == 0);
}
