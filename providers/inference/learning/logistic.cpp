#include "providers/inference/learning/logistic.hpp"

#include <algorithm>
#include <cmath>

namespace cx::inference::learning {
namespace {

constexpr int kMostSteps = 30;

/// Solves a x = b for a symmetric, positive definite a of n rows (its lower half; destroyed), by Cholesky's
/// factors; b becomes x.
void solve(std::vector<double>& a, std::vector<double>& b) {
  const auto n = b.size();
  for (std::size_t i = 0; i < n; ++i) {
    double* row = &a[i * n];
    for (std::size_t j = 0; j <= i; ++j) {
      const double* other = &a[j * n];
      double sum = row[j];
      for (std::size_t k = 0; k < j; ++k) sum -= row[k] * other[k];
      row[j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / other[j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
}

}  // namespace

double Logistic::logit(std::span<const Active> inputs) const {
  double sum = weights_.back();
  for (const auto& [input, x] : inputs) sum += weights_[input] * x;
  return sum;
}

std::vector<double> Logistic::logits(const Examples& examples) const {
  std::vector<double> out(examples.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = logit(examples.row(i));
  return out;
}

Logistic Logistic::fit(const Examples& examples, double l2) {
  const std::size_t bias = examples.inputs(), n = bias + 1;
  const auto labels = examples.labels();
  const auto loss = [&](const Logistic& model) {
    double sum = 0;
    for (std::size_t i = 0; i < bias; ++i) sum += l2 / 2 * model.weights_[i] * model.weights_[i];
    for (std::size_t i = 0; i < examples.size(); ++i) {
      const double z = model.logit(examples.row(i));
      sum += std::max(z, 0.0) - z * labels[i] + std::log1p(std::exp(-std::abs(z)));
    }
    return sum;
  };

  Logistic model;
  model.weights_.assign(n, 0);
  double now = loss(model);
  for (int step = 0; step < kMostSteps; ++step) {
    std::vector<double> gradient(n), hessian(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      const double penalty = i == bias ? 1e-9 : l2;
      gradient[i] = penalty * model.weights_[i];
      hessian[i * n + i] = penalty;
    }
    for (std::size_t i = 0; i < examples.size(); ++i) {
      const auto row = examples.row(i);
      const double p = sigmoid(model.logit(row)), off = p - labels[i], curve = p * (1 - p);
      gradient[bias] += off;
      hessian[bias * n + bias] += curve;
      for (const auto& [a, x] : row) {
        gradient[a] += off * x;
        hessian[bias * n + a] += curve * x;
        for (const auto& [b, y] : row)
          if (b <= a) hessian[std::size_t{a} * n + b] += curve * x * y;
      }
    }
    solve(hessian, gradient);
    double next = now;
    auto moved = model;
    for (double length = 1; length > 1e-6; length /= 2) {
      for (std::size_t i = 0; i < n; ++i) moved.weights_[i] = model.weights_[i] - length * gradient[i];
      next = loss(moved);
      if (next < now) break;
    }
    if (!(next < now)) break;
    const bool still = now - next < 1e-9 * now;
    model = std::move(moved);
    now = next;
    if (still) break;
  }
  return model;
}

}  // namespace cx::inference::learning
