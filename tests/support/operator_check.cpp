#include "support/operator_check.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "sea/error.hpp"

namespace sea::test {

namespace {

/// How the n-th matrix of a call lies, which has so many columns.
using Layouts = std::function<Layout(std::size_t n, std::int64_t columns)>;

std::vector<std::vector<float>> values_of(const Operator& described) {
  std::vector<std::vector<float>> values;
  for (const Operand& input : described.inputs) {
    values.push_back(input.values.empty() ? random_values(input.rows * input.columns, values.size() + 1)
                                          : input.values);
  }
  return values;
}

Values in_double(const std::vector<std::vector<float>>& values) {
  Values doubles;
  for (const std::vector<float>& of_one : values) doubles.push_back(to_double(of_one));
  return doubles;
}

/// One call of an operator on values in a backend's memory.
std::vector<std::vector<float>> call(Backend& backend, const Operator& described,
                                     const std::vector<std::vector<float>>& values, const Layouts& layouts) {
  std::vector<std::unique_ptr<StridedMatrix>> matrices;
  Views in, out;
  const auto layout_of = [&](const Operand& operand) {
    Layout layout = layouts(matrices.size(), operand.columns);
    return operand.dense ? Layout{0, operand.rows == 1 ? layout.margin : 0} : layout;
  };
  for (const Operand& input : described.inputs) {
    matrices.push_back(std::make_unique<StridedMatrix>(backend, values[in.size()], input.rows, input.columns,
                                                       layout_of(input)));
    in.push_back(matrices.back()->view());
  }
  for (const Operand& output : described.outputs) {
    matrices.push_back(
        std::make_unique<StridedMatrix>(backend, output.rows, output.columns, layout_of(output)));
    out.push_back(matrices.back()->view());
  }
  described.run(backend, in, out);
  std::vector<std::vector<float>> outputs;
  for (std::size_t n = in.size(); n < matrices.size(); ++n) outputs.push_back(matrices[n]->values());
  return outputs;
}

Layout without_gaps(std::size_t, std::int64_t) {
  return {0, 0};
}
/// Rows that begin at 16 bytes, each matrix with a gap of its own.
Layout in_packs(std::size_t n, std::int64_t columns) {
  return {(4 - columns % 4) % 4 + 4 * static_cast<std::int64_t>(n), 0};
}
Layout out_of_line(std::size_t n, std::int64_t) {
  return {1 + 2 * static_cast<std::int64_t>(n), 1};
}

/// Those, and packs but for one matrix, whose rows or whose beginning is out of line.
std::vector<Layouts> all_layouts(std::size_t matrices) {
  std::vector<Layouts> all = {without_gaps, in_packs, out_of_line};
  for (std::size_t alone = 0; alone < matrices; ++alone) {
    all.push_back([=](std::size_t n, std::int64_t columns) {
      const Layout packs = in_packs(n, columns);
      return n == alone ? Layout{packs.gap + 1, 0} : packs;
    });
    all.push_back([=](std::size_t n, std::int64_t columns) {
      const Layout packs = in_packs(n, columns);
      return n == alone ? Layout{packs.gap + 2, 2} : packs;
    });
  }
  return all;
}

void check_values(const Operator& described, const std::vector<std::vector<float>>& outputs,
                  const Values& expected) {
  REQUIRE(outputs.size() == expected.size());
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    INFO("output " << k);
    CHECK(relative_error(outputs[k], expected[k], described.floor) < described.tolerance);
  }
}

bool same_nan(const std::vector<float>& output, const std::vector<double>& expected) {
  for (std::size_t i = 0; i < output.size(); ++i) {
    if (std::isnan(output[i]) != std::isnan(expected[i])) return false;
  }
  return true;
}

/// The inputs with one that is no number, and what comes of it.
struct NanCase {
  std::vector<std::vector<float>> values;
  Values expected;
};

std::vector<NanCase> nan_cases(const Operator& described) {
  std::vector<NanCase> cases;
  if (described.nan == NanCheck::none) return cases;
  for (std::size_t input = 0; input < described.inputs.size(); ++input) {
    NanCase one{values_of(described), {}};
    one.values[input][one.values[input].size() / 3] = std::numeric_limits<float>::quiet_NaN();
    if (described.nan == NanCheck::as_reference) one.expected = described.reference(in_double(one.values));
    cases.push_back(std::move(one));
  }
  return cases;
}

void check_nan(Backend& backend, const Operator& described, const NanCase& one, const Layouts& layout) {
  const std::vector<std::vector<float>> outputs = call(backend, described, one.values, layout);
  if (described.nan == NanCheck::first_output) {
    CHECK(std::isnan(outputs[0][0]));
    return;
  }
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    INFO("output " << k);
    CHECK(same_nan(outputs[k], one.expected[k]));
  }
}

