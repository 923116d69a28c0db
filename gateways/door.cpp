#include "gateways/door.hpp"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include "cx/v1/audit.pb.h"
#include "gateways/json/codec.hpp"
#include "gateways/json/rules.hpp"
#include "runtime/uuid.hpp"

namespace cx {
namespace {

using google::protobuf::Message;

constexpr std::size_t kMaxDetails = 4096;  // bytes

/// Cuts a text without cutting a character of UTF-8.
void cut(std::string& text, std::size_t most) {
  if (text.size() <= most) return;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  text.resize(most);
}

std::shared_ptr<v1::AppendAudit> entry_of(const Method& method, const CallContext& call,
                                          const Message& request, std::int64_t now) {
  auto command = std::make_shared<v1::AppendAudit>();
  auto& entry = *command->mutable_entry();
  *entry.mutable_at() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(now);
  entry.set_actor(call.caller->actor);
  for (const auto& role : call.caller->roles) entry.add_roles(role);
  entry.set_method(method.name);
  if (const auto resource = expand(method.audit, request, call.caller->tenant)) entry.set_resource(*resource);
  entry.set_outcome("done");
  entry.set_request_id(call.request_id);
  entry.set_trace(call.trace);
  json::print(request, *entry.mutable_details(), {.mask = true});
  cut(*entry.mutable_details(), kMaxDetails);
  return command;
}

std::string audit_log(const Caller& caller) {
  return "audit/" + caller.tenant + "/log";
}

/// Whether a refusal says something about the caller, rather than about us.
bool is_refusal(Code code) {
  switch (code) {
    case Code::overloaded:
    case Code::unavailable:
    case Code::deadline_exceeded:
    case Code::internal:
      return false;
    default:
      return true;
  }
}

void log_failure(const std::optional<Error>& error) {
  if (error) spdlog::error("an entry of the audit log was not written: {}", error->detail);
}

}  // namespace

Result<Admission> Door::admit(const Method& method, const Credential& credential) const {
  if (method.access == Method::Access::everybody) {
    static const auto kNobody = std::make_shared<const Caller>();
    return Admission{kNobody, {}, false};
  }
  auto admission = authenticator_.admit(credential, method.cost);
  if (!admission) return admission;
  const auto& caller = *admission->caller;
  if (method.access == Method::Access::authenticated ? !credential.empty()
                                                     : caller.permissions.test(method.permission)) {
    if (!caller.is_source() || !method.body_credential.empty()) return admission;
    return Error{
        Code::permission_denied, "events-only",
        fmt::format("{} has the role 'source' alone, by which it sends events and does nothing else; use "
                    "another credential for {}.",
                    caller.actor, method.name),
        ""};
  }
  if (credential.empty())  // what nobody in particular may do is not this
    return Error{Code::unauthenticated, "no-credential",
                 "Send a credential: Authorization: Bearer, with an API key or an access token.", ""};
  return Error{
      Code::permission_denied, "permission-missing",
      fmt::format("{} needs the permission {}, which {} does not have; ask an administrator of the tenant "
                  "for a role that has it.",
                  method.name, permission_name(method.permission), caller.actor),
      ""};
}

Error Door::rate_limited(const Quota& quota) {
  return {Code::rate_limited, "rate-limited",
          fmt::format("The credential may make {} requests in {} seconds, and has; retry in {} seconds.",
                      quota.limit, quota.window_seconds, quota.retry_seconds),
          ""};
}

Error Door::not_served(const Method& method) {
  return {Code::unavailable, "not-served", "This node does not serve " + method.name + "; ask another node.",
          ""};
}

void Door::call(const Method& method, CallContext call, std::unique_ptr<Message> request,
                Services::Respond respond) const {
  try {
    serve(method, std::move(call), std::move(request), respond);
  } catch (const std::exception& e) {
    spdlog::error("{} failed: {}", method.name, e.what());
    respond(Error{Code::internal, "internal", method.name + " failed; the node's log says why.", ""});
  }
}

void Door::serve(const Method& method, CallContext call, std::unique_ptr<Message> request,
                 Services::Respond respond) const {
  if (method.unary == nullptr) return respond(not_served(method));
  json::clear_internal(*request);
  json::fill(*request, [this] {
    return uuid7(environment_.clock().unix_ms(), environment_.random(), environment_.random());
  });
  if (auto error = json::validate(*request)) return respond(*std::move(error));
  if (!method.audit.empty()) respond = audited(method, call, *request, std::move(respond));
  (*method.unary)(call, std::move(request), std::move(respond));
}

/// Sees to an entry in the audit log, whatever becomes of the request, before its caller has the answer.
Services::Respond Door::audited(const Method& method, CallContext& call, const Message& request,
                                Services::Respond respond) const {
  if (call.caller->tenant.empty()) return respond;  // nobody's: what is public sees to its own entries
  const auto entry = entry_of(method, call, request, environment_.clock().unix_ms());
  call.along = std::make_shared<CallContext::Along>();
  call.along->to = audit_log(*call.caller);
  call.along->command = entry;
  return Services::Respond([this, along = call.along, entry, respond](const Services::Reply& reply) {
    if (!reply) {
      if (is_refusal(reply.error().code)) {
        auto refusal = std::make_shared<v1::AppendAudit>(*entry);
        refusal->mutable_entry()->set_outcome("refused");
        refusal->mutable_entry()->set_problem(reply.error().type);
        post_(along->to, std::move(refusal), log_failure);
      }
      return respond(reply);
    }
    if (along->sent) return respond(reply);
    post_(along->to, entry, [respond, reply](const std::optional<Error>& error) {
      if (!error) return respond(reply);
      log_failure(error);
      respond(Error{
          Code::unavailable, "audit-unavailable",
          "The request was carried out, but its entry in the audit log could not be written; look at what "
          "it did before you repeat it.",
          ""});
    });
  });
}

}  // namespace cx
