#include "simt/grid.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "simt/fiber.hpp"
#include "simt/shared_region.hpp"

namespace sea::simt {

namespace {

enum class Wait { none, block, grid, warp };

struct Block;

struct PendingCopy {
  void* destination;
  const void* source;
  std::size_t bytes;
  unsigned group;
};

struct Thread {
  Fiber* fiber = nullptr;
  Block* block = nullptr;
  uint3 index{};
  unsigned number = 0;  ///< within the block
  bool finished = false;
  Wait wait = Wait::none;
  const char* what = "";
  Site site;
  unsigned mask = 0;
  WarpOperation operation = nullptr;
  void* payload = nullptr;
  std::size_t rank = 0;  ///< of those that can go on, one of the lowest rank does
  unsigned copy_group = 0;
  std::vector<PendingCopy> copies;

  unsigned lane() const { return number % warp_size; }
};

struct Block {
  uint3 index{};
  std::vector<Thread> threads;
  std::vector<unsigned> in_warp_operation;  ///< of each warp, the lanes that wait in one
  SharedRegion* shared = nullptr;
  unsigned finished = 0;
  unsigned arrived = 0;
  int predicates = 0;
  int vote = 0;
  const char* what = "";
  Site site;
};

/// Equal texts; most often they are one.
bool same(const char* a, const char* b) {
  return a == b || std::strcmp(a, b) == 0;
}

void arrive(const PendingCopy& copy) {
  if (copy.source == nullptr) {
    std::memset(copy.destination, 0, copy.bytes);
  } else {
    std::memcpy(copy.destination, copy.source, copy.bytes);
  }
}

std::string place(const uint3& index) {
  return '(' + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) +
         ')';
}

std::string place(const Site& site) {
  const std::string file = site.file_name();
  return file.substr(file.rfind('/') + 1) + ':' + std::to_string(site.line());
}

/// Who goes on, of those that can. Drawn evenly from all of them, nobody ever falls far behind; a warp or a
/// block that goes on only where all before it wait meets what the even order spares it.
enum class Schedule { even, ranked_warps, ranked_blocks };

/// One launch in progress. The running thread reaches it through `run`.
class Run {
 public:
  Run(const KernelLaunch& launch, Random& random);
  void to_end();

  const KernelLaunch& launch;
  Random& random;
  Thread* current = nullptr;
  std::string fault;

  void make_ready(Thread& thread);
  /// To a ready thread, or to `to_end` where there is none; returns when somebody has made this thread ready
  /// and its turn has come.
  void switch_away();
  void finish_current();
  void release_block(Block& block);
  void arrive_at_grid_barrier();

 private:
  void start_block(Block& block);
  /// Takes one of the ready threads and makes it the current one.
  Thread& next();
  std::string explain_deadlock() const;

