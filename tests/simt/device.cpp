#include "simt/device.hpp"

#include <algorithm>
#include <utility>

#include "simt/memory_fault.hpp"

namespace sea::simt {

namespace {

/// Opens device memory to the work that runs in its scope, and to nothing else.
class WorkScope {
 public:
  explicit WorkScope(DeviceMemory& memory) : memory_(memory), guard_(memory) { memory_.open(); }
  ~WorkScope() { memory_.close(); }
  WorkScope(const WorkScope&) = delete;
  WorkScope& operator=(const WorkScope&) = delete;

 private:
  DeviceMemory& memory_;
  MemoryFaultGuard guard_;
};

}  // namespace

Device& Device::instance() {
  static Device device;
  return device;
}

CUstream_st& Device::stream_of(CUstream_st* stream) {
  return stream == nullptr ? default_stream_ : *stream;
}

std::shared_ptr<Operation> Device::add(std::function<void(Random&)> work,
                                       const std::vector<std::shared_ptr<Operation>>& after, bool is_free,
                                       int priority) {
  auto operation = std::make_shared<Operation>();
  operation->work = std::move(work);
  operation->number = ++asked_;
  operation->is_free = is_free;
  operation->priority = priority;
  for (const std::shared_ptr<Operation>& earlier : after) {
    if (earlier == nullptr || earlier->done) continue;
    earlier->successors.push_back(operation);
    ++operation->waits_for;
  }
  if (operation->waits_for == 0) {
    ready_.push_back(operation);
  } else {
    waiting_.insert(operation);
  }
  return operation;
}

void Device::enqueue(CUstream_st& stream, std::function<void(Random&)> work, bool is_free) {
  if (stream.recording != nullptr) {
    stream.recording->nodes.push_back({std::move(work), stream.recorded_last, stream.priority});
    stream.recorded_last = {stream.recording->nodes.size() - 1};
    return;
  }
  stream.last = add(std::move(work), {stream.last}, is_free, stream.priority);
}

void Device::make_wait(CUstream_st& stream, const std::shared_ptr<Operation>& operation) {
  stream.last = add({}, {stream.last, operation}, false, stream.priority);
}

void Device::replay(CUgraphExec_st& graph, CUstream_st& stream) {
  const std::shared_ptr<Operation> start = add({}, {stream.last, graph.last}, false, stream.priority);
  std::vector<std::shared_ptr<Operation>> operations;
  for (const Node& node : graph.nodes) {
    std::vector<std::shared_ptr<Operation>> after{start};
    for (const std::size_t earlier : node.after) after.push_back(operations[earlier]);
    operations.push_back(
        add(node.work, after, false, graph.use_node_priority ? node.priority : stream.priority));
  }
  operations.push_back(start);
  stream.last = graph.last = add({}, operations, false, stream.priority);
}

void Device::seed(std::uint64_t seed) {
  random_ = Random(seed);
  draw_order();
}

void Device::draw_order() {
  order_ = static_cast<Order>(random_.below(3));
}

std::shared_ptr<Operation> Device::take_ready() {
  constexpr std::uint64_t mean_picks_an_order = 64;
  if (random_.below(mean_picks_an_order) == 0) draw_order();
  const auto earlier = [](const auto& a, const auto& b) { return a->number < b->number; };
  auto pick = ready_.begin() + static_cast<std::ptrdiff_t>(random_.below(ready_.size()));
  if (order_ == Order::oldest) pick = std::min_element(ready_.begin(), ready_.end(), earlier);
  if (order_ == Order::newest) pick = std::max_element(ready_.begin(), ready_.end(), earlier);
  std::swap(*pick, ready_.back());
  std::shared_ptr<Operation> next = std::move(ready_.back());
  ready_.pop_back();
  return next;
}

void Device::finish(const std::shared_ptr<Operation>& operation) {
  operation->done = true;
  operation->work = {};
  for (const std::shared_ptr<Operation>& successor : operation->successors) {
    if (--successor->waits_for > 0) continue;
    waiting_.erase(successor);
    ready_.push_back(successor);
  }
  operation->successors.clear();
}

bool Device::work_until(const std::shared_ptr<Operation>& operation) {
  if (ready_.empty() || (operation != nullptr && operation->done)) return true;
  const WorkScope scope(memory);
  while (!ready_.empty() && (operation == nullptr || !operation->done)) {
    const std::shared_ptr<Operation> next = take_ready();
    try {
      if (next->work) {
        ++done_by_priority[next->priority];
        next->work(random_);
      }
    } catch (const std::exception& error) {
      last_fault = error.what();
      next->done = true;
      throw_away();
      return false;
    }
    finish(next);
  }
  return true;
}

void Device::throw_away() {
  const auto end = [&](const std::shared_ptr<Operation>& operation) {
    if (operation->is_free) operation->work(random_);
    operation->done = true;
    operation->work = {};
    operation->successors.clear();
  };
  for (const auto& operation : std::exchange(ready_, {})) end(operation);
  for (const auto& operation : std::exchange(waiting_, {})) end(operation);
}

}  // namespace sea::simt
