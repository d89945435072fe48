#include "support/bench.hpp"

namespace sea::bench {

namespace {

void sample_user_batch(Case& c) {
  const HostCsr history = c.interactions();
  std::vector<std::int32_t> users;
  for (std::int64_t user = 0; user < history.rows; ++user) {
    const auto count = static_cast<std::int64_t>(history.row(user).size());
    if (count > 0 && count < history.columns) users.push_back(static_cast<std::int32_t>(user));
  }
  const IndexView listed = c.indices(static_cast<std::int64_t>(users.size()));
  c.backend.copy_to_device(listed.data(), users.data(), users.size() * sizeof(std::int32_t));
  const UserSamplingView sampling{c.upload(history), listed};
  const BatchView batch{c.indices(c.size.batch), c.indices(c.size.batch), c.indices(c.size.batch)};
  // A user, where its history lies and an item of that are read, a triple written; what the search in the
  // history reads is not counted.
  c.time({.bytes = 36.0 * static_cast<double>(c.size.batch), .operations = 0},
         [=, &backend = c.backend, state = c.state()] {
           backend.sample_user_batch(sampling, 999, state, batch);
         });
}

const Operator rows("sample_user_batch", growing_batch(100'000), {{"sample_user_batch", sample_user_batch}});

}  // namespace

}  // namespace sea::bench
