// Training with the operators of SEA in a program of its own: matrix factorisation by BPR on made-up
// interactions, a step captured once and replayed where the backend can, then recall of the items held out.
// On the processor, and where the package has CUDA on a GPU.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "sea/buffer.hpp"
#include "sea/cpu.hpp"

#if defined(EMBED_CUDA)
#include "sea/cuda.hpp"
#endif

namespace {

constexpr std::int64_t users = 300, items = 120, width = 16, batch_size = 256, epochs = 40, k = 10;

/// Users and items belong to groups; a user has eight items of its own group in training, and two held out.
struct Data {
  std::vector<std::int64_t> history_offsets{0};
  std::vector<std::int32_t> history, pair_users, candidates;
  std::vector<std::int32_t> held_out;  ///< two per user
};

Data make_data() {
  constexpr std::int64_t groups = 6, trained = 8;
  std::mt19937 random(1);  // the same numbers on every machine
  Data data;
  for (std::int64_t user = 0; user < users; ++user) {
    std::vector<std::int32_t> own;
    for (std::int64_t item = user % groups; item < items; item += groups)
      own.push_back(static_cast<std::int32_t>(item));
    for (std::size_t i = 0; i < trained + 2; ++i) std::swap(own[i], own[i + random() % (own.size() - i)]);
    std::sort(own.begin(), own.begin() + trained);
    data.history.insert(data.history.end(), own.begin(), own.begin() + trained);
    data.history_offsets.push_back(static_cast<std::int64_t>(data.history.size()));
    data.pair_users.insert(data.pair_users.end(), trained, static_cast<std::int32_t>(user));
    data.held_out.insert(data.held_out.end(), own.begin() + trained, own.begin() + trained + 2);
  }
  data.candidates = data.history;  // negatives are drawn from what occurs in training
  std::sort(data.candidates.begin(), data.candidates.end());
  data.candidates.erase(std::unique(data.candidates.begin(), data.candidates.end()), data.candidates.end());
  return data;
}

double recall(const std::vector<std::int32_t>& ranked, const std::vector<std::int32_t>& held_out) {
  std::int64_t hits = 0;
  for (std::size_t i = 0; i < held_out.size(); ++i) {
    const auto row = ranked.begin() + static_cast<std::ptrdiff_t>(i / 2 * k);
    hits += std::count(row, row + k, held_out[i]);
  }
  return static_cast<double>(hits) / static_cast<double>(held_out.size());
}

void train(sea::Backend& backend, const char* device) {
  const Data data = make_data();
  const auto offsets = sea::to_device(backend, data.history_offsets);
  const auto history = sea::to_device(backend, data.history),
             pair_users = sea::to_device(backend, data.pair_users);
  const auto candidates = sea::to_device(backend, data.candidates);
  const sea::CsrPatternView seen = {users, items, offsets.data(), history.data()};
  const sea::SamplingView sampling = {seen, pair_users.span(), history.span(), candidates.span()};
  const std::int64_t pairs = pair_users.size();

  // Embeddings of users, then of items: one array each for values, gradients and Adam's moments.
  constexpr std::int64_t count = (users + items) * width;
  std::vector<float> initial(count);
  std::mt19937 random(2);
  for (float& value : initial) value = 0.1f * (static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f);
  const auto values = sea::to_device(backend, initial);
  sea::Buffer<float> gradients(backend, count), first_moment(backend, count), second_moment(backend, count);
  first_moment.fill_zero();
  second_moment.fill_zero();
  const auto rows_of = [](const sea::Buffer<float>& of) { return of.matrix(users + items, width); };

  const sea::Buffer<std::int32_t> triples(backend, 3 * batch_size), sorted(backend, 6 * batch_size);
  const auto part = [](const sea::Buffer<std::int32_t>& of, std::int64_t first, std::int64_t size) {
    return of.span().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size));
  };
  const sea::BatchView batch = {part(triples, 0, batch_size), part(triples, batch_size, batch_size),
                                part(triples, 2 * batch_size, batch_size)};
  const sea::BatchOrderView order = {part(sorted, 0, 3 * batch_size),
                                     part(sorted, 3 * batch_size, 3 * batch_size)};
  // One workspace, large enough for every operator: they are done one after the other.
  const sea::Buffer<std::byte> memory(
      backend, static_cast<std::int64_t>(std::max({backend.sort_batch_workspace(batch_size),
                                                   backend.bpr_workspace(batch_size, width),
                                                   backend.topk_dot_workspace(users, items, width, k)})));
  const sea::Workspace workspace = {memory.data(), memory.bytes()};

  // Every operator of a step reads the same states; `advance_step` comes last and counts in both.
  const auto state =
      sea::to_device(backend, std::vector<sea::StepState>{{0, 0, 0, std::min(pairs, batch_size)}});
  const sea::Buffer<float> loss(backend, 1);
  const auto optimizer = sea::to_device(backend, std::vector<sea::OptimizerState>{{0, 0.02}});
  sea::OptimizerState* const optimizers[] = {optimizer.data()};
  const std::function<void()> step = [&] {
    backend.sample_batch(sampling, 7, state.data(), batch);
    backend.sort_batch(batch, users, state.data(), order, workspace);
    backend.bpr(rows_of(values).row_range(0, users), rows_of(values).row_range(users, items), batch, order,
                state.data(), sea::BprSum::mean, 1.0f, loss.data(), rows_of(gradients).row_range(0, users),
                rows_of(gradients).row_range(users, items), workspace);
    backend.adam(values.span(), gradients.span(), first_moment.span(), second_moment.span(), {},
                 optimizer.data());
    backend.advance_step(state.data(), pairs, batch_size, optimizers);
  };
  step();
  const float first_loss = loss.download().front();
  const std::unique_ptr<sea::CapturedGraph> captured = backend.capture(step);  // null on the processor
  const std::int64_t steps = epochs * ((pairs + batch_size - 1) / batch_size);
  for (std::int64_t done = 1; done < steps; ++done) captured ? captured->replay() : step();

  const sea::Buffer<std::int32_t> ranked(backend, users * k);
  const sea::Buffer<float> scores(backend, users * k);
  backend.topk_dot(rows_of(values).row_range(0, users), rows_of(values).row_range(users, items), k, seen,
                   ranked.span(), scores.span(), workspace);
  const sea::StepState last = state.download().front();
  std::printf("%s: %d epochs, loss %.4f to %.4f, recall@10 %.4f\n", device, static_cast<int>(last.epoch),
              static_cast<double>(first_loss), static_cast<double>(loss.download().front()),
              recall(ranked.download(), data.held_out));
}

}  // namespace

int main() {
  try {
    sea::CpuBackend cpu;
    train(cpu, "cpu");
#if defined(EMBED_CUDA)
    if (sea::CudaBackend::device_count() == 0) {
      std::printf("cuda: no GPU is there\n");
      return 0;
    }
    sea::CudaBackend cuda;
    train(cuda, "cuda");
#endif
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
