#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sea::bench {

/// Adds to a measurement (measurement.hpp) of `dataset` what the paper's Table 5 has, and the ratios, the
/// paper's figure over ours: dataset, memory_gb (10^9 bytes), paper_memory_gb, memory_ratio,
/// paper_seconds_per_epoch, seconds_ratio; null where it does not have the model.
nlohmann::ordered_json beside_paper(const std::string& dataset, const nlohmann::ordered_json& measurement);

/// The table for people, as plain text or as Markdown. `report` holds "rows" and "data" (data set: what it
/// is).
std::string as_text(const nlohmann::ordered_json& report);
std::string as_markdown(const nlohmann::ordered_json& report);

}  // namespace sea::bench
