#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "providers/inference/learning/schema.hpp"

namespace cx::inference::learning {

inline double sigmoid(double logit) {
  return 1 / (1 + std::exp(-logit));
}

/// Logistic regression, p = sigmoid(bias + w . x): what a network has to be better than.
class Logistic {
 public:
  /// The exact minimum of the log loss over the rows plus l2 / 2 * |w|^2, by Newton's method (IRLS). Takes
  /// rows * active inputs^2 + inputs^3 / 3 steps about eight times. The rows need not be of both kinds.
  static Logistic fit(const Examples& examples, double l2 = 1);

  double logit(std::span<const Active> inputs) const;
  /// Of every row.
  std::vector<double> logits(const Examples& examples) const;

 private:
  std::vector<double> weights_;  // of the inputs, then the bias
};

}  // namespace cx::inference::learning
