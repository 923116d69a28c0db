#include "providers/inference/colanet/network.hpp"

#include <algorithm>
#include <bit>
#include <doctest/doctest.h>
#include <limits>
#include <numeric>

#include "runtime/random.hpp"

namespace cx::inference::colanet {
namespace {

/// A column of `inputs` rows, all zero.
struct Example {
  explicit Example(std::uint32_t inputs) : numbers(column_size(inputs)) {}

  Column column(std::int64_t offset = 0) const { return {numbers.data(), offset}; }
  std::int16_t& bias(std::size_t m) { return numbers[m]; }
  std::int16_t& gain(std::size_t m) { return numbers[kMicro + m]; }
  std::int16_t& weight(std::size_t input, std::size_t m) { return numbers[(input + 2) * kMicro + m]; }

  std::vector<std::int16_t> numbers;
};

Events encoded(std::vector<float> inputs) {
  Events events;
  encode(inputs, events);
  return events;
}

/// Ticks in which the only input fires, tick 0 being bit 0.
unsigned ticks(float value) {
  const auto events = encoded({value});
  if (!events.always.empty()) return 0xff;
  unsigned mask = 0;
  for (unsigned t = 0; t < kTicks; ++t)
    if (!events.at[t].empty()) mask |= 1U << t;
  return mask;
}

}  // namespace

TEST_CASE("a value becomes evenly spread spikes") {
  const struct {
    float value;
    unsigned mask;
  } rows[] = {
      {0.0F, 0b0000'0000},
      {-1.0F, 0b0000'0000},
      {std::numeric_limits<float>::quiet_NaN(), 0b0000'0000},
      {-std::numeric_limits<float>::infinity(), 0b0000'0000},
      {1.0F, 0b1111'1111},
      {7.0F, 0b1111'1111},
      {std::numeric_limits<float>::infinity(), 0b1111'1111},
      {0.999F, 0b1111'1111},  // rounds to 256 of 256
      {0.5F, 0b0101'0101},
      {0.25F, 0b0010'0010},
      {0.75F, 0b1011'1011},
      {0.125F, 0b0000'1000},
      {0.01F, 0b0000'0000},
  };
  for (const auto& row : rows) {
    CAPTURE(row.value);
    CHECK(ticks(row.value) == row.mask);
  }
}

TEST_CASE("a value fires as often as it is eighths, rounded to nearest") {
  for (unsigned i = 0; i <= 256; ++i) {
    CAPTURE(i);
    CHECK(std::popcount(ticks(static_cast<float>(i) / 256.0F)) == static_cast<int>((8 * i + 128) / 256));
  }
}

TEST_CASE("inputs keep their order and their number, and old events are forgotten") {
  Events events;
  encode(std::vector<float>{1.0F, 0.5F, 0.0F, 1.0F, 0.5F}, events);
  CHECK(events.always == std::vector<std::uint16_t>{0, 3});
  CHECK(events.at[0] == std::vector<std::uint16_t>{1, 4});
  CHECK(events.at[1].empty());
  encode(std::vector<float>{0.0F, 1.0F}, events);
  CHECK(events.always == std::vector<std::uint16_t>{1});
  CHECK(events.at[0].empty());
  encode(std::vector<float>(kMaxInputs + 10, 1.0F), events);
  CHECK(events.always.size() == kMaxInputs);
  CHECK(events.always.back() == kMaxInputs - 1);
}

TEST_CASE("columns lie aligned one after the other") {
  CHECK(column_size(256) == 258 * kMicro);
  CHECK(column_size(1) == 4 * kMicro);
  std::vector<std::int16_t> block(2 * column_size(3));
  std::iota(block.begin(), block.end(), std::int16_t{0});
  const std::vector<std::int64_t> offsets{5, 6};
  const Columns columns{3, 2, 0, block, offsets};
  const auto second = columns.column(1);
  CHECK(second.offset == 6);
  CHECK(second.bias()[0] == 96);
  CHECK(second.gain()[0] == 112);
  CHECK(second.row(2)[15] == 96 + 5 * 16 - 1);
}

TEST_CASE("a column without weights says its offset") {
  const Example example(2);
  CHECK(read_out(encoded({1.0F, 0.5F}), example.column(-42), 300) == -42);
  CHECK(logit(std::int64_t{1} << 24) == 1.0);
}

TEST_CASE("a potential leaks, fires at the threshold and keeps the rest") {
  Example example(1);
  example.weight(0, 0) = 512;
  example.gain(0) = 3;
  // u by tick: 512, 896, 1184 fires: 160, 632, 986, 1252 fires: 228, 683, 1025 fires: 1
  CHECK(read_out(encoded({1.0F}), example.column(7), 0) == 7 + 3 * (3 * 1024 + 1));
  // Every other tick: 512, 384, 800, 600, 962, 722, 1054 fires: 30, 23
  CHECK(read_out(encoded({0.5F}), example.column(), 0) == 3 * (1024 + 23));
}

TEST_CASE("a microcolumn that fires inhibits the others in the next tick, not itself") {
  Example example(1);
  example.bias(0) = 1;
  example.weight(0, 0) = 1023;  // fires in every tick
  example.weight(0, 1) = 300;
  example.gain(0) = 1;
  example.gain(1) = 1;
  // The second one: 300, then 100 a tick: 325, 344, 358, 369, 377, 383, 388
  CHECK(read_out(encoded({1.0F}), example.column(), 200) == 8 * 1024 + 388);
  example.gain(0) = 0;
  // Alone it would fire twice: 300, 525, 694, 821, 916, 987, 1041 fires: 17, 313
  CHECK(read_out(encoded({1.0F}), example.column(), 0) == 1024 + 313);
}

TEST_CASE("a negative potential leaks upwards and stays in 16 bits") {
  Example example(100);
  for (std::size_t i = 0; i < 100; ++i) example.weight(i, 5) = -1023;
  example.gain(5) = -2;
  CHECK(read_out(encoded(std::vector<float>(100, 1.0F)), example.column(), 0) == 2 * 32'768);
  for (std::size_t i = 0; i < 100; ++i) example.weight(i, 5) = 1023;
  // 32767 - 1024 remain in every tick
  CHECK(read_out(encoded(std::vector<float>(100, 1.0F)), example.column(), 0) == -2 * (8 * 1024 + 31'743));
}

TEST_CASE("an input that always fires and one that fires in each tick are the same") {
  Random random(3);
  for (int round = 0; round < 50; ++round) {
    Example example(20);
    for (auto& number : example.numbers) number = static_cast<std::int16_t>(int(random.below(601)) - 300);
    std::vector<float> inputs(20);
    for (auto& value : inputs) value = static_cast<float>(std::min(1.0, 1.5 * random.uniform()));
    const auto events = encoded(inputs);
    auto flat = events;
    for (auto& tick : flat.at) {
      tick.insert(tick.end(), events.always.begin(), events.always.end());
      std::sort(tick.begin(), tick.end());
    }
    flat.always.clear();
    CHECK(read_out(events, example.column(9), 150) == read_out(flat, example.column(9), 150));
  }
}

}  // namespace cx::inference::colanet
