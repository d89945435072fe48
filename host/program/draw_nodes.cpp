// Batches, masks and noise: what a step draws, and what reads a batch's rows.

#include <numeric>

#include "program/batch_views.hpp"
#include "program/nodes.hpp"

namespace sea {

Batch make_batch(Program& program, std::int64_t batch_size) {
  return {program.indices(batch_size), program.indices(batch_size), program.indices(batch_size),
          program.indices(3 * batch_size), program.indices(3 * batch_size)};
}

void sample_batch(Tape& tape, const SamplingView& sampling, const Batch& batch) {
  tape.add_draw({.name = "sample_batch", .index_writes = triples(batch), .forward = [=](const NodeRun& run) {
                   run.backend().sample_batch(sampling, run.seed(), run.step(), view(run, batch));
                 }});
}

void sample_user_batch(Tape& tape, const UserSamplingView& sampling, const Batch& batch) {
  tape.add_draw(
      {.name = "sample_user_batch", .index_writes = triples(batch), .forward = [=](const NodeRun& run) {
         run.backend().sample_user_batch(sampling, run.seed(), run.step(), view(run, batch));
       }});
}

void sort_batch(Tape& tape, const Batch& batch, std::int64_t users) {
  tape.add({.name = "sort_batch",
            .index_reads = triples(batch),
            .index_writes = {batch.nodes, batch.sources},
            .workspace = tape.backend().sort_batch_workspace(batch.users.count),
            .stream = Stream::narrow,
            .forward = [=](const NodeRun& run) {
              run.backend().sort_batch(view(run, batch), users, run.step(), order_view(run, batch),
                                       run.workspace());
            }});
}

Tensor gather_rows(Tape& tape, Tensor x, const Batch& batch, BatchRole role, std::int64_t first_node) {
  const Tensor y = tape.activation(batch.users.count, x.columns);
  gather_rows(tape, x, batch, role, first_node, y);
  return y;
}

void gather_rows(Tape& tape, Tensor x, const Batch& batch, BatchRole role, std::int64_t first_node,
                 Tensor y) {
  const Indices index = role == BatchRole::user       ? batch.users
                        : role == BatchRole::positive ? batch.positives
                                                      : batch.negatives;
  tape.add({.name = "gather_rows",
            .inputs = {x},
            .outputs = {y},
            .index_reads = {index, batch.nodes, batch.sources},
            .forward =
                [=](const NodeRun& run) {
                  run.backend().gather_rows(run.value(x), run.indices(index), run.step(), run.value(y));
                },
            .backward =
                [=](const NodeRun& run) {
                  run.backend().gather_rows_backward(run.gradient(y), order_view(run, batch), role,
                                                     first_node, run.step(), run.input_gradient(0));
                }});
}

Tensor gather_triples(Tape& tape, Tensor nodes, std::int64_t users, const Batch& batch) {
  const std::int64_t size = batch.users.count;
  const Tensor y = tape.activation(3 * size, nodes.columns),
               items = nodes.row_range(users, nodes.rows - users);
  gather_rows(tape, nodes.row_range(0, users), batch, BatchRole::user, 0, y.row_range(0, size));
  gather_rows(tape, items, batch, BatchRole::positive, users, y.row_range(size, size));
  gather_rows(tape, items, batch, BatchRole::negative, users, y.row_range(2 * size, size));
  return y;
}

Batch gathered_triples(Tape& tape, std::int64_t batch_size) {
  Program& program = tape.program();
  std::vector<std::int32_t> rows(static_cast<std::size_t>(2 * batch_size));
  std::iota(rows.begin(), rows.end(), 0);
  const auto middle = rows.begin() + batch_size;
  Batch batch;
  batch.users = batch.positives = program.indices({rows.begin(), middle});
  batch.negatives = program.indices({middle, rows.end()});
  batch.nodes = program.indices(3 * batch_size);
  batch.sources = program.indices(3 * batch_size);
  sort_batch(tape, batch, batch_size);
  return batch;
}

Tensor history_rows(Tape& tape, const CsrPatternView& history, const Batch& batch, bool inverted) {
  const Tensor y = tape.activation(batch.users.count, history.columns);
  tape.add({.name = "history_rows",
            .outputs = {y},
            .index_reads = {batch.users},
            .forward = [=](const NodeRun& run) {
              run.backend().history_rows(history, run.indices(batch.users), inverted, run.step(),
                                         run.value(y));
            }});
  return y;
}

Tensor dropout_mask(Tape& tape, std::int64_t rows, std::int64_t columns, float probability,
                    std::uint32_t stream) {
  const Tensor mask = tape.activation(rows, columns);
  tape.add_draw({.name = "dropout_mask", .outputs = {mask}, .forward = [=](const NodeRun& run) {
                   run.backend().dropout_mask(probability, run.seed(), stream, run.step(), run.value(mask));
                 }});
  return mask;
}

Tensor dropout(Tape& tape, Tensor x, float probability, std::uint32_t stream) {
  return multiply(tape, x, dropout_mask(tape, x.rows, x.columns, probability, stream));
}

Tensor random_noise(Tape& tape, Noise noise, std::int64_t rows, std::int64_t columns, std::uint32_t stream) {
  const Tensor y = tape.activation(rows, columns);
  tape.add_draw({.name = "random_noise", .outputs = {y}, .forward = [=](const NodeRun& run) {
                   run.backend().random_noise(noise, run.seed(), stream, run.step(), run.value(y));
                 }});
  return y;
}

Indices sample_permutation(Tape& tape, RandomPurpose purpose, std::int64_t size, std::int64_t count) {
  const Indices output = tape.program().indices(count);
  tape.add_draw({.name = "permutation", .index_writes = {output}, .forward = [=](const NodeRun& run) {
                   run.backend().permutation(run.seed(), purpose, run.step(), size, run.indices(output));
                 }});
  return output;
}

}  // namespace sea
