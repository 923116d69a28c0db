#include <fmt/format.h>

#include "gateways/auth/methods.hpp"
#include "gateways/auth/password.hpp"

namespace cx::auth {
namespace {

using Identities = google::protobuf::RepeatedPtrField<v1::Identity>;
using StoredUser = Stored<v1::UserDocument>;

class UserMethods {
 public:
  UserMethods(const Shared& shared, const Sessions& sessions) : shared_(shared), sessions_(sessions) {}

  Services::Reply create(const CallContext& call, const v1::CreateUserRequest& request) const {
    const auto& caller = *call.caller;
    if (!is_user_name(request.name()))
      return Error{
          Code::invalid_argument, "invalid-name",
          fmt::format("'{}' is no user's name: 1 to 64 of a-z, 0-9, '-' and '_', a letter or digit first.",
                      request.name()),
          "/name"};
    if (!request.password().empty())
      if (auto error = check_new_password(request.password(), request.name())) return *std::move(error);
    const std::lock_guard lock(shared_.edits);
    const auto directory = shared_.directory.get();
    if (auto error = check_roles(*directory, caller, request.roles(), "/roles")) return *std::move(error);
    if (auto error = check_identities(*directory, caller.tenant, request.name(), request.identities()))
      return *std::move(error);
    v1::UserDocument user;
    user.set_display_name(request.display_name());
    user.set_email(request.email());
    *user.mutable_roles() = request.roles();
    *user.mutable_identities() = request.identities();
    *user.mutable_created_at() = timestamp(shared_.clock.unix_ms());
    if (!request.password().empty()) user.set_password_hash(hash_password(request.password()));
    return put({kUser, caller.tenant, request.name()}, user, "", caller.actor);
  }

  Services::Reply get(const CallContext& call, const v1::GetUserRequest& request) const {
    const auto user = find(call, request.name());
    if (!user) return user.error();
    return reply(user_of(user->document, user->body));
  }

  Services::Reply list_all(const CallContext& call, const v1::ListUsersRequest& request) const {
    v1::ListUsersReply out;
    auto error = list<v1::UserDocument>(
        shared_.catalog, kUser, call.caller->tenant, request.page_size(), request.page_token(),
        *out.mutable_next_page_token(),
        [&](const auto& document, const auto& body) { *out.add_users() = user_of(document, body); });
    if (error) return *std::move(error);
    return reply(std::move(out));
  }

  Services::Reply update(const CallContext& call, const v1::UpdateUserRequest& request) const {
    const auto& caller = *call.caller;
    const std::lock_guard lock(shared_.edits);
    const auto user = find_to_edit(call, request.name(), request.if_match());
    if (!user) return user.error();
    auto next = user->body;
    if (auto error = apply(request, next)) return *std::move(error);
    const auto directory = shared_.directory.get();
    if (auto error = check_roles(*directory, caller, next.roles(), "/settings/roles"))
      return *std::move(error);
    if (auto error = check_identities(*directory, caller.tenant, request.name(), next.identities()))
      return *std::move(error);
    const DocumentKey key{kUser, caller.tenant, request.name()};
    const auto administers = [](const v1::UserDocument& one) {
      return is_admin(one.roles()) && !one.disabled();
    };
    if (administers(user->body) && !administers(next))
      if (auto error = check_admin_left(shared_.catalog, caller.tenant, key, shared_.clock.unix_ms()))
        return *std::move(error);
    return put(key, next, user->document.etag(), caller.actor);
  }

  /// These two end sessions, too, so that they answer later.
  void remove(const CallContext& call, const v1::DeleteUserRequest& request,
              const Services::Respond& respond) const {
    {
      const auto& caller = *call.caller;
      const std::lock_guard lock(shared_.edits);
      const auto user = find_to_edit(call, request.name(), request.if_match());
      if (!user) return respond(user.error());
      const DocumentKey key{kUser, caller.tenant, request.name()};
      if (is_admin(user->body.roles()) && !user->body.disabled())
        if (auto error = check_admin_left(shared_.catalog, caller.tenant, key, shared_.clock.unix_ms()))
          return respond(*std::move(error));
      const auto removed = shared_.catalog.remove(key, user->document.etag(), caller.actor);
      if (!removed) return respond(removed.error());
      shared_.settle(removed->change());
    }
    // Should this fail: the sessions are of nobody, and of no later user of that name.
    sessions_.end(call.caller->tenant, request.name(), "",
                  [respond](const auto&) { respond(auth::reply(v1::DeleteUserReply())); });
  }

  void set_password(const CallContext& call, const v1::SetPasswordRequest& request,
                    const Services::Respond& respond) const {
    if (auto error = check_new_password(request.password(), request.name()))
      return respond(*std::move(error));
    const auto hash = hash_password(request.password());
    Services::Reply done = Error{};
    {
      const std::lock_guard lock(shared_.edits);
      const auto user = find_to_edit(call, request.name(), request.if_match());
      if (!user) return respond(user.error());
      auto next = user->body;
      next.set_password_hash(hash);
      done =
          put({kUser, call.caller->tenant, request.name()}, next, user->document.etag(), call.caller->actor);
      if (!done) return respond(done.error());
    }
    sessions_.end(
        call.caller->tenant, request.name(), "", [respond, done](const Result<std::uint32_t>& ended) {
          if (!ended)
            return respond(
                Error{Code::unavailable, "sessions-not-ended",
                      "The password was set, but the user's sessions could not be ended; set it again.", ""});
          respond(done);
        });
  }

