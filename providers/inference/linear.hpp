#pragma once

#include <cstdint>
#include <memory>

#include "providers/inference/provider.hpp"

namespace cx::inference {

/// A logistic model, p = sigmoid(w_offer . x + b_offer), whose weights are drawn from a seed: it stands in
/// for a trained one and says so in its name. One row of kFeatures floats an offer, 64-byte aligned.
/// Immutable, shared by providers.
class LinearModel {
 public:
  LinearModel(std::uint64_t seed, std::uint32_t offers);

  std::uint32_t offers() const { return offers_; }
  std::uint64_t seed() const { return seed_; }
  const float* row(std::uint32_t offer) const { return weights_.get() + std::size_t{offer} * kFeatures; }
  float bias(std::uint32_t offer) const { return biases_[offer]; }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  std::uint64_t seed_;
  std::uint32_t offers_;
  std::unique_ptr<float[], Free> weights_;
  std::vector<float> biases_;
};

/// Sum of a[i] * b[i] over kFeatures values, by the widest vector instructions of this CPU. Both 64-byte
/// aligned or not.
float dot(const float* a, const float* b);

/// The model on this machine's CPU.
class LinearCpuProvider final : public CoLaNetProvider {
 public:
  explicit LinearCpuProvider(std::shared_ptr<const LinearModel> model) : model_(std::move(model)) {}

  Result<Scores> predict(const Item& item) override;
  std::vector<Result<Scores>> predict_batch(std::span<const Item> items) override;
  std::string provider_name() const override;
  bool supports_batching() const override { return true; }
  std::size_t max_batch_size() const override { return 32; }
  std::optional<Error> warm_up() override;

 private:
  std::shared_ptr<const LinearModel> model_;
};

}  // namespace cx::inference
