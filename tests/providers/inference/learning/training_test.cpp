#include "providers/inference/learning/training.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <numeric>

#include "providers/inference/learning/logistic.hpp"
#include "providers/inference/learning/metrics.hpp"
#include "providers/inference/learning/offers.hpp"
#include "runtime/random.hpp"

namespace cx::inference::learning {
namespace {

/// Rows that are rewarded nearly always when one of two fields is p and the other is not.
Table either() {
  std::string text = "a,b,y\n";
  Random random(2);
  for (int i = 0; i < 2'000; ++i) {
    const bool a = random.below(2), b = random.below(2);
    text += std::string(a ? "p" : "q") + (b ? ",p" : ",q") +
            ((a != b) == (random.below(10) > 0) ? ",1\n" : ",0\n");
  }
  auto table = parse_table(text, "t");
  REQUIRE(table);
  return std::move(*table);
}

}  // namespace

TEST_CASE("training learns what no line separates, stops, and inference says what the trainer says") {
  const auto table = either();
  const auto parts = split(table.rows, 1);
  const auto schema = Schema::learn(table, parts.training, "y", "");
  REQUIRE(schema);
  const auto training = Examples::of(*schema, table, parts.training);
  const auto validation = Examples::of(*schema, table, parts.validation);
  const auto test = Examples::of(*schema, table, parts.test);
  REQUIRE(training);
  REQUIRE(validation);
  REQUIRE(test);

  std::vector<double> losses;
  const auto trained = train(*training, *validation, {}, [&](const Epoch& epoch) {
    CHECK(epoch.number == losses.size() + 1);
    CHECK(epoch.best == (losses.empty() || epoch.loss < *std::min_element(losses.begin(), losses.end())));
    losses.push_back(epoch.loss);
    return true;
  });
  REQUIRE(trained.epochs >= 1);
  CHECK(losses[trained.epochs - 1] == trained.loss);
  CHECK(losses.size() <= trained.epochs + TrainingOptions().patience);

  const auto said = logits(trained.network, *test);
  CHECK(auc(said, test->labels()) > 0.85);
  CHECK(auc(Logistic::fit(*training).logits(*test), test->labels()) < 0.65);
  const auto quantised = trained.network.quantised();
  const auto inferred = logits(quantised.view(), *test);
  for (std::size_t i = 0; i < said.size(); ++i) CHECK(std::abs(said[i] - inferred[i]) < 0.05);

  const auto again = train(*training, *validation, {});
  CHECK(logits(again.network, *test) == said);
}

TEST_CASE("an input that no training row has says nothing") {
  const auto table = either();
  const auto parts = split(table.rows, 1);
  const auto schema = Schema::learn(table, parts.training, "y", "");
  REQUIRE(schema);
  const auto narrow = Examples::of(*schema, table, parts.training);
  REQUIRE(narrow);
  Examples wide(narrow->inputs() + 3), other(narrow->inputs() + 3);
  for (std::size_t i = 0; i < narrow->size(); ++i) {
    wide.add(narrow->row(i), narrow->labels()[i] != 0);
    auto row = std::vector<Active>(narrow->row(i).begin(), narrow->row(i).end());
    for (std::uint16_t k = 0; k < 3; ++k)
      row.push_back({static_cast<std::uint16_t>(narrow->inputs() + k), 1});
    other.add(row, narrow->labels()[i] != 0);
  }
  const auto trained = train(wide, wide, {.epochs = 3});
  CHECK(logits(trained.network, wide) == logits(trained.network, other));
}

TEST_CASE("training stops when it is told to") {
  const auto table = either();
  std::vector<std::uint32_t> rows(100);
  std::iota(rows.begin(), rows.end(), 0);
  const auto schema = Schema::learn(table, rows, "y", "");
  REQUIRE(schema);
  const auto examples = Examples::of(*schema, table, rows);
  REQUIRE(examples);
  int epochs = 0;
  train(*examples, *examples, {}, [&](const Epoch&) { return ++epochs < 2; });
  CHECK(epochs == 2);
}

}  // namespace cx::inference::learning
