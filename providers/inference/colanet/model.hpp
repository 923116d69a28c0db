#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "providers/inference/colanet/network.hpp"
#include "runtime/error.hpp"

namespace cx::inference::colanet {

/// From a column's logit to a probability of a click: sigmoid(a * logit + b + ln(sampling)).
struct Calibration {
  double a = 1;
  double b = 0;
  /// Share of the examples without a click that training kept, in (0, 1]: what is left out makes clicks look
  /// likelier than they are.
  double sampling = 1;

  /// In (0, 1), also as a float.
  double probability(double logit) const;
};

/// What a model says about itself.
struct ModelInfo {
  std::string name;               ///< 1 to 64 of A-Z a-z 0-9 . _ -
  std::uint64_t schema_hash = 0;  ///< of how raw fields become inputs
  std::uint64_t data_hash = 0;    ///< of what it was trained on
  std::uint64_t parent = 0;       ///< hash of the model that it was trained on from; 0: none
  std::int64_t created_unix_ms = 0;
  Calibration calibration;
};

/// The column that scores an offer.
struct OfferColumn {
  std::string_view id;
  std::uint32_t column;
};

/// Bounds of a model file; a file past one of them is refused.
inline constexpr std::uint32_t kMaxColumns = 1U << 20;
inline constexpr std::size_t kMaxName = 64;
inline constexpr std::size_t kMaxOfferId = 255;
inline constexpr std::size_t kMaxSchema = 16U << 20;
inline constexpr std::uint32_t kMaxGolden = 1024;

/// A model file (MODEL.md) in memory. Immutable; threads may share it.
///
/// The file is read and not mapped: somebody who copies another file over it would otherwise change weights
/// after they were checked, or end the process by cutting the file short.
class Model {
 public:
  /// Reads and checks everything: sizes, hash, ranges, the order of the offers, and that this machine
  /// computes what the golden vectors say. `schema_hash`, if given, has to be the file's. An error of type
  /// "invalid-model" or, where there is no file to read, "unreadable-model" names the file, what is wrong
  /// where, and what to do.
  static Result<Model> open(const std::string& path, std::optional<std::uint64_t> schema_hash = std::nullopt);

  const ModelInfo& info() const { return info_; }
  const std::string& name() const { return info_.name; }
  const Calibration& calibration() const { return info_.calibration; }
  /// Of the whole content.
  std::uint64_t hash() const { return hash_; }
  /// NAME@HASH8, with the first eight hexadecimal digits of the hash.
  std::string label() const;
  /// How raw fields become inputs, as JSON, as it was given to write_model; may be empty.
  std::string_view schema() const { return schema_; }
  std::size_t file_size() const { return memory_.size; }

  const Columns& columns() const { return columns_; }
  /// Column 0 is the prior: it scores offers that have none of their own.
  static constexpr std::uint32_t kPrior = 0;
  std::optional<std::uint32_t> column_of(std::string_view offer) const;
  /// Offers with a column of their own, in ascending order of their ids (by byte).
  std::uint32_t offers() const { return offers_; }
  OfferColumn offer(std::uint32_t index) const;

 private:
  struct Unmap {
    std::size_t size;
    void operator()(std::byte* p) const;
  };
  struct Memory {
    std::unique_ptr<std::byte, Unmap> data;
    std::size_t size = 0;
  };
  class Reader;

  Memory memory_;
  ModelInfo info_;
  std::uint64_t hash_ = 0;
  Columns columns_;
  std::string_view schema_, ids_;
  std::span<const std::uint32_t> entries_;  // of each offer: where its id ends in ids_, its column
  std::uint32_t offers_ = 0;
};

}  // namespace cx::inference::colanet
