#include "support/bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "data/memory.hpp"
#include "data/random_stream.hpp"

namespace sea::bench {

namespace {

constexpr std::uint64_t seed = 999;
// The streams of made-up numbers that the interactions take; a case's own ones start after them.
constexpr std::int64_t pair_stream = 0, user_stream = 1, item_stream = 2, first_free_stream = 3;

/// A size with `pairs` pairs and the paper's proportions: about 6 pairs per user, 16 an item.
Size size_of_pairs(std::string name, std::int64_t pairs) {
  return {std::move(name), std::max<std::int64_t>(pairs / 6, 2), std::max<std::int64_t>(pairs / 16, 2),
          pairs};
}

std::vector<Size> growing(const std::string& name, std::int64_t largest,
                          const std::function<Size(const std::string&, std::int64_t)>& make) {
  std::vector<Size> sizes = paper_sizes();
  for (std::int64_t count = 1000; count <= largest; count *= 10)
    sizes.push_back(make(fmt::format("{}:{}", name, count), count));
  return sizes;
}

std::vector<std::int32_t> shuffled(std::int64_t count, std::int64_t stream) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(seed, stream);
  for (std::int64_t i = count - 1; i > 0; --i)
    std::swap(order[i], order[random.below(static_cast<std::uint32_t>(i + 1))]);
  return order;
}

}  // namespace

