#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "providers/inference/learning/examples.hpp"

namespace cx::inference::learning {

/// What may come of a decision, as messages/cx/v1/decision.proto has it.
enum class Kind : std::uint8_t { impression, click, open, dismiss, conversion };
inline constexpr std::size_t kKinds = 5;
/// "click"
std::optional<Kind> kind_of(std::string_view word);

/// What was offered to a customer. Times are Unix milliseconds.
struct Decision {
  std::string_view id, offer;
  std::int64_t at = 0;
  std::span<const std::int8_t> features;  ///< 127 times their values; at most 256, those past the end are 0
  std::array<std::optional<std::int64_t>, kKinds> first = {};  ///< when each kind of outcome first happened
};

/// What an example is.
struct Question {
  Kind outcome = Kind::click;  ///< that makes it a rewarded one
  std::int64_t window = 0;     ///< where it came within so many milliseconds of the decision
  std::int64_t now = 0;        ///< decisions younger than the window are left out: it may still come
};

/// Decisions as examples: those that the customer saw, of which an impression or what only follows one was
/// told. Inputs are the features as they are, those below 0 as 0.
class Decisions {
 public:
  explicit Decisions(const Question& question) : question_(question) {}

  /// What became of a decision that was added.
  enum class Fate {
    taken,
    repeated,  ///< its id came before
    young,     ///< younger than the window
    unseen,    ///< nothing says that it was shown
  };
  static constexpr std::size_t kFates = 4;
  Fate add(const Decision& decision);
  std::size_t count(Fate fate) const { return counts_[static_cast<std::size_t>(fate)]; }

  /// Puts them in order of time. Call it before what follows, and add none after it.
  void sort();
  std::size_t size() const { return rows_.size(); }
  /// When the `i`th was made, in order of time.
  std::int64_t at(std::size_t i) const { return rows_[i].at; }
  /// 1 more than the last feature that is not 0 in any of the first `rows`; at least 1.
  std::uint32_t inputs(std::size_t rows) const;
  /// Those from `begin` to before `end`, of so many inputs.
  Examples examples(std::size_t begin, std::size_t end, std::uint32_t inputs) const;
  /// XXH3 of all that examples are made of, in order.
  std::uint64_t hash() const;

 private:
  struct Row {
    std::int64_t at;
    std::uint64_t id;   // XXH3 of it
    std::size_t begin;  // of its features
    std::uint32_t offer;
    std::uint16_t features;
    bool rewarded;
  };
  std::span<const std::int8_t> features(const Row& row) const {
    return std::span(features_).subspan(row.begin, row.features);
  }

  Question question_;
  std::array<std::size_t, kFates> counts_{};
  std::unordered_set<std::uint64_t> ids_;
  std::vector<Row> rows_;
  std::vector<std::int8_t> features_;
  std::unordered_map<std::string, std::uint32_t> offers_;
};

}  // namespace cx::inference::learning
