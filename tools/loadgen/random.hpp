#pragma once

#include <cmath>
#include <cstdint>
#include <random>

namespace cx::loadgen {

using Random = std::mt19937_64;

/// Uniform in [0, 1), the same on every standard library.
inline double uniform(Random& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

/// Uniform in [0, n); n > 0.
inline std::uint32_t below(Random& random, std::uint32_t n) {
  return static_cast<std::uint32_t>(uniform(random) * n);
}

/// Ranks 0..n-1 with probability proportional to 1 / (rank + 1)^s, without a table: rejection-inversion, W.
/// Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions"
/// (1996).
class Zipf {
 public:
  /// n >= 1; s >= 0, where 0 is uniform.
  Zipf(std::uint32_t n, double s)
      : n_(n),
        s_(s),
        low_(area(1.5) - 1),
        high_(area(n + 0.5)),
        sure_(2 - area_inverse(area(2.5) - weight(2))) {}

  std::uint32_t operator()(Random& random) const {
    while (true) {
      const double u = high_ + uniform(random) * (low_ - high_);
      const double x = area_inverse(u);
      const double k = std::fmin(std::fmax(std::floor(x + 0.5), 1), n_);
      if (k - x <= sure_ || u >= area(k + 0.5) - weight(k)) return static_cast<std::uint32_t>(k) - 1;
    }
  }

 private:
  double weight(double x) const { return std::pow(x, -s_); }
  /// An antiderivative of weight, and its inverse.
  double area(double x) const { return s_ == 1 ? std::log(x) : std::pow(x, 1 - s_) / (1 - s_); }
  double area_inverse(double u) const { return s_ == 1 ? std::exp(u) : std::pow(u * (1 - s_), 1 / (1 - s_)); }

  double n_, s_, low_, high_, sure_;
};

}  // namespace cx::loadgen
