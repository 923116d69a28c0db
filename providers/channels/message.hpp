#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "cx/v1/delivery.pb.h"
#include "providers/channels/accounts.hpp"
#include "providers/channels/http.hpp"
#include "providers/pool/work.hpp"

// From a message that may leave to the request that carries it, and from the answer to what became of it.
// Pure.

namespace cx::channels {

/// What became of a message, as far as its pool is concerned.
struct Fate {
  enum class Kind {
    sent,
    refused,   ///< the clearance says so, with rule and detail
    deferred,  ///< the same
    gone,      ///< it was settled before
    returned,  ///< its customer could not be asked: to be dispatched again
  };
  Kind kind = Kind::sent;
  std::string vendor_id = {};          ///< when sent
  std::string rule = {}, detail = {};  ///< when refused or deferred
  Error error = {};                    ///< when returned
};
using Outcome = pool::Outcome<Fate>;

/// What templates see: customer (its traits and id), event, memory, journey {id, step} and message {id,
/// purpose, channel}. The error, "invalid-clearance", is a fault of ours.
Result<boost::json::object> make_data(const std::string& message_id, const v1::Clearance& clearance);

/// The request that carries a message. `now`: Unix milliseconds. The same id in each attempt. Errors mean
/// that it will never leave as it is, and quote nothing of the customer's: "wrong-channel",
/// "template-failed", "no-address", "invalid-email", "invalid-subject", "empty-body", "invalid-body",
/// "message-too-large".
Result<HttpRequest> make_request(const Account& account, const Content& content,
                                 const std::string& message_id, const v1::Clearance& clearance,
                                 std::int64_t now);

/// What an answer, or its absence, says of an attempt. `now`: Unix milliseconds, for a Retry-After that is a
/// date.
Outcome judge(const Account& account, const HttpReply& reply, std::int64_t now);

/// Whether a text is the address of a mailbox as vendors take it: dot-atom@domain, ASCII, with a dot in the
/// domain.
bool is_email(std::string_view text);

}  // namespace cx::channels
