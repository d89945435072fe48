#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "common/check.cuh"
#include "common/context.cuh"
#include "common/launch.cuh"

namespace sea {

namespace {

using cuda::check;

void forget_marks(cuda::Context& context) noexcept {
  for (cudaEvent_t& mark : context.marks) {
    if (mark != nullptr) static_cast<void>(cudaEventDestroy(mark));
  }
  context.marks.clear();
}

}  // namespace

cuda::Context::~Context() {
  blas.close();
  // Whoever wants to know of an error has synchronised before. Without the event nothing was asked for yet,
  // and a null stream need not be the caller's default one.
  if (forked != nullptr) {
    for (const cudaStream_t each : streams) static_cast<void>(cudaStreamSynchronize(each));
    static_cast<void>(cudaEventDestroy(forked));
  }
  forget_marks(*this);
  for (std::size_t s = 1; s < streams.size(); ++s) {
    if (joined[s] != nullptr) static_cast<void>(cudaEventDestroy(joined[s]));
    if (streams[s] != nullptr) static_cast<void>(cudaStreamDestroy(streams[s]));
  }
  if (owns_stream) static_cast<void>(cudaStreamDestroy(stream));
  if (pool != nullptr) static_cast<void>(cudaMemPoolDestroy(pool));
}

namespace {

std::string megabytes(std::size_t bytes) {
  return std::to_string(bytes / 1000000) + '.' + std::to_string(bytes / 100000 % 10) + " MB";
}

int attribute(cudaDeviceAttr name, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, name, device), "CudaBackend", "reading a device attribute");
  return value;
}

std::unique_ptr<cuda::Context> make_context(const CudaSettings& settings) {
  const int devices = CudaBackend::device_count();
  if (settings.device < 0 || settings.device >= devices) {
    throw Error(devices == 0 ? std::string("no CUDA device was found")
                             : "there is no CUDA device " + std::to_string(settings.device) + "; there are " +
                                   std::to_string(devices) + ", counted from 0");
  }
  check(cudaSetDevice(settings.device), "CudaBackend", "selecting the device");
  auto context = std::make_unique<cuda::Context>();
  context->device = settings.device;
  context->multiprocessors = attribute(cudaDevAttrMultiProcessorCount, settings.device);
  const int major = attribute(cudaDevAttrComputeCapabilityMajor, settings.device);
  const int shared_memory = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, settings.device);
  if (major < 8 || static_cast<std::size_t>(shared_memory) < cuda::least_shared_memory ||
      attribute(cudaDevAttrCooperativeLaunch, settings.device) == 0 ||
      attribute(cudaDevAttrMemoryPoolsSupported, settings.device) == 0) {
    throw Error(
        "CUDA device " + std::to_string(settings.device) +
        " cannot be used: compute capability 8.0, 120 KB of shared memory per block (as an A100, H100 or "
        "B200 has), cooperative launches and memory pools are needed");
  }
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = settings.device;
  check(cudaMemPoolCreate(&context->pool, &properties), "CudaBackend", "making a memory pool");
  // The pool keeps what is freed for the next allocation.
  std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
  check(cudaMemPoolSetAttribute(context->pool, cudaMemPoolAttrReleaseThreshold, &keep), "CudaBackend",
        "setting up the memory pool");
  return context;
}

void make_event(cudaEvent_t* event) {
  check(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "CudaBackend", "making an event");
}

/// The streams beside the main one. The narrow one gets the multiprocessors that it asks for before the wide
/// work beside it does.
void open_streams(cuda::Context& context) {
  int least = 0, greatest = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "CudaBackend", "asking for stream priorities");
  context.streams[0] = context.stream;
  for (std::size_t s = 1; s < context.streams.size(); ++s) {
    const int priority = s == static_cast<std::size_t>(Stream::narrow) ? greatest : least;
    check(cudaStreamCreateWithPriority(&context.streams[s], cudaStreamNonBlocking, priority), "CudaBackend",
          "making a stream");
    make_event(&context.joined[s]);
  }
  make_event(&context.forked);
}

/// The marks of a capture, while it lives: they mean nothing outside of it. Those that were there come back
/// after it; within it none of them has to be waited for, since a capture joins and forks first.
class MarksOfCapture {
 public:
  explicit MarksOfCapture(cuda::Context& context)
      : context_(context), outside_(std::exchange(context.marks, {})) {}
  ~MarksOfCapture() {
    forget_marks(context_);
    context_.marks = std::move(outside_);
  }
  MarksOfCapture(const MarksOfCapture&) = delete;
  MarksOfCapture& operator=(const MarksOfCapture&) = delete;

