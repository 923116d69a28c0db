#include "providers/inference/colanet/online.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cx::inference::colanet {
namespace {

constexpr double kCalibrationRate = 0.02;

double sigmoid(double logit) {
  return 1 / (1 + std::exp(-logit));
}

class NetworkColumns final : public OnlineColumns {
 public:
  NetworkColumns(const TrainOptions& options, std::uint32_t count) : trainer_(options, count) {}

  std::uint32_t inputs() const override { return trainer_.options().inputs; }
  std::uint32_t count() const override { return trainer_.columns(); }
  double predict(std::span<const float> inputs, std::uint32_t column) const override {
    return trainer_.predict(inputs, column);
  }
  double learn(std::span<const float> inputs, std::uint32_t column, bool clicked) override {
    return trainer_.learn(inputs, column, clicked);
  }
  void start_at(std::uint32_t column, double probability) override { trainer_.start_at(column, probability); }
  std::size_t bytes() const override { return trainer_.bytes(); }

 private:
  Trainer trainer_;
};

}  // namespace

std::unique_ptr<OnlineColumns> network_columns(const TrainOptions& options, std::uint32_t count) {
  return std::make_unique<NetworkColumns>(options, count);
}

OnlineLearner::OnlineLearner(std::unique_ptr<OnlineColumns> columns, const OnlineOptions& options)
    : columns_(std::move(columns)),
      options_(options),
      level_(std::log(options.click_rate / (1 - options.click_rate))),
      random_(options.seed),
      whole_(columns_->inputs()),
      customer_(columns_->inputs()) {
  columns_->start_at(0, options.click_rate);
}

const OnlineLearner::Own* OnlineLearner::own(std::string_view offer) const {
  const auto found = own_.find(offer);
  return found == own_.end() ? nullptr : &found->second;
}

double OnlineLearner::share(const Own* own) const {
  if (!own) return 0;
  const auto shown = static_cast<double>(own->shown);
  return shown / (shown + options_.half_own);
}

void OnlineLearner::set_customer(std::span<const float> customer) const {
  customer = customer.first(std::min<std::size_t>(customer.size(), options_.customer_inputs));
  for (auto* inputs : {&whole_, &customer_}) {
    const auto end = std::copy(customer.begin(), customer.end(), inputs->begin());
    std::fill(end, inputs->begin() + options_.customer_inputs, 0.0F);
  }
}

void OnlineLearner::set_offer(std::span<const float> offer) const {
  offer = offer.first(std::min(offer.size(), whole_.size() - options_.customer_inputs));
  const auto end = std::copy(offer.begin(), offer.end(), whole_.begin() + options_.customer_inputs);
  std::fill(end, whole_.end(), 0.0F);
}

double OnlineLearner::blended(const Own* own) const {
  const double prior = columns_->predict(whole_, 0);
  if (!own) return prior;
  return prior + share(own) * (columns_->predict(customer_, own->column) - prior);
}

double OnlineLearner::calibrated(double logit) const {
  return level_ + slope_ * (logit - level_) + shift_;
}

double OnlineLearner::probability(std::span<const float> customer, const Candidate& candidate) const {
  set_customer(customer);
  set_offer(candidate.inputs);
  return sigmoid(calibrated(blended(own(candidate.offer))));
}

Decision OnlineLearner::decide(std::span<const float> customer, std::span<const Candidate> candidates) {
  Decision decision;
  if (candidates.empty()) return decision;
  set_customer(customer);
  std::vector<double> logits;
  logits.reserve(candidates.size());
  auto& propensities = decision.propensities;
  for (const auto& candidate : candidates) {
    const auto* found = own(candidate.offer);
    set_offer(candidate.inputs);
    logits.push_back(calibrated(blended(found)));
    const auto shown = found ? static_cast<double>(found->shown) : 0.0;
    propensities.push_back(logits.back() + options_.curiosity / std::sqrt(1 + shown));
  }

  // A softmax, relative to the best so that nothing overflows, mixed with the uniform distribution.
  const double best = *std::max_element(propensities.begin(), propensities.end());
  double sum = 0;
  for (auto& value : propensities) sum += value = std::exp((value - best) / options_.temperature);
  const double floor = options_.epsilon / static_cast<double>(candidates.size());
  for (auto& value : propensities) value = floor + (1 - options_.epsilon) * value / sum;

  double drawn = random_.uniform();
  while (decision.chosen + 1 < candidates.size() && drawn >= propensities[decision.chosen])
    drawn -= propensities[decision.chosen++];
  decision.probability = sigmoid(logits[decision.chosen]);
  return decision;
}

void OnlineLearner::learn(std::span<const float> customer, const Candidate& shown, bool clicked) {
  set_customer(customer);
  set_offer(shown.inputs);
  auto found = own_.find(shown.offer);
  if (found == own_.end() && own_.size() + 1 < columns_->count()) {
    found = own_.emplace(shown.offer, Own{static_cast<std::uint32_t>(own_.size() + 1), 0}).first;
    columns_->start_at(found->second.column, sigmoid(calibrated(columns_->predict(whole_, 0))));
  }
  double logit = columns_->learn(whole_, 0, clicked);
  if (found != own_.end()) {
    const double weight = share(&found->second);
    logit += weight * (columns_->learn(customer_, found->second.column, clicked) - logit);
    ++found->second.shown;
  }
  const double error = (clicked ? 1.0 : 0.0) - sigmoid(calibrated(logit));
  const double by_slope = error * (logit - level_);
  slope_ += kCalibrationRate * by_slope / std::sqrt(slope_seen_ += by_slope * by_slope);
  shift_ += kCalibrationRate * error / std::sqrt(shift_seen_ += error * error);
  slope_ = std::clamp(slope_, 0.1, 10.0);
}

std::uint64_t OnlineLearner::shown(std::string_view offer) const {
  const auto* found = own(offer);
  return found ? found->shown : 0;
}

std::size_t OnlineLearner::bytes() const {
  std::size_t total = columns_->bytes() + (whole_.size() + customer_.size()) * sizeof(float);
  for (const auto& [offer, own] : own_) total += sizeof(std::pair<const std::string, Own>) + offer.capacity();
  return total;
}

}  // namespace cx::inference::colanet
