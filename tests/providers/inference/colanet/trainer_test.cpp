#include "providers/inference/colanet/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <doctest/doctest.h>
#include <stdexcept>

#include "runtime/random.hpp"

namespace cx::inference::colanet {
namespace {

double log_loss(double logit, bool reward) {
  return std::log1p(std::exp(reward ? -logit : logit));
}

/// Two inputs whose exclusive or is the outcome: no line parts them.
struct Puzzle {
  explicit Puzzle(std::uint64_t seed) : random(seed) {}
  void next() {
    a = random.below(2) != 0;
    b = random.below(2) != 0;
  }
  std::array<float, 2> inputs() const { return {a ? 1.0F : 0.0F, b ? 1.0F : 0.0F}; }
  bool reward() const { return a != b; }

  Random random;
  bool a = false, b = false;
};

/// Mean log loss on the puzzle's four questions after so many lessons; ln 2 = 0.693 is guessing.
double loss_after(TrainOptions options, int lessons) {
  options.inputs = 2;
  Trainer trainer(options, 1);
  Puzzle puzzle(options.seed);
  for (int i = 0; i < lessons; ++i) {
    puzzle.next();
    trainer.learn(puzzle.inputs(), 0, puzzle.reward());
  }
  double loss = 0;
  for (int i = 0; i < 4; ++i) {
    puzzle.a = (i & 1) != 0;
    puzzle.b = (i & 2) != 0;
    loss += log_loss(trainer.predict(puzzle.inputs(), 0), puzzle.reward()) / 4;
  }
  return loss;
}

/// 40 inputs: 10 fields of 3, one of them on, and 10 values. The outcome depends on pairs of fields.
struct World {
  explicit World(std::uint64_t seed) : random(seed), inputs(40) {}
  void next() {
    std::fill(inputs.begin(), inputs.end(), 0.0F);
    std::array<std::uint32_t, 10> choice{};
    for (std::size_t field = 0; field < 10; ++field) {
      choice[field] = random.below(3);
      inputs[field * 3 + choice[field]] = 1.0F;
    }
    for (std::size_t i = 30; i < 40; ++i) inputs[i] = static_cast<float>(random.uniform());
    double logit = -1.5 + 2.0 * inputs[30] - 1.0 * inputs[31];
    for (std::size_t field = 0; field + 1 < 10; field += 2)
      logit += choice[field] == choice[field + 1] ? 1.5 : -0.5;
    reward = random.uniform() < 1.0 / (1.0 + std::exp(-logit));
  }

