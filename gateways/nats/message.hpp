#pragma once

#include <google/protobuf/message.h>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateways/door.hpp"
#include "runtime/nats/connection.hpp"

namespace cx::nats_gateway {

// Header fields of NATS are those of HTTP; their names are compared with case, so both spellings that clients
// have are looked for: as HTTP writes them, and in lower case.
inline constexpr const char kStatus[] = "Cx-Status";  // of an answer: the number that HTTP would give

/// The value of the header field `name`, given as HTTP writes it ("X-Request-Id"); empty where there is none.
std::string_view field(const nats::Incoming& in, const char* name);
/// Its Content-Type without parameters.
std::string_view media_type(const nats::Incoming& in);

/// How messages are written: in JSON, or in Protobuf where the request says so.
enum class Form { json, protobuf };
/// That of a request by its Content-Type; invalid_argument "unsupported-media-type",
/// "unsupported-content-encoding".
Result<Form> form_of(const nats::Incoming& in);

/// Lets the caller of `method` in: as Door::admit(), with the credential in Authorization, X-Api-Key or,
/// where the method allows that, in the payload; and only to the tenant that the subject names. Whoever is of
/// another is told that there is nothing, not_found "unknown-subject", whether or not there is such a tenant.
Result<Admission> admit(const Door& door, const Method& method, std::string_view tenant,
                        const nats::Incoming& in, std::string& payload);

/// The request message: all of it is in the payload, which may be empty; If-Match becomes the field that the
/// contract marks. A PATCH in JSON whose `update_mask` is empty is of what the payload mentions, as over
/// HTTP. Errors: invalid_argument, those of the JSON codec and of If-Match, "invalid-request".
Result<std::unique_ptr<google::protobuf::Message>> read_request(const Method& method, Form form,
                                                                const std::string& payload,
                                                                std::string_view if_match);
/// A method's reply in that form.
RawReply write_reply(const Method& method, Form form, const Services::Reply& reply);

/// What comes with a request but its message. Errors as over HTTP.
Result<CallContext> context_of(const Door& door, const Method& method, CallerPtr caller,
                               const nats::Incoming& in, const std::string& request_id);

/// What an answer says of the request, whatever it says to it.
struct About {
  std::string request_id;
  std::string content_type;  ///< of a document that does not say itself
  Quota quota;
};

/// A message to send.
struct Answer {
  int status = 200;
  nats::Headers headers;
  std::string payload;
};
/// An answer is a status and what HTTP has in header fields; its payload is the document, nothing (204), or
/// the problem. One that has more bytes than `most`, headers included, is the problem "reply-too-large".
Answer answer_of(RawReply reply, const About& about, std::size_t most);

}  // namespace cx::nats_gateway
