#pragma once

// The same source compiles for host and device.
#if defined(__CUDACC__)
#define SEA_HOST_DEVICE __host__ __device__
#else
#define SEA_HOST_DEVICE
#endif
