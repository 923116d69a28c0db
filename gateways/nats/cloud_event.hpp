#pragma once

#include <string>

#include "runtime/address.hpp"
#include "runtime/nats/connection.hpp"
#include "runtime/projection/announcement.hpp"

namespace cx::nats_gateway {

/// A message that tells others of something; EVENTS.md describes it.
struct EventMessage {
  std::string entity;  ///< address: messages about one keep their order
  std::string subject;
  nats::Headers headers;
  std::string payload;
};

/// A CloudEvent (1.0, binary mode) of an announcement that a record of the entity at `address` makes. Type
/// and kind are names, so that they are safe in a subject.
EventMessage event_message(const std::string& prefix, const Address& address, const v1::JournalRecord& record,
                           const Announcement& said);

/// As the CloudEvents bindings ask of header values: printable ASCII but '"' and '%' as it is, every other
/// byte, and a space, as %XX.
std::string header_value(std::string_view text);

}  // namespace cx::nats_gateway
