#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "providers/inference/colanet/model.hpp"

namespace cx::inference::colanet {

/// What goes into a model file.
struct ModelParts {
  ModelInfo info;
  std::string_view schema;  ///< how raw fields become inputs, as JSON; may be empty
  Columns columns;          ///< column 0 is the prior
  /// Offers with a column of their own, in any order; each once, its column one of 1 to columns.count - 1.
  std::vector<std::pair<std::string, std::uint32_t>> offers;
  /// Input vectors to prove the model with, besides some that are always there; at most 1,000.
  std::vector<std::vector<float>> examples;
};

/// Writes a model to `path` (MODEL.md), through a temporary file beside it that is synced and renamed: who
/// looks at `path` sees the file that was there or all of the new one. The new model's hash, or an error that
/// names what does not fit.
Result<std::uint64_t> write_model(const std::string& path, const ModelParts& parts);

}  // namespace cx::inference::colanet
