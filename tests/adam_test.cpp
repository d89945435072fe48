#include <algorithm>
#include <cmath>
#include <span>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/same_bits.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr AdamSettings settings{0.9f, 0.999f, 1e-8f};
constexpr double learning_rate = 0.01f;

/// Algorithm 1 of Kingma and Ba in double precision.
struct Reference {
  std::vector<double> parameters, first, second;

  void step(const std::vector<float>& gradients, int t) {
    const double beta1 = settings.beta1, beta2 = settings.beta2;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const double gradient = gradients[i];
      first[i] = beta1 * first[i] + (1.0 - beta1) * gradient;
      second[i] = beta2 * second[i] + (1.0 - beta2) * gradient * gradient;
      const double m = first[i] / (1.0 - std::pow(beta1, t)), v = second[i] / (1.0 - std::pow(beta2, t));
      parameters[i] -= learning_rate * m / (std::sqrt(v) + settings.epsilon);
    }
  }
};

struct Arenas {
  Arenas(Backend& backend, std::int64_t count)
      : parameters(to_device(backend, random_values(count, 1))),
        first(backend, count),
        second(backend, count) {
    first.fill_zero();
    second.fill_zero();
  }
  Buffer<float> parameters, first, second;
};

void step(Backend& backend, const Arenas& arenas, const std::vector<float>& gradients, std::int64_t done) {
  const Buffer<float> device = to_device(backend, gradients);
  const Buffer<OptimizerState> state = to_device(backend, std::vector<OptimizerState>{{done, learning_rate}});
  backend.adam(arenas.parameters.span(), device.span(), arenas.first.span(), arenas.second.span(), settings,
               state.data());
}

/// Gradients of very different sizes, zero among them.
std::vector<float> gradients_of_step(std::int64_t count, int t) {
  std::vector<float> gradients = random_values(count, 100 + static_cast<std::uint64_t>(t));
  for (std::int64_t i = 0; i < count; ++i) {
    gradients[i] *= i % 5 == 0 ? 0.0f : std::pow(10.0f, static_cast<float>(i % 9 - 5));
  }
  return gradients;
}

}  // namespace

TEST_CASE("adam follows the algorithm over several steps") {
  for_each_backend([](Backend& backend) {
    for (const std::int64_t count : {1, 17, 1000, 40007}) {
      const Arenas arenas(backend, count);
      Reference reference{to_double(random_values(count, 1)),
                          std::vector<double>(static_cast<std::size_t>(count)),
                          std::vector<double>(static_cast<std::size_t>(count))};
      for (int t = 1; t <= 6; ++t) {
        const std::vector<float> gradients = gradients_of_step(count, t);
        const std::vector<float> before = arenas.parameters.download();
        step(backend, arenas, gradients, t - 1);
        reference.step(gradients, t);
        CHECK(relative_error(arenas.parameters.download(), reference.parameters) < 1e-6);
        CHECK(relative_error(arenas.first.download(), reference.first) < 1e-6);
        CHECK(relative_error(arenas.second.download(), reference.second) < 1e-6);
        if (t == 1) {
          // The first step is the learning rate against the gradient's sign.
          const std::vector<float> after = arenas.parameters.download();
          bool right = true;
          for (std::int64_t i = 0; i < count; ++i) {
            const double sign = gradients[i] > 0.0f ? 1.0 : gradients[i] < 0.0f ? -1.0 : 0.0;
            const double large = std::abs(gradients[i]) > 1e-4f ? 1.0 : 0.0;
            const double change = static_cast<double>(after[i]) - before[i];
            right = right && std::abs(large * (change + 0.01 * sign)) < 1e-5;
            right = right && (gradients[i] != 0.0f || change == 0.0);
          }
          CHECK(right);
        }
      }
    }
  });
}

TEST_CASE("adam: each arena alone out of line") {
  for_each_backend([](Backend& backend) {
    constexpr std::int64_t count = 1002;
    const std::vector<float> gradients = random_values(count, 2), values = random_values(count, 1);
    for (std::size_t alone = 0; alone < 4; ++alone) {
      std::vector<Buffer<float>> memory;
      std::vector<VectorView> arenas;
      for (std::size_t k = 0; k < 4; ++k) {
        std::vector<float> all(static_cast<std::size_t>(count + 1), 0.0f);
        const std::size_t first = k == alone ? 1 : 0;
        const std::vector<float>& from = k == 0 ? values : gradients;
        if (k < 2) std::copy(from.begin(), from.end(), all.begin() + static_cast<std::ptrdiff_t>(first));
        memory.push_back(to_device(backend, all));
        arenas.push_back(memory.back().span().subspan(first, count));
      }
      const Buffer<OptimizerState> state =
          to_device(backend, std::vector<OptimizerState>{{0, learning_rate}});
      backend.adam(arenas[0], arenas[1], arenas[2], arenas[3], settings, state.data());
      Reference reference{to_double(values), std::vector<double>(count), std::vector<double>(count)};
      reference.step(gradients, 1);
      std::vector<float> after = memory[0].download();
      after.erase(alone == 0 ? after.begin() : after.end() - 1);
      CHECK(relative_error(after, reference.parameters) < 1e-6);
    }
  });
}

