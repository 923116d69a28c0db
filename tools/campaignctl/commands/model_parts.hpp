#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "providers/inference/colanet/model.hpp"
#include "providers/inference/learning/examples.hpp"
#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

/// What a model is trained on.
struct ModelData {
  inference::learning::Examples training, validation, test;
  std::string schema;           ///< of the model, as JSON
  std::uint64_t hash = 0;       ///< of the data
  std::string positive;         ///< what it forecasts: "yes", "click within 24h"
  std::string told = {};        ///< about what was left out
  std::vector<Row> spans = {};  ///< of decisions: the times that each part covers
};

/// What a model is measured by.
struct MeasureData {
  inference::learning::Examples rows;
  std::uint64_t hash = 0;
  std::string told = {};
  std::int64_t first_ms = INT64_MAX;  ///< the oldest decision, Unix; of a table: no time
};

/// The table of --data, split by the seed, or the decisions of --decisions, split by time, with `least`
/// inputs or as many more as they have.
Outcome<ModelData> data_to_train(const Call& call, std::uint64_t seed, std::uint32_t least);

/// The same, whole, as the inputs of a model that was trained on the like; a failure for any other model.
Outcome<MeasureData> data_to_measure(const Call& call, const inference::colanet::Model& model,
                                     const std::string& file);

/// Whether the model's inputs are those of a bid, and what else its schema says, in words: "bid, first 140
/// features", "table, clicked = yes by 3 columns".
std::string schema_in_words(const inference::colanet::Model& model);

/// A failure of a library as one of a command.
Failure failure_of(const Error& error);

/// The value of a flag that the command cannot do without.
Outcome<std::string> needed(const Call& call, const std::string& flag);

/// A time of Unix milliseconds as RFC 3339.
std::string time_text(std::int64_t ms);

/// "9f3c2a7100000000"
std::string hex(std::uint64_t hash);

}  // namespace cx::ctl
