#include "providers/inference/learning/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/core.h>
#include <limits>
#include <numeric>

namespace cx::inference::learning {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kBins = 10;
constexpr double kLeastRatio = 0.9, kMostRatio = 1.1;

std::vector<std::uint32_t> order_of(std::span<const double> values) {
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] < values[b]; });
  return order;
}

double positives_of(std::span<const std::uint8_t> labels) {
  return static_cast<double>(std::count(labels.begin(), labels.end(), 1));
}

}  // namespace

double auc(std::span<const double> scores, std::span<const std::uint8_t> labels) {
  const auto order = order_of(scores);
  const double positives = positives_of(labels), negatives = static_cast<double>(labels.size()) - positives;
  if (positives == 0 || negatives == 0) return kUndefined;
  double won = 0, below = 0;  // pairs in the right order; negative rows with a lower score
  for (std::size_t i = 0; i < order.size();) {
    double same_positive = 0, same_negative = 0;
    const double score = scores[order[i]];
    for (; i < order.size() && scores[order[i]] == score; ++i)
      (labels[order[i]] != 0 ? same_positive : same_negative) += 1;
    won += same_positive * (below + same_negative / 2);
    below += same_negative;
  }
  return won / (positives * negatives);
}

double log_loss(std::span<const double> p, std::span<const std::uint8_t> labels) {
  if (p.empty()) return kUndefined;
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double kept = std::clamp(p[i], 1e-15, 1 - 1e-15);
    sum -= labels[i] != 0 ? std::log(kept) : std::log1p(-kept);
  }
  return sum / static_cast<double>(p.size());
}

double normalised_entropy(std::span<const double> p, std::span<const std::uint8_t> labels) {
  const double rate = positives_of(labels) / static_cast<double>(labels.size());
  if (!(rate > 0 && rate < 1)) return kUndefined;
  return log_loss(p, labels) / -(rate * std::log(rate) + (1 - rate) * std::log1p(-rate));
}

double calibration_error(std::span<const double> p, std::span<const std::uint8_t> labels) {
  if (p.empty()) return kUndefined;
  const auto order = order_of(p);
  double sum = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    double off = 0;
    for (auto i = order.size() * bin / kBins; i < order.size() * (bin + 1) / kBins; ++i)
      off += p[order[i]] - labels[order[i]];
    sum += std::abs(off);
  }
  return sum / static_cast<double>(p.size());
}

Measures measure(std::span<const double> p, std::span<const std::uint8_t> labels) {
  const double positives = positives_of(labels);
  return {labels.size(),
          static_cast<std::uint64_t>(positives),
          auc(p, labels),
          log_loss(p, labels),
          normalised_entropy(p, labels),
          calibration_error(p, labels),
          positives == 0 ? kUndefined : std::accumulate(p.begin(), p.end(), 0.0) / positives};
}

std::vector<std::string> refusals(const Measures& m) {
  std::vector<std::string> out;
  if (std::isnan(m.normalised_entropy))
    return {fmt::format("{} rows with {} positive ones say nothing about it: both kinds are needed", m.rows,
                        m.positives)};
  if (!(m.normalised_entropy < 1))
    out.push_back(
        fmt::format("normalised entropy {:.4f} is not below 1: it forecasts no better than always saying the "
                    "rate of positive rows",
                    m.normalised_entropy));
  if (!(m.ratio >= kLeastRatio && m.ratio <= kMostRatio))
    out.push_back(fmt::format("it promises {:.3f} times the positive rows that came, outside {} to {}",
                              m.ratio, kLeastRatio, kMostRatio));
  return out;
}

}  // namespace cx::inference::learning