TEST_CASE("adam takes its corrections from the number of steps finished") {
  for_each_backend([](Backend& backend) {
    const Arenas arenas(backend, 100);
    Reference reference{to_double(random_values(100, 1)), std::vector<double>(100), std::vector<double>(100)};
    const std::vector<float> gradients = random_values(100, 2);
    step(backend, arenas, gradients, 4999);
    reference.step(gradients, 5000);
    CHECK(relative_error(arenas.parameters.download(), reference.parameters) < 1e-6);
  });
}

TEST_CASE("adam gives an element the same bits wherever it lies and however many threads there are") {
  constexpr std::int64_t count = 50003;
  const std::vector<float> gradients = gradients_of_step(count, 1);
  const auto run = [&](Backend& backend) {
    const Arenas arenas(backend, count);
    for (int t = 0; t < 3; ++t) step(backend, arenas, gradients, t);
    return arenas.parameters.download();
  };
  check_same_bits(run);

  CpuBackend backend(1);
  const std::vector<float> whole = run(backend);
  const Arenas arenas(backend, count);
  for (int t = 0; t < 3; ++t) {
    const OptimizerState state{t, learning_rate};
    for (std::int64_t first = 0, size = 1; first < count; first += size, size = size * 3 + 1) {
      const auto offset = static_cast<std::size_t>(first);
      const auto length = static_cast<std::size_t>(std::min(size, count - first));
      backend.adam(arenas.parameters.span().subspan(offset, length),
                   std::span(gradients).subspan(offset, length), arenas.first.span().subspan(offset, length),
                   arenas.second.span().subspan(offset, length), settings, &state);
    }
  }
  CHECK(arenas.parameters.download() == whole);
}

TEST_CASE("adam: weight decay, coupled and decoupled, and no gradient at all") {
  for_each_backend([](Backend& backend) {
    constexpr std::int64_t count = 1003;
    for (const bool decoupled : {false, true}) {
      for (const bool with_gradient : {true, false}) {
        const AdamSettings decaying{0.9, 0.999, 1e-8, 0.3, decoupled};
        const Arenas arenas(backend, count);
        std::vector<double> p = to_double(random_values(count, 1)), m(count), v(count);
        for (int t = 1; t <= 4; ++t) {
          // A first step with a gradient: else the moments have nothing to decay from.
          const bool given = with_gradient || t == 1;
          const std::vector<float> gradients =
              given ? gradients_of_step(count, t) : std::vector<float>(count);
          const Buffer<float> device = to_device(backend, gradients);
          const Buffer<OptimizerState> state =
              to_device(backend, std::vector<OptimizerState>{{t - 1, learning_rate / t}});
          backend.adam(arenas.parameters.span(), given ? device.span() : std::span<float>(),
                       arenas.first.span(), arenas.second.span(), decaying, state.data());
          const double rate = learning_rate / t;
          for (std::int64_t i = 0; i < count; ++i) {
            if (decoupled) p[i] *= 1.0 - rate * 0.3;
            const double g = gradients[i] + (decoupled ? 0.0 : 0.3 * p[i]);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            p[i] -= rate * (m[i] / (1.0 - std::pow(0.9, t))) /
                    (std::sqrt(v[i] / (1.0 - std::pow(0.999, t))) + 1e-8);
          }
          CHECK(relative_error(arenas.parameters.download(), p) < 1e-6);
          CHECK(relative_error(arenas.first.download(), m) < 1e-6);
          CHECK(relative_error(arenas.second.download(), v) < 1e-6);
        }
      }
    }
  });
}

TEST_CASE("adam refuses arenas of different lengths") {
  CpuBackend backend(1);
  std::vector<float> a(3), b(4);
  const OptimizerState state;
  CHECK_THROWS_AS(backend.adam(a, b, a, a, settings, &state), Error);
  CHECK_THROWS_AS(backend.adam(a, a, b, a, settings, &state), Error);
  CHECK_THROWS_AS(backend.adam(a, a, a, b, settings, &state), Error);
}