  std::vector<Block> blocks_;  ///< those that are resident
  std::vector<std::uint32_t> order_;
  std::size_t started_ = 0;
  std::size_t unfinished_threads_ = 0;
  std::size_t at_grid_barrier_ = 0;
  std::vector<std::vector<Thread*>> ready_;  ///< by rank
  std::size_t ready_count_ = 0;
  Fiber scheduler_;
};

thread_local Run* run = nullptr;

/// What ends the thread that made the fault, so that its own frames are unwound.
struct LaunchEnded {};

// A fiber runs one thread after the other; which one, it finds in `run`.
void run_threads() {
  for (;;) {
    try {
      run->launch.thread();
    } catch (const LaunchEnded&) {
    }
    if (run->fault.empty()) {
      run->finish_current();
    } else {
      run->switch_away();
    }
  }
}

thread_local FiberPool fibers(&run_threads);
thread_local SharedRegions shared_regions;

Run::Run(const KernelLaunch& launch_, Random& random_) : launch(launch_), random(random_) {
  const std::size_t count = std::size_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  const unsigned threads = launch.block.x * launch.block.y * launch.block.z;
  order_.resize(count);
  std::iota(order_.begin(), order_.end(), 0u);
  for (std::size_t i = count; i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
  // Blocks of a plain launch run one after the other or two at a time; neither may change the result.
  const std::size_t resident = launch.cooperative ? count : std::min<std::size_t>(count, 1 + random.below(2));
  const auto schedule = static_cast<Schedule>(random.below(3));
  const std::size_t warps = (threads + warp_size - 1) / warp_size;
  std::vector<std::size_t> ranks(schedule == Schedule::even           ? 1
                                 : schedule == Schedule::ranked_warps ? resident * warps
                                                                      : resident);
  std::iota(ranks.begin(), ranks.end(), std::size_t{0});
  for (std::size_t i = ranks.size(); i > 1; --i) std::swap(ranks[i - 1], ranks[random.below(i)]);
  ready_.resize(ranks.size());
  blocks_.resize(resident);
  for (std::size_t slot = 0; slot < resident; ++slot) {
    blocks_[slot].threads.resize(threads);
    blocks_[slot].shared = &shared_regions.at(slot);
    blocks_[slot].in_warp_operation.assign((threads + warp_size - 1) / warp_size, 0u);
    for (unsigned number = 0; number < threads; ++number) {
      Thread& thread = blocks_[slot].threads[number];
      if (schedule == Schedule::ranked_warps) thread.rank = ranks[slot * warps + number / warp_size];
      if (schedule == Schedule::ranked_blocks) thread.rank = ranks[slot];
      thread.fiber = &fibers.at(slot * threads + number);
      thread.block = &blocks_[slot];
      thread.number = number;
      thread.index = {number % launch.block.x, number / launch.block.x % launch.block.y,
                      number / (launch.block.x * launch.block.y)};
    }
  }
}

void Run::start_block(Block& block) {
  const std::uint32_t number = order_[started_++];
  block.index = {number % launch.grid.x, number / launch.grid.x % launch.grid.y,
                 number / (launch.grid.x * launch.grid.y)};
  block.finished = 0;
  block.shared->prepare(launch.shared_bytes);
  for (Thread& thread : block.threads) {
    thread.finished = false;
    thread.copies.clear();
    thread.copy_group = 0;
    make_ready(thread);
  }
  unfinished_threads_ += block.threads.size();
}

void Run::make_ready(Thread& thread) {
  thread.wait = Wait::none;
  ready_[thread.rank].push_back(&thread);
  ++ready_count_;
}

Thread& Run::next() {
  std::size_t rank = 0;
  while (ready_[rank].empty()) ++rank;
  std::vector<Thread*>& ready = ready_[rank];
  const std::size_t pick = random.below(ready.size());
  current = ready[pick];
  ready[pick] = ready.back();
  ready.pop_back();
  --ready_count_;
  threadIdx = current->index;
  blockIdx = current->block->index;
  return *current;
}

void Run::switch_away() {
  Fiber& from = *current->fiber;
  Fiber& to = ready_count_ == 0 || !fault.empty() ? scheduler_ : *next().fiber;
  if (&to != &from) from.switch_to(to);
}

void Run::finish_current() {
  current->finished = true;
  --unfinished_threads_;
  Block& block = *current->block;
  // The last one hands its place to a block that has not run yet.
  if (++block.finished == block.threads.size() && started_ < order_.size()) start_block(block);
  switch_away();
}

void Run::release_block(Block& block) {
  block.arrived = 0;
  block.vote = block.predicates;
  for (Thread& thread : block.threads) make_ready(thread);
}

void Run::arrive_at_grid_barrier() {
  if (++at_grid_barrier_ < blocks_.size() * blocks_.front().threads.size()) return;
  at_grid_barrier_ = 0;
  for (Block& block : blocks_) {
    for (Thread& thread : block.threads) make_ready(thread);
  }
}

void Run::to_end() {
  blockDim = launch.block;
  gridDim = launch.grid;
  for (Block& block : blocks_) start_block(block);
  while (unfinished_threads_ > 0) {
    if (ready_count_ == 0) {
      fault = explain_deadlock();
      break;
    }
    scheduler_.switch_to(*next().fiber);
    if (!fault.empty()) break;
  }
  current = nullptr;
  if (fault.empty()) return;
  // Threads that are still somewhere in the kernel are forgotten there.
  for (Block& block : blocks_) {
    for (Thread& thread : block.threads) thread.fiber->drop();
  }
  throw Fault(fault);
}

std::string Run::explain_deadlock() const {
  const auto doing = [](const Thread& thread) {
    return thread.finished ? std::string("has ended")
                           : std::string("waits at ") + thread.what + " (" + place(thread.site) + ')';
  };
  // Whoever waits, waits for a thread that will never come to the same place.
  const auto keeps_waiting = [](const Thread& thread, const Thread& other) {
    if (other.finished || other.wait != thread.wait) return true;
    return thread.wait == Wait::warp && other.mask != thread.mask;
  };
  const auto is_awaited = [](const Thread& thread, const Thread& other) {
    if (thread.wait == Wait::grid) return true;
    if (thread.block != other.block || thread.wait == Wait::block) return thread.block == other.block;
    return thread.number / warp_size == other.number / warp_size && (thread.mask >> other.lane() & 1u) != 0;
  };
  for (const Block& block : blocks_) {
    for (const Thread& thread : block.threads) {
      if (thread.finished) continue;
      for (const Block& other_block : blocks_) {
        for (const Thread& other : other_block.threads) {
          if (!is_awaited(thread, other) || !keeps_waiting(thread, other)) continue;
          return launch.name + ": block " + place(block.index) + ", thread " + place(thread.index) + ' ' +
                 doing(thread) + " for thread " + place(other.index) + " of block " +
                 place(other_block.index) + ", which " + doing(other);
        }
      }
    }
  }
  return launch.name + ": no thread can go on";
}

}  // namespace

void run_launch(const KernelLaunch& launch, Random& random) {
  Run launched(launch, random);
  run = &launched;
  try {
    launched.to_end();
  } catch (...) {
    run = nullptr;
    throw;
  }
  run = nullptr;
}

bool in_kernel() {
  return run != nullptr && run->current != nullptr;
}

void record_fault(const std::string& what, Site site) {
  const Thread& thread = *run->current;
  run->fault = run->launch.name + ": block " + place(thread.block->index) + ", thread " +
               place(thread.index) + ": " + what +
               (site.line() > 0 ? " (" + place(site) + ')' : std::string());
}

void fail(const std::string& what, Site site) {
  record_fault(what, site);
  throw LaunchEnded{};
}

void leave_for_good() {
  run->switch_away();
  __builtin_unreachable();
}

unsigned lane_number() {
  return run->current->lane();
}

int block_barrier(const char* what, int predicate, Site site) {
  Thread& thread = *run->current;
  Block& block = *thread.block;
  if (block.arrived == 0) {
    block.what = what;
    block.site = site;
    block.predicates = 0;
  } else if (!same(block.what, what) || block.site.line() != site.line() ||
             block.site.column() != site.column() || !same(block.site.file_name(), site.file_name())) {
    fail(std::string(what) + " is reached while other threads of the block wait at " + block.what + " (" +
             place(block.site) + ')',
         site);
  }
  block.predicates += predicate != 0 ? 1 : 0;
  thread.wait = Wait::block;
  thread.what = what;
  thread.site = site;
  if (++block.arrived == block.threads.size()) run->release_block(block);
  run->switch_away();
  return block.vote;
}

void grid_barrier(Site site) {
  if (!run->launch.cooperative) fail("grid_sync in a launch that is not cooperative", site);
  Thread& thread = *run->current;
  thread.wait = Wait::grid;
  thread.what = "grid_sync";
  thread.site = site;
  run->arrive_at_grid_barrier();
  run->switch_away();
}

namespace {

/// All lanes in the mask of `last` wait: for the same thing, one hopes.
void run_warp_operation(const char* what, const Thread& last, Site site) {
  Thread* warp = &last.block->threads[last.number - last.lane()];
  WarpPayloads payloads{last.mask, {}, last.lane(), site};
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if ((last.mask >> lane & 1u) == 0) continue;
    const Thread& other = warp[lane];
    if (other.mask != last.mask || other.operation != last.operation || !same(other.what, what)) {
      fail(std::string(what) + " waits for lane " + std::to_string(lane) + ", which waits at " + other.what +
               " (" + place(other.site) + ") with " +
               (other.mask == last.mask ? "the same mask" : "another mask"),
           site);
    }
    payloads.payload[lane] = other.payload;
  }
  last.operation(payloads);
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if ((last.mask >> lane & 1u) != 0) run->make_ready(warp[lane]);
  }
}

}  // namespace