const std::vector<Size>& paper_sizes() {
  static const std::vector<Size> sizes = {{"baby", 19'445, 7'050, 118'551},
                                          {"sports", 35'598, 18'357, 218'409},
                                          {"clothing", 39'387, 23'033, 197'338}};
  return sizes;
}

std::vector<Size> growing_items(std::int64_t largest) {
  return growing("items", largest,
                 [](const std::string& name, std::int64_t count) { return size_of_pairs(name, 16 * count); });
}

std::vector<Size> growing_edges(std::int64_t largest) {
  return growing("edges", largest, size_of_pairs);
}

std::vector<Size> growing_batch(std::int64_t largest) {
  return growing("batch", largest, [](const std::string& name, std::int64_t count) {
    Size size = paper_sizes().front();
    size.name = name;
    size.batch = count;
    return size;
  });
}

std::vector<Size> growing_elements(std::int64_t largest) {
  return growing("elements", largest, [](const std::string& name, std::int64_t count) {
    Size size = paper_sizes().front();
    size.name = name;
    size.elements = count;
    return size;
  });
}

void* Case::allocate(std::size_t bytes) {
  if (backend.host_readable()) {
    const std::int64_t there = available_memory();
    if (static_cast<double>(bytes) > 0.9 * static_cast<double>(there))
      throw Unavailable(fmt::format("needs {} more of memory, and {} are free",
                                    bytes_text(static_cast<std::int64_t>(bytes)), bytes_text(there)));
  }
  try {
    buffers_.emplace_back(backend, static_cast<std::int64_t>(bytes));
  } catch (const Error& error) {
    throw Unavailable(error.what());
  }
  buffers_.back().fill_zero();
  return buffers_.back().data();
}

void Case::fill_random(float* values, std::int64_t count) {
  // Drawing every number of a wide matrix would take longer than timing it. The period is prime, so that no
  // two rows of a matrix of fewer rows than that are equal.
  constexpr std::int64_t period = 1'000'003;
  std::vector<float> numbers(static_cast<std::size_t>(std::min(count, period)));
  RandomStream random(seed, first_free_stream + streams_++);
  for (float& number : numbers) number = 2.0f * random.uniform() - 1.0f;
  for (std::int64_t first = 0; first < count; first += period)
    backend.copy_to_device(values + first, numbers.data(),
                           static_cast<std::size_t>(std::min(period, count - first)) * sizeof(float));
}

MatrixView Case::matrix(std::int64_t rows, std::int64_t columns) {
  return {buffer<float>(rows * columns), rows, columns};
}

VectorView Case::vector(std::int64_t count) {
  return {buffer<float>(count), static_cast<std::size_t>(count)};
}

IndexView Case::indices(std::int64_t count) {
  return {buffer<std::int32_t>(count), static_cast<std::size_t>(count)};
}

MatrixView Case::random(std::int64_t rows, std::int64_t columns) {
  const MatrixView values = matrix(rows, columns);
  fill_random(values.data, values.size());
  return values;
}

VectorView Case::random(std::int64_t count) {
  const VectorView values = vector(count);
  fill_random(values.data(), count);
  return values;
}

MatrixView Case::random_unit_rows(std::int64_t rows, std::int64_t columns) {
  const MatrixView values = random(rows, columns), unit = matrix(rows, columns);
  backend.row_normalize(values, unit, vector(rows));
  return unit;
}

IndexView Case::random_permutation(std::int64_t count) {
  const std::vector<std::int32_t> order = shuffled(count, first_free_stream + streams_++);
  const IndexView values = indices(count);
  backend.copy_to_device(values.data(), order.data(), order.size() * sizeof(std::int32_t));
  return values;
}

Workspace Case::workspace(std::size_t bytes) {
  return {buffer<std::byte>(static_cast<std::int64_t>(bytes)), bytes};
}

StepState* Case::state() {
  const StepState values{0, 0, 0, size.batch};
  StepState* const there = buffer<StepState>(1);
  backend.copy_to_device(there, &values, sizeof values);
  return there;
}

OptimizerState* Case::optimizer_state() {
  const OptimizerState values;
  OptimizerState* const there = buffer<OptimizerState>(1);
  backend.copy_to_device(there, &values, sizeof values);
  return there;
}

HostCsr Case::interactions() const {
  // Ranks by uniform^1.5: the density falls as rank^(-1/3), and the largest degrees come out about as large
  // as those of the paper's data. Duplicates are drawn again.
  RandomStream random(seed, pair_stream);
  const auto rank = [&](std::int64_t count) {
    const double u = random.uniform();
    return std::min(static_cast<std::int64_t>(static_cast<double>(count) * u * std::sqrt(u)), count - 1);
  };
  const std::vector<std::int32_t> user_ids = shuffled(size.users, user_stream),
                                  item_ids = shuffled(size.items, item_stream);
  std::vector<std::int64_t> codes;
  while (static_cast<std::int64_t>(codes.size()) < size.pairs) {
    while (static_cast<std::int64_t>(codes.size()) < size.pairs) {
      const std::int64_t user = user_ids[rank(size.users)], item = item_ids[rank(size.items)];
      codes.push_back(user * size.items + item);
    }
    std::sort(codes.begin(), codes.end());
    codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
  }
  HostCsr csr;
  csr.rows = size.users;
  csr.columns = size.items;
  csr.row_offsets.assign(static_cast<std::size_t>(size.users + 1), 0);
  for (const std::int64_t code : codes) {
    ++csr.row_offsets[code / size.items + 1];
    csr.column_indices.push_back(static_cast<std::int32_t>(code % size.items));
  }
  std::partial_sum(csr.row_offsets.begin(), csr.row_offsets.end(), csr.row_offsets.begin());
  return csr;
}

CsrView Case::upload(const HostCsr& csr) {
  return graphs_.emplace_back(backend, csr.rows, csr.columns, csr.row_offsets, csr.column_indices, csr.values)
      .view();
}

SamplingView Case::sampling() {
  const HostCsr train = interactions();
  std::vector<std::int32_t> users;
  std::vector<bool> occurs(static_cast<std::size_t>(train.columns));
  for (std::int64_t user = 0; user < train.rows; ++user) {
    users.insert(users.end(), train.row(user).size(), static_cast<std::int32_t>(user));
    for (const std::int32_t item : train.row(user)) occurs[item] = true;
  }
  std::vector<std::int32_t> candidates;
  for (std::int64_t item = 0; item < train.columns; ++item) {
    if (occurs[item]) candidates.push_back(static_cast<std::int32_t>(item));
  }
  const auto put = [&](const std::vector<std::int32_t>& values) {
    const IndexView there = indices(static_cast<std::int64_t>(values.size()));
    backend.copy_to_device(there.data(), values.data(), values.size() * sizeof(std::int32_t));
    return there;
  };
  return {upload(train), put(users), put(train.column_indices), put(candidates)};
}

BatchView Case::batch() {
  const BatchView drawn{indices(size.batch), indices(size.batch), indices(size.batch)};
  backend.sample_batch(sampling(), seed, state(), drawn);
  return drawn;
}

BatchOrderView Case::batch_order(const BatchView& drawn) {
  const BatchOrderView order{indices(3 * size.batch), indices(3 * size.batch)};
  backend.sort_batch(drawn, size.users, state(), order, workspace(backend.sort_batch_workspace(size.batch)));
  return order;
}

std::vector<OperatorRows>& operators() {
  static std::vector<OperatorRows> all;
  return all;
}

Operator::Operator(std::string name, std::vector<Size> sizes, std::vector<Row> rows) {
  std::vector<OperatorRows>& all = operators();
  const auto place =
      std::find_if(all.begin(), all.end(), [&](const OperatorRows& other) { return name < other.name; });
  all.insert(place, {std::move(name), std::move(sizes), std::move(rows)});
}

Ceilings Device::measure_ceilings() {
  constexpr std::int64_t copied = 256 << 20;
  constexpr std::int64_t side = 4096;
  constexpr int repeats = 5;
  Ceilings best;
  const auto fastest = [&](const std::function<void()>& call) {
    const std::function<double()> once = timer(call, 1);
    double seconds = once();
    for (int i = 0; i < repeats; ++i) seconds = std::min(seconds, once());
    return seconds;
  };
  {
    Buffer<std::byte> from(backend(), copied), to(backend(), copied);
    from.fill_zero();
    best.bytes_per_second = 2.0 * copied / fastest([&] { copy(to.data(), from.data(), copied); });
  }
  const std::vector<float> ones(static_cast<std::size_t>(side * side), 1.0f);
  const Buffer<float> a = to_device(backend(), ones), b = to_device(backend(), ones);
  const Buffer<float> c(backend(), side * side);
  best.operations_per_second = 2.0 * side * side * side / fastest([&] {
                                 backend().matmul(Transpose::no, Transpose::no, 1.0f, a.matrix(side, side),
                                                  b.matrix(side, side), 0.0f, c.matrix(side, side));
                               });
  return best;
}

}  // namespace sea::bench
