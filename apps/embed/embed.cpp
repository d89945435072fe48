// Two operators of SEA in a program of its own, on that program's memory: embeddings of users and items are
// propagated over their graph (spmm), then every user gets the items of highest score that it does not have
// (topk_dot). On the processor, and where the package has CUDA on a stream and device memory of the program.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <vector>

#include "sea/cpu.hpp"

#if defined(EMBED_CUDA)
#include <cuda_runtime.h>

#include <stdexcept>

#include "sea/cuda.hpp"
#endif

namespace {

constexpr std::int64_t users = 3, items = 4, nodes = users + items, width = 2, k = 2;

// User 0 has items 0 and 1, user 1 has 1 and 2, user 2 has 3. Of the graph, users are the first nodes.
const std::vector<std::int64_t> graph_offsets = {0, 2, 4, 5, 6, 8, 9, 10};
const std::vector<std::int32_t> graph_neighbours = {3, 4, 4, 5, 6, 0, 0, 1, 1, 2};
const std::vector<float> graph_weights(10, 0.5f);
const std::vector<std::int64_t> seen_offsets = {0, 2, 4, 5};
const std::vector<std::int32_t> seen_items = {0, 1, 1, 2, 3};
const std::vector<float> embeddings = {1, 0, 0, 1, 1, 1, 2, 0, 1, 1, 0, 2, -1, 1};

/// The arrays, where the backend computes.
struct Arrays {
  sea::CsrView graph;          ///< nodes x nodes
  sea::CsrPatternView seen;    ///< users x items
  sea::ConstMatrixView nodes;  ///< nodes x width
  sea::MatrixView propagated;  ///< nodes x width
  sea::IndexView ids;          ///< users x k
  sea::VectorView scores;      ///< users x k
  sea::Workspace workspace;
};

void recommend(sea::Backend& backend, const Arrays& arrays) {
  backend.spmm(arrays.graph, arrays.nodes, arrays.nodes, arrays.propagated);  // A X + X
  backend.topk_dot(arrays.propagated.row_range(0, users), arrays.propagated.row_range(users, items), k,
                   arrays.seen, arrays.ids, arrays.scores, arrays.workspace);
}

std::size_t workspace_bytes(const sea::Backend& backend) {
  return backend.topk_dot_workspace(users, items, width, k);
}

void print(const char* device, const std::vector<std::int32_t>& ids, const std::vector<float>& scores) {
  for (std::size_t user = 0; user < users; ++user) {
    std::printf("%s: user %zu:", device, user);
    for (std::size_t i = user * k; i < (user + 1) * k; ++i) {
      std::printf(" item %d (%g)", static_cast<int>(ids[i]), static_cast<double>(scores[i]));
    }
    std::printf("\n");
  }
}

void recommend_on_cpu() {
  sea::CpuBackend backend;
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> workspace(workspace_bytes(backend) / sizeof(Line) + 1);
  std::vector<float> propagated(nodes * width), scores(users * k);
  std::vector<std::int32_t> ids(users * k);
  recommend(backend, {{{nodes, nodes, graph_offsets.data(), graph_neighbours.data()}, graph_weights.data()},
                      {users, items, seen_offsets.data(), seen_items.data()},
                      {embeddings.data(), nodes, width},
                      {propagated.data(), nodes, width},
                      ids,
                      scores,
                      {workspace.data()->bytes, workspace.size() * sizeof(Line)}});
  print("cpu", ids, scores);
}

#if defined(EMBED_CUDA)

void check(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

/// An array of this program in device memory, by its own allocation.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count) {
    check(cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)));
  }
  DeviceArray(cudaStream_t stream, const std::vector<T>& values) : DeviceArray(values.size()) {
    check(cudaMemcpyAsync(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice, stream));
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { static_cast<void>(cudaFree(data_)); }

  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  void download(cudaStream_t stream, std::vector<T>& values) const {
    values.resize(count_);
    check(cudaMemcpyAsync(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost, stream));
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

/// A stream of this program.
class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { static_cast<void>(cudaStreamDestroy(stream_)); }
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

void recommend_on_cuda() {
  if (sea::CudaBackend::device_count() == 0) {
    std::printf("cuda: no GPU is there\n");
    return;
  }
  const Stream stream;
  sea::CudaBackend backend(stream);
  const DeviceArray offsets(stream, graph_offsets), of_seen(stream, seen_offsets);
  const DeviceArray neighbours(stream, graph_neighbours), seen(stream, seen_items);
  const DeviceArray weights(stream, graph_weights), nodes_in(stream, embeddings);
  const DeviceArray<float> propagated(nodes * width), scores(users * k);
  const DeviceArray<std::int32_t> ids(users * k);
  const DeviceArray<std::byte> workspace(workspace_bytes(backend));
  recommend(backend, {{{nodes, nodes, offsets.data(), neighbours.data()}, weights.data()},
                      {users, items, of_seen.data(), seen.data()},
                      {nodes_in.data(), nodes, width},
                      {propagated.data(), nodes, width},
                      {ids.data(), ids.size()},
                      {scores.data(), scores.size()},
                      {workspace.data(), workspace.size()}});
  std::vector<std::int32_t> found_ids;
  std::vector<float> found_scores;
  ids.download(stream, found_ids);
  scores.download(stream, found_scores);
  check(cudaStreamSynchronize(stream));
  print("cuda", found_ids, found_scores);
}

#endif

}  // namespace

int main() {
  try {
    recommend_on_cpu();
#if defined(EMBED_CUDA)
    recommend_on_cuda();
#endif
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
