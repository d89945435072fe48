#include <cmath>

#include "cpu/check.hpp"
#include "cpu/row_blocks.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/graphs.hpp"

namespace sea {

namespace {

/// Rows are short, a few dozen entries: they are shared out as if they had this many.
constexpr std::int64_t usual_entries = 64;

void require_entries(const char* name, const CsrPatternView& pattern, std::size_t values,
                     std::size_t results) {
  const auto entries = static_cast<std::size_t>(pattern.row_offsets[pattern.rows]);
  cpu::require(values >= entries && results >= entries, name,
               "there must be a value for every entry of the pattern");
}

}  // namespace

void CpuBackend::edge_normalize(const CsrPatternView& pattern, ConstVectorView values, VectorView normalized,
                                VectorView inverse_roots) {
  checks::edge_normalize(pattern, inverse_roots);
  require_entries("edge_normalize", pattern, values.size(), normalized.size());
  const std::int64_t* offsets = pattern.row_offsets;
  cpu::for_each_row(*pool_, pattern.rows, usual_entries, [&](std::int64_t i) {
    double sum = 0.0;
    for (std::int64_t e = offsets[i]; e < offsets[i + 1]; ++e) sum += static_cast<double>(values[e]);
    inverse_roots[i] = sum <= 0.0 ? 0.0f : static_cast<float>(1.0 / std::sqrt(sum));
  });
  cpu::for_each_row(*pool_, pattern.rows, usual_entries, [&](std::int64_t i) {
    for (std::int64_t e = offsets[i]; e < offsets[i + 1]; ++e) {
      normalized[e] = values[e] * inverse_roots[i] * inverse_roots[pattern.column_indices[e]];
    }
  });
}

std::size_t CpuBackend::edge_normalize_workspace(std::int64_t rows) const {
  return cpu::scratch_bytes<float>(rows);
}

void CpuBackend::edge_normalize_backward(const CsrPatternView& pattern, const CsrPatternView& transpose,
                                         ConstIndexView permutation, ConstVectorView values,
                                         ConstVectorView inverse_roots, ConstVectorView dnormalized,
                                         VectorView dvalues, Workspace workspace) {
  constexpr const char* name = "edge_normalize_backward";
  checks::edge_normalize_backward(pattern, transpose, inverse_roots);
  require_entries(name, pattern, values.size(), dvalues.size());
  cpu::require(permutation.size() >= static_cast<std::size_t>(transpose.row_offsets[transpose.rows]), name,
               "the permutation must have a place for every entry of the transpose");
  cpu::require(dnormalized.size() >= static_cast<std::size_t>(pattern.row_offsets[pattern.rows]), name,
               "there must be a gradient for every entry of the pattern");
  // Of every row, d_i^3 / 2 times the gradient with respect to d_i.
  float* inward = cpu::Scratch(name, workspace).take<float>(pattern.rows);
  const std::int64_t *offsets = pattern.row_offsets, *transposed = transpose.row_offsets;
  cpu::for_each_row(*pool_, pattern.rows, 2 * usual_entries, [&](std::int64_t i) {
    double sum = 0.0;
    const auto add = [&](std::int64_t e, std::int32_t other) {
      sum += static_cast<double>(dnormalized[e]) * static_cast<double>(values[e]) *
             static_cast<double>(inverse_roots[other]);
    };
    for (std::int64_t e = offsets[i]; e < offsets[i + 1]; ++e) add(e, pattern.column_indices[e]);
    for (std::int64_t t = transposed[i]; t < transposed[i + 1]; ++t) {
      cpu::require(permutation[t] >= 0 && permutation[t] < offsets[pattern.rows], name,
                   "the permutation must name entries of the pattern");
      add(permutation[t], transpose.column_indices[t]);
    }
    const double root = inverse_roots[i];
    // A row whose sum is not positive has a constant 0 there.
    inward[i] = root == 0.0 ? 0.0f : static_cast<float>(sum * root * root * root / 2.0);
  });
  cpu::for_each_row(*pool_, pattern.rows, usual_entries, [&](std::int64_t i) {
    for (std::int64_t e = offsets[i]; e < offsets[i + 1]; ++e) {
      dvalues[e] = dnormalized[e] * inverse_roots[i] * inverse_roots[pattern.column_indices[e]] - inward[i];
    }
  });
}

}  // namespace sea
