#pragma once

#include "sea/detail/scratch.hpp"

namespace sea::cpu {

using detail::blocks_of;
using detail::Scratch;
using detail::scratch_bytes;

}  // namespace sea::cpu
