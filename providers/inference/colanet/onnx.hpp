#pragma once

#include <string>

#include "providers/inference/colanet/model.hpp"
#include "runtime/error.hpp"

namespace cx::inference::colanet {

/// A model as ONNX (opset 13, standard operators only), for runtimes other than ours. The graph is the
/// network itself, tick by tick, in the integers of network.hpp, so that z is the same to the last bit
/// wherever it runs; p is Calibration::probability in doubles, and may differ by what exp rounds.
///
///     features  float [N, inputs]   as they come: encode() is part of the graph
///     columns   int64 [N]           the column that scores the row, 0 to columns - 1; 0 is the prior
///     -> z      int64 [N]           the read-out
///     -> p      float [N]           the probability of a click
///
/// metadata_props: format ("colanet"), name, hash, schema_hash, data_hash, parent (16 hexadecimal digits),
/// created (Unix milliseconds), schema (JSON) and offers: a JSON object, of each offer its column; one that
/// is not in it has column 0.
///
/// Takes memory for the file as a whole. "unwritten-model" where it would pass the 2 GiB that Protobuf can
/// hold.
Result<std::string> to_onnx(const Model& model);

}  // namespace cx::inference::colanet
