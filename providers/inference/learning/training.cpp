#include "providers/inference/learning/training.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "providers/inference/colanet/kernels.hpp"
#include "providers/inference/learning/logistic.hpp"
#include "providers/inference/learning/metrics.hpp"
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

std::vector<double> logits(const colanet::Columns& columns, std::uint32_t column, const Examples& examples) {
  std::vector<double> out(examples.size());
  std::vector<float> inputs(examples.inputs());
  colanet::Events events;
  for (std::size_t i = 0; i < out.size(); ++i) {
    examples.fill(i, inputs);
    colanet::encode(inputs, events);
    std::array<std::int64_t, 1> z{};
    colanet::read_out(events, columns, std::array{column}, z);
    out[i] = colanet::logit(z[0]);
  }
  return out;
}

Trained train(const Examples& training, const Examples& validation, const TrainingOptions& options,
              const std::function<bool(const Epoch&)>& on_epoch) {
  auto network_options = options.network;
  network_options.inputs = training.inputs();
  colanet::Trainer network(network_options, 1);
  const auto labels = training.labels();
  const auto positives = std::count(labels.begin(), labels.end(), 1);
  network.start_at(0, static_cast<double>(positives) / static_cast<double>(labels.size()));

  // What is kept is an average that forgets old epochs: by itself, an epoch remembers its last lessons best.
  auto average = network;
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
    auto p = logits(average, validation);
    for (auto& z : p) z = sigmoid(z);
    const auto loss = log_loss(p, validation.labels());
    const bool better = loss < best.loss;
    if (better) best = {average, epoch, loss};
    if (on_epoch && !on_epoch({epoch, loss, better})) break;
  }
  return best;
}

}  // namespace cx::inference::learning
