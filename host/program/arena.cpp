#include "program/arena.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "sea/error.hpp"

namespace sea {

InitialDraws initial_draws(std::uint64_t seed, const std::string& name) {
  // FNV-1a, 64 bits, folded to the 40 bits that a draw's counter has for its step.
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return {seed, static_cast<std::int64_t>((hash >> 40 ^ hash) & 0xFFFFFFFFFFu)};
}

Arena::Arena(Backend& backend, std::string name, const ArenaSettings& settings)
    : backend_(backend),
      name_(std::move(name)),
      settings_(settings),
      learning_rate_(settings.learning_rate),
      adam_(settings.adam),
      state_(backend, 1) {
  upload_state({0, learning_rate_});
}

std::vector<ParameterView> Arena::parameters() const {
  std::vector<ParameterView> views;
  for (const Parameter& parameter : parameters_) {
    ParameterView view = flat();
    view.name = parameter.name;
    view.rows = parameter.rows;
    view.columns = parameter.columns;
    for (float** array : {&view.value, &view.first_moment, &view.second_moment, &view.gradient}) {
      if (*array != nullptr) *array += parameter.offset;
    }
    views.push_back(view);
  }
  return views;
}

ParameterView Arena::flat() const {
  return {name_,
          1,
          size_,
          values_.data(),
          first_moments_.data(),
          second_moments_.data(),
          gradient_values_.data()};
}

void Arena::set_learning_rate(double rate) {
  if (rate == learning_rate_) return;
  OptimizerState state = download_state();
  state.learning_rate = rate;
  upload_state(state);
}

void Arena::upload_state(const OptimizerState& state) {
  state_.upload({&state, 1});
  learning_rate_ = state.learning_rate;
}

void Arena::forget_moments() {
  for (Buffer<float>* array : {&first_moments_, &second_moments_}) array->fill_zero();
  upload_state({0, learning_rate_});
}

void Arena::update() {
  if (settings_.gradients == Gradients::fused || size_ == 0) return;
  backend_.adam(values_.span(), gradient_values_.span(), first_moments_.span(), second_moments_.span(), adam_,
                state());
}

void Arena::update_without_gradient() {
  if (size_ == 0) return;
  backend_.adam(values_.span(), {}, first_moments_.span(), second_moments_.span(), adam_, state());
}

Tensor Arena::add(const std::string& name, const Tensor& tensor, const Initializer& initial) {
  parameters_.push_back({name, tensor.rows, tensor.columns, size_, tensor, initial});
  size_ += settings_.packed ? tensor.size() : (tensor.size() + 15) / 16 * 16;
  return tensor;
}

std::size_t Arena::bytes() const {
  return static_cast<std::size_t>(size_) * (settings_.gradients == Gradients::stored ? 4 : 3) * sizeof(float);
}

void Arena::allocate() {
  for (Buffer<float>* array : {&values_, &first_moments_, &second_moments_}) {
    *array = Buffer<float>(backend_, size_);
    array->fill_zero();
  }
  if (settings_.gradients == Gradients::fused) return;
  gradient_values_ = Buffer<float>(backend_, size_);
  gradient_values_.fill_zero();
}

void Arena::write_initial_values(std::uint64_t seed) {
  for (Parameter& parameter : parameters_) {
    const std::vector<float> initial =
        parameter.initial(parameter.rows, parameter.columns, initial_draws(seed, parameter.name));
    if (static_cast<std::int64_t>(initial.size()) != parameter.rows * parameter.columns) {
      throw Error(fmt::format("program: {} initial values for {}, which has {}", initial.size(),
                              parameter.name, parameter.rows * parameter.columns));
    }
    backend_.copy_to_device(values_.data() + parameter.offset, initial.data(),
                            initial.size() * sizeof(float));
    parameter.initial = {};  // it may hold the values themselves
  }
}

}  // namespace sea
