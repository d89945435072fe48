// What a program shows: its values and gradients, to those who look from outside and to its nodes.

#include <fmt/format.h>

#include <algorithm>

#include "program/program.hpp"
#include "sea/error.hpp"

namespace sea {

MatrixView Program::view(float* data, const Tensor& tensor) const {
  const std::int64_t leading_dimension = records_[tensor.buffer].columns;
  return {data + tensor.first_row * leading_dimension + tensor.first_column, tensor.rows, tensor.columns,
          leading_dimension};
}

MatrixView Program::value(const Tensor& tensor) const {
  if (tensor.empty()) return {};
  return view(records_[tensor.buffer].data, tensor);
}

MatrixView Program::gradient_of(const Tensor& tensor) const {
  const BufferRecord& record = records_[tensor.buffer];
  if (record.kind == Kind::parameter) return view(gradients_.data() + record.offset, tensor);
  return view(records_[record.gradient].data, tensor);
}

std::vector<ParameterView> Program::parameters() const {
  std::vector<ParameterView> views;
  for (const NamedParameter& parameter : parameters_) {
    const Tensor& tensor = parameter.tensor;
    ParameterView view{parameter.name, tensor.rows, tensor.columns, nullptr, nullptr, nullptr, nullptr};
    if (parameter.fitted_group >= 0) {
      const FittedGroup& group = fitted_[parameter.fitted_group];
      view.value = group.value.data() + parameter.fitted_offset;
      view.first_moment = group.first_moment.data() + parameter.fitted_offset;
      view.second_moment = group.second_moment.data() + parameter.fitted_offset;
    } else if (records_[tensor.buffer].kind == Kind::fused) {
      const ParameterView arrays = fused(tensor);
      view.value = arrays.value;
      view.first_moment = arrays.first_moment;
      view.second_moment = arrays.second_moment;
    } else {
      const std::int64_t offset = records_[tensor.buffer].offset;
      view.value = values_.data() + offset;
      view.first_moment = first_moments_.data() + offset;
      view.second_moment = second_moments_.data() + offset;
      view.gradient = gradients_.data() + offset;
    }
    views.push_back(view);
  }
  return views;
}

const Program::FusedArrays& Program::fused_arrays(const Tensor& tensor) const {
  return *std::find_if(fused_.begin(), fused_.end(),
                       [&](const FusedArrays& candidate) { return candidate.buffer == tensor.buffer; });
}

ParameterView Program::fused(const Tensor& tensor) const {
  const FusedArrays& arrays = fused_arrays(tensor);
  return {"",
          tensor.rows,
          tensor.columns,
          arrays.value.data(),
          arrays.first_moment.data(),
          arrays.second_moment.data(),
          nullptr};
}

std::vector<float> Program::download_gradient(const std::string& name) const {
  for (const NamedParameter& parameter : parameters_) {
    if (parameter.name != name) continue;
    if (parameter.fitted_group >= 0) return {};
    const Tensor& tensor = parameter.tensor;
    if (records_[tensor.buffer].kind == Kind::parameter) {
      std::vector<float> gradient(static_cast<std::size_t>(tensor.rows * tensor.columns));
      backend_.copy_to_host(gradient.data(), gradient_of(tensor).data, gradient.size() * sizeof(float));
      return gradient;
    }
    Buffer<float> gradient(backend_, tensor.rows * tensor.columns);
    fused_arrays(tensor).materialize(gradient.matrix(tensor.rows, tensor.columns),
                                     {workspace_.data(), workspace_.bytes()});
    return gradient.download();
  }
  throw Error(fmt::format("program: there is no parameter {}", name));
}

ParameterView Program::fitted(int group) const {
  const FittedGroup& arrays = fitted_[group];
  return {
      "",     1, arrays.size, arrays.value.data(), arrays.first_moment.data(), arrays.second_moment.data(),
      nullptr};
}

MatrixView NodeRun::value(const Tensor& tensor) const {
  return program_.value(tensor);
}

VectorView NodeRun::vector(const Tensor& tensor) const {
  return {program_.value(tensor).data, static_cast<std::size_t>(tensor.rows * tensor.columns)};
}

MatrixView NodeRun::gradient(const Tensor& output) const {
  return program_.gradient_of(output);
}

MatrixView NodeRun::input_gradient(std::size_t i) const {
  const Program::GradientTarget& target = program_.targets_[node_][i];
  if (!target.wanted) return {};
  if (target.temporary >= 0) {
    const Program::BufferRecord& record = program_.records_[target.temporary];
    return {record.data, record.rows, record.columns};
  }
  return program_.gradient_of(program_.nodes_[node_].inputs[i]);
}

VectorView NodeRun::input_gradient_vector(std::size_t i) const {
  const MatrixView gradient = input_gradient(i);
  return {gradient.data, static_cast<std::size_t>(gradient.size())};
}

Workspace NodeRun::workspace() const {
  if (program_.nodes_[node_].concurrent) return program_.side_workspace();
  return {program_.workspace_.data(), program_.workspace_.bytes()};
}

Backend& NodeRun::backend() const {
  return program_.backend_;
}

}  // namespace sea