  Random random;
  std::vector<float> inputs;
  bool reward = false;
};

Trainer taught(std::uint64_t seed, int lessons, std::uint32_t columns = 1) {
  Trainer trainer({.inputs = 40, .seed = seed}, columns);
  World world(7);
  for (int i = 0; i < lessons; ++i) {
    world.next();
    trainer.learn(world.inputs, static_cast<std::uint32_t>(i) % columns, world.reward);
  }
  return trainer;
}

std::vector<std::int16_t> numbers(const Trainer& trainer) {
  const auto owned = trainer.quantised();
  const auto block = owned.view().block;
  return {block.begin(), block.end()};
}

}  // namespace

TEST_CASE("a column goes on from what another was when quantised") {
  const auto before = taught(3, 2'000);
  const auto owned = before.quantised();
  Trainer same({.inputs = 40}, 1), wider({.inputs = 45}, 1);
  same.resume(0, owned.view(), 0);
  CHECK(numbers(same) == numbers(before));
  CHECK(same.quantised().view().offsets[0] == owned.view().offsets[0]);
  wider.resume(0, owned.view(), 0);
  World world(9);
  for (int i = 0; i < 20; ++i) {
    world.next();
    const auto said = same.predict(world.inputs, 0);
    world.inputs.resize(45, 1.0F);
    CHECK(wider.predict(world.inputs, 0) == said);
    world.inputs.resize(40);
  }
}

TEST_CASE("a column says nothing before it learns, or what it is told to start at") {
  Trainer trainer({.inputs = 40}, 2);
  trainer.start_at(1, 0.01);
  World world(1);
  for (int i = 0; i < 20; ++i) {
    world.next();
    CHECK(trainer.predict(world.inputs, 0) == doctest::Approx(0).epsilon(1e-6));
    CHECK(trainer.predict(world.inputs, 1) == doctest::Approx(std::log(0.01 / 0.99)).epsilon(1e-6));
  }
}

TEST_CASE("a column learns an exclusive or, which needs several microcolumns and several ticks") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    CHECK(loss_after({.seed = seed}, 4'000) < 0.4);
    CHECK(loss_after({.micro = 1, .seed = seed}, 4'000) > 0.5);
    // In a single tick nothing leaks and nobody inhibits: what is said is linear in the inputs.
    CHECK(loss_after({.ticks = 1, .seed = seed}, 4'000) > 0.6);
  }
}

TEST_CASE("a lesson returns the prediction before it and moves the next towards the outcome") {
  auto trainer = taught(1, 500);
  World world(99);
  for (int i = 0; i < 200; ++i) {
    world.next();
    const auto before = trainer.predict(world.inputs, 0);
    CHECK(trainer.learn(world.inputs, 0, world.reward) == before);
  }
  // What a column says jumps where a potential passes the threshold: most lessons move it the right way, not
  // all.
  int right = 0;
  for (int i = 0; i < 200; ++i) {
    world.next();
    const auto before = trainer.learn(world.inputs, 0, world.reward);
    const auto after = trainer.predict(world.inputs, 0);
    right += (after > before) == world.reward ? 1 : 0;
  }
  CHECK(right > 180);
}

TEST_CASE("a lesson of weight 0 changes nothing, and one column's lesson no other column") {
  auto trainer = taught(1, 300, 2);
  const auto before = numbers(trainer);
  World world(5);
  world.next();
  trainer.learn(world.inputs, 0, world.reward, 0.0F);
  CHECK(numbers(trainer) == before);
  for (int i = 0; i < 20; ++i) trainer.learn(world.inputs, 1, world.reward);
  const auto after = numbers(trainer);
  const auto half = before.begin() + static_cast<std::ptrdiff_t>(before.size() / 2);
  CHECK(std::equal(before.begin(), half, after.begin()));
  CHECK_FALSE(after == before);
}

TEST_CASE("in 16 bits the columns say what they say in floating point") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const auto trainer = taught(seed, 20'000);
    const auto owned = trainer.quantised();
    const auto columns = owned.view();
    for (std::size_t i = 0; i < columns.block.size(); ++i) {
      if (i / kMicro != 1) REQUIRE(std::abs(columns.block[i]) <= kMaxWeight);
    }
    REQUIRE(reinterpret_cast<std::uintptr_t>(columns.block.data()) % kAlignment == 0);
    World world(1'000 + seed);
    Events events;
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0, worst = 0;
    constexpr int kRows = 2'000;
    for (int i = 0; i < kRows; ++i) {
      world.next();
      encode(world.inputs, events);
      const auto real = trainer.predict(world.inputs, 0);
      const auto whole = logit(read_out(events, columns.column(0), columns.inhibition));
      worst = std::max(worst, std::abs(real - whole));
      x += real, y += whole, xx += real * real, yy += whole * whole, xy += real * whole;
    }
    const auto spread = (xx - x * x / kRows) * (yy - y * y / kRows);
    CHECK(xx / kRows - x * x / kRows / kRows > 0.1);  // it has learnt to tell rows apart
    CHECK((xy - x * y / kRows) / std::sqrt(spread) >= 0.9999);
    CHECK(worst < 0.01);
  }
}

TEST_CASE("the same seed gives the same weights, another one others") {
  const auto first = numbers(taught(1, 500));
  CHECK(first == numbers(taught(1, 500)));
  CHECK_FALSE(first == numbers(taught(2, 500)));
}

TEST_CASE("a copy learns on its own") {
  auto trainer = taught(1, 200);
  const auto kept = trainer;
  const auto before = numbers(kept);
  World world(3);
  for (int i = 0; i < 50; ++i) {
    world.next();
    trainer.learn(world.inputs, 0, world.reward);
  }
  CHECK(numbers(kept) == before);
  CHECK_FALSE(numbers(trainer) == before);
}

TEST_CASE("an average lies between two trainers") {
  const auto early = taught(1, 200);
  const auto late = taught(1, 400);
  auto mean = early;
  mean.average(late, 0.0F);
  CHECK(numbers(mean) == numbers(early));
  mean.average(late, 0.5F);
  const auto a = numbers(early), b = numbers(mean), c = numbers(late);
  CHECK_FALSE(a == c);
  bool between = true;
  for (std::size_t i = 0; i < a.size(); ++i)
    between = between && b[i] >= std::min(a[i], c[i]) && b[i] <= std::max(a[i], c[i]);
  CHECK(between);
  mean.average(late, 1.0F);
  CHECK(numbers(mean) == numbers(late));
  CHECK_THROWS_AS(mean.average(Trainer({.inputs = 3}, 1), 0.5F), std::invalid_argument);
}

TEST_CASE("inputs that are too many, missing or not numbers do no harm") {
  Trainer trainer({.inputs = 3}, 1);
  const std::vector<float> odd{NAN, INFINITY, -1.0F, 5.0F, 1.0F};
  const auto z = trainer.learn(odd, 0, true);
  CHECK(std::isfinite(z));
  CHECK(std::isfinite(trainer.predict({}, 0)));
  CHECK(trainer.predict(std::vector<float>{0.0F, 1.0F}, 0) == trainer.predict(odd, 0));
}

TEST_CASE("options outside their range are refused") {
  const TrainOptions rows[] = {
      {.inputs = 0}, {.inputs = 70'000},    {.micro = 0},        {.micro = 17},  {.ticks = 0},
      {.ticks = 33}, {.inhibition = -0.1F}, {.inhibition = NAN}, {.rate = 0.0F},
  };
  for (const auto& options : rows) CHECK_THROWS_AS(Trainer(options, 1), std::invalid_argument);
  CHECK_THROWS_AS(Trainer({.ticks = 4}, 1).quantised(), std::logic_error);
}

}  // namespace cx::inference::colanet