/// Of the reference itself.
Values expected_values(const Operator& described) {
  const Values values = in_double(values_of(described)), expected = described.reference(values);
  if (described.differences == nullptr) return expected;
  const Values differences = described.differences(values);
  for (std::size_t k = 0; k < expected.size(); ++k) {
    double apart = 0.0, norm = 0.0;
    for (std::size_t i = 0; i < expected[k].size(); ++i) {
      apart += std::pow(expected[k][i] - differences[k][i], 2);
      norm += std::pow(expected[k][i], 2);
    }
    INFO("the reference, output " << k);
    REQUIRE(std::sqrt(apart) < 1e-6 * std::max(std::sqrt(norm), described.floor));
  }
  return expected;
}

Operator with_gradients(Operator described, const std::vector<std::size_t>& wanted,
                        const Reference& differences, const Reference& closed_form) {
  for (const std::size_t input : wanted) {
    described.outputs.push_back(described.inputs[input]);
    described.outputs.back().values.clear();
  }
  described.reference = closed_form == nullptr ? differences : closed_form;
  described.differences = closed_form == nullptr ? nullptr : differences;
  return described;
}

void on_backends(const Operator& described, const std::function<void(Backend&)>& body) {
  (described.products ? for_each_precision : for_each_backend)(body);
}

}  // namespace

std::vector<std::vector<float>> run_operator(Backend& backend, const Operator& described) {
  return call(backend, described, values_of(described), without_gaps);
}

void check_operator(const Operator& described) {
  const std::vector<std::vector<float>> values = values_of(described);
  const Values expected = expected_values(described);
  const std::vector<NanCase> with_nan = nan_cases(described);
  const std::vector<Layouts> all = all_layouts(described.inputs.size() + described.outputs.size());
  on_backends(described, [&](Backend& backend) {
    for (std::size_t number = 0; number < all.size(); ++number) {
      INFO("layout " << number);
      check_values(described, call(backend, described, values, all[number]), expected);
    }
    for (std::size_t input = 0; input < with_nan.size(); ++input) {
      INFO("input " << input << " has an element that is no number");
      check_nan(backend, described, with_nan[input], in_packs);
      check_nan(backend, described, with_nan[input], out_of_line);
    }
  });
}

void check_outputs(const Operator& described) {
  const std::vector<std::vector<float>> values = values_of(described);
  const Values expected = expected_values(described);
  on_backends(described, [&](Backend& backend) {
    check_values(described, call(backend, described, values, in_packs), expected);
    check_values(described, call(backend, described, values, out_of_line), expected);
  });
}

void check_refuses(const Operator& described, const std::vector<std::size_t>& free) {
  on_backends(described, [&](Backend& backend) {
    const std::size_t inputs = described.inputs.size(), matrices = inputs + described.outputs.size();
    for (std::size_t changed = 0; changed < matrices; ++changed) {
      if (std::find(free.begin(), free.end(), changed) != free.end()) continue;
      for (const bool row : {true, false}) {
        Operator wrong = described;
        Operand& operand = changed < inputs ? wrong.inputs[changed] : wrong.outputs[changed - inputs];
        if (operand.dense && row) continue;
        (row ? operand.rows : operand.columns) += 1;
        operand.values.clear();
        INFO("matrix " << changed << (row ? ", a row more" : ", a column more"));
        CHECK_THROWS_AS(run_operator(backend, wrong), Error);
      }
    }
  });
}

