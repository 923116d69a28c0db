#include "providers/inference/colanet/online.hpp"

#include <cmath>
#include <doctest/doctest.h>
#include <numeric>

#include "tests/bench/market.hpp"

namespace cx::inference::colanet {
namespace {

using bench::Market;
using bench::MarketOptions;

// Small and eager to click, so that a second of learning shows.
MarketOptions small_market() {
  MarketOptions options;
  options.offers = 60;
  options.late = 6;
  options.customers = 500;
  options.candidates = 10;
  options.requests = 12'000;
  options.click_rate = 0.05;
  return options;
}

std::unique_ptr<OnlineColumns> network(std::uint32_t inputs, std::uint32_t count) {
  TrainOptions options;
  options.inputs = inputs;
  return network_columns(options, count);
}

OnlineLearner learner_of(std::uint64_t seed, std::uint32_t columns = 61) {
  OnlineOptions options;
  options.customer_inputs = Market::kCustomerInputs;
  options.click_rate = 0.05;
  options.half_own = 500;  // for runs as short as these
  options.seed = seed;
  return OnlineLearner(network(Market::kCustomerInputs + Market::kOfferInputs, columns), options);
}

std::vector<Candidate> candidates_of(const Market& market, const Market::Request& request) {
  std::vector<Candidate> out;
  for (const auto offer : request.candidates)
    out.push_back({market.offer_id(offer), market.offer_inputs(offer)});
  return out;
}

/// The next decision of a learner, and its lesson.
Decision step(const Market& market, std::uint64_t number, OnlineLearner& learner) {
  const auto request = market.request(number);
  const auto candidates = candidates_of(market, request);
  auto decision = learner.decide(request.inputs, candidates);
  learner.learn(request.inputs, candidates[decision.chosen],
                market.clicks(request, request.candidates[decision.chosen]));
  return decision;
}

/// Columns that say what they are told, and learn nothing.
class Fixed final : public OnlineColumns {
 public:
  Fixed(double prior, double own, std::uint32_t count) : prior_(prior), own_(own), count_(count) {}
  std::uint32_t inputs() const override { return 3; }
  std::uint32_t count() const override { return count_; }
  double predict(std::span<const float>, std::uint32_t column) const override {
    return column == 0 ? prior_ : own_;
  }
  double learn(std::span<const float> inputs, std::uint32_t column, bool) override {
    return predict(inputs, column);
  }
  void start_at(std::uint32_t, double) override {}
  std::size_t bytes() const override { return 0; }

 private:
  double prior_, own_;
  std::uint32_t count_;
};

OnlineLearner fixed(double prior, double own, std::uint32_t count) {
  OnlineOptions options;
  options.customer_inputs = 2;
  options.half_own = 10;
  return OnlineLearner(std::make_unique<Fixed>(prior, own, count), options);
}

}  // namespace

TEST_CASE("a learner that starts from nothing is clicked far more than chance") {
  const Market market(small_market());
  auto learner = learner_of(1);
  double chosen = 0, chance = 0;
  for (std::uint64_t number = 0; number < market.options().requests; ++number) {
    const auto request = market.request(number);
    for (const auto offer : request.candidates)
      chance += market.truth(request, offer) / static_cast<double>(request.candidates.size());
    chosen += market.truth(request, request.candidates[step(market, number, learner).chosen]);
  }
  CHECK(chosen > 1.25 * chance);
}

TEST_CASE("propensities add up to 1 and none is below epsilon's share") {
  const Market market(small_market());
  auto learner = learner_of(1);
  for (std::uint64_t number = 0; number < 1000; ++number) {
    const auto decision = step(market, number, learner);
    REQUIRE(decision.propensities.size() == 10);
    REQUIRE(decision.chosen < 10);
    const auto sum = std::accumulate(decision.propensities.begin(), decision.propensities.end(), 0.0);
    REQUIRE(sum == doctest::Approx(1));
    for (const auto propensity : decision.propensities)
      REQUIRE(propensity >= OnlineOptions().epsilon / 10 - 1e-12);
    REQUIRE(decision.probability > 0);
    REQUIRE(decision.probability < 1);
  }
}

TEST_CASE("candidates are chosen as often as their propensities say") {
  const Market market(small_market());
  auto learner = learner_of(7);
  for (std::uint64_t number = 0; number < 300; ++number) step(market, number, learner);
  const auto request = market.request(300);
  const auto candidates = candidates_of(market, request);
  constexpr int kTimes = 4000;
  std::vector<int> chosen(candidates.size());
  std::vector<double> propensities;
  for (int i = 0; i < kTimes; ++i) {
    auto decision = learner.decide(request.inputs, candidates);
    ++chosen[decision.chosen];
    propensities = std::move(decision.propensities);  // the same each time: nothing was learnt
  }
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const double p = propensities[i];
    CHECK(std::abs(chosen[i] - kTimes * p) <= 5 * std::sqrt(kTimes * p * (1 - p)) + 1);
  }
}

