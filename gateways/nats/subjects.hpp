#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/method.hpp"

namespace cx::nats_gateway {

/// What a method is called in subjects: its service's `noun` option (the service's name where it has none)
/// and its own name, in lower case with '-' between words: "api-keys" "rotate". The command line has the same
/// words. Stable, as names of services and methods are.
struct Words {
  std::string service, method;
  auto operator<=>(const Words&) const = default;
};
Words words_of(const Method& method);

/// PREFIX.TENANT.SERVICE.METHOD.
struct Subject {
  std::string_view tenant, service, method;  // views of what was read
};
std::string subject_of(std::string_view prefix, std::string_view tenant, std::string_view service,
                       std::string_view method);
/// Nothing for a subject of another form, or of another prefix. Every part is a name as addresses have them:
/// no wildcard passes, which a server delivers like any other text.
std::optional<Subject> read_subject(std::string_view prefix, std::string_view subject);

/// What to subscribe to for all of `methods`: one pattern for each service, so that services do not wait for
/// each other, and one for each method of a service of raw ones alone, which are the hot ones. No two match
/// the same subject. Throws std::logic_error where two methods have the same words, or a method has words
/// that mean something else.
std::vector<std::string> patterns_of(std::string_view prefix, std::span<const Method> methods);

/// Whether an answer for a caller of `tenant` may be sent to `subject`: an inbox of a client ("_INBOX.…",
/// "_INBOX_name.…") or PREFIX.TENANT.replies.…. Elsewhere our own permissions, which are not the caller's,
/// could be misused: whoever may send to us could write to the streams that nodes keep their data in.
bool may_answer(std::string_view prefix, std::string_view tenant, std::string_view subject);

/// Methods that no service can have: SERVICE.queue is where work waits, SERVICE.dead where it ends.
inline constexpr std::string_view kQueue = "queue", kDead = "dead";

}  // namespace cx::nats_gateway
