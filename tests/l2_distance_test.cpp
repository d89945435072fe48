#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

Operator l2_distance(std::int64_t n, std::int64_t width, const std::vector<float>& generic = {}) {
  constexpr float weight = 2.3f;
  const double size = static_cast<double>(n * width);
  const auto loss = [=](const Values& in) {
    double sum = 0.0;
    for (std::size_t i = 0; i < in[0].size(); ++i) sum += (in[0][i] - in[1][i]) * (in[0][i] - in[1][i]);
    return -sum / size;
  };
  const Run run = [=](Backend& backend, const Views& in, const Views& out) {
    const GarbageWorkspace workspace(backend, backend.l2_distance_workspace(n, width));
    backend.l2_distance(in[0], in[1], weight, out[0].data, out[1], out[2], workspace);
  };
  Operator described =
      loss_of({{n, width, generic}, {n, width}}, {0, 1}, weight, loss, run, [=](const Values& in) {
        Values results{{loss(in)}, {}, {}};
        for (std::size_t i = 0; i < in[0].size(); ++i) {
          const double slope = -2.0 * static_cast<double>(weight) * (in[0][i] - in[1][i]) / size;
          results[1].push_back(slope);
          results[2].push_back(-slope);
        }
        return results;
      });
  if (n * width > 1000) described.differences = nullptr;
  return described;
}

}  // namespace

TEST_CASE("l2_distance: loss and gradients") {
  for (const auto& [n, width] : {std::pair{1, 1}, {1, 17}, {23, 7}, {9, 32}})
    check_operator(l2_distance(n, width));
  // Several blocks below and beside each other, with rows in packs and not.
  for (const auto& [n, width] : {std::pair{601, 33}, {2, 4100}, {3, 2051}, {4100, 4}})
    check_outputs(l2_distance(n, width));
  // More blocks than threads of the one that adds them up.
  check_outputs(l2_distance(300, 1028));
  // Squares beyond float, not beyond double; their differences would say nothing.
  Operator large = l2_distance(3, 5, random_values(15, 4));
  large.inputs[0].values[7] = 2.5e19f;
  large.differences = nullptr;
  check_outputs(large);
}

TEST_CASE("l2_distance: the same bits on any number of threads") {
  check_threads(l2_distance(2003, 33));
}

TEST_CASE("l2_distance refuses shapes that do not fit") {
  Operator described = l2_distance(4, 3);
  check_refuses(described, {2});  // but the loss
  described.run = [](Backend& backend, const Views& in, const Views& out) {
    backend.l2_distance(in[0], in[1], 1.0f, out[0].data, out[1], out[2], {});
  };
  CpuBackend backend(1);
  CHECK_THROWS_AS(run_operator(backend, described), Error);
}
