#pragma once

#include <cstdint>
#include <string>

namespace sea {

/// Bytes this process may still take: what the system calls available, or less where a control group says so.
std::int64_t available_memory();

/// "24.6 GB", "12 bytes": in powers of 1000.
std::string bytes_text(std::int64_t bytes);

}  // namespace sea
