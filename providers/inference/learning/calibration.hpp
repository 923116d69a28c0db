#pragma once

#include <cstdint>
#include <span>

#include "providers/inference/colanet/model.hpp"
#include "runtime/error.hpp"

namespace cx::inference::learning {

/// The scaling that fits logits to what happened (Platt, 1999): Newton's method on the log loss, the targets
/// being (positives + 1) / (positives + 2) and 1 / (negatives + 2) as if one of each had been seen before, so
/// that no small or separable sample gives certainty. `labels` are 0 or 1, as many as logits. `sampling` is
/// the share of the unrewarded rows that the logits' own sample kept, in (0, 1]; it goes into the calibration
/// as it is. Errors: rows of one kind only; logits that are not finite; logits that say the opposite of what
/// happened (a <= 0), which no calibration should hide.
Result<colanet::Calibration> platt(std::span<const double> logits, std::span<const std::uint8_t> labels,
                                   double sampling = 1);

/// A calibration fitted to logits, of all rows, of a network that learnt from `sampling` of the unrewarded
/// ones: the same probabilities, and says so.
colanet::Calibration sampled(colanet::Calibration calibration, double sampling);

}  // namespace cx::inference::learning
