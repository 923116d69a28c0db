#pragma once

#include <functional>
#include <string>

#include "runtime/entity/request.hpp"
#include "runtime/services.hpp"

namespace cx {

/// Sends a command to the entity at an address, for a call; `respond` is called once, on any thread, and must
/// not block.
using AskEntity =
    std::function<void(const CallContext& call, const std::string& to, MessagePtr command, Respond respond)>;

}  // namespace cx
