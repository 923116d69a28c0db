#pragma once

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/error.hpp>

#include "runtime/entity/request.hpp"

// What an actor sends to a region, and gets back: (Request) -> (MessagePtr). What an endpoint's actor gets
// from one: (Letter) -> (caf::unit_t), whenever it is done with it. Errors are those of to_caf(). They stay
// on one node.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::Request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::MessagePtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::Letter)

namespace cx {

caf::error to_caf(const Error& error);
/// The Error that an actor answered; an `internal` one for an error of CAF itself.
Error from_caf(const caf::error& error);

}  // namespace cx
