#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "providers/inference/colanet/trainer.hpp"
#include "runtime/random.hpp"

/// Learning which offer to show from nothing but what was shown and clicked.
namespace cx::inference::colanet {

/// Columns that learn from one outcome at a time. All see inputs of the same number, in [0, 1].
class OnlineColumns {
 public:
  virtual ~OnlineColumns() = default;
  virtual std::uint32_t inputs() const = 0;
  virtual std::uint32_t count() const = 0;
  /// The logit of a click. `column` < count().
  virtual double predict(std::span<const float> inputs, std::uint32_t column) const = 0;
  /// Learns an outcome; returns the logit that predict() would have given before.
  virtual double learn(std::span<const float> inputs, std::uint32_t column, bool clicked) = 0;
  /// Shifts a column that has not learnt yet to predict `probability`, in (0, 1).
  virtual void start_at(std::uint32_t column, double probability) = 0;
  /// Memory of all columns with what they learn by.
  virtual std::size_t bytes() const = 0;
};

/// Columns of the network.
std::unique_ptr<OnlineColumns> network_columns(const TrainOptions& options, std::uint32_t count);

struct OnlineOptions {
  /// Inputs of a customer in a situation; what the columns have beyond are inputs of an offer.
  std::uint32_t customer_inputs = 0;
  /// Clicks per showing that are expected before anything is known, in (0, 1).
  double click_rate = 0.01;
  /// An offer's own column weighs n / (n + half_own) once it was shown n times, the prior column the rest.
  double half_own = 2000;
  /// Share of decisions that are uniformly random: bounds every propensity from below.
  double epsilon = 0.02;
  /// The other decisions draw by a softmax of the logits over this.
  double temperature = 0.05;
  /// Added to the logit of an offer shown n times: curiosity / sqrt(1 + n).
  double curiosity = 0.3;
  std::uint64_t seed = 1;
};

struct Candidate {
  std::string_view offer;
  std::span<const float> inputs;
};

struct Decision {
  std::size_t chosen = 0;            // index of the candidate
  double probability = 0;            // that it is clicked, calibrated
  std::vector<double> propensities;  // P(chosen) of each candidate; they add up to 1
};

/// Decides what to show and learns from each outcome at once. Column 0 is the prior: it sees customer and
/// offer and learns from all outcomes. The columns after it are given to offers in the order in which
/// outcomes name them first; an offer's own column sees the customer only. An offer without one, because it
/// is new or the columns are taken, is judged by the prior alone. The same calls give the same decisions. Not
/// for use by several threads at once.
class OnlineLearner {
 public:
  /// `columns` has more than options.customer_inputs inputs and at least one column.
  OnlineLearner(std::unique_ptr<OnlineColumns> columns, const OnlineOptions& options);

  /// The calibrated probability of a click. Inputs past the expected number are ignored, missing ones are 0.
  double probability(std::span<const float> customer, const Candidate& candidate) const;
  /// At least one candidate, or the decision has no propensities.
  Decision decide(std::span<const float> customer, std::span<const Candidate> candidates);
  void learn(std::span<const float> customer, const Candidate& shown, bool clicked);

  /// How often outcomes have named the offer, if it has a column.
  std::uint64_t shown(std::string_view offer) const;
  std::size_t bytes() const;

 private:
  struct Own {
    std::uint32_t column = 0;
    std::uint64_t shown = 0;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  const Own* own(std::string_view offer) const;
  double share(const Own* own) const;  // of the own column
  void set_customer(std::span<const float> customer) const;
  void set_offer(std::span<const float> offer) const;
  double blended(const Own* own) const;  // logit, before calibration
  double calibrated(double logit) const;

  std::unique_ptr<OnlineColumns> columns_;
  OnlineOptions options_;
  std::unordered_map<std::string, Own, Hash, std::equal_to<>> own_;
  /// logit = level + slope * (blended - level_) + shift; slope and shift follow the outcomes by Adagrad.
  double level_;
  double slope_ = 1, shift_ = 0;
  double slope_seen_ = 1, shift_seen_ = 1;  // sums of squared gradients
  Random random_;
  mutable std::vector<float> whole_, customer_;  // inputs of the prior, and of an own column
};

}  // namespace cx::inference::colanet