TEST_CASE("the same seed and outcomes give the same decisions, another seed others") {
  const Market market(small_market());
  auto one = learner_of(1), same = learner_of(1), other = learner_of(2);
  int differ = 0;
  for (std::uint64_t number = 0; number < 1000; ++number) {
    const auto decision = step(market, number, one), again = step(market, number, same);
    REQUIRE(decision.chosen == again.chosen);
    REQUIRE(decision.probability == again.probability);
    REQUIRE(decision.propensities == again.propensities);
    differ += step(market, number, other).chosen != decision.chosen ? 1 : 0;
  }
  CHECK(differ > 0);
}

TEST_CASE("an unknown offer is judged by the prior, a known one more and more by its own column") {
  auto learner = fixed(-3, -1, 3);
  const std::vector<float> customer = {1, 0}, inputs = {0.5};
  const Candidate known{"known", inputs}, unknown{"unknown", inputs};
  const double prior = 1 / (1 + std::exp(3.0));
  CHECK(learner.probability(customer, known) == doctest::Approx(prior));
  double last = 0;
  for (int i = 0; i < 20; ++i) {
    learner.learn(customer, known, i % 5 == 0);
    const double ratio = learner.probability(customer, known) / learner.probability(customer, unknown);
    CHECK(ratio > last);
    last = ratio;
  }
  CHECK(last > 2);
  CHECK(learner.shown("known") == 20);
  CHECK(learner.shown("unknown") == 0);
}

TEST_CASE("offers past the last column stay with the prior") {
  auto learner = fixed(-3, -1, 2);
  const std::vector<float> customer = {1, 0}, inputs = {0.5};
  const Candidate first{"first", inputs}, second{"second", inputs}, third{"third", inputs};
  for (int i = 0; i < 20; ++i) {
    learner.learn(customer, first, false);
    learner.learn(customer, second, false);
  }
  CHECK(learner.shown("first") == 20);
  CHECK(learner.shown("second") == 0);
  CHECK(learner.probability(customer, second) == learner.probability(customer, third));
  CHECK(learner.probability(customer, first) > learner.probability(customer, second));
}

TEST_CASE("wrong numbers of inputs and no candidates do no harm") {
  auto learner = learner_of(1, 2);
  const std::vector<float> none, many(1000, 1.0F), odd = {NAN, INFINITY, -1};
  CHECK(learner.decide(none, {}).propensities.empty());
  for (const auto& customer : {none, many, odd}) {
    for (const auto& inputs : {none, many, odd}) {
      const Candidate candidate{"offer", inputs};
      const auto decision = learner.decide(customer, std::span(&candidate, 1));
      CHECK(decision.propensities == std::vector<double>{1.0});
      learner.learn(customer, candidate, true);
      CHECK(std::isfinite(learner.probability(customer, candidate)));
    }
  }
}

}  // namespace cx::inference::colanet
