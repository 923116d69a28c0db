#include <fmt/format.h>

#include "gateways/auth/methods.hpp"

namespace cx::auth {
namespace {

v1::WhoAmIReply who(const Caller& caller) {
  v1::WhoAmIReply out;
  out.set_tenant(caller.tenant);
  out.set_actor(caller.actor);
  for (const auto& role : caller.roles) out.add_roles(role);
  for (std::size_t i = 0; i < caller.permissions.size(); ++i)
    if (caller.permissions.test(i)) out.add_permissions(permission_name(i));
  out.set_credential(caller.credential);
  if (caller.expires_at != 0) *out.mutable_expires_at() = timestamp(caller.expires_at);
  out.set_session(caller.session);
  return out;
}

/// Opens a session for whom a provider has recognised, and writes it down. A refusal is written down where
/// it is about a user that is there; else strangers would fill the log.
void sign_in(const Shared& shared, const Sessions& sessions, IdentityProvider& provider, const char* method,
             const CallContext& call, MessagePtr evidence, const std::string& tenant, const std::string& user,
             const Services::Respond& respond) {
  provider.identify(
      call, std::move(evidence),
      [&shared, &sessions, method, call, tenant, user, respond](Result<Person> person) {
        if (!person) {
          const bool known = !user.empty() && shared.directory.get()->user(tenant, user) != nullptr;
          if (known && person.error().code == Code::unauthenticated)
            shared.audit(call, tenant, user, method, person.error());
          return respond(person.error());
        }
        sessions.open(*person, [&shared, method, call, person = *person, respond](Services::Reply reply) {
          if (reply) shared.audit(call, person.tenant, person.user, method, std::nullopt);
          respond(std::move(reply));
        });
      });
}

void log_out(const Sessions& sessions, const CallContext& call, const v1::LogoutRequest& request,
             const Services::Respond& respond) {
  const auto& caller = *call.caller;
  constexpr std::string_view kUserActor = "user/";
  if (caller.session.empty() || !caller.actor.starts_with(kUserActor))
    return respond(
        Error{Code::conflict, "no-session",
              fmt::format("{} has not signed in here, so there is no session to end.", caller.actor), ""});
  const auto session = request.all_sessions()      ? std::string()
                       : request.session().empty() ? caller.session
                                                   : request.session();
  sessions.end(caller.tenant, caller.actor.substr(kUserActor.size()), session,
               [respond](const Result<std::uint32_t>& ended) {
                 if (!ended) return respond(ended.error());
                 v1::LogoutReply out;
                 out.set_ended(*ended);
                 respond(auth::reply(std::move(out)));
               });
}

}  // namespace

void add_tokens(Services& services, const Shared& shared, const Sessions& sessions,
                IdentityProvider& passwords, Oidc& oidc) {
  services.add("cx.v1.Tokens.Login", Services::Unary([&](const CallContext& call, const MessagePtr& request,
                                                         const Services::Respond& respond) {
                 const auto& login = static_cast<const v1::LoginRequest&>(*request);
                 sign_in(shared, sessions, passwords, "Login", call, request, login.tenant(), login.user(),
                         respond);
               }));
  services.add("cx.v1.Tokens.FinishOidcLogin",
               Services::Unary(
                   [&](const CallContext& call, const MessagePtr& request, const Services::Respond& respond) {
                     sign_in(shared, sessions, oidc, "FinishOidcLogin", call, request, "", "", respond);
                   }));
  services.add(
      "cx.v1.Tokens.StartOidcLogin",
      Services::Unary([&](const CallContext&, const MessagePtr& request, const Services::Respond& respond) {
        oidc.start(static_cast<const v1::StartOidcLoginRequest&>(*request).provider(), respond);
      }));
  services.add("cx.v1.Tokens.Refresh", Services::Unary([&](const CallContext& call, const MessagePtr& request,
                                                           const Services::Respond& respond) {
                 sessions.refresh(call, static_cast<const v1::RefreshRequest&>(*request).refresh_token(),
                                  respond);
               }));
  services.add("cx.v1.Tokens.Logout", Services::Unary([&](const CallContext& call, const MessagePtr& request,
                                                          const Services::Respond& respond) {
                 log_out(sessions, call, static_cast<const v1::LogoutRequest&>(*request), respond);
               }));
  services.add("cx.v1.Tokens.WhoAmI",
               Services::Unary([](const CallContext& call, const MessagePtr&,
                                  const Services::Respond& respond) { respond(reply(who(*call.caller))); }));
}

}  // namespace cx::auth
