#include "gateways/nats/message.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <google/protobuf/field_mask.pb.h>

#include "gateways/http/fields.hpp"
#include "gateways/json/codec.hpp"
#include "gateways/json/member.hpp"
#include "gateways/json/rules.hpp"
#include "gateways/metadata.hpp"
#include "gateways/problem.hpp"

namespace cx::nats_gateway {
namespace {

using google::protobuf::FieldMask;
using google::protobuf::Message;

constexpr char kProtobuf[] = "application/x-protobuf";

Error invalid(std::string type, std::string detail) {
  return {Code::invalid_argument, std::move(type), std::move(detail), ""};
}

/// Reads JSON; the paths below the part that HTTP has as the body become the mask of a PATCH that has none.
std::optional<Error> read_json(const Method& method, const std::string& payload, Message& message) {
  const auto* mask =
      method.verb == "PATCH" ? message.GetDescriptor()->FindFieldByName("update_mask") : nullptr;
  if (mask == nullptr || mask->message_type() != FieldMask::descriptor() || mask->is_repeated())
    return json::parse(payload, message);
  std::vector<std::string> mentioned;
  if (auto error = json::parse(payload, message, {.present = &mentioned})) return error;
  const auto& reflection = *message.GetReflection();
  if (reflection.HasField(message, mask)) return std::nullopt;
  auto& paths = static_cast<FieldMask&>(*reflection.MutableMessage(&message, mask));
  const auto part = method.body + '.';
  for (const auto& path : mentioned)
    if (path.rfind(part, 0) == 0) paths.add_paths(path.substr(part.size()));
  return std::nullopt;
}

int status_of(const RawReply& reply) {
  if (reply.kind == RawReply::Kind::document) return 200;
  if (reply.kind == RawReply::Kind::empty) return 204;
  const auto& type = reply.error.type;
  if (type == "body-too-large") return 413;
  if (type == "unsupported-media-type" || type == "unsupported-content-encoding") return 415;
  return http_status(reply.error.code);
}

// An agent may echo what a stranger sent, and a line break would start another field.
std::string printable(std::string text) {
  for (auto& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return text;
}

std::size_t size_of(const Answer& answer) {
  std::size_t size = answer.payload.size() + 16;  // of NATS/1.0 and line breaks
  for (const auto& [name, value] : answer.headers) size += name.size() + value.size() + 4;
  return size;
}

}  // namespace

std::string_view field(const nats::Incoming& in, const char* name) {
  if (const auto value = in.header(name); !value.empty()) return value;
  std::string lower(name);
  for (auto& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return in.header(lower.c_str());
}

std::string_view media_type(const nats::Incoming& in) {
  const auto value = field(in, "Content-Type");
  return http::trimmed(value.substr(0, value.find(';')));
}

Result<Form> form_of(const nats::Incoming& in) {
  if (const auto coding = field(in, "Content-Encoding"); !coding.empty() && coding != "identity")
    return invalid("unsupported-content-encoding", "Send the payload as it is, without Content-Encoding.");
  const auto type = media_type(in);
  if (type.empty() || http::same(type, "application/json")) return Form::json;
  if (http::same(type, kProtobuf) || http::same(type, "application/protobuf")) return Form::protobuf;
  return invalid("unsupported-media-type",
                 "Send the payload with Content-Type: application/json or application/x-protobuf.");
}

Result<Admission> admit(const Door& door, const Method& method, std::string_view tenant,
                        const nats::Incoming& in, std::string& payload) {
  Credential credential{field(in, "Authorization"), field(in, "X-Api-Key"), {}};
  std::optional<std::string> key;
  if (credential.empty() && !method.body_credential.empty() &&
      (key = json::text_member(payload, method.body_credential)))
    credential.api_key = *key;
  auto admission = door.admit(method, credential);
  if (!admission || method.access == Method::Access::everybody || admission->caller->tenant == tenant)
    return admission;
  return Error{
      Code::not_found, "unknown-subject",
      fmt::format("There is nothing for you at {}; the second part of the subject is the tenant that "
                  "your credential is of.",
                  in.subject.substr(0, 200)),
      ""};
}

Result<std::unique_ptr<Message>> read_request(const Method& method, Form form, const std::string& payload,
                                              std::string_view if_match) {
  std::unique_ptr<Message> message(method.request->New());
  if (form == Form::json) {
    if (auto error = read_json(method, payload, *message)) return *std::move(error);
  } else if (!message->ParseFromString(payload)) {
    return invalid("invalid-request", "The payload is not a " + message->GetDescriptor()->full_name() +
                                          "; send one message, encoded by the contract.");
  }
  if (auto error = read_if_match(method, if_match, *message)) return *std::move(error);
  return message;
}

RawReply write_reply(const Method& method, Form form, const Services::Reply& reply) {
  if (form == Form::json || !reply) return cx::write_reply(method, reply);
  std::unique_ptr<Message> copy((*reply)->New());
  copy->CopyFrom(**reply);
  json::clear_internal(*copy);
  auto document = RawReply::document(copy->SerializeAsString());
  document.metadata.emplace_back("content-type", kProtobuf);
  return document;
}

Result<CallContext> context_of(const Door& door, const Method& method, CallerPtr caller,
                               const nats::Incoming& in, const std::string& request_id) {
  CallContext context;
  context.caller = std::move(caller);
  context.request_id = request_id;
  context.trace = trace_id(field(in, "Traceparent"), door.environment());
  auto key = idempotency_key(method, field(in, "Idempotency-Key"));
  if (!key) return key.error();
  context.idempotency_key = std::move(*key);
  if (const auto given = field(in, "X-Timeout-Ms"); !given.empty()) {
    const auto timeout = timeout_of(given);
    if (!timeout) return timeout.error();
    context.deadline = door.environment().clock().unix_ms() + *timeout;
  }
  return context;
}

Answer answer_of(RawReply reply, const About& about, std::size_t most) {
  Answer answer;
  answer.status = status_of(reply);
  answer.headers.emplace_back(kStatus, std::to_string(answer.status));
  if (!about.request_id.empty()) answer.headers.emplace_back("X-Request-Id", about.request_id);
  if (about.quota.limit != 0) {
    answer.headers.emplace_back("RateLimit-Policy", rate_limit_policy(about.quota));
    answer.headers.emplace_back("RateLimit", rate_limit(about.quota));
  }
  auto content_type = about.content_type;
  for (auto& [name, value] : reply.metadata) {
    if (name == "content-type")
      content_type = std::move(value);
    else
      answer.headers.emplace_back(name == "etag" ? "ETag" : std::string(name), printable(std::move(value)));
  }
  if (reply.kind == RawReply::Kind::document) {
    answer.headers.emplace_back("Content-Type", printable(std::move(content_type)));
    answer.payload = std::move(reply.body);
  } else if (reply.kind == RawReply::Kind::error) {
    const auto code = reply.error.code;
    if (code == Code::overloaded || code == Code::rate_limited)
      answer.headers.emplace_back("Retry-After", std::to_string(std::max(about.quota.retry_seconds, 1U)));
    answer.headers.emplace_back("Content-Type", "application/problem+json");
    answer.payload = problem_json(answer.status, reply.error, about.request_id);
  }
  const auto size = size_of(answer);
  if (size <= most) return answer;
  return answer_of(
      RawReply::failure(invalid("reply-too-large",
                                fmt::format("The answer has {} bytes, and a message of NATS at most {}. What "
                                            "was asked for is done; ask for less at once, or over HTTP.",
                                            size, most))),
      about, std::max(most, std::size_t{64 * 1024}));
}

}  // namespace cx::nats_gateway
