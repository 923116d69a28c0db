#pragma once

#include "cx/v1/config.pb.h"

namespace cx {

/// Sends log lines to stderr, as text or as one JSON object a line ({"time","level","message"}).
void set_up_log(const v1::LogConfig& config);

}  // namespace cx
