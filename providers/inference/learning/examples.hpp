#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/error.hpp"

namespace cx::inference::learning {

class Schema;
struct Table;

/// An input that is not 0.
struct Active {
  std::uint16_t input;
  float x;  ///< in (0, 1]
};

/// An example that is about no offer.
inline constexpr std::uint32_t kNoOffer = UINT32_MAX;

/// What was shown and what came of it, as a network reads it.
class Examples {
 public:
  using Ids = std::shared_ptr<const std::vector<std::string>>;

  /// None yet, of so many inputs, about offers of these ids.
  explicit Examples(std::uint32_t inputs, Ids offers = {}) : inputs_(inputs), ids_(std::move(offers)) {}
  /// Rows of a table. An error when the table lacks a column of the schema, or a row its target, or when a
  /// row names an offer as no model can.
  static Result<Examples> of(const Schema& schema, const Table& table, std::span<const std::uint32_t> rows);

  /// Inputs past the number of inputs are left out. `offer`: an index of offer_ids(), or kNoOffer.
  void add(std::span<const Active> inputs, bool rewarded, std::uint32_t offer = kNoOffer);
  /// Some of them, in that order.
  Examples pick(std::span<const std::uint32_t> rows) const;
  /// Those that were rewarded and, drawn by the seed, this share of the others.
  Examples sample(double share, std::uint64_t seed) const;

  std::uint32_t inputs() const { return inputs_; }
  std::size_t size() const { return labels_.size(); }
  std::span<const Active> row(std::size_t i) const {
    return std::span(actives_).subspan(ends_[i], ends_[i + 1] - ends_[i]);
  }
  /// All inputs of a row; `out` is of inputs() numbers.
  void fill(std::size_t i, std::span<float> out) const;
  /// 1 where it was rewarded (the target is the positive value, or the outcome came), else 0.
  std::span<const std::uint8_t> labels() const { return labels_; }
  std::size_t positives() const;
  /// Of each row: an index of offer_ids(), or kNoOffer.
  std::span<const std::uint32_t> offers() const { return offers_; }
  const std::vector<std::string>& offer_ids() const;

 private:
  std::uint32_t inputs_ = 0;
  Ids ids_;
  std::vector<std::size_t> ends_{0};
  std::vector<Active> actives_;
  std::vector<std::uint8_t> labels_;
  std::vector<std::uint32_t> offers_;
};

/// Row numbers 0 to rows - 1 in three parts of 70, 15 and 15 %, shuffled by the seed.
struct Split {
  std::vector<std::uint32_t> training, validation, test;
};
Split split(std::uint32_t rows, std::uint64_t seed);

/// Where 70 and 85 % of so many rows end.
constexpr std::pair<std::size_t, std::size_t> cuts(std::size_t rows) {
  return {rows * 70 / 100, rows * 85 / 100};
}

}  // namespace cx::inference::learning