void warp_collective(const char* what, unsigned mask, WarpOperation operation, void* payload, Site site) {
  Thread& thread = *run->current;
  std::vector<Thread>& threads = thread.block->threads;
  const unsigned first = thread.number - thread.lane();
  if ((mask >> thread.lane() & 1u) == 0) {
    fail(std::string(what) + " is called by lane " + std::to_string(thread.lane()) +
             ", which its mask leaves out",
         site);
  }
  thread.wait = Wait::warp;
  thread.what = what;
  thread.site = site;
  thread.mask = mask;
  thread.operation = operation;
  thread.payload = payload;
  unsigned& waiting = thread.block->in_warp_operation[thread.number / warp_size];
  waiting |= 1u << thread.lane();
  if ((waiting & mask) == mask) {
    run_warp_operation(what, thread, site);
    waiting &= ~mask;
  } else if (first + warp_size > threads.size() && mask >> (threads.size() - first) != 0) {
    fail(std::string(what) + " names lanes that the warp does not have", site);
  }
  run->switch_away();
}

void* shared_memory_of(std::size_t bytes, std::size_t alignment, Site site) {
  if (bytes > run->launch.shared_bytes) {
    fail("shared memory of " + std::to_string(bytes) + " bytes is used and the launch asked for " +
             std::to_string(run->launch.shared_bytes),
         site);
  }
  if (alignment > 16) fail("shared memory is aligned to 16 bytes and not to more", site);
  return run->current->block->shared->data();
}

