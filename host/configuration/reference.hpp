#pragma once

#include <string>

namespace sea {

/// Every key of every model as Markdown tables: those that all models have alike, then each model's others.
std::string markdown_reference();

}  // namespace sea
