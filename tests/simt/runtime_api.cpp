#include "simt/runtime_api.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "simt/device.hpp"

using sea::simt::Device;
using sea::simt::Random;

namespace {

using Lock = std::lock_guard<std::mutex>;

constexpr int least_priority = 0, greatest_priority = -5;  // lower numbers go first, as on GPUs

bool is_stream(const Device& device, cudaStream_t stream) {
  return stream == nullptr || device.streams.count(stream) != 0;
}

/// Streams whose work joins the recording of `graph`.
std::vector<CUstream_st*> recorded_streams(const Device& device, const CUgraph_st* graph) {
  std::vector<CUstream_st*> streams;
  for (CUstream_st* stream : device.streams) {
    if (stream->recording == graph) streams.push_back(stream);
  }
  return streams;
}

bool capturing(const Device& device) {
  return std::any_of(device.streams.begin(), device.streams.end(),
                     [](const CUstream_st* stream) { return stream->recording != nullptr; });
}

/// Whether this call is the one that is to fail.
bool fails(Device& device) {
  return device.calls_to_failure > 0 && --device.calls_to_failure == 0;
}

std::set<std::size_t> with_ancestors(const CUgraph_st& graph, const std::set<std::size_t>& nodes) {
  std::set<std::size_t> all = nodes;
  for (std::size_t node = graph.nodes.size(); node-- > 0;) {
    if (all.count(node) != 0) all.insert(graph.nodes[node].after.begin(), graph.nodes[node].after.end());
  }
  return all;
}

void add_to_digest(std::uint64_t& digest, const void* data, std::size_t bytes) {
  const auto* byte = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < bytes; ++i) digest = (digest ^ byte[i]) * 0x100000001B3u;
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = sea::simt::multiprocessors;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 8;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(sea::simt::max_shared_bytes);
      return cudaSuccess;
  }
  return cudaErrorInvalidValue;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::snprintf(properties->name, sizeof(properties->name), "emulated on the CPU");
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorLaunchFailure:
      return Device::instance().last_fault.c_str();
    case cudaErrorCooperativeLaunchTooLarge:
      return "too many blocks in cooperative launch";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureUnjoined:
      return "capturing stream has unjoined work";
  }
  return "unknown error";
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int priority) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (fails(device)) return cudaErrorMemoryAllocation;
  *stream = new CUstream_st;
  (*stream)->priority = std::clamp(priority, greatest_priority, least_priority);
  device.streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (!is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  *priority = device.stream_of(stream).priority;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (sea::simt::fails_now()) return cudaErrorInvalidValue;
  *least = least_priority;
  *greatest = greatest_priority;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (device.streams.erase(stream) == 0) return cudaErrorInvalidResourceHandle;
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (!is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  CUstream_st& waited_for = device.stream_of(stream);
  if (waited_for.recording != nullptr) return cudaErrorStreamCaptureUnsupported;
  if (waited_for.last == nullptr) return cudaSuccess;
  return device.work_until(waited_for.last) ? cudaSuccess : cudaErrorLaunchFailure;
}

cudaError_t cudaDeviceSynchronize() {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (capturing(device)) return cudaErrorStreamCaptureUnsupported;
  return device.work_until(nullptr) ? cudaSuccess : cudaErrorLaunchFailure;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (fails(device)) return cudaErrorMemoryAllocation;
  *event = new CUevent_st;
  device.events.insert(*event);
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (device.events.erase(event) == 0) return cudaErrorInvalidResourceHandle;
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (device.events.count(event) == 0 || !is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  if (fails(device)) return cudaErrorInvalidValue;
  const CUstream_st& recorded = device.stream_of(stream);
  event->last = recorded.last;
  event->recording = recorded.recording;
  event->recorded_last = recorded.recorded_last;
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (device.events.count(event) == 0 || !is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  CUstream_st& waiting = device.stream_of(stream);
  if (event->recording == nullptr) {
    if (waiting.recording != nullptr) return cudaErrorStreamCaptureUnsupported;
    device.make_wait(waiting, event->last);
    return cudaSuccess;
  }
  if (waiting.recording != nullptr && waiting.recording != event->recording) {
    return cudaErrorStreamCaptureUnsupported;
  }
  // An event of a capture takes the stream into it.
  waiting.recording = event->recording;
  waiting.recorded_last.insert(event->recorded_last.begin(), event->recorded_last.end());
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (stream == nullptr) return cudaErrorStreamCaptureUnsupported;
  if (!is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  if (stream->recording != nullptr) return cudaErrorStreamCaptureUnsupported;
  stream->recording = new CUgraph_st;
  stream->recorded_last.clear();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  *graph = nullptr;
  if (stream == nullptr || !is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  CUgraph_st* recorded = stream->recording;
  if (recorded == nullptr) return cudaErrorInvalidValue;
  const std::set<std::size_t> joined = with_ancestors(*recorded, stream->recorded_last);
  bool all_joined = true;
  for (CUstream_st* other : recorded_streams(device, recorded)) {
    all_joined = all_joined && std::includes(joined.begin(), joined.end(), other->recorded_last.begin(),
                                             other->recorded_last.end());
    other->recording = nullptr;
    other->recorded_last.clear();
  }
  for (CUevent_st* event : device.events) {
    if (event->recording == recorded) *event = {};
  }
  if (!all_joined) {
    delete recorded;
    return cudaErrorStreamCaptureUnjoined;
  }
  *graph = recorded;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  std::vector<std::size_t> chains;
  for (const sea::simt::Node& node : graph->nodes) {
    std::size_t longest = 0;
    for (const std::size_t earlier : node.after) longest = std::max(longest, chains[earlier]);
    chains.push_back(longest + 1);
  }
  device.graph_nodes = chains.size();
  device.graph_chain = chains.empty() ? 0 : *std::max_element(chains.begin(), chains.end());
  *executable =
      new CUgraphExec_st{graph->nodes, (flags & cudaGraphInstantiateFlagUseNodePriority) != 0, nullptr};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (!is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  CUstream_st& target = device.stream_of(stream);
  if (target.recording != nullptr) return cudaErrorStreamCaptureUnsupported;
  device.replay(*executable, target);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps*) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (fails(device)) return cudaErrorMemoryAllocation;
  *pool = new CUmemPoolHandle_st;
  device.pools.insert(*pool);
  return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void*) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  return fails(device) || device.pools.count(pool) == 0 ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (device.pools.erase(pool) == 0) return cudaErrorInvalidValue;
  delete pool;
  return cudaSuccess;
}

cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (!is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  if (device.stream_of(stream).recording != nullptr) return cudaErrorStreamCaptureUnsupported;
  if (fails(device)) return cudaErrorMemoryAllocation;
  *pointer = device.memory.allocate(bytes);
  if (*pointer == nullptr && device.work_until(nullptr)) *pointer = device.memory.allocate(bytes);
  return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaMallocFromPoolAsync(void** pointer, std::size_t bytes, cudaMemPool_t, cudaStream_t stream) {
  return cudaMallocAsync(pointer, bytes, stream);
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (!is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  if (!device.memory.in_allocation(pointer, 0)) return cudaErrorInvalidValue;
  CUstream_st& target = device.stream_of(stream);
  if (target.recording != nullptr) return cudaErrorStreamCaptureUnsupported;
  device.enqueue(
      target, [&device, pointer](Random&) { device.memory.free(pointer); }, true);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  *free_bytes = device.memory.free_bytes();
  *total_bytes = sea::simt::DeviceMemory::total_bytes();
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* destination, const void* source, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (!is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  const bool from_host = kind == cudaMemcpyHostToDevice, to_host = kind == cudaMemcpyDeviceToHost;
  const bool good = (from_host || device.memory.in_allocation(source, bytes)) &&
                    (to_host || device.memory.in_allocation(destination, bytes));
  if (!good) return cudaErrorInvalidValue;
  CUstream_st& target = device.stream_of(stream);
  if (from_host && target.recording == nullptr) {
    std::vector<std::byte> staged(bytes);
    std::memcpy(staged.data(), source, bytes);
    device.enqueue(target, [destination, staged = std::move(staged)](Random&) {
      std::memcpy(destination, staged.data(), staged.size());
    });
    return cudaSuccess;
  }
  device.enqueue(target, [&device, destination, source, bytes, to_host](Random&) {
    std::memcpy(destination, source, bytes);
    if (to_host) add_to_digest(device.download_digest, destination, bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* destination, int value, std::size_t bytes, cudaStream_t stream) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (!is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  if (!device.memory.in_allocation(destination, bytes)) return cudaErrorInvalidValue;
  device.enqueue(device.stream_of(stream), [=](Random&) { std::memset(destination, value, bytes); });
  return cudaSuccess;
}

namespace sea::simt {

cudaError_t set_dynamic_shared_limit(const void* kernel, std::size_t bytes) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (bytes > max_shared_bytes) return cudaErrorInvalidValue;
  device.dynamic_shared_limit[kernel] = bytes;
  return cudaSuccess;
}

std::size_t dynamic_shared_limit(const void* kernel) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  const auto raised = device.dynamic_shared_limit.find(kernel);
  return raised == device.dynamic_shared_limit.end() ? default_shared_bytes : raised->second;
}

int resident_blocks(unsigned threads, std::size_t shared_bytes) {
  constexpr std::size_t multiprocessor_shared_bytes = 228 * 1024;
  const std::size_t by_shared = multiprocessor_shared_bytes / (shared_bytes + 1024);
  return static_cast<int>(
      std::min({std::size_t{32}, std::size_t{max_multiprocessor_threads / threads}, by_shared}));
}

cudaError_t launch(const void* kernel, KernelLaunch description, cudaStream_t stream) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (!is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  const dim3 grid = description.grid, block = description.block;
  const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  const auto raised = device.dynamic_shared_limit.find(kernel);
  const std::size_t shared_limit =
      raised == device.dynamic_shared_limit.end() ? default_shared_bytes : raised->second;
  const bool good = threads >= 1 && threads <= max_block_threads && block.z <= 64 && blocks >= 1 &&
                    grid.x <= 0x7FFFFFFFu && grid.y <= 65535 && grid.z <= 65535;
  if (!good) return cudaErrorInvalidConfiguration;
  if (description.shared_bytes > std::max(shared_limit, default_shared_bytes)) return cudaErrorInvalidValue;
  if (description.cooperative) {
    const int resident = resident_blocks(static_cast<unsigned>(threads), description.shared_bytes);
    if (blocks > std::uint64_t{multiprocessors} * static_cast<unsigned>(resident)) {
      return cudaErrorCooperativeLaunchTooLarge;
    }
  }
  device.enqueue(device.stream_of(stream), [&device, description = std::move(description)](Random& random) {
    run_launch(description, random);
    const std::string overwritten = device.memory.overwritten();
    if (!overwritten.empty()) throw Fault(description.name + ' ' + overwritten);
  });
  return cudaSuccess;
}

cudaError_t enqueue_library_call(const char* name, std::function<void()> body, cudaStream_t stream) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  if (!is_stream(device, stream)) return cudaErrorInvalidResourceHandle;
  device.enqueue(device.stream_of(stream),
                 [&device, name = std::string(name), body = std::move(body)](Random&) {
                   body();
                   const std::string overwritten = device.memory.overwritten();
                   if (!overwritten.empty()) throw Fault(name + ' ' + overwritten);
                 });
  return cudaSuccess;
}

void fail_call(std::uint64_t which) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  device.calls_to_failure = which;
}

bool fails_now() {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  return fails(device);
}

void count_library_handle(int change) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  device.library_handles += static_cast<std::size_t>(change);
}

void set_schedule_seed(std::uint64_t seed) {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  device.seed(seed);
}

std::uint64_t take_download_digest() {
  Device& device = Device::instance();
  const Lock lock(device.mutex);
  return std::exchange(device.download_digest, 0);
}

}  // namespace sea::simt
