// Every operator of every backend refuses what does not fit, in the same words.

#include "support/refusals.hpp"

namespace sea::test {

std::vector<Refusal> Arguments::steps() {
  const auto fit = [this](std::size_t gradients, std::size_t first, std::size_t second) {
    return [=, this] {
      backend_.adam(v(4), v(gradients), v(first), v(second), AdamSettings{}, optimizer_.data());
    };
  };
  const auto sort = [this](const BatchView& of, const BatchOrderView& into, std::int64_t users = 3) {
    return [=, this] { backend_.sort_batch(of, users, state_.data(), into, workspace_); };
  };
  const auto advance = [this](const std::vector<OptimizerState*>& optimizers) {
    return [=, this] { backend_.advance_step(state_.data(), 4, 4, optimizers); };
  };
  const auto sample = [this](std::size_t items, std::size_t candidates, const BatchView& into) {
    return [=, this] {
      backend_.sample_batch({csr(2, 2), i(4), i(items), i(candidates)}, 1, state_.data(), into);
    };
  };
  const auto sample_users = [this](std::size_t users, const BatchView& into) {
    return [=, this] { backend_.sample_user_batch({csr(2, 2), i(users)}, 1, state_.data(), into); };
  };
  return {
      {"advance_step: there must be at least one pair",
       [this] { backend_.advance_step(state_.data(), 0, 4); }},
      {"advance_step: the batch size must be at least 1",
       [this] { backend_.advance_step(state_.data(), 4, 0); }},
      {"advance_step: there are at most 8 optimizers",
       advance(std::vector<OptimizerState*>(9, optimizer_.data()))},
      {"advance_step: the optimizers must be all different, and none null",
       advance({optimizer_.data(), optimizer_.data() + 1, optimizer_.data()})},
      {"advance_step: the optimizers must be all different, and none null",
       advance({optimizer_.data(), nullptr})},
      {"sample_batch: pair_items has 3 elements and must have 4", sample(3, 2, batch())},
      {"sample_batch: positives has 1 elements and must have 2", sample(4, 2, batch(2, 1, 2))},
      {"sample_batch: negatives has 1 elements and must have 2", sample(4, 2, batch(2, 2, 1))},
      {"sample_batch: there must be at least one candidate", sample(4, 0, batch())},
      {"sample_batch: there must be fewer than 2^31 pairs",
       [this] {
         const std::size_t pairs = std::size_t{1} << 31;
         backend_.sample_batch({csr(2, 2), i(pairs), i(pairs), i(2)}, 1, state_.data(), batch());
       }},
      {"sample_user_batch: positives has 1 elements and must have 2", sample_users(2, batch(2, 1, 2))},
      {"sample_user_batch: negatives has 1 elements and must have 2", sample_users(2, batch(2, 2, 1))},
      {"sample_user_batch: there must be at least one user", sample_users(0, batch())},
      {"sort_batch: positives has 1 elements and must have 2", sort(batch(2, 1, 2), order())},
      {"sort_batch: negatives has 1 elements and must have 2", sort(batch(2, 2, 1), order())},
      {"sort_batch: nodes has 5 elements and must have 6", sort(batch(), order(5, 6))},
      {"sort_batch: sources has 5 elements and must have 6", sort(batch(), order(6, 5))},
      {"sort_batch: a batch must have fewer than 2^31 / 3 triples",
       [this] {
         const std::size_t size = (std::size_t{1} << 31) / 3 + 1;
         backend_.sort_batch(batch(size, size, size), 3, state_.data(), order(3 * size, 3 * size),
                             workspace_);
       }},
      {"sort_batch: there must be 0 to 2^31 - 1 users", sort(batch(), order(), -1)},
      {"sort_batch: there must be 0 to 2^31 - 1 users", sort(batch(), order(), std::int64_t{1} << 31)},
      {"permutation: must have 1 <= output.size() <= size < 2^31",
       [this] { backend_.permutation(1, RandomPurpose::samples, state_.data(), 3, i(4)); }},
      {"adam: gradients has 3 elements and must have 4", fit(3, 4, 4)},
      {"adam: first_moment has 3 elements and must have 4", fit(4, 3, 4)},
      {"adam: second_moment has 3 elements and must have 4", fit(4, 4, 3)},
      {"accumulate_losses: terms must have at least the total",
       [this] { backend_.accumulate_losses({}, {}, {}); }},
      {"accumulate_losses: weights has 2 elements and must have 1",
       [this] {
         backend_.accumulate_losses(v(2), v(2), {doubles_.data(), 2});
       }},
      {"accumulate_losses: sums has 1 elements and must have 2",
       [this] {
         backend_.accumulate_losses(v(2), v(1), {doubles_.data(), 1});
       }},
  };
}

std::vector<Refusal> Arguments::dense() {
  constexpr Transpose no = Transpose::no, yes = Transpose::yes;
  const auto multiply = [this](Transpose a, Transpose b, MatrixView x, MatrixView y, MatrixView z) {
    return [=, this] { backend_.matmul(a, b, 1.0f, x, y, 0.0f, z); };
  };
  const auto linear = [this](MatrixView weight, std::size_t bias, MatrixView y) {
    return [=, this] { backend_.linear(m(4, 3), weight, v(bias), y); };
  };
  const auto linear_backward = [this](MatrixView weight, MatrixView dy, MatrixView dx, MatrixView dweight,
                                      std::size_t dbias) {
    return [=, this] { backend_.linear_backward(m(4, 3), weight, dy, dx, dweight, v(dbias), workspace_); };
  };
  const auto factored = [this](MatrixView weight, std::size_t bias, const std::vector<LinearHead>& heads,
                               MatrixView product, MatrixView y) {
    return [=, this] { backend_.factored_linear(m(4, 2), weight, v(bias), heads, product, y, workspace_); };
  };
  const auto factored_backward = [this](MatrixView weight, std::size_t bias, MatrixView dy, MatrixView dm,
                                        const std::vector<LinearHeadGradient>& gradients, std::size_t dbias) {
    return [=, this] {
      backend_.factored_linear_backward(m(4, 2), weight, v(bias), head(), dy, dm, gradients, v(dbias),
                                        workspace_);
    };
  };
  const auto update = [this](MatrixView dm, MatrixView first, MatrixView second) {
    return [=, this] {
      backend_.factored_linear_update(head(), dm, m(3, 2), first, second, AdamSettings{}, optimizer_.data(),
                                      workspace_);
    };
  };
  return {
      {"matmul: a is 2 x 3 and must be 4 x 3", multiply(no, no, m(2, 3), m(3, 5), m(4, 5))},
      {"matmul: a is 2 x 3 and must be 2 x 4", multiply(yes, no, m(2, 3), m(2, 5), m(4, 5))},
      {"matmul: b is 3 x 4 and must be 3 x 5", multiply(no, no, m(4, 3), m(3, 4), m(4, 5))},
      {"matmul: b is 3 x 5 and must be 5 x 3", multiply(no, yes, m(4, 3), m(3, 5), m(4, 5))},
      {"add: b is 3 x 4 and must be 4 x 3", [this] { backend_.add(m(4, 3), m(3, 4), m(4, 3)); }},
      {"add: y is 3 x 4 and must be 4 x 3", [this] { backend_.add(m(4, 3), m(4, 3), m(3, 4)); }},
      {"scale: y is 3 x 4 and must be 4 x 3", [this] { backend_.scale(1.0f, m(4, 3), m(3, 4)); }},
      {"linear: weight is 2 x 4 and must be 2 x 3", linear(m(2, 4), 2, m(4, 2))},
      {"linear: y is 4 x 3 and must be 4 x 2", linear(m(2, 3), 2, m(4, 3))},
      {"linear: bias has 3 elements and must have 2", linear(m(2, 3), 3, m(4, 2))},
      {"linear_backward: weight is 2 x 4 and must be 2 x 3",
       linear_backward(m(2, 4), m(4, 2), m(4, 3), m(2, 3), 2)},
      {"linear_backward: dy is 4 x 3 and must be 4 x 2",
       linear_backward(m(2, 3), m(4, 3), m(4, 3), m(2, 3), 2)},
      {"linear_backward: dx is 3 x 3 and must be 4 x 3",
       linear_backward(m(2, 3), m(4, 2), m(3, 3), m(2, 3), 2)},
      {"linear_backward: dweight is 3 x 2 and must be 2 x 3",
       linear_backward(m(2, 3), m(4, 2), m(4, 3), m(3, 2), 2)},
      {"linear_backward: dbias has 3 elements and must have 2",
       linear_backward(m(2, 3), m(4, 2), m(4, 3), m(2, 3), 3)},
      {"factored_linear: 1 to 16 heads are allowed", factored(m(3, 2), 3, {}, m(2, 2), m(4, 2))},
      {"factored_linear: a head looks beyond the layer's columns",
       factored(m(3, 2), 3, head(1), m(2, 2), m(4, 2))},
      {"factored_linear: a head looks beyond the layer's columns",
       factored(m(3, 2), 3, head(-1), m(2, 2), m(4, 2))},
      {"factored_linear: a head's bias has 3 elements and must have 2",
       factored(m(3, 2), 3, head(0, 3), m(2, 2), m(4, 2))},
      {"factored_linear: weight is 3 x 3 and must be 3 x 2", factored(m(3, 3), 3, head(), m(2, 2), m(4, 2))},
      {"factored_linear: bias has 2 elements and must have 3",
       factored(m(3, 2), 2, head(), m(2, 2), m(4, 2))},
      {"factored_linear: m is 3 x 2 and must be 2 x 2", factored(m(3, 2), 3, head(), m(3, 2), m(4, 2))},
      {"factored_linear: y is 4 x 3 and must be 4 x 2", factored(m(3, 2), 3, head(), m(2, 2), m(4, 3))},
      {"factored_linear_backward: weight is 3 x 3 and must be 3 x 2",
       factored_backward(m(3, 3), 3, m(4, 2), m(2, 2), head_gradient(), 3)},
      {"factored_linear_backward: bias has 2 elements and must have 3",
       factored_backward(m(3, 2), 2, m(4, 2), m(2, 2), head_gradient(), 3)},
      {"factored_linear_backward: dy is 4 x 3 and must be 4 x 2",
       factored_backward(m(3, 2), 3, m(4, 3), m(2, 2), head_gradient(), 3)},
      {"factored_linear_backward: dm is 3 x 2 and must be 2 x 2",
       factored_backward(m(3, 2), 3, m(4, 2), m(3, 2), head_gradient(), 3)},
      {"factored_linear_backward: gradients has 0 elements and must have 1",
       factored_backward(m(3, 2), 3, m(4, 2), m(2, 2), {}, 3)},
      {"factored_linear_backward: a head's gradient is 2 x 2 and must be 2 x 3",
       factored_backward(m(3, 2), 3, m(4, 2), m(2, 2), head_gradient(2), 3)},
      {"factored_linear_backward: a head's bias gradient has 3 elements and must have 2",
       factored_backward(m(3, 2), 3, m(4, 2), m(2, 2), head_gradient(3, 3), 3)},
      {"factored_linear_backward: dbias has 2 elements and must have 3",
       factored_backward(m(3, 2), 3, m(4, 2), m(2, 2), head_gradient(), 2)},
      {"factored_linear_weight_gradient: dm is 3 x 2 and must be 2 x 2",
       [this] { backend_.factored_linear_weight_gradient(head(), m(3, 2), m(3, 2), workspace_); }},
      {"factored_linear_update: dm is 3 x 2 and must be 2 x 2", update(m(3, 2), m(3, 2), m(3, 2))},
      {"factored_linear_update: first_moment is 2 x 2 and must be 3 x 2", update(m(2, 2), m(2, 2), m(3, 2))},
      {"factored_linear_update: second_moment is 2 x 2 and must be 3 x 2", update(m(2, 2), m(3, 2), m(2, 2))},
  };
}

std::vector<Refusal> Arguments::norms() {
  const auto norm = [this](std::int64_t rows, std::size_t scale, std::size_t shift, std::size_t mean,
                           std::size_t deviation, MatrixView y) {
    return [=, this] {
      backend_.batch_norm(m(rows, 3), v(scale), v(shift), 1e-5f, false, v(mean), v(deviation), y, workspace_);
    };
  };
  const auto backward = [this](MatrixView y, MatrixView dy, std::size_t scale, std::size_t mean,
                               std::size_t deviation, MatrixView dx, std::size_t dscale, std::size_t dshift,
                               std::int64_t rows = 4) {
    return [=, this] {
      backend_.batch_norm_backward(m(rows, 3), y, dy, v(scale), v(mean), v(deviation), true, dx, v(dscale),
                                   v(dshift), workspace_);
    };
  };
  const auto twice = [this](MatrixView dy, MatrixView g, std::size_t scale, std::size_t mean,
                            std::size_t deviation, MatrixView ddy, MatrixView dx, std::size_t dscale,
                            std::int64_t rows = 4) {
    return [=, this] {
      backend_.batch_norm_double_backward(m(rows, 3), dy, g, v(scale), v(mean), v(deviation), ddy, dx,
                                          v(dscale), workspace_);
    };
  };
  const MatrixView good = m(4, 3), bad = m(3, 4), none = m(0, 3);
  const auto cosine = [this](MatrixView e, MatrixView y) {
    return [=, this] { backend_.cosine_scale(m(4, 3), e, y); };
  };
  const auto cosine_backward = [this](MatrixView e, MatrixView dy, MatrixView dx, MatrixView de) {
    return [=, this] { backend_.cosine_scale_backward(m(4, 3), e, dy, dx, de); };
  };
  return {
      {"leaky_relu: y is 3 x 4 and must be 4 x 3", [=, this] { backend_.leaky_relu(good, 0.1f, bad); }},
      {"leaky_relu_backward: dy is 3 x 4 and must be 4 x 3",
       [=, this] { backend_.leaky_relu_backward(good, bad, 0.1f, good); }},
      {"leaky_relu_backward: dx is 3 x 4 and must be 4 x 3",
       [=, this] { backend_.leaky_relu_backward(good, good, 0.1f, bad); }},
      {"leaky_relu_backward: the slope must not be negative",
       [=, this] { backend_.leaky_relu_backward(good, good, -0.1f, good); }},
      {"batch_norm: y is 3 x 4 and must be 4 x 3", norm(4, 3, 3, 3, 3, bad)},
      {"batch_norm: scale has 2 elements and must have 3", norm(4, 2, 3, 3, 3, good)},
      {"batch_norm: shift has 2 elements and must have 3", norm(4, 3, 2, 3, 3, good)},
      {"batch_norm: mean has 2 elements and must have 3", norm(4, 3, 3, 2, 3, good)},
      {"batch_norm: inverse_deviation has 2 elements and must have 3", norm(4, 3, 3, 3, 2, good)},
      {"batch_norm: at least one row is needed", norm(0, 3, 3, 3, 3, none)},
      {"batch_norm_backward: y is 3 x 4 and must be 4 x 3", backward(bad, good, 3, 3, 3, good, 3, 3)},
      {"batch_norm_backward: dy is 3 x 4 and must be 4 x 3", backward(good, bad, 3, 3, 3, good, 3, 3)},
      {"batch_norm_backward: scale has 2 elements and must have 3",
       backward(good, good, 2, 3, 3, good, 3, 3)},
      {"batch_norm_backward: mean has 2 elements and must have 3", backward(good, good, 3, 2, 3, good, 3, 3)},
      {"batch_norm_backward: inverse_deviation has 2 elements and must have 3",
       backward(good, good, 3, 3, 2, good, 3, 3)},
      {"batch_norm_backward: dx is 3 x 4 and must be 4 x 3", backward(good, good, 3, 3, 3, bad, 3, 3)},
      {"batch_norm_backward: dscale has 2 elements and must have 3",
       backward(good, good, 3, 3, 3, good, 2, 3)},
      {"batch_norm_backward: dshift has 2 elements and must have 3",
       backward(good, good, 3, 3, 3, good, 3, 2)},
      {"batch_norm_backward: at least one row is needed", backward(none, none, 3, 3, 3, none, 3, 3, 0)},
      {"batch_norm_double_backward: dy is 3 x 4 and must be 4 x 3", twice(bad, good, 3, 3, 3, good, good, 3)},
      {"batch_norm_double_backward: g is 3 x 4 and must be 4 x 3", twice(good, bad, 3, 3, 3, good, good, 3)},
      {"batch_norm_double_backward: ddy is 3 x 4 and must be 4 x 3",
       twice(good, good, 3, 3, 3, bad, good, 3)},
      {"batch_norm_double_backward: dx is 3 x 4 and must be 4 x 3", twice(good, good, 3, 3, 3, good, bad, 3)},
      {"batch_norm_double_backward: scale has 2 elements and must have 3",
       twice(good, good, 2, 3, 3, good, good, 3)},
      {"batch_norm_double_backward: mean has 2 elements and must have 3",
       twice(good, good, 3, 2, 3, good, good, 3)},
      {"batch_norm_double_backward: inverse_deviation has 2 elements and must have 3",
       twice(good, good, 3, 3, 2, good, good, 3)},
      {"batch_norm_double_backward: dscale has 2 elements and must have 3",
       twice(good, good, 3, 3, 3, good, good, 2)},
      {"batch_norm_double_backward: at least one row is needed",
       twice(none, none, 3, 3, 3, none, none, 3, 0)},
      {"row_normalize: y is 3 x 4 and must be 4 x 3", [=, this] { backend_.row_normalize(good, bad, v(4)); }},
      {"row_normalize: inverse_norms has 3 elements and must have 4",
       [=, this] { backend_.row_normalize(good, good, v(3)); }},
      {"row_normalize_backward: inverse_norms has 3 elements and must have 4",
       [=, this] { backend_.row_normalize_backward(good, v(3), good, good); }},
      {"row_normalize_backward: dy is 3 x 4 and must be 4 x 3",
       [=, this] { backend_.row_normalize_backward(good, v(4), bad, good); }},
      {"row_normalize_backward: dx is 3 x 4 and must be 4 x 3",
       [=, this] { backend_.row_normalize_backward(good, v(4), good, bad); }},
      {"cosine_scale: e is 3 x 4 and must be 4 x 3", cosine(bad, good)},
      {"cosine_scale: y is 3 x 4 and must be 4 x 3", cosine(good, bad)},
      {"cosine_scale_backward: e is 3 x 4 and must be 4 x 3", cosine_backward(bad, good, good, good)},
      {"cosine_scale_backward: dy is 3 x 4 and must be 4 x 3", cosine_backward(good, bad, good, good)},
      {"cosine_scale_backward: dx is 3 x 4 and must be 4 x 3", cosine_backward(good, good, bad, good)},
      {"cosine_scale_backward: de is 3 x 4 and must be 4 x 3", cosine_backward(good, good, good, bad)},
  };
}

}  // namespace sea::test

using sea::test::Arguments;
using sea::test::check_refusals;

TEST_CASE("checks: steps, sampling and optimizers refuse what does not fit") {
  check_refusals(&Arguments::steps);
}

TEST_CASE("checks: dense products refuse what does not fit") {
  check_refusals(&Arguments::dense);
}

TEST_CASE("checks: activations and normalisations refuse what does not fit") {
  check_refusals(&Arguments::norms);
}