 private:
  cuda::Context& context_;
  std::vector<cudaEvent_t> outside_;
};

/// What follows on the main stream waits for all others.
cudaError_t join_streams(cuda::Context& context) {
  if (!context.must_join) return cudaSuccess;
  cudaError_t status = cudaSuccess;
  for (std::size_t s = 1; s < context.streams.size() && status == cudaSuccess; ++s) {
    status = cudaEventRecord(context.joined[s], context.streams[s]);
    if (status == cudaSuccess) status = cudaStreamWaitEvent(context.streams[0], context.joined[s]);
  }
  // Inside of `on_stream` more may be asked of that stream.
  if (status == cudaSuccess) context.must_join = context.current != Stream::main;
  return status;
}

}  // namespace

int CudaBackend::device_count() noexcept {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  static_cast<void>(cudaGetLastError());  // a machine without a driver is no error of a later call
  return 0;
}

CudaBackend::CudaBackend(const CudaSettings& settings) : context_(make_context(settings)) {
  check(cudaStreamCreateWithFlags(&context_->stream, cudaStreamNonBlocking), "CudaBackend",
        "making a stream");
  context_->owns_stream = true;
  open_streams(*context_);
  context_->blas.open(context_->streams, context_->pool, settings);
}

CudaBackend::CudaBackend(cudaStream_t stream, const CudaSettings& settings)
    : context_(make_context(settings)) {
  context_->stream = stream;
  open_streams(*context_);
  // An event can be recorded on streams of its own device alone.
  const cudaError_t status = cudaEventRecord(context_->forked, stream);
  if (status == cudaErrorInvalidResourceHandle) {
    static_cast<void>(cudaGetLastError());
    throw Error("CudaBackend: the stream is not one of CUDA device " + std::to_string(settings.device));
  }
  check(status, "CudaBackend", "recording an event");
  context_->blas.open(context_->streams, context_->pool, settings);
}

CudaBackend::~CudaBackend() = default;

cudaStream_t CudaBackend::stream() const {
  return context_->stream;
}

std::size_t CudaBackend::library_bytes() const {
  return context_->blas.workspace_bytes();
}

std::string CudaBackend::description() const {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, context_->device), "description", "reading the device's name");
  int runtime = 0;
  check(cudaRuntimeGetVersion(&runtime), "description", "reading CUDA's version");
  return "CUDA " + std::to_string(runtime / 1000) + '.' + std::to_string(runtime % 1000 / 10) + ", " +
         properties.name + ", " + std::to_string(context_->multiprocessors) +
         " multiprocessors, products in " + context_->blas.precision_name();
}

void* CudaBackend::allocate(std::size_t bytes) {
  void* pointer = nullptr;
  // What no memory can hold is not asked for: the driver may call it an invalid argument, or round it to 0.
  constexpr std::size_t address_space = std::size_t{1} << 47;
  // On the chosen stream, which may use it at once: the pool hands memory out after whoever had it before.
  const cudaError_t status = bytes > address_space
                                 ? cudaErrorMemoryAllocation
                                 : cudaMallocFromPoolAsync(&pointer, std::max<std::size_t>(bytes, 1),
                                                           context_->pool, context_->stream);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    std::size_t free_bytes = 0, total_bytes = 0;
    check(cudaMemGetInfo(&free_bytes, &total_bytes), "allocate", "asking for the free memory");
    throw Error("out of device memory: " + megabytes(bytes) + " wanted beside " +
                megabytes(context_->allocated) + " in use; " + megabytes(free_bytes) + " of the device's " +
                megabytes(total_bytes) + " are free");
  }
  check(status, "allocate", "an allocation");
  context_->allocated += bytes;
  context_->peak_allocated = std::max(context_->peak_allocated, context_->allocated);
  return pointer;
}

void CudaBackend::deallocate(void* pointer, std::size_t bytes) noexcept {
  if (pointer == nullptr) return;
  // On the main stream, whichever is chosen: it alone comes after all others and what was asked of itself.
  cudaError_t status = join_streams(*context_);
  if (status == cudaSuccess) status = cudaFreeAsync(pointer, context_->of(Stream::main));
  if (status != cudaSuccess) context_->failed_free = status;
  context_->allocated -= bytes;
}

std::size_t CudaBackend::allocated_bytes() const {
  return context_->allocated;
}
std::size_t CudaBackend::peak_allocated_bytes() const {
  return context_->peak_allocated;
}

void CudaBackend::copy_to_device(void* destination, const void* host_source, std::size_t bytes) {
  if (bytes == 0) return;
  join();
  check(cudaMemcpyAsync(destination, host_source, bytes, cudaMemcpyHostToDevice, context_->stream),
        "copy_to_device", "a copy");
  synchronize();  // the caller may change its memory at once, pinned or not
}

