// Click-through of offers chosen by a model that learns online, from nothing, against offers chosen at random
// for the same requests of a simulated market. Prints one JSON object a model and seed, and one a model over
// all seeds, which tests/bench/bench makes a table of.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>

#include "providers/inference/colanet/online.hpp"
#include "tests/bench/market.hpp"

namespace cx::bench {
namespace {

using inference::colanet::Candidate;
using inference::colanet::OnlineColumns;
using inference::colanet::OnlineLearner;
using inference::colanet::OnlineOptions;

/// Logistic regressions that learn by Adagrad: what a plain model makes of the same inputs. `crossed`: column
/// 0 also sees every product of an input of the customer and one of the offer, which is made for matching the
/// two.
class LogisticColumns final : public OnlineColumns {
 public:
  LogisticColumns(std::uint32_t customer, std::uint32_t offer, std::uint32_t count, bool crossed)
      : customer_(customer), offer_(offer), count_(count), crossed_(crossed) {
    const std::size_t products = crossed ? std::size_t{customer} * offer : 0;
    weights_.resize(std::size_t{count} * row() + products);
    seen_.resize(weights_.size(), kSeen);
  }

  std::uint32_t inputs() const override { return customer_ + offer_; }
  std::uint32_t count() const override { return count_; }
  double predict(std::span<const float> inputs, std::uint32_t column) const override {
    float sum = 0;
    each(inputs, column, [&](std::size_t i, float x) { sum += weights_[i] * x; });
    return sum;
  }
  double learn(std::span<const float> inputs, std::uint32_t column, bool clicked) override {
    const double logit = predict(inputs, column);
    const auto error = static_cast<float>((clicked ? 1.0 : 0.0) - 1 / (1 + std::exp(-logit)));
    each(inputs, column, [&](std::size_t i, float x) {
      const float gradient = error * x;
      seen_[i] += gradient * gradient;
      weights_[i] += kRate * gradient / std::sqrt(seen_[i]);
    });
    return logit;
  }
  void start_at(std::uint32_t column, double probability) override {
    weights_[column * row()] = static_cast<float>(std::log(probability / (1 - probability)));
  }
  std::size_t bytes() const override { return (weights_.size() + seen_.size()) * sizeof(float); }

 private:
  static constexpr float kRate = 0.05F;
  static constexpr float kSeen = 1.0F;  // as the network's

  std::size_t row() const { return 1 + std::size_t{customer_} + offer_; }

  /// Calls `use` with each weight's index and what it is multiplied with, where that is not 0.
  template <class Use>
  void each(std::span<const float> inputs, std::uint32_t column, Use use) const {
    const auto first = column * row();
    use(first, 1.0F);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i] != 0) use(first + 1 + i, inputs[i]);
    if (!crossed_ || column != 0) return;
    const auto products = std::size_t{count_} * row();
    for (std::size_t i = 0; i < customer_; ++i) {
      if (inputs[i] == 0) continue;
      for (std::size_t j = 0; j < offer_; ++j) {
        const float x = inputs[i] * inputs[customer_ + j];
        if (x != 0) use(products + i * offer_ + j, x);
      }
    }
  }

  std::uint32_t customer_, offer_, count_;
  bool crossed_;
  std::vector<float> weights_, seen_;  // of each column: the bias, the inputs'; then the products'
};

/// Showings and clicks of two policies over the same requests.
struct Pairs {
  std::uint64_t requests = 0, clicks = 0, random_clicks = 0, both = 0;

  void add(bool clicked, bool random_clicked) {
    ++requests;
    clicks += clicked ? 1 : 0;
    random_clicks += random_clicked ? 1 : 0;
    both += clicked && random_clicked ? 1 : 0;
  }
  void add(const Pairs& other) {
    requests += other.requests;
    clicks += other.clicks;
    random_clicks += other.random_clicks;
    both += other.both;
  }
  double lift() const { return ratio() - 1; }
  /// Half of the 95 % confidence interval of lift(), by the delta method on the pairs.
  double margin() const {
    const auto n = static_cast<double>(requests), r = ratio();
    const double squares = static_cast<double>(clicks) - 2 * r * static_cast<double>(both) +
                           r * r * static_cast<double>(random_clicks);
    return 1.96 * std::sqrt(squares) / n / (static_cast<double>(random_clicks) / n);
  }

 private:
  double ratio() const {
    return static_cast<double>(clicks) / static_cast<double>(std::max<std::uint64_t>(random_clicks, 1));
  }
};

struct Shown {
  std::uint64_t times = 0, clicks = 0;
  void add(bool clicked) {
    ++times;
    clicks += clicked ? 1 : 0;
  }
  void add(const Shown& other) {
    times += other.times;
    clicks += other.clicks;
  }
};

struct Run {
  Pairs all;
  std::array<Pairs, 10> tenths;
  Shown late, random_late;
  double expected = 0, random_expected = 0, best_expected = 0;  // sums of true probabilities
  double predicted = 0;
  double decide_us = 0, learn_us = 0;  // each
  std::size_t bytes = 0;
  std::uint64_t bad = 0;  // decisions whose propensities do not add up to 1

  void add(const Run& other) {
    all.add(other.all);
    for (std::size_t i = 0; i < tenths.size(); ++i) tenths[i].add(other.tenths[i]);
    late.add(other.late);
    random_late.add(other.random_late);
    expected += other.expected;
    random_expected += other.random_expected;
    best_expected += other.best_expected;
    predicted += other.predicted;
    bytes = std::max(bytes, other.bytes);
    bad += other.bad;
  }
};

