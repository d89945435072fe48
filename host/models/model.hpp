#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "program/nodes.hpp"
#include "program/program.hpp"
#include "sea/device_csr.hpp"

namespace sea {

/// The training pairs of a data set in device memory, as the sampler reads them.
class DeviceSampling {
 public:
  DeviceSampling() = default;
  /// Users who have every item that occurs in training yield no pair: no negative exists for them.
  DeviceSampling(Backend& backend, const HostCsr& train);

  SamplingView view() const;
  /// Pairs of an epoch.
  std::int64_t pairs() const { return pair_users_.size(); }
  /// Pairs left out, see the constructor.
  std::int64_t dropped_pairs() const { return dropped_; }

 private:
  DeviceCsr history_;
  Buffer<std::int32_t> pair_users_, pair_items_, candidates_;
  std::int64_t dropped_ = 0;
};

/// A recorded model: its program, what its program reads, and where its representations lie. Training,
/// evaluation and export know models by this alone: the score of a user and an item is the dot product of
/// their rows.
struct Model {
  explicit Model(Backend& backend) : program(backend) {}

  // The program's nodes refer to these: they are declared before it, and so outlive it.
  std::vector<Buffer<float>> features;
  std::vector<DeviceCsr> graphs;
  DeviceSampling sampling;
  Program program;
  Tensor users, items;  ///< representations, equally wide; valid after `program.represent()`
  Batch batch;
  /// Where it is there, called before the first step of an epoch, and before going on in the middle of one:
  /// it writes what the epoch's steps read, at fixed addresses, as a function of the epoch alone.
  std::function<void(std::int64_t epoch)> begin_epoch;
  /// Draws of a step and intermediate values by name, for replaying and looking.
  std::map<std::string, IndexView> draws;
  std::map<std::string, Tensor> values;
};

/// What a model tells about the work before its first step ("neighbours of image_feat.npy").
using Progress = std::function<void(const std::string& what)>;

}  // namespace sea
