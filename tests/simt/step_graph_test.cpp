// The graph that a training step of SEAa is captured as: how many pieces of work it has, and how many of them
// wait for each other.

#include "sea/cuda.hpp"
#include "simt/device.hpp"
#include "simt/testing.hpp"
#include "support/training.hpp"

using namespace sea;
using namespace sea::test;

TEST_CASE("a step of SEAa is one graph of at most 110 nodes, of which at most 56 wait for each other") {
  const TrainingFixture fixture;
  CudaBackend backend;
  ConfigurationRequest request;
  request.model = "SEAa";
  request.assignments = {"knn_k=5", "club_steps=2"};
  const std::unique_ptr<Model> model = build_model(backend, fixture.data, request);
  model->begin_epoch(0);
  simt::Device& device = simt::Device::instance();
  device.graph_nodes = 0;
  model->step(0, 0);
  CHECK(model->schedule.step->capture_error().empty());
  INFO("nodes: " << device.graph_nodes << ", chain: " << device.graph_chain);
  CHECK(device.graph_nodes > 80);
  CHECK(device.graph_nodes <= 110);
  CHECK(device.graph_chain > 20);
  CHECK(device.graph_chain <= 56);
}
