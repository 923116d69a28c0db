#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "providers/inference/colanet/model.hpp"

namespace cx::inference::colanet {

/// The schema of a model that scores bids: its inputs are the first `inputs` features of a bid, as they are
/// (messages/cx/v1/inference.proto says what each means). Its version changes when those meanings do.
std::string bid_schema(std::uint32_t inputs);

/// xxh64 of a schema's text, as a model's header has it.
std::uint64_t schema_hash(std::string_view schema);

/// Why this model cannot score bids and what to do, a sentence; nothing if it can.
std::optional<std::string> problem_of_bids(const Model& model);

}  // namespace cx::inference::colanet
