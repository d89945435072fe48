#include "models/model.hpp"

#include <cmath>

namespace sea {

double Schedule::learning_rate_share(std::int64_t epoch) const {
  return std::pow(learning_rate_factor, static_cast<double>(epoch) / learning_rate_epochs);
}

void Model::begin_epoch(std::int64_t epoch) {
  const double share = schedule.learning_rate_share(epoch);
  for (Arena* arena : schedule.decaying) arena->set_learning_rate(arena->settings().learning_rate * share);
  if (schedule.begin_epoch) schedule.begin_epoch(epoch);
}

Step& Model::step(std::int64_t epoch, std::int64_t i) {
  if (schedule.before_step) schedule.before_step(epoch, i);
  Step& step = schedule.choose ? schedule.choose(epoch, i) : *schedule.step;
  step.run();
  return step;
}

void Model::evaluate() {
  if (schedule.before_evaluation) schedule.before_evaluation();
  evaluation->draw();
  evaluation->forward();
}

}  // namespace sea
