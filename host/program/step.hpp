#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "program/tape.hpp"

namespace sea {

/// One training step: tapes in order, then the sums of the losses, and on to the next batch. Made by
/// Program::step.
class Step {
 public:
  Step(Program& program, std::string name, std::vector<Tape*> tapes, std::int64_t pairs,
       std::int64_t batch_size, std::vector<Arena*> without_gradient);
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  const std::string& name() const { return name_; }
  const std::vector<Tape*>& tapes() const { return tapes_; }
  /// The arenas that its tapes move, and those moved without a gradient.
  const std::vector<Arena*>& moves() const { return advanced_; }
  std::int64_t pairs() const { return pairs_; }
  std::int64_t batch_size() const { return batch_size_; }

  /// Runs it. From the second time on it is replayed as one captured piece of work, where the backend can do
  /// that and the environment variable SEA_CAPTURE is not 0.
  void run();
  /// The same, operator by operator.
  void run_by_parts();
  /// The end of a step whose tapes have run: updates without gradient, the sums of the losses, the next
  /// batch.
  void finish();

  /// Why capturing failed: the step then goes on operator by operator. Empty where it did not fail.
  const std::string& capture_error() const { return capture_error_; }

 private:
  void find_unwritten_terms();

  Program& program_;
  std::string name_;
  std::vector<Tape*> tapes_;
  std::int64_t pairs_, batch_size_;
  std::vector<Arena*> without_gradient_, advanced_;
  bool clears_losses_ = false;  ///< some term is written by no tape of this step
  bool capture_tried_ = false;
  std::unique_ptr<CapturedGraph> captured_;
  std::string capture_error_;

  friend class Program;
};

}  // namespace sea
