#include "tools/kserve-sim/simulator.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace cx::kserve_sim {
namespace {

using inference::kFeatures;
using inference::remote::Precision;

constexpr std::pair<std::string_view, Mode> kModes[] = {{"ok", Mode::ok},
                                                        {"error", Mode::error},
                                                        {"hang", Mode::hang},
                                                        {"slow", Mode::slow},
                                                        {"reset", Mode::reset},
                                                        {"cut", Mode::cut},
                                                        {"malformed", Mode::malformed},
                                                        {"wrong-shape", Mode::wrong_shape},
                                                        {"wrong-type", Mode::wrong_type},
                                                        {"nan", Mode::nan},
                                                        {"out-of-range", Mode::out_of_range},
                                                        {"huge", Mode::huge}};

/// `x` with only so many bits of its significand.
float keep_bits(float x, int bits) {
  const auto drop = static_cast<unsigned>(24 - bits);
  const auto raw = std::bit_cast<std::uint32_t>(x) + (1U << (drop - 1));
  return std::bit_cast<float>(raw >> drop << drop);
}

/// An input as such hardware sees it: in [-1, 1], as ours are.
float as_seen(float x, Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return x;
    case Precision::fp16:
      return keep_bits(x, 11);
    case Precision::bf16:
      return keep_bits(x, 8);
    case Precision::int8:
      return std::round(x * 127) / 127;
  }
  return x;
}

void tamper(Output& output, Mode mode) {
  if (mode == Mode::nan) output.scores[0] = std::numeric_limits<float>::quiet_NaN();
  if (mode == Mode::out_of_range) output.scores[0] = 1.5F;
  if (mode == Mode::wrong_type) output.datatype = "INT32";
  if (mode != Mode::wrong_shape) return;
  ++output.shape[0];
  output.scores.resize(output.scores.size() + static_cast<std::size_t>(output.shape[1]));
}

}  // namespace

std::optional<Mode> mode_of(std::string_view name) {
  for (const auto& [known, mode] : kModes)
    if (known == name) return mode;
  return std::nullopt;
}

std::string mode_names() {
  std::string names;
  for (const auto& [name, _] : kModes) names.append(names.empty() ? "" : ", ").append(name);
  return names;
}

Simulator::Simulator(Options options, std::unique_ptr<inference::CoLaNetProvider> model)
    : options_(std::move(options)), provider_(std::move(model)), random_(options_.seed) {}

void Simulator::behave(Behaviour behaviour) {
  const std::lock_guard lock(mutex_);
  behaviour_ = behaviour;
}

Behaviour Simulator::next() {
  const std::lock_guard lock(mutex_);
  ++requests_;
  if (behaviour_.mode == Mode::ok || (behaviour_.share < 1 && random_.uniform() >= behaviour_.share))
    return {};
  const auto taken = behaviour_;
  if (behaviour_.count && --*behaviour_.count == 0) behaviour_ = {};
  ++misbehaved_;
  return taken;
}

Result<Output> Simulator::score(std::span<const float> features, std::span<const std::int32_t> offers,
                                std::size_t rows, std::size_t width, Mode mode) {
  const auto refuse = [](std::string what) {
    return Error{Code::invalid_argument, "bad-request", std::move(what), ""};
  };
  if (rows == 0 || width == 0 || features.size() != rows * kFeatures || offers.size() / width != rows ||
      offers.size() % width != 0)
    return refuse(fmt::format("features have to be FP32 [n, {}], offers INT32 [n, k].", kFeatures));
  if (rows > options_.profile->max_batch)
    return refuse(fmt::format("A batch of {} is larger than the {} of {}.", rows, options_.profile->max_batch,
                              options_.profile->name));
  Output output{{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(width)}, "FP32", {}};
  output.scores.reserve(offers.size());
  const std::lock_guard lock(mutex_);
  for (std::size_t row = 0; row < rows; ++row) {
    inference::Item item;
    std::transform(features.begin() + static_cast<std::ptrdiff_t>(row * kFeatures),
                   features.begin() + static_cast<std::ptrdiff_t>((row + 1) * kFeatures),
                   item.features.begin(), [&](float x) { return as_seen(x, options_.profile->precision); });
    const auto own = offers.subspan(row * width, width);
    for (const auto offer : own)
      if (offer >= 0) item.offers.push_back(static_cast<std::uint32_t>(offer));
    const auto scores = provider_->predict(item);
    if (!scores) return scores.error();
    auto score = scores->begin();
    for (const auto offer : own) output.scores.push_back(offer >= 0 ? *score++ : 0.0F);
  }
  tamper(output, mode);
  return output;
}

}  // namespace cx::kserve_sim
