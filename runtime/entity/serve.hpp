#pragma once

#include "runtime/entity/entities.hpp"
#include "runtime/method.hpp"

namespace cx {

/// Serves every method of `services` that names a target: its request is a command of the entity at that
/// address, its reply what the entity answers. Methods whose entities this node does not host are left out;
/// throws std::logic_error where a kind does not take the command. `entities` outlives the table.
///
/// An idempotency key makes the command take effect once: the same request again gets the first one's answer,
/// another one with that key is refused (conflict "idempotency-key-reused"). An entity remembers the last 64
/// keys.
void serve_entities(const ServiceDescriptors& services, const Kinds& kinds, const Entities& entities,
                    Services& table);

/// A command for the entity at an address on behalf of a call: its actor, roles, trace and deadline are the
/// call's.
Result<Request> request_for(const CallContext& call, const Entities& entities, std::string_view address,
                            MessagePtr command);

}  // namespace cx
