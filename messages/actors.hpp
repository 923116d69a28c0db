#pragma once

// The catalogue of actor interfaces: what each actor takes and answers. They stay on one node, so their
// messages are passed as they are and never serialised. Any of them may answer a caf::error instead; a caller
// handles both. Entities have no interface of their own: runtime/entity/messages.hpp.

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include "cx/v1/inference.pb.h"

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::v1::Predict)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::v1::Predicted)

namespace cx {

/// The inference supervisor: batches requests and spreads them over a pool of providers.
using InferencePool = caf::typed_actor<
    // Scores offers. An error when overloaded, past the deadline or when the provider failed.
    caf::replies_to<v1::Predict>::with<v1::Predicted>>;

}  // namespace cx
