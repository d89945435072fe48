#pragma once

#include <nlohmann/json_fwd.hpp>

namespace sea::bench {

/// What every measurement says of itself: "date" (UTC), "commit" that was built, "processor" and "cores".
nlohmann::ordered_json provenance();

}  // namespace sea::bench
