#include "simt/warp.hpp"

namespace sea::simt {

void vote(const WarpPayloads& payloads) {
  unsigned ballot = 0;
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    const auto* payload = static_cast<const Vote*>(payloads.payload[lane]);
    if (payload != nullptr && payload->predicate) ballot |= 1u << lane;
  }
  for (void* payload : payloads.payload) {
    if (payload != nullptr) static_cast<Vote*>(payload)->ballot = ballot;
  }
}

}  // namespace sea::simt
