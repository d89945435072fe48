#pragma once

// CUDA on the CPU, for the files of kernels/ compiled as C++. See README.md.

#include "simt/helpers.hpp"
#include "simt/intrinsics.hpp"
#include "simt/runtime_api.hpp"
#include "simt/types.hpp"
#include "simt/warp.hpp"