using Clock = std::chrono::steady_clock;

double microseconds(Clock::duration taken) {
  return std::chrono::duration<double, std::micro>(taken).count();
}

Run run(const Market& market, OnlineLearner& learner) {
  Run out;
  Clock::duration deciding{}, learning{};
  Random uniform(market.options().seed + 1000);
  std::vector<Candidate> candidates;
  for (std::uint64_t number = 0; number < market.options().requests; ++number) {
    const auto request = market.request(number);
    candidates.clear();
    double best = 0;
    for (const auto offer : request.candidates) {
      candidates.push_back({market.offer_id(offer), market.offer_inputs(offer)});
      best = std::max(best, market.truth(request, offer));
    }
    const auto start = Clock::now();
    const auto decision = learner.decide(request.inputs, candidates);
    const auto decided = Clock::now();
    const auto offer = request.candidates[decision.chosen];
    const auto drawn =
        request.candidates[uniform.below(static_cast<std::uint32_t>(request.candidates.size()))];
    const bool clicked = market.clicks(request, offer), random_clicked = market.clicks(request, drawn);
    const auto seen = Clock::now();
    learner.learn(request.inputs, candidates[decision.chosen], clicked);
    learning += Clock::now() - seen;
    deciding += decided - start;

    out.all.add(clicked, random_clicked);
    out.tenths[number * out.tenths.size() / market.options().requests].add(clicked, random_clicked);
    if (market.late(offer)) out.late.add(clicked);
    if (market.late(drawn)) out.random_late.add(random_clicked);
    out.expected += market.truth(request, offer);
    out.random_expected += market.truth(request, drawn);
    out.best_expected += best;
    out.predicted += decision.probability;
    double sum = 0;
    for (const auto propensity : decision.propensities) sum += propensity;
    if (!(std::abs(sum - 1) < 1e-9)) ++out.bad;
  }
  out.decide_us = microseconds(deciding) / market.options().requests;
  out.learn_us = microseconds(learning) / market.options().requests;
  out.bytes = learner.bytes();
  return out;
}

double rate(const Shown& shown) {
  return static_cast<double>(shown.clicks) / static_cast<double>(std::max<std::uint64_t>(shown.times, 1));
}

void print(std::string_view model, std::string_view seed, const Run& run) {
  std::vector<double> tenths;
  for (const auto& tenth : run.tenths) tenths.push_back(tenth.lift());
  const auto requests = static_cast<double>(run.all.requests);
  fmt::print(
      R"({{"what":"lift","model":"{}","seed":"{}","requests":{},"click_rate":{:.6f},"random_click_rate":{:.6f},)"
      R"("lift":{:.4f},"margin":{:.4f},"expected_lift":{:.4f},"best_lift":{:.4f},"predicted_ratio":{:.4f},)"
      R"("late_share":{:.4f},"late_click_rate":{:.6f},"random_late_share":{:.4f},"random_late_click_rate":{:.6f},)"
      R"("tenths":[{:.4f}],"decide_us":{:.2f},"learn_us":{:.2f},"bytes":{},"bad_propensities":{}}})"
      "\n",
      model, seed, run.all.requests, static_cast<double>(run.all.clicks) / requests,
      static_cast<double>(run.all.random_clicks) / requests, run.all.lift(), run.all.margin(),
      run.expected / run.random_expected - 1, run.best_expected / run.random_expected - 1,
      run.predicted / run.expected, static_cast<double>(run.late.times) / requests, rate(run.late),
      static_cast<double>(run.random_late.times) / requests, rate(run.random_late), fmt::join(tenths, ","),
      run.decide_us, run.learn_us, run.bytes, run.bad);
}

}  // namespace
}  // namespace cx::bench

int main(int argc, char** argv) {
  using namespace cx::bench;
  using namespace cx;
  MarketOptions market_options;
  std::uint32_t seeds = 3;
  CLI::App app("Click-through of a model that learns online against random choices, in a simulated market.");
  app.add_option("--requests", market_options.requests, "requests of a run")
      ->check(CLI::Range(1000, 10'000'000));
  app.add_option("--seeds", seeds, "markets, each with a run of each model")->check(CLI::Range(1, 1000));
  app.add_option("--taste", market_options.taste, "how far apart the appeals of offers are (0.15)")
      ->check(CLI::Range(0.0, 1.0));
  CLI11_PARSE(app, argc, argv);

  for (const std::string_view model : {"colanet", "logistic", "logistic, crossed"}) {
    Run total;
    for (std::uint32_t seed = 1; seed <= seeds; ++seed) {
      market_options.seed = seed;
      const Market market(market_options);
      OnlineOptions options;
      options.customer_inputs = Market::kCustomerInputs;
      options.seed = seed;
      const auto count = 1 + market_options.offers;
      std::unique_ptr<OnlineColumns> columns;
      if (model == "colanet") {
        inference::colanet::TrainOptions train;
        train.inputs = Market::kCustomerInputs + Market::kOfferInputs;
        train.seed = seed;
        columns = inference::colanet::network_columns(train, count);
      } else {
        columns = std::make_unique<LogisticColumns>(Market::kCustomerInputs, Market::kOfferInputs, count,
                                                    model != "logistic");
      }
      OnlineLearner learner(std::move(columns), options);
      const auto one = run(market, learner);
      total.add(one);
      total.decide_us += one.decide_us / seeds;
      total.learn_us += one.learn_us / seeds;
      print(model, std::to_string(seed), one);
    }
    print(model, "all", total);
  }
}
