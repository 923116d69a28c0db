#include "providers/inference/learning/decisions.hpp"

#include <doctest/doctest.h>

#include "providers/inference/learning/calibration.hpp"
#include "providers/inference/learning/metrics.hpp"
#include "providers/inference/learning/offers.hpp"
#include "runtime/random.hpp"

namespace cx::inference::learning {
namespace {

constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kNow = 1'800'000'000'000;
constexpr Question kClicks{Kind::click, 24 * kHour, kNow};
using Fate = Decisions::Fate;

/// A decision of `ago` hours before, and what came of it so many hours later.
struct Made {
  Made(std::string text, std::int64_t hours_ago, std::initializer_list<std::pair<Kind, double>> outcomes)
      : id(std::move(text)) {
    decision.id = id;
    decision.offer = "o";
    decision.at = kNow - hours_ago * kHour;
    for (const auto& [kind, after] : outcomes)
      decision.first[static_cast<std::size_t>(kind)] =
          decision.at + static_cast<std::int64_t>(after * static_cast<double>(kHour));
  }
  std::string id;
  Decision decision;
};

/// Decisions in which each of `count` offers is clicked nearly always where its own one of the features is
/// set, and of which the first feature says nothing.
Decisions by_rule(std::size_t rows, std::uint32_t count, std::uint64_t seed) {
  Decisions out(kClicks);
  Random random(seed);
  for (std::size_t i = 0; i < rows; ++i) {
    std::vector<std::int8_t> features(count + 1);
    for (auto& x : features) x = random.below(2) == 0 ? 0 : 127;
    const auto offer = random.below(count);
    const auto id = std::to_string(i), name = "o-" + std::to_string(offer);
    const bool clicked = random.uniform() < (features[offer + 1] > 0 ? 0.8 : 0.1);
    Decision decision{id, name, kNow - 1'000 * kHour + static_cast<std::int64_t>(i) * 1'000, features};
    decision.first[0] = decision.at + 1;
    if (clicked) decision.first[1] = decision.at + 1'000;
    CHECK(out.add(decision) == Fate::taken);
  }
  out.sort();
  return out;
}

}  // namespace

TEST_CASE(
    "a decision is an example when it was shown, and rewarded when the outcome came within the window") {
  const struct {
    Made made;
    Fate fate;
    int label;
  } rows[] = {
      {{"never shown", 100, {}}, Fate::unseen, 0},
      {{"shown", 100, {{Kind::impression, 0}}}, Fate::taken, 0},
      {{"clicked", 100, {{Kind::impression, 0}, {Kind::click, 1}}}, Fate::taken, 1},
      {{"clicked, nobody told that it was shown", 100, {{Kind::click, 1}}}, Fate::taken, 1},
      {{"bought without a click", 100, {{Kind::conversion, 1}}}, Fate::taken, 0},
      {{"at the window's end", 100, {{Kind::click, 24}}}, Fate::taken, 1},
      {{"after it", 100, {{Kind::click, 24.1}}}, Fate::taken, 0},
      {{"a clock that is slow", 100, {{Kind::click, -0.05}}}, Fate::taken, 1},
      {{"before it was decided", 100, {{Kind::click, -1}}}, Fate::taken, 0},
      {{"too young", 23, {{Kind::impression, 0}, {Kind::click, 1}}}, Fate::young, 0},
      {{"old enough", 24, {{Kind::impression, 0}}}, Fate::taken, 0},
  };
  for (const auto& [made, fate, label] : rows) {
    CAPTURE(made.id);
    Decisions decisions(kClicks);
    Decision decision = made.decision;
    decision.id = made.id;
    CHECK(decisions.add(decision) == fate);
    CHECK(decisions.count(fate) == 1);
    REQUIRE(decisions.size() == (fate == Fate::taken ? 1 : 0));
    if (fate == Fate::taken) CHECK(decisions.examples(0, 1, 4).labels()[0] == label);
  }
}

TEST_CASE("decisions are put in order of time, and one that is told twice counts once") {
  Decisions decisions(kClicks);
  for (const std::int64_t ago : {50, 300, 200, 300})
    decisions.add(Made("d" + std::to_string(ago), ago, {{Kind::impression, 0}}).decision);
  decisions.sort();
  REQUIRE(decisions.size() == 3);
  CHECK(decisions.count(Fate::repeated) == 1);
  CHECK(decisions.at(0) == kNow - 300 * kHour);
  CHECK(decisions.at(2) == kNow - 50 * kHour);
}

TEST_CASE("features are inputs as they are: bytes over 127, below 0 as 0, and none past the inputs") {
  Decisions decisions(kClicks);
  Made made("d", 100, {{Kind::impression, 0}});
  const std::vector<std::int8_t> features{127, 0, -127, 64, 0, -1, 0};
  made.decision.features = features;
  REQUIRE(decisions.add(made.decision) == Fate::taken);
  CHECK(decisions.inputs(1) == 4);
  CHECK(decisions.inputs(0) == 1);
  const auto row = decisions.examples(0, 1, 4);
  std::vector<float> inputs(4);
  row.fill(0, inputs);
  CHECK(inputs == std::vector<float>{1, 0, 0, 64.0F / 127});
  CHECK(decisions.examples(0, 1, 3).row(0).size() == 1);
  CHECK(row.offer_ids() == std::vector<std::string>{"o"});

  const std::vector<std::int8_t> many(1'000, 127);
  Made wide("e", 100, {{Kind::impression, 0}});
  wide.decision.features = many;
  REQUIRE(decisions.add(wide.decision) == Fate::taken);
  CHECK(decisions.inputs(2) == 256);
}

TEST_CASE("the hash of decisions tells what they teach, not in which order they came") {
  const auto hash = [](std::initializer_list<std::int64_t> order, Kind kind) {
    Decisions decisions(kClicks);
    for (const auto ago : order)
      decisions.add(Made("d" + std::to_string(ago), ago, {{Kind::impression, 0}, {kind, 1}}).decision);
    decisions.sort();
    return decisions.hash();
  };
  CHECK(hash({30, 40, 50}, Kind::click) == hash({50, 30, 40}, Kind::click));
  CHECK(hash({30, 40, 50}, Kind::click) != hash({30, 40}, Kind::click));
  CHECK(hash({30, 40, 50}, Kind::click) != hash({30, 40, 50}, Kind::dismiss));
}

TEST_CASE(
    "offers that follow rules of their own get columns of their own, which know what the prior cannot") {
  const auto decisions = by_rule(8'000, 4, 1);
  const auto [first, second] = cuts(decisions.size());
  const auto inputs = decisions.inputs(first);
  CHECK(inputs == 5);
  const auto training = decisions.examples(0, first, inputs);
  const auto validation = decisions.examples(first, second, inputs);
  const auto test = decisions.examples(second, decisions.size(), inputs);
  for (const double keep : {1.0, 0.3}) {
    CAPTURE(keep);
    TrainingOptions options;
    options.epochs = 15;
    options.sampling = keep;
    const auto some = keep < 1 ? training.sample(keep, 3) : training;
    CHECK(some.positives() == training.positives());
    const auto prior = train(some, validation, options);
    std::size_t told = 0;
    const auto own = train_offers(prior.network, some, validation, options, [&](const OfferTrained& offer) {
      CHECK(offer.own < offer.prior);
      CHECK(offer.kept);
      return ++told > 0;
    });
    CHECK(own.offers == 4);
    CHECK(own.tried == 4);
    CHECK(told == 4);
    REQUIRE(own.ids.size() == 4);
    const auto columns = columns_of(test, [&](std::string_view id) -> std::optional<std::uint32_t> {
      for (const auto& [offer, column] : own.ids)
        if (offer == id) return column;
      return std::nullopt;
    });
    const auto view = own.columns.view();
    CHECK(view.count == 5);
    const auto said = logits(view, columns, test);
    const double ours = auc(said, test.labels()), alone = auc(logits(view, test), test.labels());
    CHECK(ours > 0.8);
    CHECK(ours > alone + 0.1);

    const auto found = platt(logits(view, columns, validation), validation.labels());
    REQUIRE(found);
    const auto calibration = sampled(*found, keep);
    CHECK(calibration.sampling == keep);
    std::vector<double> p;
    for (const double z : said) {
      p.push_back(calibration.probability(z));
      CHECK(p.back() == doctest::Approx(found->probability(z)));
    }
    CHECK(refusals(measure(p, test.labels())).empty());
  }
}

TEST_CASE("offers alike, or with few rows, stay with the prior") {
  Decisions decisions(kClicks);
  Random random(5);
  for (int i = 0; i < 6'000; ++i) {
    const std::vector<std::int8_t> features{random.below(2) == 0 ? std::int8_t{0} : std::int8_t{127}};
    const auto id = std::to_string(i),
               name = i % 40 == 0 ? "rare-" + std::to_string(i) : "o-" + std::to_string(i % 10);
    Decision decision{id, name, kNow - 1'000 * kHour + i * std::int64_t{1'000}, features};
    decision.first[0] = decision.at;
    if (random.uniform() < (features[0] > 0 ? 0.6 : 0.2)) decision.first[1] = decision.at;
    decisions.add(decision);
  }
  decisions.sort();
  const auto training = decisions.examples(0, 4'200, 1), validation = decisions.examples(4'200, 6'000, 1);
  TrainingOptions options;
  options.epochs = 8;
  const auto prior = train(training, validation, options);
  const auto own = train_offers(prior.network, training, validation, options);
  CHECK(own.tried <= 10);
  CHECK(own.ids.size() <= 3);  // by chance
  CHECK(own.columns.view().count == own.ids.size() + 1);
  int calls = 0;
  train_offers(prior.network, training, validation, options,
               [&](const OfferTrained&) { return ++calls < 2; });
  CHECK(calls == 2);
}

}  // namespace cx::inference::learning
