#include "providers/inference/colanet/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <new>
#include <stdexcept>

#include "runtime/random.hpp"

namespace cx::inference::colanet {
namespace {

constexpr std::uint32_t kMaxTicks = 32;
constexpr std::size_t kBias = 0, kGain = 1, kWeights = 2;  // rows of a column

// What the integers stand for, in thresholds.
constexpr float kUnit = 1.0F / kThreshold;
constexpr float kLargestWeight = kMaxWeight * kUnit;
constexpr float kLowest = -32'768 * kUnit, kHighest = 32'767 * kUnit;
constexpr float kKept = 0.75F;  // of a potential, from a tick to the next

// A gain counts in 2^-14 logits a threshold (see logit(): 2^-24 a unit, kThreshold units).
constexpr float kGainUnit = 0x1p-14F;
constexpr float kLargestGain = 32'767 * kGainUnit;

// Measured on tables of 8,000 and 29,000 rows: larger initial weights and smaller gains learnt less in as
// many passes, other beginnings of `seen` as much.
constexpr float kInitialWeight = 0.05F;  // standard deviation
constexpr float kInitialBias = 0.5F;     // largest
constexpr float kInitialGain = 0.3F;
constexpr float kGainStep = 2.0F;  // steps of gains and of the offset in those of weights
constexpr float kInitialSeen = 1.0F;

using Lanes = float[kMicro];

// Rounds to a multiple of kUnit: where the addition lands, floats are that far apart. For |x| < 4096.
float to_unit(float x) {
  constexpr float kThere = 1.5F * 0x1p23F * kUnit;
  return (x + kThere) - kThere;
}

// The surrogate derivative of firing by the potential: a triangle of width 2 about the threshold. Wider,
// narrower and higher ones learnt less.
float readiness(float potential) {
  return std::max(0.0F, 1.0F - std::abs(potential - 1.0F));
}

void add_rounded(Lanes& sum, const float* row) {
  for (std::size_t m = 0; m < kMicro; ++m) sum[m] += to_unit(row[m]);
}

// Moves kMicro numbers up their gradients, within +-limit.
void climb(float* numbers, float* seen, const Lanes& gradient, float rate, float limit) {
  for (std::size_t m = 0; m < kMicro; ++m) {
    seen[m] += gradient[m] * gradient[m];
    const float moved = numbers[m] + rate * gradient[m] / std::sqrt(seen[m]);
    numbers[m] = std::min(std::max(moved, -limit), limit);
  }
}

std::uint32_t every(std::uint32_t ticks) {
  return ticks < 32 ? (1U << ticks) - 1 : ~0U;
}

std::int16_t round16(float x) {
  return static_cast<std::int16_t>(std::lround(x));
}

void check(const TrainOptions& options) {
  const auto refuse = [](std::string_view what) {
    throw std::invalid_argument(fmt::format("Columns cannot learn with {}.", what));
  };
  if (options.inputs < 1 || options.inputs > kMaxInputs) refuse("no inputs or more than 65,535");
  if (options.micro < 1 || options.micro > kMicro) refuse("no microcolumns or more than 16");
  if (options.ticks < 1 || options.ticks > kMaxTicks) refuse("no ticks or more than 32");
  if (!(options.inhibition >= 0 && options.inhibition <= 8)) refuse("an inhibition outside [0, 8]");
  if (!(options.rate > 0 && std::isfinite(options.rate))) refuse("a rate that is not above 0");
}

}  // namespace

void Owned::Free::operator()(std::int16_t* p) const {
  std::free(p);
}

Owned::Owned(std::uint32_t inputs, std::uint32_t count, std::int16_t inhibition)
    : inputs_(inputs), count_(count), inhibition_(inhibition), offsets_(count) {
  // A multiple of kAlignment, as the allocation must be.
  const auto bytes = std::max<std::size_t>(count, 1) * column_size(inputs) * sizeof(std::int16_t);
  block_.reset(static_cast<std::int16_t*>(std::aligned_alloc(kAlignment, bytes)));
  if (!block_) throw std::bad_alloc();
  std::memset(block_.get(), 0, bytes);
}

Columns Owned::view() const {
  return {inputs_, count_, inhibition_, {block_.get(), count_ * column_size(inputs_)}, offsets_};
}

std::span<std::int16_t> Owned::column(std::uint32_t index) {
  const auto size = column_size(inputs_);
  return {block_.get() + index * size, size};
}

/// What a lesson needs to know of the prediction before it.
struct Trainer::Run {
  Lanes potential[kMaxTicks];  // by tick, before what firing takes away
  Lanes said;                  // spikes and the potential that is left
};

Trainer::Trainer(const TrainOptions& options, std::uint32_t columns) : options_(options) {
  check(options);
  const auto size = (std::size_t{options.inputs} + kWeights) * kMicro;
  numbers_.resize(columns * size);
  seen_.resize(columns * size, kInitialSeen);
  offsets_.resize(columns);
  offsets_seen_.resize(columns, kInitialSeen);

  // Microcolumns begin in pairs, alike but for the sign of their gain: what one says the other takes back,
  // and the column says nothing until it learns. Lessons push the two apart.
  Random random(options.seed);
  for (std::uint32_t c = 0; c < columns; ++c) {
    for (std::uint32_t m = 0; m < options.micro; m += 2) {
      const auto pair = std::min(m + 2, options.micro);
      const auto bias = kInitialBias * static_cast<float>(random.uniform());
      for (auto i = m; i < pair; ++i) row(numbers_, c, kBias)[i] = bias;
      for (auto i = m; i < pair; ++i) row(numbers_, c, kGain)[i] = i == m ? kInitialGain : -kInitialGain;
      for (std::size_t input = 0; input < options.inputs; ++input) {
        const auto weight = kInitialWeight * static_cast<float>(random.normal());
        for (auto i = m; i < pair; ++i) row(numbers_, c, kWeights + input)[i] = weight;
      }
    }
  }
}

float* Trainer::row(std::vector<float>& of, std::uint32_t column, std::size_t row) {
  return of.data() + (column * (std::size_t{options_.inputs} + kWeights) + row) * kMicro;
}

const float* Trainer::row(std::uint32_t column, std::size_t row) const {
  return numbers_.data() + (column * (std::size_t{options_.inputs} + kWeights) + row) * kMicro;
}

std::size_t Trainer::bytes() const {
  return 2 * (numbers_.size() + offsets_.size()) * sizeof(float);
}

double Trainer::run(std::span<const float> inputs, std::uint32_t column, Run& run) const {
  const auto ticks = options_.ticks;
  Lanes constant{};  // what every tick adds
  Lanes at[kMaxTicks];
  std::memset(at, 0, ticks * sizeof(Lanes));
  add_rounded(constant, row(column, kBias));
  const auto count = std::min<std::size_t>(inputs.size(), options_.inputs);
  for (std::size_t i = 0; i < count; ++i) {
    const auto fires = spikes(inputs[i], ticks);
    if (fires == 0) continue;
    const auto* weights = row(column, kWeights + i);
    if (fires == every(ticks)) {
      add_rounded(constant, weights);
      continue;
    }
    for (std::uint32_t t = 0; t < ticks; ++t)
      if ((fires >> t & 1) != 0) add_rounded(at[t], weights);
  }

  const float inhibition = to_unit(options_.inhibition);
  Lanes potential{};
  Lanes fired{};
  std::memset(run.said, 0, sizeof(run.said));
  float firing = 0;
  for (std::uint32_t t = 0; t < ticks; ++t) {
    float now = 0;
    for (std::size_t m = 0; m < kMicro; ++m) {
      // The integers lose a quarter rounded down to a unit: quarters of units, less 3/8, round to that.
      float u = potential[m] - to_unit(potential[m] * (1 - kKept) - 0.375F * kUnit);
      u += constant[m] + at[t][m] - inhibition * (firing - fired[m]);
      u = std::min(std::max(u, kLowest), kHighest);
      run.potential[t][m] = u;
      fired[m] = u >= 1.0F ? 1.0F : 0.0F;
      potential[m] = u - fired[m];
      run.said[m] += fired[m];
    }
    for (const float one : fired) now += one;
    firing = now;
  }
  double z = offsets_[column];
  for (std::size_t m = 0; m < kMicro; ++m) {
    run.said[m] += potential[m];
    z += static_cast<double>(row(column, kGain)[m] * run.said[m]);
  }
  return z;
}

double Trainer::predict(std::span<const float> inputs, std::uint32_t column) const {
  Run unused;
  return run(inputs, column, unused);
}

double Trainer::learn(std::span<const float> inputs, std::uint32_t column, bool reward, float weight) {
  Run before;
  const auto z = run(inputs, column, before);
  const auto error = static_cast<float>((reward ? 1.0 : 0.0) - 1.0 / (1.0 + std::exp(-z))) * weight;

  // What one more unit of current in each tick would do, from the last tick backwards: the trace that it
  // leaves, met by the readiness of the later ticks. Adds up to the same as carrying every input's trace
  // forwards.
  const auto ticks = options_.ticks;
  auto* gain = row(numbers_, column, kGain);
  Lanes effect[kMaxTicks];
  Lanes later;  // of the potential that a tick leaves behind
  Lanes always{};
  std::copy_n(gain, kMicro, later);
  for (auto t = ticks; t-- > 0;) {
    for (std::size_t m = 0; m < kMicro; ++m) {
      const float u = before.potential[t][m];
      const float free = u > kLowest && u < kHighest ? error : 0.0F;
      const float through = later[m] + readiness(u) * (gain[m] - later[m]);
      effect[t][m] = free * through;
      always[m] += effect[t][m];
      later[m] = kKept * through;
    }
  }

  const auto rate = options_.rate;
  const auto count = std::min<std::size_t>(inputs.size(), options_.inputs);
  for (std::size_t i = 0; i < count; ++i) {
    const auto fires = spikes(inputs[i], ticks);
    if (fires == 0) continue;
    auto* weights = row(numbers_, column, kWeights + i);
    auto* seen = row(seen_, column, kWeights + i);
    if (fires == every(ticks)) {
      climb(weights, seen, always, rate, kLargestWeight);
      continue;
    }
    Lanes sum{};
    for (std::uint32_t t = 0; t < ticks; ++t)
      if ((fires >> t & 1) != 0)
        for (std::size_t m = 0; m < kMicro; ++m) sum[m] += effect[t][m];
    climb(weights, seen, sum, rate, kLargestWeight);
  }
  climb(row(numbers_, column, kBias), row(seen_, column, kBias), always, rate, kLargestWeight);

  Lanes said{};
  for (std::size_t m = 0; m < options_.micro; ++m) said[m] = error * before.said[m];
  climb(gain, row(seen_, column, kGain), said, kGainStep * rate, kLargestGain);
  auto& seen = offsets_seen_[column];
  seen += error * error;
  offsets_[column] += kGainStep * rate * error / std::sqrt(seen);
  return z;
}

void Trainer::start_at(std::uint32_t column, double probability) {
  offsets_[column] = static_cast<float>(std::log(probability / (1.0 - probability)));
}

void Trainer::shift(std::uint32_t column, double logit) {
  offsets_[column] += static_cast<float>(logit);
}

void Trainer::resume(std::uint32_t column, const Columns& from, std::uint32_t index) {
  const auto trained = from.column(index);
  auto* to = row(numbers_, column, 0);
  const auto rows = kWeights + std::min<std::size_t>(options_.inputs, from.inputs);
  for (std::size_t i = 0; i < rows * kMicro; ++i)
    to[i] = static_cast<float>(trained.data[i]) * (i / kMicro == kGain ? kGainUnit : kUnit);
  std::fill(to + rows * kMicro, to + (kWeights + options_.inputs) * kMicro, 0.0F);
  offsets_[column] = static_cast<float>(logit(trained.offset));
}

void Trainer::mute(std::uint32_t input) {
  for (std::uint32_t c = 0; c < columns(); ++c) std::fill_n(row(numbers_, c, kWeights + input), kMicro, 0.0F);
}

void Trainer::average(const Trainer& later, float share) {
  if (numbers_.size() != later.numbers_.size() || offsets_.size() != later.offsets_.size())
    throw std::invalid_argument("Columns of different shapes have no average.");
  const auto mean = [share](float a, float b) { return a + share * (b - a); };
  std::ranges::transform(numbers_, later.numbers_, numbers_.begin(), mean);
  std::ranges::transform(offsets_, later.offsets_, offsets_.begin(), mean);
}

Owned Trainer::quantised() const {
  if (options_.ticks != kTicks)
    throw std::logic_error(fmt::format("Inference runs {} ticks, these columns {}.", kTicks, options_.ticks));
  Owned out(options_.inputs, columns(), round16(options_.inhibition * kThreshold));
  for (std::uint32_t c = 0; c < columns(); ++c) {
    const auto numbers = out.column(c);
    const auto* from = row(c, 0);
    for (std::size_t i = 0; i < (std::size_t{options_.inputs} + kWeights) * kMicro; ++i)
      numbers[i] = round16(i / kMicro == kGain ? from[i] / kGainUnit : to_unit(from[i]) * kThreshold);
    out.offset(c) = std::llround(static_cast<double>(offsets_[c]) * 0x1p24);
  }
  return out;
}

}  // namespace cx::inference::colanet
