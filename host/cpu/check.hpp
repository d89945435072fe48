#pragma once

#include "sea/detail/check.hpp"

namespace sea::cpu {

using detail::require;
using detail::require_shape;
using detail::require_size;

}  // namespace sea::cpu