void check_in_place(const Operator& described, const std::vector<std::size_t>& inputs) {
  const std::vector<std::vector<float>> values = values_of(described);
  on_backends(described, [&](Backend& backend) {
    for (const Layouts& layout : {Layouts(in_packs), Layouts(out_of_line)}) {
      const std::vector<float> expected = call(backend, described, values, layout)[0];
      for (const std::size_t taken : inputs) {
        INFO("in place of input " << taken);
        Operator in_place = described;
        in_place.outputs.clear();
        std::vector<float> result;
        in_place.run = [&](Backend& on, const Views& in, const Views&) {
          described.run(on, in, {in[taken]});
          // The rows are read back through the view, since the call ends with them.
          const Operand& operand = described.inputs[taken];
          std::vector<float> row(static_cast<std::size_t>(operand.columns));
          for (std::int64_t i = 0; i < operand.rows; ++i) {
            on.copy_to_host(row.data(), in[taken].row(i), row.size() * sizeof(float));
            result.insert(result.end(), row.begin(), row.end());
          }
        };
        call(backend, in_place, values, layout);
        CHECK(result == expected);
      }
    }
  });
}

Operator elementwise(std::int64_t rows, std::int64_t columns, std::size_t inputs, const Run& run,
                     const std::function<double(const std::vector<double>&)>& function) {
  Operator described;
  described.inputs.assign(inputs, {rows, columns});
  described.outputs = {{rows, columns}};
  described.run = run;
  described.reference = [function](const Values& in) {
    std::vector<double> y, at(in.size());
    for (std::size_t i = 0; i < in[0].size(); ++i) {
      for (std::size_t k = 0; k < in.size(); ++k) at[k] = in[k][i];
      y.push_back(function(at));
    }
    return Values{y};
  };
  described.tolerance = 1e-7;
  return described;
}

void check_threads(const Operator& described) {
  const std::vector<std::vector<float>> values = values_of(described);
  check_same_bits([&](Backend& backend) { return call(backend, described, values, out_of_line); });
}

Operator gradient_of(const Operator& forward, const std::vector<std::size_t>& wanted, const Run& run,
                     const Reference& closed_form) {
  const std::size_t inputs = forward.inputs.size();
  const Reference differences = [forward, wanted, inputs](const Values& in) {
    Values gradients;
    for (const std::size_t input : wanted) {
      const auto loss = [&](const std::vector<double>& at) {
        Values moved(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(inputs));
        moved[input] = at;
        const Values outputs = forward.reference(moved);
        double sum = 0.0;
        for (std::size_t k = 0; k < outputs.size(); ++k) {
          for (std::size_t i = 0; i < outputs[k].size(); ++i) sum += outputs[k][i] * in[inputs + k][i];
        }
        return sum;
      };
      gradients.push_back(central_differences(loss, in[input]));
    }
    return gradients;
  };
  Operator backward = forward;
  for (const Operand& output : forward.outputs)
    backward.inputs.push_back({output.rows, output.columns, {}, output.dense});
  backward.outputs.clear();
  backward.run = run;
  // Differences of what is no number say nothing.
  if (closed_form == nullptr) backward.nan = NanCheck::none;
  return with_gradients(backward, wanted, differences, closed_form);
}

Operator loss_of(const std::vector<Operand>& inputs, const std::vector<std::size_t>& wanted, double weight,
                 const std::function<double(const Values&)>& loss, const Run& run,
                 const Reference& closed_form) {
  const Reference differences = [=](const Values& in) {
    Values results{{loss(in)}};
    for (const std::size_t input : wanted) {
      const auto weighted = [&](const std::vector<double>& at) {
        Values moved = in;
        moved[input] = at;
        return weight * loss(moved);
      };
      results.push_back(central_differences(weighted, in[input]));
    }
    return results;
  };
  Operator described;
  described.inputs = inputs;
  described.outputs = {{1, 1, {}, true}};
  described.run = run;
  if (closed_form == nullptr) described.nan = NanCheck::first_output;
  return with_gradients(described, wanted, differences, closed_form);
}

std::vector<float> nan_behind(std::vector<float> values, std::int64_t columns, std::int64_t count) {
  std::fill(values.begin() + count * columns, values.end(), std::numeric_limits<float>::quiet_NaN());
  return values;
}

}  // namespace sea::test
