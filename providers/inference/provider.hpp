#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/error.hpp"

namespace cx::inference {

inline constexpr std::size_t kFeatures = 256;
using Features = std::array<float, kFeatures>;

/// One feature vector and the rows of the offer table to score for it.
struct Item {
  Features features;
  std::vector<std::uint32_t> offers;
  SteadyTime deadline = SteadyTime::max();  ///< after which nobody waits for the answer
};

/// Click probabilities in (0, 1), one an offer, in the order asked.
using Scores = std::vector<float>;

/// Something that scores offers (FR-INF). An implementation is used by one actor at a time and may block only
/// that actor; it need not be thread-safe.
class CoLaNetProvider {
 public:
  virtual ~CoLaNetProvider() = default;

  /// An error when an offer is not in the model's table.
  virtual Result<Scores> predict(const Item& item) = 0;
  /// At most max_batch_size() items; results in order, and one item's failure is its own.
  virtual std::vector<Result<Scores>> predict_batch(std::span<const Item> items) = 0;
  /// Backend and model that gave the last answer, or will give the first, e.g. "cpu/seeded-linear@1".
  virtual std::string provider_name() const = 0;
  virtual bool supports_batching() const = 0;
  virtual std::size_t max_batch_size() const = 0;
  /// Touches what the first prediction would wait for. Called once before the node is ready.
  virtual std::optional<Error> warm_up() = 0;
};

}  // namespace cx::inference
