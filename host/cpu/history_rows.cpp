#include <algorithm>

#include "cpu/check.hpp"
#include "cpu/row_blocks.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/rows.hpp"

namespace sea {

void CpuBackend::history_rows(const CsrPatternView& history, ConstIndexView users, bool inverted,
                              const StepState* state, MatrixView y) {
  constexpr const char* name = "history_rows";
  const auto batch_size = static_cast<std::int64_t>(users.size());
  checks::history_rows(history, users, y);
  cpu::require_count(name, state->count, 0, batch_size);
  cpu::require_indices(name, "users", users, state->count, history.rows);
  cpu::for_each_row(*pool_, batch_size, y.columns, [&](std::int64_t i) {
    const bool valid = i < state->count;
    std::fill_n(y.row(i), y.columns, valid && inverted ? 1.0f : 0.0f);
    if (!valid) return;
    cpu::require_ascending_row(name, "the history", history, users[i]);
    const std::int64_t* offsets = history.row_offsets + users[i];
    for (std::int64_t entry = offsets[0]; entry < offsets[1]; ++entry)
      y(i, history.column_indices[entry]) = inverted ? 0.0f : 1.0f;
  });
}

}  // namespace sea
