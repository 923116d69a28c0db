#include "providers/inference/learning/training.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/random.hpp"

namespace cx::inference::learning {
namespace {

constexpr float kNewest = 0.2F;  // share of the newest epoch in the average

}  // namespace

std::vector<double> logits(const colanet::Trainer& network, const Examples& examples) {
  std::vector<double> out(examples.size());
  std::vector<float> inputs(examples.inputs());
  for (std::size_t i = 0; i < out.size(); ++i) {
    examples.fill(i, inputs);
    out[i] = network.predict(inputs, 0);
  }
  return out;
}

std::vector<double> losses(std::vector<double> logits, std::span<const std::uint8_t> labels,
                           double sampling) {
  const double shift = std::log(sampling);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double z = logits[i] + shift;
    logits[i] = std::max(z, 0.0) - z * labels[i] + std::log1p(std::exp(-std::abs(z)));
  }
  return logits;
}

Trained train_further(const colanet::Trainer& from, double share, const Examples& training,
                      const Examples& validation, const TrainingOptions& options,
                      const std::function<bool(const Epoch&)>& on_epoch) {
  const auto labels = training.labels();
  // What is kept is an average that forgets old epochs: by itself, an epoch remembers its last lessons best.
  auto network = from, average = from;
  Trained best{network, 0, std::numeric_limits<double>::infinity()};
  std::vector<std::uint32_t> order(training.size());
  std::iota(order.begin(), order.end(), 0);
  std::vector<float> inputs(training.inputs());
  Random random(options.network.seed);
  for (std::uint32_t epoch = 1; epoch <= options.epochs && epoch - best.epochs <= options.patience; ++epoch) {
    for (auto i = static_cast<std::uint32_t>(order.size()); i > 1; --i)
      std::swap(order[i - 1], order[random.below(i)]);
    for (const auto row : order) {
      training.fill(row, inputs);
      network.learn(inputs, 0, labels[row] != 0);
    }
    average.average(network, std::max(kNewest, 1.0F / static_cast<float>(epoch)));
    auto kept = share < 1 ? from : average;
    if (share < 1) kept.average(average, static_cast<float>(share));
    const auto each = losses(logits(kept, validation), validation.labels(), options.sampling);
    const double loss = std::accumulate(each.begin(), each.end(), 0.0) / static_cast<double>(each.size());
    const bool better = loss < best.loss;
    if (better) best = {std::move(kept), epoch, loss};
    if (on_epoch && !on_epoch({epoch, loss, better})) break;
  }
  return best;
}

Trained train(const Examples& training, const Examples& validation, const TrainingOptions& options,
              const std::function<bool(const Epoch&)>& on_epoch) {
  auto network_options = options.network;
  network_options.inputs = training.inputs();
  if (const auto* parent = options.parent) {
    network_options.inhibition =
        static_cast<float>(parent->inhibition) / static_cast<float>(colanet::kThreshold);
    colanet::Trainer network(network_options, 1);
    network.resume(0, *parent, 0);
    return train_further(network, 1, training, validation, options, on_epoch);
  }
  colanet::Trainer network(network_options, 1);
  network.start_at(0, static_cast<double>(training.positives()) / static_cast<double>(training.size()));
  std::vector<bool> seen(training.inputs());
  for (std::size_t i = 0; i < training.size(); ++i)
    for (const auto& [input, x] : training.row(i)) seen[input] = true;
  for (std::uint32_t input = 0; input < training.inputs(); ++input)
    if (!seen[input]) network.mute(input);
  return train_further(network, 1, training, validation, options, on_epoch);
}

}  // namespace cx::inference::learning
