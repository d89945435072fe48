#pragma once

#include <bit>
#include <type_traits>

#include "simt/grid.hpp"

// Barriers, shuffles and votes. The default argument notes where a thread waits, for the message of a fault.

namespace sea::simt {

template <class T>
struct Exchange {
  T value;
  unsigned source;  ///< lane to read from
  T result;
};

template <class T>
void exchange(const WarpPayloads& payloads) {
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    auto* mine = static_cast<Exchange<T>*>(payloads.payload[lane]);
    if (mine == nullptr) continue;
    const auto* theirs = static_cast<Exchange<T>*>(payloads.payload[mine->source]);
    if (theirs == nullptr) {
      fail("a shuffle of lane " + std::to_string(lane) + " reads lane " + std::to_string(mine->source) +
               ", which its mask leaves out",
           payloads.site);
    }
    mine->result = theirs->value;
  }
}

template <class T>
T shuffle(const char* what, unsigned mask, T value, unsigned source, Site site) {
  static_assert(std::is_arithmetic_v<T>, "shuffles move numbers");
  Exchange<T> payload{value, source, value};
  warp_collective(what, mask, &exchange<T>, &payload, site);
  return payload.result;
}

/// Lanes are shuffled within groups of `width`, a power of two.
struct Group {
  unsigned lane, first, width;
  Group(int width_, Site site) : lane(lane_number()), first(0), width(static_cast<unsigned>(width_)) {
    if (width == 0 || width > warp_size || !std::has_single_bit(width)) {
      fail("a shuffle's width is not a power of two up to 32", site);
    }
    first = lane & ~(width - 1);
  }
  bool contains(unsigned other) const { return other >= first && other < first + width; }
};

struct Vote {
  bool predicate;
  unsigned ballot;
};

void vote(const WarpPayloads& payloads);

struct Reduction {
  long long value;
  long long result;
};
using Combine = long long (*)(long long, long long);

template <Combine combine>
void reduce(const WarpPayloads& payloads) {
  bool first = true;
  long long result = 0;
  for (void* payload : payloads.payload) {
    if (payload == nullptr) continue;
    const long long value = static_cast<Reduction*>(payload)->value;
    result = first ? value : combine(result, value);
    first = false;
  }
  for (void* payload : payloads.payload) {
    if (payload != nullptr) static_cast<Reduction*>(payload)->result = result;
  }
}

template <Combine combine, class T>
T reduce_in_warp(const char* what, unsigned mask, T value, Site site) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>);
  Reduction payload{value, 0};
  warp_collective(what, mask, &reduce<combine>, &payload, site);
  return static_cast<T>(payload.result);
}

inline long long sum_of(long long a, long long b) {
  return a + b;
}
inline long long smaller_of(long long a, long long b) {
  return a < b ? a : b;
}
inline long long larger_of(long long a, long long b) {
  return a > b ? a : b;
}

}  // namespace sea::simt

// NOLINTBEGIN(readability-identifier-naming): CUDA's names

inline void __syncthreads(sea::simt::Site site = sea::simt::Site::current()) {
  sea::simt::block_barrier("__syncthreads", 0, site);
}
inline int __syncthreads_count(int predicate, sea::simt::Site site = sea::simt::Site::current()) {
  return sea::simt::block_barrier("__syncthreads_count", predicate, site);
}
inline int __syncthreads_or(int predicate, sea::simt::Site site = sea::simt::Site::current()) {
  return sea::simt::block_barrier("__syncthreads_or", predicate, site) > 0 ? 1 : 0;
}
inline int __syncthreads_and(int predicate, sea::simt::Site site = sea::simt::Site::current()) {
  return sea::simt::block_barrier("__syncthreads_and", predicate == 0 ? 1 : 0, site) == 0 ? 1 : 0;
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, sea::simt::Site site = sea::simt::Site::current()) {
  sea::simt::Vote payload{};
  sea::simt::warp_collective("__syncwarp", mask, &sea::simt::vote, &payload, site);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize,
              sea::simt::Site site = sea::simt::Site::current()) {
  const sea::simt::Group group(width, site);
  const unsigned lane = group.first + (static_cast<unsigned>(source) & (group.width - 1));
  return sea::simt::shuffle("__shfl_sync", mask, value, lane, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize,
                  sea::simt::Site site = sea::simt::Site::current()) {
  const sea::simt::Group group(width, site);
  const unsigned lane = group.lane ^ static_cast<unsigned>(lane_mask);
  return sea::simt::shuffle("__shfl_xor_sync", mask, value, group.contains(lane) ? lane : group.lane, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                   sea::simt::Site site = sea::simt::Site::current()) {
  const sea::simt::Group group(width, site);
  const unsigned lane = group.lane + delta;
  return sea::simt::shuffle("__shfl_down_sync", mask, value, group.contains(lane) ? lane : group.lane, site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                 sea::simt::Site site = sea::simt::Site::current()) {
  const sea::simt::Group group(width, site);
  const unsigned lane = group.lane - delta;  // wraps where there is no such lane
  return sea::simt::shuffle("__shfl_up_sync", mask, value, group.contains(lane) ? lane : group.lane, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              sea::simt::Site site = sea::simt::Site::current()) {
  sea::simt::Vote payload{predicate != 0, 0};
  sea::simt::warp_collective("__ballot_sync", mask, &sea::simt::vote, &payload, site);
  return payload.ballot;
}
inline int __any_sync(unsigned mask, int predicate, sea::simt::Site site = sea::simt::Site::current()) {
  sea::simt::Vote payload{predicate != 0, 0};
  sea::simt::warp_collective("__any_sync", mask, &sea::simt::vote, &payload, site);
  return payload.ballot != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, sea::simt::Site site = sea::simt::Site::current()) {
  sea::simt::Vote payload{predicate != 0, 0};
  sea::simt::warp_collective("__all_sync", mask, &sea::simt::vote, &payload, site);
  return payload.ballot == mask ? 1 : 0;
}
/// The calling thread alone: CUDA promises no more, and a kernel that counts on more is wrong.
inline unsigned __activemask() {
  return 1u << sea::simt::lane_number();
}

template <class T>
T __reduce_add_sync(unsigned mask, T value, sea::simt::Site site = sea::simt::Site::current()) {
  return sea::simt::reduce_in_warp<&sea::simt::sum_of>("__reduce_add_sync", mask, value, site);
}
template <class T>
T __reduce_min_sync(unsigned mask, T value, sea::simt::Site site = sea::simt::Site::current()) {
  return sea::simt::reduce_in_warp<&sea::simt::smaller_of>("__reduce_min_sync", mask, value, site);
}
template <class T>
T __reduce_max_sync(unsigned mask, T value, sea::simt::Site site = sea::simt::Site::current()) {
  return sea::simt::reduce_in_warp<&sea::simt::larger_of>("__reduce_max_sync", mask, value, site);
}

// NOLINTEND(readability-identifier-naming)