bool in_shared_memory(const void* address, std::size_t bytes) {
  const auto* first = static_cast<const std::byte*>(address);
  const std::byte* data = run->current->block->shared->data();
  return first >= data && first + bytes <= data + run->launch.shared_bytes;
}

void start_copy(void* shared, const void* global, std::size_t bytes, bool valid, Site site) {
  const auto is_aligned = [&](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % bytes == 0; };
  // Also where nothing is read: PTX makes no exception for it.
  if (!is_aligned(shared) || !is_aligned(global)) fail("an asynchronous copy is not aligned", site);
  if (!in_shared_memory(shared, bytes)) fail("an asynchronous copy goes beyond shared memory", site);
  Thread& thread = *run->current;
  const PendingCopy copy{shared, valid ? global : nullptr, bytes, thread.copy_group};
  if (run->random.coin()) {
    arrive(copy);
  } else {
    thread.copies.push_back(copy);
  }
}

void commit_copies() {
  ++run->current->copy_group;
}

void wait_for_copies(unsigned newest) {
  Thread& thread = *run->current;
  // What no `commit_copies` has closed is not waited for.
  std::erase_if(thread.copies, [&](const PendingCopy& copy) {
    if (copy.group + newest >= thread.copy_group) return false;
    arrive(copy);
    return true;
  });
}

void* empty_stack() {
  return run->current->fiber->empty_stack();
}

std::string describe_guard(const void* address) {
  if (!in_kernel()) return {};
  if (run->current->fiber->in_guard(address)) return "a thread used up its stack";
  for (std::size_t slot = 0; slot < shared_regions.size(); ++slot) {
    if (shared_regions.at(slot).in_guard(address)) return "an access beyond shared memory";
  }
  return {};
}

}  // namespace sea::simt
