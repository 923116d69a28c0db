#pragma once

#include <boost/json/object.hpp>

#include "runtime/nats/jetstream.hpp"

namespace cx::nats::api {

/// An error of the JetStream API as one of JetStream's; nothing if `answer` has none. `what` begins its
/// detail.
std::optional<Error> error_of(const boost::json::object& answer, std::string_view what);

/// What an answer says, or its error.
Result<boost::json::object> parse(Result<Received> answer, std::string_view what);

/// Asks $JS.API.`subject` and waits.
Result<boost::json::object> call(Connection& connection, const std::string& subject,
                                 const boost::json::object& request, std::chrono::milliseconds timeout);

/// A number of an answer; 0 where there is none.
std::uint64_t number(const boost::json::object& object, std::string_view key);
/// A string of an answer; empty where there is none.
std::string_view text(const boost::json::object& object, std::string_view key);
/// An object of an answer; an empty one where there is none.
const boost::json::object& member(const boost::json::object& object, std::string_view key);

/// What the reply subject of a consumer's message says, in views of it.
struct Position {
  std::string_view stream, consumer;
  std::uint64_t deliveries = 0;  ///< of the message, this one included
  std::uint64_t sequence = 0;    ///< in the stream
  std::uint64_t consumed = 0;    ///< the consumer's own number: 1, 2, ...
  std::int64_t at = 0;           ///< when it was stored: Unix milliseconds
  std::uint64_t pending = 0;     ///< messages behind this one
};
/// Reads $JS.ACK.STREAM.CONSUMER.DELIVERIES.SEQUENCE.CONSUMED.NANOSECONDS.PENDING, or with DOMAIN.ACCOUNT
/// before STREAM and, perhaps, more behind; nothing for any other subject.
std::optional<Position> position_of(std::string_view reply);

/// The beginning, with a dot, of subjects that nobody else guesses.
std::string new_inbox();

}  // namespace cx::nats::api
