#include <cmath>

#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

/// Of row i of two matrices: both norms, each at least 1e-8, and the cosine.
struct Angle {
  double x_norm = 0.0, e_norm = 0.0, cosine = 0.0;

  Angle(const std::vector<double>& x, const std::vector<double>& e, std::int64_t i, std::int64_t columns) {
    for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j) {
      cosine += x[j] * e[j];
      x_norm += x[j] * x[j];
      e_norm += e[j] * e[j];
    }
    for (double* norm : {&x_norm, &e_norm}) *norm = std::sqrt(*norm) < 1e-8 ? 1e-8 : std::sqrt(*norm);
    cosine /= x_norm * e_norm;
  }
};

Operator cosine_scale(std::int64_t rows, std::int64_t columns) {
  Operator described;
  described.inputs = {{rows, columns}, {rows, columns}};
  described.outputs = {{rows, columns}};
  described.run = [](Backend& backend, const Views& in, const Views& out) {
    backend.cosine_scale(in[0], in[1], out[0]);
  };
  described.reference = [=](const Values& in) {
    std::vector<double> y;
    for (std::int64_t i = 0; i < rows; ++i) {
      const Angle angle(in[0], in[1], i, columns);
      for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j) y.push_back(angle.cosine * in[0][j]);
    }
    return Values{y};
  };
  return described;
}

Operator cosine_scale_backward(std::int64_t rows, std::int64_t columns) {
  const Run run = [](Backend& backend, const Views& in, const Views& out) {
    backend.cosine_scale_backward(in[0], in[1], in[2], out[0], out[1]);
  };
  Operator described = gradient_of(cosine_scale(rows, columns), {0, 1}, run, [=](const Values& in) {
    std::vector<double> dx, de;
    for (std::int64_t i = 0; i < rows; ++i) {
      const Angle angle(in[0], in[1], i, columns);
      double along = 0.0;
      for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j) along += in[2][j] * in[0][j];
      const double across = along / (angle.x_norm * angle.e_norm), inward = along * angle.cosine;
      for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j) {
        dx.push_back(angle.cosine * in[2][j] + across * in[1][j] -
                     inward / (angle.x_norm * angle.x_norm) * in[0][j]);
        de.push_back(across * in[0][j] - inward / (angle.e_norm * angle.e_norm) * in[1][j]);
      }
    }
    return Values{dx, de};
  });
  if (rows * columns > 300) described.differences = nullptr;
  // One column: a sign does not move, and what is left is rounding.
  described.tolerance = 1e-5;
  described.floor = 0.1;
  return described;
}

}  // namespace

TEST_CASE("cosine_scale multiplies rows by their cosine to other rows") {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 33}, {41, 1}, {7, 31}, {9, 64}})
    check_operator(cosine_scale(rows, columns));
  check_outputs(cosine_scale(301, 64));
}

TEST_CASE("cosine_scale_backward equals central differences") {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 40}, {9, 2}, {6, 35}})
    check_operator(cosine_scale_backward(rows, columns));
  check_outputs(cosine_scale_backward(40, 100));
}

TEST_CASE("cosine_scale of zero and tiny rows, and their gradients") {
  for_each_backend([](Backend& backend) {
    // Zero rows on either side; a row of norm 5e-9, which is divided by 1e-8; one of norm 5e-7, which is not.
    const std::vector<float> values{0.0f, 0.0f, 3.0f, 4.0f, 3e-9f, 4e-9f, 3e-7f, 4e-7f};
    const std::vector<float> other{1.0f, 2.0f, 0.0f, 0.0f, 2.0f, 0.0f, 2.0f, 0.0f};
    const StridedMatrix x(backend, values, 4, 2), e(backend, other, 4, 2), y(backend, 4, 2);
    backend.cosine_scale(x.view(), e.view(), y.view());
    const std::vector<float> scaled = y.values();
    const std::vector<double> expected{0, 0, 0, 0, 0.3 * 3e-9, 0.3 * 4e-9, 0.6 * 3e-7, 0.6 * 4e-7};
    for (std::size_t i = 0; i < 8; ++i) CHECK(scaled[i] == Approx(expected[i]).epsilon(1e-6));

    const StridedMatrix dy(backend, std::vector<float>(8, 1.0f), 4, 2), dx(backend, 4, 2), de(backend, 4, 2);
    backend.cosine_scale_backward(x.view(), e.view(), dy.view(), dx.view(), de.view());
    const std::vector<float> to_x = dx.values(), to_e = de.values();
    for (const std::size_t i : {0, 1}) {
      CHECK(to_x[i] == 0.0f);
      CHECK(to_e[i] == 0.0f);
    }
    for (const std::size_t i : {2, 3}) {
      CHECK(to_x[i] == 0.0f);
      // s = 7; X / (5 * 1e-8), nothing taken away at the floor.
      CHECK(to_e[i] == Approx(7.0 * values[i] / 5e-8).epsilon(1e-6));
    }
    // c = 0.3, s = 7e-9: c dY + s E / (1e-8 * 2), the norm at its floor being a constant.
    CHECK(to_x[4] == Approx(0.3 + 0.7).epsilon(1e-6));
    CHECK(to_x[5] == Approx(0.3).epsilon(1e-6));
    // c = 0.6, s = 7e-7: c dY + s (E / (5e-7 * 2) - c X / 25e-14).
    CHECK(to_x[6] == Approx(0.6 + 7e-7 * (1.0 / 5e-7 - 0.6 * 3e-7 / 25e-14)).epsilon(1e-5));
    CHECK(to_x[7] == Approx(0.6 - 7e-7 * 0.6 * 4e-7 / 25e-14).epsilon(1e-5));
  });
}

TEST_CASE("cosine_scale_backward: products beyond float, and a partner below the floor") {
  Operator large = cosine_scale_backward(2, 2);
  large.inputs[0].values = {2e19f, 1e19f, 3e19f, -1e19f};
  large.inputs[1].values = {700.0f, -900.0f, 1100.0f, 400.0f};
  large.inputs[2].values = {3e19f, 1e19f, 2e19f, 2e19f};
  large.differences = nullptr;
  large.nan = NanCheck::none;
  check_operator(large);
  for_each_backend([](Backend& backend) {
    const StridedMatrix x(backend, {3.0f, 4.0f}, 1, 2), e(backend, {3e-9f, 4e-9f}, 1, 2),
        dy(backend, {1.0f, 1.0f}, 1, 2), dx(backend, 1, 2), de(backend, 1, 2);
    backend.cosine_scale_backward(x.view(), e.view(), dy.view(), dx.view(), de.view());
    // c = 0.5, s = 7: s X / (5 * 1e-8), nothing taken away at the floor.
    CHECK(de.values()[0] == Approx(7.0 * 3.0 / 5e-8).epsilon(1e-6));
    CHECK(de.values()[1] == Approx(7.0 * 4.0 / 5e-8).epsilon(1e-6));
  });
}

TEST_CASE("cosine_scale gives the same bits on any number of threads") {
  check_threads(cosine_scale(700, 65));
  check_threads(cosine_scale_backward(700, 65));
}

TEST_CASE("cosine_scale refuses shapes that do not fit") {
  check_refuses(cosine_scale(3, 2));
  check_refuses(cosine_scale_backward(3, 2));
}
