#pragma once

#include "sea/detail/checks/common.hpp"

// What the operators of "graphs" and on learned graphs ask of their arguments. How many entries a pattern has
// lies in its own memory, which only the CPU can read.
namespace sea::checks {

inline void spmm(const CsrView& a, ConstMatrixView x, ConstMatrixView residual, ConstMatrixView y) {
  require_shape("spmm", "x", x, a.columns, x.columns);
  require_shape("spmm", "y", y, a.rows, x.columns);
  if (!residual.empty()) require_shape("spmm", "residual", residual, a.rows, x.columns);
}

inline void ranking(const char* name, ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                    const CsrPatternView& excluded, ConstIndexView ids, ConstVectorView scores) {
  require(k >= 1 && k <= keys.rows, name, "k must be between 1 and the number of keys");
  require_size(name, "ids", ids.size(), queries.rows * k);
  require_size(name, "scores", scores.size(), queries.rows * k);
  require(excluded.row_offsets == nullptr || (excluded.rows == queries.rows && excluded.columns == keys.rows),
          name, "excluded must be queries x keys");
}

inline void topk_dot(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                     const CsrPatternView& excluded, ConstIndexView ids, ConstVectorView scores) {
  require(queries.columns == keys.columns && keys.columns > 0, "topk_dot",
          "queries and keys must have one width, of at least 1");
  ranking("topk_dot", queries, keys, k, excluded, ids, scores);
}

inline void rank_attentive(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                           const CsrPatternView& excluded, ConstIndexView ids, ConstVectorView scores) {
  require(queries.columns > 0 && keys.columns == 5 * queries.columns, "rank_attentive",
          "keys must be five times as wide as queries, which must have a column");
  ranking("rank_attentive", queries, keys, k, excluded, ids, scores);
}

inline void sddmm(const CsrView& a, ConstMatrixView x, ConstMatrixView y) {
  require_shape("sddmm", "x", x, a.rows, x.columns);
  require_shape("sddmm", "y", y, a.columns, x.columns);
}

inline void edge_normalize(const CsrPatternView& pattern, ConstVectorView inverse_roots) {
  require(pattern.rows == pattern.columns, "edge_normalize", "the pattern must be square");
  require_size("edge_normalize", "inverse_roots", inverse_roots.size(), pattern.rows);
}
inline void edge_normalize_backward(const CsrPatternView& pattern, const CsrPatternView& transpose,
                                    ConstVectorView inverse_roots) {
  const char* name = "edge_normalize_backward";
  require(pattern.rows == pattern.columns, name, "the pattern must be square");
  require(transpose.rows == pattern.rows && transpose.columns == pattern.rows, name,
          "the transpose must have the shape of the pattern");
  require_size(name, "inverse_roots", inverse_roots.size(), pattern.rows);
}

}  // namespace sea::checks