  void unlock(const CallContext& call, const v1::UnlockUserRequest& request,
              const Services::Respond& respond) const {
    const auto user = find(call, request.name());
    if (!user) return respond(user.error());
    shared_.ask(login_address(call.caller->tenant, request.name()), std::make_shared<v1::UnlockLogin>(),
                [respond, user = user_of(user->document, user->body)](const Result<MessagePtr>& answer) {
                  if (!answer) return respond(answer.error());
                  respond(auth::reply(user));
                });
  }

 private:
  Result<StoredUser> find(const CallContext& call, const std::string& name) const {
    auto user = read<v1::UserDocument>(shared_.catalog, {kUser, call.caller->tenant, name});
    if (user || user.error().code == Code::internal || user.error().code == Code::unavailable) return user;
    return not_found("user", name, "/name");
  }

  /// Whoever could give himself the password of somebody who may do more would be that somebody.
  Result<StoredUser> find_to_edit(const CallContext& call, const std::string& name,
                                  const std::string& if_match) const {
    auto user = find(call, name);
    if (!user) return user;
    const auto& roles = user->body.roles();
    const auto permissions =
        shared_.directory.get()->permissions_of(call.caller->tenant, {roles.begin(), roles.end()});
    if (auto error = check_grant(*call.caller, permissions)) return *std::move(error);
    if (auto error = check_match(user->document, if_match)) return *std::move(error);
    return user;
  }

  std::optional<Error> check_identities(const Directory& directory, const std::string& tenant,
                                        const std::string& name, const Identities& identities) const {
    for (int i = 0; i < identities.size(); ++i) {
      const auto& identity = identities[i];
      const auto pointer = fmt::format("/identities/{}", i);
      const auto is_it = [&](const auto& provider) { return provider.name() == identity.provider(); };
      if (std::none_of(shared_.config.oidc().begin(), shared_.config.oidc().end(), is_it))
        return Error{Code::invalid_argument, "no-such-provider",
                     fmt::format("There is no identity provider '{}'.", identity.provider()), pointer};
      const auto* linked = directory.identity(tenant, identity.provider(), identity.subject());
      if (linked != nullptr && linked->name != name)
        return Error{Code::conflict, "already-linked",
                     fmt::format("The identity is linked to {}.", linked->name), pointer};
    }
    return std::nullopt;
  }

  static std::optional<Error> apply(const v1::UpdateUserRequest& request, v1::UserDocument& user) {
    const auto& settings = request.settings();
    std::vector<std::string> fields(request.update_mask().paths().begin(),
                                    request.update_mask().paths().end());
    if (fields.empty()) fields = {"display_name", "email", "roles", "disabled", "identities"};
    for (const auto& field : fields) {
      if (field == "display_name")
        user.set_display_name(settings.display_name());
      else if (field == "email")
        user.set_email(settings.email());
      else if (field == "roles")
        *user.mutable_roles() = settings.roles();
      else if (field == "disabled")
        user.set_disabled(settings.disabled());
      else if (field == "identities")
        *user.mutable_identities() = settings.identities();
      else
        return Error{
            Code::invalid_argument, "unknown-field",
            fmt::format("'{}' cannot be edited; what can are display_name, email, roles, disabled and "
                        "identities.",
                        field),
            "/update_mask"};
    }
    return std::nullopt;
  }

  Services::Reply put(const DocumentKey& key, const v1::UserDocument& user, const std::string& etag,
                      const std::string& actor) const {
    const auto document = shared_.catalog.put(key, user, etag, actor);
    if (!document) return document.error();
    shared_.settle(document->change());
    return reply(user_of(*document, user));
  }

  const Shared& shared_;
  const Sessions& sessions_;
};

}  // namespace

void add_users(Services& services, const Shared& shared, const Sessions& sessions) {
  const auto methods = std::make_shared<const UserMethods>(shared, sessions);
  const auto add = [&]<class Request>(const char* method, Services::Reply (UserMethods::*serve)(
                                                              const CallContext&, const Request&) const) {
    add_blocking<Request>(services, shared, method,
                          [methods, serve](const CallContext& call, const Request& request) {
                            return ((*methods).*serve)(call, request);
                          });
  };
  const auto add_later = [&]<class Request>(const char* method,
                                            void (UserMethods::*serve)(const CallContext&, const Request&,
                                                                       const Services::Respond&) const) {
    services.add(std::string("cx.v1.") + method,
                 Services::Unary([&shared, methods, serve](const CallContext& call, const MessagePtr& request,
                                                           const Services::Respond& respond) {
                   shared.run([methods, serve, call, request, respond] {
                     ((*methods).*serve)(call, static_cast<const Request&>(*request), respond);
                   });
                 }));
  };
  add("Users.Create", &UserMethods::create);
  add("Users.Get", &UserMethods::get);
  add("Users.List", &UserMethods::list_all);
  add("Users.Update", &UserMethods::update);
  add_later("Users.Delete", &UserMethods::remove);
  add_later("Users.SetPassword", &UserMethods::set_password);
  add_later("Users.Unlock", &UserMethods::unlock);
}

}  // namespace cx::auth
