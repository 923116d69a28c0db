#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cx::inference::learning {

// How good forecasts are. Labels are 0 or 1, as many as forecasts; probabilities are in [0, 1]. A figure that
// the rows do not define (the AUC of one kind of row, anything of none) is NaN.

/// Probability that a positive row is ranked above a negative one, ties counting half: exact, O(n log n).
double auc(std::span<const double> scores, std::span<const std::uint8_t> labels);

/// Mean of -log of the probability given to what happened, natural logarithm; probabilities are kept 1e-15
/// away from 0 and 1.
double log_loss(std::span<const double> p, std::span<const std::uint8_t> labels);

/// log_loss as a share of that of always saying the rate of positive rows; below 1 is better than that.
double normalised_entropy(std::span<const double> p, std::span<const std::uint8_t> labels);

/// Expected calibration error: rows in order of p in 10 bins of the same number of rows, the mean over rows
/// of |mean p - rate of positive rows| of their bin.
double calibration_error(std::span<const double> p, std::span<const std::uint8_t> labels);

struct Measures {
  std::uint64_t rows = 0, positives = 0;
  double auc = 0, log_loss = 0, normalised_entropy = 0, calibration_error = 0;
  double ratio = 0;  ///< sum of p / number of positive rows; 1 where as much was promised as came
};

Measures measure(std::span<const double> p, std::span<const std::uint8_t> labels);

/// Why a model with these measures must not be used, a sentence each; empty where it may be: a normalised
/// entropy below 1, and a ratio in [0.9, 1.1].
std::vector<std::string> refusals(const Measures& measures);

}  // namespace cx::inference::learning
