#pragma once

#include "data/host_matrix.hpp"

namespace sea {

/// The interaction graph, (users + items) square and symmetric: entry (u, users + i) and its mirror are
/// `1 / sqrt(degree(u) degree(i))` for each training pair. No self loops; a node without an edge has an empty
/// row. SEA, Eq. 6.
///
/// Here and in the next two, users of `joined` (users x items, or no rows) have a row as if they alone had
/// been trained on beside the others, so that an item's degree is one more; no other row changes.
HostCsr interaction_graph(const HostCsr& train, const HostCsr& joined = {});

/// The interaction graph whose rows are means, `1 / degree(row)`: MMGCN. With `self_loops` each node is one
/// of its own neighbours, `1 / (degree(row) + 1)`: LATTICE. Not symmetric; columns ascending.
HostCsr mean_graph(const HostCsr& train, bool self_loops, const HostCsr& joined = {});

/// The rows of users of a graph of users and then items, with the columns of items alone (users x items).
HostCsr user_block(const HostCsr& graph, std::int64_t users);
/// The rows of items of such a graph without self loops, with the columns of users alone (items x users).
HostCsr item_block(const HostCsr& graph, std::int64_t users);

/// The training pairs (users x items), each with the value 1, or with `means` one over its user's number of
/// pairs.
HostCsr pair_graph(const HostCsr& train, bool means, const HostCsr& joined = {});

/// The row-normalised neighbour graph of one modality from `neighbours` (items x k ids, unordered): every
/// value is `1 / k`, columns ascending. Not symmetric. SEA, Eq. 8-10.
HostCsr neighbour_graph(const std::vector<std::int32_t>& neighbours, std::int64_t items, std::int64_t k);

/// `weight a + (1 - weight) b`, columns ascending; an entry that stands in both is one entry. SEA, Eq. 11.
HostCsr blend(const HostCsr& a, const HostCsr& b, float weight);

/// The transpose, columns ascending.
HostCsr transpose(const HostCsr& matrix);

}  // namespace sea
