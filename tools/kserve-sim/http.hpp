#pragma once

#include "tools/kserve-sim/simulator.hpp"
#include "tools/vendor-sim/answer.hpp"

namespace cx::kserve_sim {

/// The Open Inference Protocol (binary data extension), TensorFlow Serving's REST API, and the controls:
/// POST and DELETE /_sim/behaviour, GET /_sim/counts.
vendor_sim::Answer answer(Simulator& simulator, const vendor_sim::Request& request);

}  // namespace cx::kserve_sim
