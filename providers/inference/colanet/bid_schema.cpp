#include "providers/inference/colanet/bid_schema.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include "providers/inference/provider.hpp"

namespace cx::inference::colanet {

std::string bid_schema(std::uint32_t inputs) {
  return fmt::format(R"({{"version":1,"reads":"bid","features":{}}})", inputs);
}

std::uint64_t schema_hash(std::string_view schema) {
  return XXH64(schema.data(), schema.size(), 0);
}

std::optional<std::string> problem_of_bids(const Model& model) {
  const auto inputs = model.columns().inputs;
  if (inputs > kFeatures)
    return fmt::format("it has {} inputs, and a bid has {} features. Train it with at most as many inputs.",
                       inputs, kFeatures);
  const auto wanted = bid_schema(inputs);
  if (model.schema() != wanted || model.info().schema_hash != schema_hash(wanted))
    return fmt::format(
        "its inputs are made by the schema {:016x}, and a node makes those of a bid, {:016x}. Train a model "
        "for bids: campaignctl model train --decisions.",
        model.info().schema_hash, schema_hash(wanted));
  return std::nullopt;
}

}  // namespace cx::inference::colanet
