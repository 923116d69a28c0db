#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "providers/inference/colanet/model.hpp"
#include "providers/inference/learning/training.hpp"

namespace cx::inference::learning {

/// What came of giving an offer a column of its own.
struct OfferTrained {
  std::string id;
  std::size_t rows = 0;       ///< to learn from
  double prior = 0, own = 0;  ///< log loss over its validation rows, by the prior and by its own column
  bool kept = false;
};

/// The columns of a model: the prior over all offers, and those of offers that are better forecast by their
/// own.
struct OfferColumns {
  colanet::Owned columns;                                  ///< 0 is the prior
  std::vector<std::pair<std::string, std::uint32_t>> ids;  ///< of the offers, each with its column
  std::size_t tried = 0;                                   ///< offers with enough rows to learn from
  std::size_t offers = 0;                                  ///< that there are
};

/// Trains a column for each offer that has enough rows: at least 5 that were rewarded and 5 that were not,
/// and 20 validation rows. It begins as the prior, shifted to the offer's own rate, and the fewer rows it
/// has, the less it may depart from there: n rows take it n / (n + 500) of the way to where they lead. It is
/// kept where it forecasts the offer's validation rows better than the prior does, by more than one standard
/// error of the difference: of many offers, some would seem better by chance. `on_offer` is called after
/// each; where it returns false, no more are tried.
OfferColumns train_offers(const colanet::Trainer& prior, const Examples& training, const Examples& validation,
                          const TrainingOptions& options,
                          const std::function<bool(const OfferTrained&)>& on_offer = {});

/// The column of each of offer_ids(): as `column_of` says, or the prior's.
std::vector<std::uint32_t> columns_of(
    const Examples& examples, const std::function<std::optional<std::uint32_t>(std::string_view)>& column_of);

/// The logit of each row, uncalibrated, as inference computes it, by the column of its offer; rows about
/// none, and offers past the end of the list, are the prior's. `column_of_offer`: of each of offer_ids().
std::vector<double> logits(const colanet::Columns& columns, std::span<const std::uint32_t> column_of_offer,
                           const Examples& examples);
/// The same by the prior alone.
inline std::vector<double> logits(const colanet::Columns& columns, const Examples& examples) {
  return logits(columns, {}, examples);
}

}  // namespace cx::inference::learning
