#include "providers/inference/linear.hpp"

#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <new>

#include "runtime/random.hpp"

namespace cx::inference {
namespace {

// Spread of the weights by feature range (see Features in messages), chosen so that click probabilities lie
// mostly between 0.1 % and 3 %, as display advertising sees them.
double spread(std::size_t feature) {
  if (feature < 64) return 0.20;   // interests, each in [-1, 1]
  if (feature < 128) return 0.30;  // segments, 0 or 1
  if (feature < 140) return 0.15;  // loyalty and context, each in [0, 1]
  return 0;
}

constexpr double kMeanBias = -5.5;
constexpr double kBiasSpread = 0.5;

}  // namespace

void LinearModel::Free::operator()(float* p) const {
  std::free(p);
}

LinearModel::LinearModel(std::uint64_t seed, std::uint32_t offers)
    : seed_(seed), offers_(offers), biases_(offers) {
  const auto floats = std::size_t{offers} * kFeatures;
  weights_.reset(static_cast<float*>(std::aligned_alloc(64, floats * sizeof(float))));
  if (!weights_) throw std::bad_alloc();
  Random random(seed);
  for (std::size_t i = 0; i < floats; ++i) {
    const double scale = spread(i % kFeatures);
    weights_[i] = scale == 0 ? 0.0F : static_cast<float>(scale * random.normal());
  }
  for (auto& bias : biases_) bias = static_cast<float>(kMeanBias + kBiasSpread * random.normal());
}

Result<Scores> LinearCpuProvider::predict(const Item& item) {
  Scores scores;
  scores.reserve(item.offers.size());
  for (const auto offer : item.offers) {
    if (offer >= model_->offers())
      return Error{Code::invalid_argument, "unknown-offer",
                   fmt::format("Offer row {} is not in the model's table of {}.", offer, model_->offers()),
                   ""};
    const float z = dot(model_->row(offer), item.features.data()) + model_->bias(offer);
    scores.push_back(1.0F / (1.0F + std::exp(-z)));
  }
  return scores;
}

std::vector<Result<Scores>> LinearCpuProvider::predict_batch(std::span<const Item> items) {
  std::vector<Result<Scores>> out;
  out.reserve(items.size());
  for (const auto& item : items) out.push_back(predict(item));
  return out;
}

std::string LinearCpuProvider::provider_name() const {
  return fmt::format("cpu/seeded-linear@{}", model_->seed());
}

std::optional<Error> LinearCpuProvider::warm_up() {
  Item item{};
  for (std::uint32_t offer = 0; offer < model_->offers(); ++offer) item.offers.push_back(offer);
  const auto scores = predict(item);
  return scores ? std::nullopt : std::optional(scores.error());
}

}  // namespace cx::inference
