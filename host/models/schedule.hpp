#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "program/program.hpp"

namespace sea {

/// Which step runs when, and what happens before it. Made by finish_model; a model changes what is its own.
struct Schedule {
  Step* step = nullptr;    ///< every step of an epoch, unless `choose` says otherwise
  std::int64_t steps = 0;  ///< in an epoch

  /// The first epochs run this step alone, so many of them: what they learn is where the others begin. They
  /// are not evaluated and not counted by `epochs`. The arenas that it moves do so at a learning rate and a
  /// weight decay of their own, and begin the first epoch after them with fresh moments. To all that follows
  /// that epoch is number 0.
  Step* pretraining = nullptr;
  std::int64_t pretraining_epochs = 0;
  double pretraining_learning_rate = 1e-3, pretraining_weight_decay = 0.0;

  /// Where it is there: the i-th step of an epoch.
  std::function<Step&(std::int64_t epoch, std::int64_t i)> choose = {};
  /// Where it is there, called before the first step of an epoch, and before going on in the middle of one:
  /// writes what the epoch's steps read, at fixed addresses, as a function of the epoch alone.
  std::function<void(std::int64_t epoch)> begin_epoch = {};
  /// Where it is there, called before each step.
  std::function<void(std::int64_t epoch, std::int64_t i)> before_step = {};
  /// Where it is there, called after each step.
  std::function<void(std::int64_t epoch, std::int64_t i)> after_step = {};

  /// Where it is there, called before each evaluation: brings up to date what the evaluation tape reads.
  std::function<void()> before_evaluation = {};

  /// The arenas whose learning rate in epoch t is their own times factor^(t / epochs).
  std::vector<Arena*> decaying;
  double learning_rate_factor = 1.0, learning_rate_epochs = 50.0;

  double learning_rate_share(std::int64_t epoch) const;
  bool is_pretraining(std::int64_t epoch) const { return epoch < pretraining_epochs; }
  /// Any step of an epoch, pretraining counted: all of them have its pairs and batch size.
  const Step& step_of(std::int64_t epoch) const { return is_pretraining(epoch) ? *pretraining : *step; }
  std::int64_t steps_of(std::int64_t epoch) const;
};

}  // namespace sea
