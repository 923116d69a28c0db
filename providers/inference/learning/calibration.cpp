#include "providers/inference/learning/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/core.h>

#include "providers/inference/learning/logistic.hpp"

namespace cx::inference::learning {
namespace {

constexpr int kMostSteps = 100;

/// -log(sigmoid(x)) without overflow.
double softplus_of_minus(double x) {
  return x > 0 ? std::log1p(std::exp(-x)) : std::log1p(std::exp(x)) - x;
}

}  // namespace

Result<colanet::Calibration> platt(std::span<const double> logits, std::span<const std::uint8_t> labels,
                                   double sampling) {
  const auto positives = static_cast<double>(std::count(labels.begin(), labels.end(), 1));
  const auto negatives = static_cast<double>(labels.size()) - positives;
  if (positives == 0 || negatives == 0)
    return Error{Code::invalid_argument,
                 "cannot-calibrate",
                 fmt::format("the {} rows to calibrate by have {} positive ones; both kinds are needed: give "
                             "more rows",
                             labels.size(), positives),
                 {}};
  if (!std::all_of(logits.begin(), logits.end(), [](double z) { return std::isfinite(z); }))
    return Error{Code::invalid_argument, "cannot-calibrate", "a logit is not a finite number", {}};
  const double high = (positives + 1) / (positives + 2), low = 1 / (negatives + 2);

  const auto loss = [&](double a, double b) {
    double sum = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double x = a * logits[i] + b, t = labels[i] != 0 ? high : low;
      sum += t * softplus_of_minus(x) + (1 - t) * softplus_of_minus(-x);
    }
    return sum;
  };
  double a = 0, b = std::log((positives + 1) / (negatives + 1)), now = loss(a, b);
  for (int step = 0; step < kMostSteps; ++step) {
    double ga = 0, gb = 0, haa = 1e-12, hab = 0, hbb = 1e-12;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double p = sigmoid(a * logits[i] + b), t = labels[i] != 0 ? high : low;
      ga += (p - t) * logits[i];
      gb += p - t;
      haa += p * (1 - p) * logits[i] * logits[i];
      hab += p * (1 - p) * logits[i];
      hbb += p * (1 - p);
    }
    if (std::abs(ga) < 1e-7 && std::abs(gb) < 1e-7) break;
    const double determinant = std::max(haa * hbb - hab * hab, 1e-12);
    const double da = (hbb * ga - hab * gb) / determinant, db = (haa * gb - hab * ga) / determinant;
    double length = 1, next = now;
    for (; length > 1e-10; length /= 2) {
      next = loss(a - length * da, b - length * db);
      if (next < now - 1e-4 * length * (ga * da + gb * db)) break;
    }
    if (length <= 1e-10) break;  // as exact as doubles go
    a -= length * da;
    b -= length * db;
    now = next;
  }
  if (!(a > 0))
    return Error{
        Code::invalid_argument,
        "cannot-calibrate",
        fmt::format("higher logits do not go with more positive rows (slope {:.3g} over {} rows): the "
                    "model has learnt nothing that holds on these",
                    a, labels.size()),
        {}};
  return colanet::Calibration{a, b, sampling};
}

colanet::Calibration sampled(colanet::Calibration calibration, double sampling) {
  return {calibration.a, calibration.b - std::log(sampling), sampling};
}

}  // namespace cx::inference::learning
