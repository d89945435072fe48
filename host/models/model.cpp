#include "models/model.hpp"

#include <algorithm>
#include <cmath>

namespace sea {

double Schedule::learning_rate_share(std::int64_t epoch) const {
  return std::pow(learning_rate_factor, static_cast<double>(epoch) / learning_rate_epochs);
}

std::int64_t Schedule::steps_of(std::int64_t epoch) const {
  if (!is_pretraining(epoch)) return steps;
  return (pretraining->pairs() + pretraining->batch_size() - 1) / pretraining->batch_size();
}

void Model::begin_epoch(std::int64_t epoch) {
  if (schedule.is_pretraining(epoch)) {
    for (Arena* arena : schedule.pretraining->moves()) {
      arena->set_learning_rate(schedule.pretraining_learning_rate);
      arena->set_weight_decay(schedule.pretraining_weight_decay);
    }
    return;
  }
  const std::int64_t own = epoch - schedule.pretraining_epochs;
  if (own == 0 && schedule.pretraining != nullptr) end_pretraining();
  const double share = schedule.learning_rate_share(own);
  for (Arena* arena : schedule.decaying) arena->set_learning_rate(arena->settings().learning_rate * share);
  if (schedule.begin_epoch) schedule.begin_epoch(own);
}

void Model::end_pretraining() {
  for (Arena* arena : schedule.pretraining->moves())
    arena->set_weight_decay(arena->settings().adam.weight_decay);
  StepState state = program.step_state().download().front();
  if (state.first != 0) return;  // the epoch is gone on with
  state.count = std::min(schedule.step->pairs(), schedule.step->batch_size());
  program.step_state().upload({&state, 1});
  for (Arena* arena : schedule.pretraining->moves()) arena->forget_moments();
}

Step& Model::step(std::int64_t epoch, std::int64_t i) {
  if (schedule.is_pretraining(epoch)) {
    schedule.pretraining->run();
    return *schedule.pretraining;
  }
  const std::int64_t own = epoch - schedule.pretraining_epochs;
  if (schedule.before_step) schedule.before_step(own, i);
  Step& step = schedule.choose ? schedule.choose(own, i) : *schedule.step;
  step.run();
  if (schedule.after_step) schedule.after_step(own, i);
  return step;
}

void Model::evaluate() {
  if (schedule.before_evaluation) schedule.before_evaluation();
  evaluation->draw();
  evaluation->forward();
}

}  // namespace sea
