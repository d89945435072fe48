#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "models/schedule.hpp"
#include "program/nodes.hpp"
#include "program/program.hpp"
#include "sea/device_csr.hpp"

namespace sea {

/// What the negatives of training pairs are drawn from: the items of any training pair, or all items.
enum class Negatives { training_items, all_items };

/// The training pairs of a data set in device memory, as the sampler reads them.
class DeviceSampling {
 public:
  DeviceSampling() = default;
  /// Users who have every item that negatives are drawn from yield no pair.
  DeviceSampling(Backend& backend, const HostCsr& train, Negatives negatives = Negatives::training_items);

  SamplingView view() const;
  /// Pairs of an epoch.
  std::int64_t pairs() const { return pair_users_.size(); }
  /// Pairs left out, see the constructor.
  std::int64_t dropped_pairs() const { return dropped_; }
  /// The same data for batches of users: of those who have a training item, and not every item.
  UserSamplingView user_view() const { return {history_.pattern(), users_.span()}; }

 private:
  DeviceCsr history_;
  Buffer<std::int32_t> pair_users_, pair_items_, candidates_, users_;
  std::int64_t dropped_ = 0;
};

/// How an epoch's batches are drawn: each training pair once (Backend::sample_batch), or full batches of
/// users (Backend::sample_user_batch), one more than the training pairs fill.
enum class Batches { pairs, users };

/// A recorded model: its program, what its program reads, and where its representations lie. Training,
/// evaluation and export know models by this alone. The score of a user and an item is the dot product of
/// their rows, where the model's description names no other.
struct Model {
  Model(Backend& backend, std::uint64_t seed) : program(backend, seed) {}

  // The program's nodes refer to these: they are declared before it, and so outlive it.
  std::vector<Buffer<float>> features;
  std::deque<DeviceCsr> graphs;
  DeviceSampling sampling;
  DeviceSampling item_sampling;  ///< batches of items, where a pretraining goes over them
  Program program;
  Arena* main = nullptr;       ///< the model's optimizer
  Tape* training = nullptr;    ///< what a step differentiates
  Tape* evaluation = nullptr;  ///< computes the representations from the present parameters, and nothing else
  Schedule schedule;
  Tensor users, items;  ///< representations, equally wide; valid after `evaluate`
  /// Generic and unique parts of the items by name, valid after `evaluate`; see ModelDescription::parts.
  std::map<std::string, Tensor> parts;
  Batch batch;
  Batch item_batch;  ///< of `item_sampling`: users and positives are items
  Batches batches = Batches::pairs;
  std::int64_t epoch_pairs = 0;  ///< triples of an epoch
  /// Item graphs that are learned, as evaluation has them, after `evaluate`.
  struct LearnedItemGraph {
    std::string name;  ///< visual, textual, combined
    LearnedPattern pattern;
    Tensor values;
  };
  std::vector<LearnedItemGraph> learned_graphs;
  /// Draws of a step and intermediate values by name, for replaying and looking.
  std::map<std::string, Indices> draws;
  std::map<std::string, Tensor> values;

  /// Before the first step of an epoch, and before going on in the middle of one.
  void begin_epoch(std::int64_t epoch);
  /// The i-th training step of an epoch; the step that ran.
  Step& step(std::int64_t epoch, std::int64_t i);
  void evaluate();

 private:
  void end_pretraining();
};

}  // namespace sea
