#pragma once

// The catalogue of actor interfaces: what each actor takes and answers. They stay on one node, so their
// messages are passed as they are and never serialised. Any of them may answer a caf::error instead; a caller
// handles both.

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>
#include <string>

#include "cx/v1/customer.pb.h"
#include "cx/v1/inference.pb.h"

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::v1::ReserveImpressions)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::v1::ReleaseImpressions)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::v1::ImpressionsGranted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::v1::Predict)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::v1::Predicted)

namespace cx {

/// All customers of a node. The string is the customer's address.
using CustomerRegion = caf::typed_actor<
    // Check-and-reserve against the frequency cap, and the profile. An error when overloaded.
    caf::replies_to<std::string, v1::ReserveImpressions>::with<v1::ImpressionsGranted>,
    // Gives back what was not offered.
    caf::reacts_to<std::string, v1::ReleaseImpressions>>;

/// The inference supervisor: batches requests and spreads them over a pool of providers.
using InferencePool = caf::typed_actor<
    // Scores offers. An error when overloaded, past the deadline or when the provider failed.
    caf::replies_to<v1::Predict>::with<v1::Predicted>>;

}  // namespace cx
