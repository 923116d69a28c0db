#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "providers/inference/colanet/network.hpp"

namespace cx::inference::colanet {

/// Columns that own their memory, as inference reads them.
class Owned {
 public:
  /// All zero. `inputs` at most kMaxInputs.
  Owned(std::uint32_t inputs, std::uint32_t count, std::int16_t inhibition);

  Columns view() const;
  /// The numbers of a column, laid out as Column says; column_size(inputs). `index` < count.
  std::span<std::int16_t> column(std::uint32_t index);
  std::int64_t& offset(std::uint32_t index) { return offsets_[index]; }

 private:
  struct Free {
    void operator()(std::int16_t* p) const;
  };
  std::uint32_t inputs_;
  std::uint32_t count_;
  std::int16_t inhibition_;
  std::unique_ptr<std::int16_t[], Free> block_;
  std::vector<std::int64_t> offsets_;
};

struct TrainOptions {
  /// Inputs of every column; 1 to kMaxInputs.
  std::uint32_t inputs = 1;
  /// Microcolumns (1 to kMicro) and ticks (1 to 32). Others than these are for comparison.
  std::uint32_t micro = kMicro;
  std::uint32_t ticks = kTicks;
  /// What a microcolumn that fires takes from each of the others, in thresholds; 0 to 8.
  float inhibition = 0.2F;
  /// The largest step of a weight in one lesson, in thresholds; above 0. Steps shrink as lessons go by.
  float rate = 0.03F;
  /// Of the weights that columns start with.
  std::uint64_t seed = 1;
};

/// Columns that learn: network.hpp's network in floating point, potentials in thresholds.
///
/// A lesson follows a three-factor rule. Each weight moves by the product of the reward prediction error (the
/// outcome less the probability that was predicted), of how readily the microcolumn turns from silence to a
/// spike (a surrogate for the derivative of firing, largest at the threshold; times its gain) and of the
/// trace that the input's spikes leave in the potential, which leaks as the potential does. All of this is
/// local to the microcolumn; the others speak to it only by inhibition. Each weight has a step of its own
/// that shrinks with the sum of its squared moves (Adagrad).
///
/// A prediction is made with the weights rounded to what 16 bits hold and with the leak rounded as inference
/// rounds it; lessons move the unrounded weights. So the columns learn to be good as they will be used, and
/// quantised() loses nothing.
///
/// The same options and lessons give the same weights. Copies are independent; learn() is not for use by
/// several threads at once.
class Trainer {
 public:
  /// Every column predicts 0.5 for everything (if `micro` is even). std::invalid_argument if an option is
  /// outside its range.
  explicit Trainer(const TrainOptions& options, std::uint32_t columns);

  const TrainOptions& options() const { return options_; }
  std::uint32_t columns() const { return static_cast<std::uint32_t>(offsets_.size()); }
  /// Memory of the columns and of what they learn by.
  std::size_t bytes() const;

  /// The logit that a column gives these inputs (see encode(); those past options().inputs are ignored,
  /// missing ones are 0). `column` < columns().
  double predict(std::span<const float> inputs, std::uint32_t column) const;

  /// Learns one outcome, as if it had been seen `weight` times; returns the logit that predict() gave before.
  double learn(std::span<const float> inputs, std::uint32_t column, bool reward, float weight = 1.0F);

  /// Shifts a column that has not learnt yet to predict `probability`, in (0, 1). Near the truth, no lessons
  /// are spent on getting there.
  void start_at(std::uint32_t column, double probability);
  /// Adds to every logit that the column predicts.
  void shift(std::uint32_t column, double logit);
  /// Has a column that has not learnt yet go on from one that another trainer gave as quantised(). Inputs
  /// that one has and this has not are dropped; those past it are muted. `index` < from.count.
  void resume(std::uint32_t column, const Columns& from, std::uint32_t index);
  /// Has no column hear an input, until lessons say that it matters. For an input that they will not show:
  /// its weights would stay the random ones that columns start with, and say something of it all the same.
  void mute(std::uint32_t input);

  /// Moves all weights `share` (0 to 1) of their way to those of `later`, a trainer of the same shape: an
  /// average over passes wavers less than the last of them. What the columns learn by stays.
  void average(const Trainer& later, float share);

  /// The columns for inference. std::logic_error unless `ticks` is kTicks.
  Owned quantised() const;

 private:
  struct Run;
  double run(std::span<const float> inputs, std::uint32_t column, Run& run) const;
  float* row(std::vector<float>& of, std::uint32_t column, std::size_t row);
  const float* row(std::uint32_t column, std::size_t row) const;

  TrainOptions options_;
  /// Rows of kMicro a column, in Column's order: bias, gain, weights; and of each the sum of its squared
  /// moves.
  std::vector<float> numbers_, seen_;
  std::vector<float> offsets_, offsets_seen_;
};

}  // namespace cx::inference::colanet
