#include "runtime/nats/api.hpp"

#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <fmt/format.h>
#include <random>

namespace cx::nats::api {
namespace {

// Of nats-server's list of errors (server/errors.json).
constexpr std::uint64_t kNoMessage = 10037;
constexpr std::uint64_t kConsumerMissing = 10014;
constexpr std::uint64_t kStreamMissing = 10059;
constexpr std::uint64_t kWrongLastSequence = 10071;
// Since 2.11, where several servers have the stream. Nothing was stored; whether what is on its way will be
// is open.
constexpr std::uint64_t kAnotherInProcess = 10164;  // on the subject
constexpr std::uint64_t kIdInProcess = 10158;
constexpr std::uint64_t kTooMany = 10167;  // messages wait at the stream: nothing was stored

}  // namespace

std::uint64_t number(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  if (!value) return 0;
  if (const auto* n = value->if_uint64()) return *n;
  if (const auto* n = value->if_int64()) return *n < 0 ? 0 : static_cast<std::uint64_t>(*n);
  return 0;
}

std::string_view text(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  const auto* string = value ? value->if_string() : nullptr;
  return string ? std::string_view(string->data(), string->size()) : std::string_view();
}

const boost::json::object& member(const boost::json::object& object, std::string_view key) {
  static const boost::json::object kNone;
  const auto* value = object.if_contains(key);
  const auto* found = value ? value->if_object() : nullptr;
  return found ? *found : kNone;
}

std::optional<Error> error_of(const boost::json::object& answer, std::string_view what) {
  const auto* value = answer.if_contains("error");
  const auto* error = value ? value->if_object() : nullptr;
  if (!error) return std::nullopt;
  const auto detail = fmt::format("{}: {}", what, text(*error, "description"));
  const auto code = number(*error, "err_code");
  if (code == kNoMessage || code == kConsumerMissing) return Error{Code::not_found, "not-found", detail, ""};
  if (code == kStreamMissing) return Error{Code::not_found, "stream-missing", detail, ""};
  if (code == kWrongLastSequence) return Error{Code::conflict, "wrong-last-sequence", detail, ""};
  if (code == kIdInProcess || code == kAnotherInProcess)
    return Error{Code::unavailable, "in-process", detail, ""};
  if (code == kTooMany || number(*error, "code") == 503)
    return Error{Code::unavailable, "unavailable", detail, ""};
  return Error{Code::internal, "nats-failed", detail, ""};
}

Result<boost::json::object> parse(Result<Received> answer, std::string_view what) {
  if (!answer) return answer.error();
  boost::json::error_code bad;
  auto value = boost::json::parse(answer->payload, bad);
  if (bad || !value.is_object())
    return Error{Code::internal, "nats-failed",
                 fmt::format("{}: the server's answer is no JSON object", what), ""};
  if (auto error = error_of(value.get_object(), what)) return *error;
  return std::move(value.get_object());
}

Result<boost::json::object> call(Connection& connection, const std::string& subject,
                                 const boost::json::object& request, std::chrono::milliseconds timeout) {
  const auto body = request.empty() ? std::string() : boost::json::serialize(request);
  return parse(connection.request("$JS.API." + subject, body, {}, timeout), subject);
}

std::optional<Position> position_of(std::string_view reply) {
  std::array<std::string_view, 12> parts;
  std::size_t count = 0;
  while (count < parts.size()) {
    const auto dot = reply.find('.');
    parts[count++] = reply.substr(0, dot);
    if (dot == reply.npos) break;
    reply.remove_prefix(dot + 1);
  }
  if (count < 9 || parts[0] != "$JS" || parts[1] != "ACK") return std::nullopt;
  const std::size_t first = count == 9 ? 2 : 4;
  if (first + 7 > count) return std::nullopt;
  const auto read = [&](std::size_t part, std::uint64_t& out) {
    const auto text = parts[first + part];
    return std::from_chars(text.data(), text.data() + text.size(), out).ec == std::errc{};
  };
  Position position{parts[first], parts[first + 1]};
  std::uint64_t time = 0;
  if (!read(2, position.deliveries) || !read(3, position.sequence) || !read(4, position.consumed) ||
      !read(5, time) || !read(6, position.pending))
    return std::nullopt;
  position.at = static_cast<std::int64_t>(time / 1'000'000);
  return position;
}

std::string new_inbox() {
  std::random_device random;
  return fmt::format("_INBOX.{:08x}{:08x}{:08x}{:08x}.", random(), random(), random(), random());
}

}  // namespace cx::nats::api
