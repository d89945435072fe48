#pragma once

// AddressSanitizer's interface, or nothing where it is off.
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SEA_SIMT_ASAN 1
#else
#define SEA_SIMT_ASAN 0
#endif

#include <cstddef>

namespace sea::simt {

inline constexpr bool address_sanitizer = SEA_SIMT_ASAN != 0;

inline void poison([[maybe_unused]] const volatile void* address, [[maybe_unused]] std::size_t bytes) {
#if SEA_SIMT_ASAN
  __asan_poison_memory_region(address, bytes);
#endif
}

inline void unpoison([[maybe_unused]] const volatile void* address, [[maybe_unused]] std::size_t bytes) {
#if SEA_SIMT_ASAN
  __asan_unpoison_memory_region(address, bytes);
#endif
}

inline void start_switch([[maybe_unused]] void** fake_stack, [[maybe_unused]] const void* bottom,
                         [[maybe_unused]] std::size_t bytes) {
#if SEA_SIMT_ASAN
  __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
#endif
}

inline void finish_switch([[maybe_unused]] void* fake_stack, [[maybe_unused]] const void** bottom,
                          [[maybe_unused]] std::size_t* bytes) {
#if SEA_SIMT_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, bottom, bytes);
#endif
}

}  // namespace sea::simt
