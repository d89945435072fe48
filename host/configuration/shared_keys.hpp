#pragma once

#include <vector>

#include "configuration/configuration.hpp"
#include "configuration/registry.hpp"

namespace sea {

// Keys that several models have, and what must hold of them.

/// The item features of two modalities.
std::vector<Key> feature_keys();
DatasetFiles feature_files(const Configuration& configuration);
/// Throws UsageError where both are null.
void require_features(const Configuration& configuration);
/// Throws UsageError where one of them is.
void require_both_features(const Configuration& configuration);

/// `name` over train_batch_size: the weight of a regulariser that is divided by the configured batch size, in
/// an epoch's smaller last batch too.
float batch_share(const Configuration& configuration, const std::string& name);
/// Another default for one of these keys.
void set_fallback(std::vector<Key>& keys, const std::string& name, const KeyValue& value);

/// The item graph.
std::vector<Key> item_graph_keys();
/// Throws UsageError where an item has not that many neighbours.
void require_neighbours(const Configuration& configuration, const Dataset& dataset);

/// Alignment and distancing.
std::vector<Key> module_keys(double alpha, double beta, double temperature);
/// Throws UsageError where they need two modalities and have one.
void require_modalities(const Configuration& configuration);

}  // namespace sea
