#include "providers/inference/learning/metrics.hpp"

#include <cmath>
#include <doctest/doctest.h>
#include <numeric>
#include <rapidcheck.h>

#include "providers/inference/learning/calibration.hpp"
#include "providers/inference/learning/logistic.hpp"
#include "runtime/random.hpp"

namespace cx::inference::learning {
namespace {

using Labels = std::vector<std::uint8_t>;
using Numbers = std::vector<double>;

/// Rows whose probability is sigmoid(a * logit + b), given the logits.
struct Drawn {
  Numbers logits, p;
  Labels labels;
};
Drawn drawn(int rows, double a, double b, std::uint64_t seed) {
  Random random(seed);
  Drawn out;
  for (int i = 0; i < rows; ++i) {
    out.logits.push_back(2 * random.normal() - 1);
    out.p.push_back(sigmoid(a * out.logits.back() + b));
    out.labels.push_back(random.uniform() < out.p.back() ? 1 : 0);
  }
  return out;
}

}  // namespace

TEST_CASE("the AUC is the share of pairs in the right order, ties being half") {
  rc::check("equal to its definition", [](const std::vector<std::pair<std::uint8_t, bool>>& rows) {
    Numbers scores;
    Labels labels;
    for (const auto& [score, label] : rows) {
      scores.push_back(score % 8);  // ties
      labels.push_back(label ? 1 : 0);
    }
    double won = 0, pairs = 0;
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < rows.size(); ++j)
        if (labels[i] == 1 && labels[j] == 0) {
          pairs += 1;
          won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
        }
    const auto found = auc(scores, labels);
    if (pairs == 0)
      RC_ASSERT(std::isnan(found));
    else
      RC_ASSERT(std::abs(found - won / pairs) < 1e-12);
  });
}

TEST_CASE("log loss, normalised entropy, ratio and calibration error of rows worked out by hand") {
  const Numbers p{0.8, 0.4, 0.2, 0.2};
  const Labels labels{1, 0, 0, 1};
  const double loss = -(std::log(0.8) + std::log(0.6) + std::log(0.8) + std::log(0.2)) / 4;
  const auto found = measure(p, labels);
  CHECK(found.rows == 4);
  CHECK(found.positives == 2);
  CHECK(found.log_loss == doctest::Approx(loss));
  CHECK(found.normalised_entropy == doctest::Approx(loss / std::log(2)));
  CHECK(found.ratio == doctest::Approx(0.8));
  CHECK(found.auc == doctest::Approx(0.625));
  CHECK(found.calibration_error == doctest::Approx((0.2 + 0.4 + 0.2 + 0.8) / 4));  // a bin a row
  CHECK(std::isfinite(log_loss(Numbers{0, 1}, Labels{1, 0})));
  CHECK(std::isnan(log_loss({}, {})));
}

