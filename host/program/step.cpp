#include "program/step.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "program/program.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

bool capture_wanted() {
  const char* const wanted = std::getenv("SEA_CAPTURE");
  return wanted == nullptr || std::string_view(wanted) != "0";
}

}  // namespace

Step::Step(Program& program, std::string name, std::vector<Tape*> tapes, std::int64_t pairs,
           std::int64_t batch_size, std::vector<Arena*> without_gradient)
    : program_(program),
      name_(std::move(name)),
      tapes_(std::move(tapes)),
      pairs_(pairs),
      batch_size_(batch_size),
      without_gradient_(std::move(without_gradient)),
      advanced_(without_gradient_) {
  for (const Tape* tape : tapes_) {
    for (Arena* arena : tape->moves()) {
      if (std::find(advanced_.begin(), advanced_.end(), arena) != advanced_.end())
        throw Error("program: the step " + name_ + " updates the arena " + arena->name() + " twice");
      advanced_.push_back(arena);
    }
  }
}

void Step::find_unwritten_terms() {
  std::vector<bool> written(program_.losses_.names().size());
  written.back() = true;  // the total
  for (const Tape* tape : tapes_) {
    for (const int term : tape->terms_) written[static_cast<std::size_t>(term)] = true;
  }
  clears_losses_ = std::find(written.begin(), written.end(), false) != written.end();
}

void Step::run_by_parts() {
  if (clears_losses_) program_.losses_.clear();
  for (Tape* tape : tapes_) {
    if (tape != tapes_.front()) program_.backend_.join();  // tapes share memory
    tape->draw();
    tape->forward();
    tape->backward();
    tape->update();
  }
  finish();
}

void Step::finish() {
  program_.backend_.join();
  for (Arena* arena : without_gradient_) arena->update_without_gradient();
  // Neither needs the other: a captured step has them side by side.
  Backend& backend = program_.backend_;
  backend.fork();
  const Stream beside = !tapes_.empty() && tapes_.front()->has_streams_ ? Stream::beside : Stream::main;
  backend.on_stream(beside, [&] { program_.losses_.accumulate(backend); });
  std::vector<OptimizerState*> optimizers;
  for (const Arena* arena : advanced_) optimizers.push_back(arena->state());
  backend.advance_step(program_.step_state_.data(), pairs_, batch_size_, optimizers);
  backend.join();
}

void Step::run() {
  if (program_.observer_) return run_by_parts();
  if (captured_ != nullptr) return captured_->replay();
  run_by_parts();
  // After the first step, so that what a backend sets up once is not part of it.
  if (std::exchange(capture_tried_, true) || !capture_wanted()) return;
  try {
    captured_ = program_.backend_.capture([this] { run_by_parts(); });
  } catch (const Error& error) {
    capture_error_ = error.what();
  }
}

}  // namespace sea
