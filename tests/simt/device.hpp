#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "simt/device_memory.hpp"
#include "simt/grid.hpp"
#include "simt/random.hpp"

namespace sea::simt {

/// One piece of device work: a kernel, a copy. It waits for others, and others wait for it.
struct Operation {
  std::function<void(Random&)> work;  ///< empty where it only joins others
  std::uint64_t number = 0;           ///< in the order of asking
  bool is_free = false;               ///< gives memory back: done even after a fault
  int priority = 0;
  bool done = false;
  std::size_t waits_for = 0;
  std::vector<std::shared_ptr<Operation>> successors;
};

/// A recorded piece of device work; `after` are places of earlier ones in the recording.
struct Node {
  std::function<void(Random&)> work;
  std::set<std::size_t> after;
  int priority = 0;  ///< of the stream that recorded it
};

}  // namespace sea::simt

struct CUgraph_st {
  std::vector<sea::simt::Node> nodes;
};

struct CUgraphExec_st {
  std::vector<sea::simt::Node> nodes;
  bool use_node_priority = false;
  std::shared_ptr<sea::simt::Operation> last;  ///< the end of the latest replay
};

struct CUstream_st {
  int priority = 0;
  std::shared_ptr<sea::simt::Operation> last;
  CUgraph_st* recording = nullptr;  ///< not null while it is being captured
  std::set<std::size_t> recorded_last;
};

struct CUevent_st {
  std::shared_ptr<sea::simt::Operation> last;
  CUgraph_st* recording = nullptr;
  std::set<std::size_t> recorded_last;
};

/// All pools are the device's memory; a handle only has to be one.
struct CUmemPoolHandle_st {};

namespace sea::simt {

/// The emulated device: memory, and work that is put off until somebody waits for it. Then it is done in an
/// order drawn from the seed among those that streams and events allow.
class Device {
 public:
  static Device& instance();

  std::mutex mutex;  ///< held through every call of the runtime interface
  DeviceMemory memory;
  std::string last_fault;
  std::unordered_map<const void*, std::size_t> dynamic_shared_limit;  ///< of each kernel, where it was raised
  std::set<CUstream_st*> streams;
  std::set<CUevent_st*> events;
  std::set<CUmemPoolHandle_st*> pools;
  std::size_t library_handles = 0;
  std::uint64_t calls_to_failure = 0;  ///< 0: none is to come

  void seed(std::uint64_t seed);
  /// What all copies to the host have brought so far, as one number.
  std::uint64_t download_digest = 0;
  /// How many pieces of work of each priority were done. A priority changes nothing else here.
  std::map<int, std::uint64_t> done_by_priority;
  /// Of the graph that was made executable last: its pieces of work, and how many of them wait for each other
  /// in the longest chain.
  std::size_t graph_nodes = 0, graph_chain = 0;

  /// The stream itself, or the default stream's own object.
  CUstream_st& stream_of(CUstream_st* stream);
  /// Adds work at the end of a stream, or records it where the stream is being captured.
  void enqueue(CUstream_st& stream, std::function<void(Random&)> work, bool is_free = false);
  /// From here on, the stream waits for `operation`.
  void make_wait(CUstream_st& stream, const std::shared_ptr<Operation>& operation);
  void replay(CUgraphExec_st& graph, CUstream_st& stream);

  /// Does work until `operation` is done; all there is where it is null. False after a fault: what was left
  /// is thrown away, and `last_fault` says what happened.
  bool work_until(const std::shared_ptr<Operation>& operation);

 private:
  Device() = default;
  std::shared_ptr<Operation> add(std::function<void(Random&)> work,
                                 const std::vector<std::shared_ptr<Operation>>& after, bool is_free,
                                 int priority);
  void draw_order();
  std::shared_ptr<Operation> take_ready();
  void finish(const std::shared_ptr<Operation>& operation);
  void throw_away();

  /// Which of the operations that may be done comes next. A stream far ahead of the other shows what an even
  /// race hides.
  enum class Order { any, oldest, newest };

  Random random_;
  Order order_ = Order::any;
  std::uint64_t asked_ = 0;
  CUstream_st default_stream_;
  std::set<std::shared_ptr<Operation>> waiting_;
  std::vector<std::shared_ptr<Operation>> ready_;
};

}  // namespace sea::simt