TEST_CASE("always saying the rate has a normalised entropy of 1; the truth is below, and calibrated") {
  const auto truth = drawn(20'000, 1, 0, 3);
  const double rate = std::accumulate(truth.labels.begin(), truth.labels.end(), 0.0) / 20'000;
  CHECK(normalised_entropy(Numbers(20'000, rate), truth.labels) == doctest::Approx(1));
  const auto found = measure(truth.p, truth.labels);
  CHECK(found.normalised_entropy < 0.85);
  CHECK(found.calibration_error < 0.01);
  CHECK(refusals(found).empty());
  auto shifted = truth.p;
  for (auto& p : shifted) p = std::min(1.0, p + 0.1);
  CHECK(calibration_error(shifted, truth.labels) > 0.08);
}

TEST_CASE("a model is refused for what is wrong with it") {
  Measures good{.rows = 10,
                .positives = 5,
                .auc = 0.7,
                .log_loss = 0.5,
                .normalised_entropy = 0.9,
                .calibration_error = 0.01,
                .ratio = 1};
  CHECK(refusals(good).empty());
  const auto count = [&](double entropy, double ratio) {
    auto m = good;
    m.normalised_entropy = entropy, m.ratio = ratio;
    return refusals(m).size();
  };
  CHECK(count(0.99, 0.9) == 0);
  CHECK(count(1, 1) == 1);
  CHECK(count(0.5, 1.101) == 1);
  CHECK(count(1.2, 0.5) == 2);
  CHECK(count(std::nan(""), std::nan("")) == 1);
}

TEST_CASE("calibration finds the scaling that logits need, and with it the forecast is calibrated") {
  for (const auto& [a, b] : {std::pair(1.0, 0.0), std::pair(0.3, -2.0), std::pair(2.5, 1.0)}) {
    CAPTURE(a);
    const auto rows = drawn(40'000, a, b, 11);
    const auto found = platt(rows.logits, rows.labels);
    REQUIRE(found);
    CHECK(found->a == doctest::Approx(a).epsilon(0.05));
    CHECK(std::abs(found->b - b) < 0.06);
    const auto fresh = drawn(20'000, a, b, 12);
    Numbers p;
    for (const double z : fresh.logits) p.push_back(found->probability(z));
    CHECK(calibration_error(p, fresh.labels) < 0.012);
  }
}

TEST_CASE("few, separable and huge logits calibrate to something finite; senseless ones are refused") {
  const auto few = platt(Numbers{-1, 1}, Labels{0, 1});
  REQUIRE(few);
  CHECK(few->probability(1) == doctest::Approx(2.0 / 3));
  CHECK(few->probability(-1) == doctest::Approx(1.0 / 3));
  const auto huge = platt(Numbers{-1e6, -1e6, 1e6, 2e6, -3e6}, Labels{0, 0, 1, 1, 0});
  REQUIRE(huge);
  CHECK(std::isfinite(huge->a));
  CHECK_FALSE(platt(Numbers{1, 2}, Labels{1, 1}));
  CHECK_FALSE(platt(Numbers{}, Labels{}));
  CHECK_FALSE(platt(Numbers{1, -1}, Labels{0, 1}));  // upside down
  CHECK_FALSE(platt(Numbers{1, INFINITY}, Labels{0, 1}));
}

TEST_CASE("what was calibrated on a sample of the unrewarded rows holds for all rows") {
  const auto all = drawn(60'000, 1, -2, 21);
  Numbers logits;
  Labels labels;
  Random random(22);
  for (std::size_t i = 0; i < all.labels.size(); ++i)
    if (all.labels[i] == 1 || random.uniform() < 0.1) {
      logits.push_back(all.logits[i]);
      labels.push_back(all.labels[i]);
    }
  const auto found = platt(logits, labels, 0.1);
  REQUIRE(found);
  Numbers p;
  for (const double z : all.logits) p.push_back(found->probability(z));
  CHECK(calibration_error(p, all.labels) < 0.01);
  const auto sampled = platt(logits, labels);
  REQUIRE(sampled);
  const double q = sampled->probability(0.5);
  CHECK(found->probability(0.5) == doctest::Approx(q / (q + (1 - q) / 0.1)));
}

TEST_CASE("logistic regression finds the weights that rows were drawn by") {
  Random random(31);
  std::string text = "a,b,c,y\n";
  for (int i = 0; i < 20'000; ++i) {
    const bool a = random.below(2), b = random.below(2), c = random.below(2);
    text += std::string(a ? "p" : "q") + (b ? ",p" : ",q") + (c ? ",p" : ",q") +
            (random.uniform() < sigmoid(1.5 * a - 1.0 * b - 1) ? ",1\n" : ",0\n");
  }
  const auto table = parse_table(text, "t");
  REQUIRE(table);
  std::vector<std::uint32_t> rows(table->rows);
  std::iota(rows.begin(), rows.end(), 0);
  const auto schema = Schema::learn(*table, rows, "y", "");
  REQUIRE(schema);
  const auto examples = Examples::of(*schema, *table, rows);
  REQUIRE(examples);
  const auto model = Logistic::fit(*examples);
  for (std::size_t i = 0; i < 100; ++i) {
    const auto is_p = [&](int column) {
      const auto& values = table->columns[column];
      return values.words[values.codes[i]] == "p";
    };
    CHECK(std::abs(model.logit(examples->row(i)) - (1.5 * is_p(0) - 1.0 * is_p(1) - 1)) < 0.15);
  }
  // Rows of one kind: bounded by the penalty.
  const auto one_kind = Schema::learn(*table, rows, "y", "0");
  REQUIRE(one_kind);
  const auto flipped = Examples::of(*one_kind, *table, rows);
  REQUIRE(flipped);
  CHECK(Logistic::fit(*flipped).logit(flipped->row(0)) ==
        doctest::Approx(-model.logit(examples->row(0))).epsilon(1e-4));
}

}  // namespace cx::inference::learning
