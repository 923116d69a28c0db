#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "providers/inference/colanet/trainer.hpp"
#include "providers/inference/learning/schema.hpp"

namespace cx::inference::learning {

struct TrainingOptions {
  colanet::TrainOptions network = {};  ///< `inputs` is taken from the examples
  std::uint32_t epochs = 40;           ///< at most
  std::uint32_t patience = 5;          ///< epochs without a better loss before it stops
};

/// What an epoch came to.
struct Epoch {
  std::uint32_t number;  ///< from 1
  double loss;           ///< log loss over the validation rows
  bool best;             ///< so far
};

struct Trained {
  colanet::Trainer network;  ///< of one column, the prior: an average over epochs, as it was after the best
  std::uint32_t epochs;      ///< the best one's number; 0 where `on_epoch` stopped before there was one
  double loss;
};

/// Learns the training rows again and again, in an order that the seed shuffles each time, until the log loss
/// over the validation rows stops falling. `on_epoch` is called after each; where it returns false, training
/// stops. Both examples have rows; those to train with, of both kinds. The same arguments give the same
/// network.
Trained train(const Examples& training, const Examples& validation, const TrainingOptions& options,
              const std::function<bool(const Epoch&)>& on_epoch = {});

/// The logit of each row, uncalibrated: as the trainer predicts it, and as inference computes it from a
/// model's columns (column < columns.count).
std::vector<double> logits(const colanet::Trainer& network, const Examples& examples);
std::vector<double> logits(const colanet::Columns& columns, std::uint32_t column, const Examples& examples);

}  // namespace cx::inference::learning