void CudaBackend::copy_to_host(void* host_destination, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  join();
  check(cudaMemcpyAsync(host_destination, source, bytes, cudaMemcpyDeviceToHost, context_->stream),
        "copy_to_host", "a copy");
  synchronize();
}

void CudaBackend::fill_zero(void* destination, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemsetAsync(destination, 0, bytes, context_->stream), "fill_zero", "filling");
}

void CudaBackend::synchronize() {
  join();
  check(cudaStreamSynchronize(context_->stream), "synchronize", "work on the device");
  check(std::exchange(context_->failed_free, cudaSuccess), "deallocate", "giving memory back");
}

void CudaBackend::on_stream(Stream stream, const std::function<void()>& body) {
  cuda::Context& context = *context_;
  cuda::require(context.current == Stream::main, "on_stream", "not inside of another one");
  const auto choose = [&](Stream chosen) {
    context.stream = context.of(chosen);
    context.current = chosen;
    context.blas.choose(chosen);
  };
  // Whatever was asked for before a fault runs on: memory that it uses is given back after it.
  context.must_join = context.must_join || stream != Stream::main;
  choose(stream);
  try {
    body();
  } catch (...) {
    choose(Stream::main);
    throw;
  }
  choose(Stream::main);
}

void CudaBackend::fork() {
  cuda::Context& context = *context_;
  cuda::require(context.current == Stream::main, "fork", "not inside of on_stream");
  check(cudaEventRecord(context.forked, context.stream), "fork", "recording an event");
  for (std::size_t s = 1; s < context.streams.size(); ++s)
    check(cudaStreamWaitEvent(context.streams[s], context.forked), "fork", "waiting for an event");
  context.must_join = true;
}

void CudaBackend::join() {
  cuda::require(context_->current == Stream::main, "join", "not inside of on_stream");
  check(join_streams(*context_), "join", "waiting for an event");
}

void CudaBackend::mark(Stream stream, int number) {
  require_mark("mark", number);
  std::vector<cudaEvent_t>& marks = context_->marks;
  const auto place = static_cast<std::size_t>(number);
  if (marks.size() <= place) marks.resize(place + 1, nullptr);
  if (marks[place] == nullptr) make_event(&marks[place]);
  check(cudaEventRecord(marks[place], context_->of(stream)), "mark", "recording an event");
}

void CudaBackend::wait(Stream stream, int number) {
  require_mark("wait", number);
  const auto place = static_cast<std::size_t>(number);
  if (place >= context_->marks.size() || context_->marks[place] == nullptr) return;
  check(cudaStreamWaitEvent(context_->of(stream), context_->marks[place]), "wait", "waiting for an event");
}

namespace {

class CudaGraph final : public CapturedGraph {
 public:
  CudaGraph(cudaStream_t stream, cudaGraph_t graph) : stream_(stream) {
    // Without the flag all of a graph has the priority of the stream that it is replayed on.
    check(cudaGraphInstantiate(&executable_, graph, cudaGraphInstantiateFlagUseNodePriority), "capture",
          "making a captured graph executable");
  }
  ~CudaGraph() override { static_cast<void>(cudaGraphExecDestroy(executable_)); }
  void replay() override { check(cudaGraphLaunch(executable_, stream_), "replay", "a captured graph"); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace

std::unique_ptr<CapturedGraph> CudaBackend::capture(const std::function<void()>& body) {
  if (context_->stream == nullptr || context_->stream == cudaStreamLegacy) return nullptr;
  join();
  const MarksOfCapture marks(*context_);
  check(cudaStreamBeginCapture(context_->stream, cudaStreamCaptureModeThreadLocal), "capture",
        "beginning a capture");
  cudaGraph_t graph = nullptr;
  try {
    fork();  // so that what is asked of the other streams is captured too
    body();
    join();
  } catch (...) {
    context_->must_join = false;
    static_cast<void>(cudaStreamEndCapture(context_->stream, &graph));
    if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
    static_cast<void>(cudaGetLastError());
    throw;
  }
  check(cudaStreamEndCapture(context_->stream, &graph), "capture", "ending a capture");
  std::unique_ptr<CapturedGraph> captured;
  try {
    captured = std::make_unique<CudaGraph>(context_->stream, graph);
  } catch (...) {
    static_cast<void>(cudaGraphDestroy(graph));
    throw;
  }
  check(cudaGraphDestroy(graph), "capture", "giving back a captured graph");
  return captured;
}

}  // namespace sea
