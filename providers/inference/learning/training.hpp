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
  double sampling = 1;                 ///< share of the unrewarded rows that the training rows have kept
  /// Whose first column training goes on from, with its inhibition; null to begin anew.
  const colanet::Columns* parent = nullptr;
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

/// The same with a network of one column that has learnt something before. What is kept goes `share` (0 to 1)
/// of the way from there to where training leads: the less there is to learn from, the less it should be
/// believed.
Trained train_further(const colanet::Trainer& from, double share, const Examples& training,
                      const Examples& validation, const TrainingOptions& options,
                      const std::function<bool(const Epoch&)>& on_epoch = {});

/// Log losses of the rows by what their logits say, of a network that learnt from `sampling` of the
/// unrewarded rows.
std::vector<double> losses(std::vector<double> logits, std::span<const std::uint8_t> labels, double sampling);

/// The logit of each row, uncalibrated, as the trainer's first column predicts it.
std::vector<double> logits(const colanet::Trainer& network, const Examples& examples);

}  // namespace cx::inference::learning
