#pragma once

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/error.hpp>

#include "runtime/entity/request.hpp"

// What an actor sends to a region, and gets back: (Request) -> (MessagePtr). They stay on one node.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::Request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::MessagePtr)

namespace cx {

caf::error to_caf(const Error& error);
/// The Error that an actor answered; an `internal` one for an error of CAF itself.
Error from_caf(const caf::error& error);

}  // namespace cx
