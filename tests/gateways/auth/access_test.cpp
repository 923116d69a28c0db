#include "gateways/auth/access.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <thread>

#include "gateways/auth/roles.hpp"
#include "tests/gateways/auth/world.hpp"

namespace cx::auth {
namespace {

using test::World;
const std::string kPassword = "correct horse battery";

v1::UpdateUserRequest update(const std::string& name, const char* field) {
  v1::UpdateUserRequest request;
  request.set_name(name);
  request.mutable_update_mask()->add_paths(field);
  return request;
}
v1::CreateApiKeyRequest key_request(const std::vector<std::string>& roles,
                                    const std::vector<std::string>& permissions = {}) {
  v1::CreateApiKeyRequest request;
  request.set_name("a key");
  for (const auto& role : roles) request.add_roles(role);
  for (const auto& permission : permissions) request.add_permissions(permission);
  return request;
}

}  // namespace

TEST_CASE("the first start leaves an administrator's key in a file of our own, later ones do not") {
  World w;
  CHECK(w.access->bootstrap() == std::nullopt);
  struct stat info {};
  REQUIRE(::stat((w.data + "/admin.key").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const auto who = w.get<v1::WhoAmIReply>("Tokens.WhoAmI", v1::WhoAmIRequest(), w.admin());
  CHECK(who.tenant() == "demo");
  CHECK(who.credential() == "api-key");
  CHECK(who.actor().starts_with("key/"));
  CHECK(who.permissions_size() == 20);
  const auto key = w.admin_key();
  std::filesystem::remove(w.data + "/admin.key");
  CHECK(w.access->bootstrap() == std::nullopt);
  CHECK_FALSE(std::filesystem::exists(w.data + "/admin.key"));
  CHECK(w.refusal_of(key) == "");
}

TEST_CASE("a user signs in, is known by the token, and signs out") {
  World w;
  w.add_user("ana", kPassword, {"manager"}, w.admin());
  const auto tokens = w.login("demo", "ana", kPassword);
  CHECK(tokens.actor() == "user/ana");
  CHECK(tokens.token_type() == "Bearer");
  const auto caller = w.caller_of(tokens.access_token());
  CHECK(caller->actor == "user/ana");
  CHECK(caller->tenant == "demo");
  CHECK(caller->roles == std::vector<std::string>{"manager"});
  CHECK(caller->permissions == find_built_in_role("manager")->permissions);
  CHECK(caller->credential == "access-token");
  CHECK(caller->operates);

  const auto other = w.login("demo", "ana", kPassword);
  CHECK(w.get<v1::LogoutReply>("Tokens.Logout", v1::LogoutRequest(), caller).ended() == 1);
  CHECK(w.refusal_of(tokens.access_token()) == "invalid-credential");
  CHECK(w.refusal_of(other.access_token()) == "");
  CHECK(w.refresh(tokens.refresh_token()).error().type == "invalid-refresh-token");
  v1::LogoutRequest all;
  all.set_all_sessions(true);
  w.get<v1::LogoutReply>("Tokens.Logout", all, w.caller_of(other.access_token()));
  CHECK(w.refusal_of(other.access_token()) == "invalid-credential");
  CHECK(w.refusal("Tokens.Logout", all, w.admin()) == "no-session");

  w.clock.ms += 900'000;
  const auto later = w.login("demo", "ana", kPassword);
  w.clock.ms += 899'000;
  CHECK(w.refusal_of(later.access_token()) == "");
  w.clock.ms += 1'000;
  CHECK(w.refusal_of(later.access_token()) == "expired-credential");
  const auto audited = w.entities.audited();
  REQUIRE(audited.size() == 3);
  CHECK(audited[0].method() == "cx.v1.Tokens.Login");
  CHECK(audited[0].outcome() == "done");
}

TEST_CASE("a wrong tenant, user or password and a locked user are refused with the same words") {
  World w;
  w.add_user("ana", kPassword, {"viewer"}, w.admin());
  w.add_user("bob", kPassword, {"viewer"}, w.admin());
  w.get<v1::User>(
      "Users.Update",
      [] {
        auto request = update("bob", "disabled");
        request.mutable_settings()->set_disabled(true);
        return request;
      }(),
      w.admin());
  const auto wrong = w.try_login("demo", "ana", "not the password");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().type == "sign-in-failed");
  for (const auto& [tenant, user, password] :
       {std::tuple("demo", "nobody", kPassword), std::tuple("other", "ana", kPassword),
        std::tuple("demo", "bob", kPassword)}) {
    const auto reply = w.try_login(tenant, user, password);
    REQUIRE_FALSE(reply);
    CHECK(reply.error().type == wrong.error().type);
    CHECK(reply.error().detail == wrong.error().detail);
    CHECK(reply.error().code == wrong.error().code);
  }
  for (int i = 0; i < 4; ++i) CHECK_FALSE(w.try_login("demo", "ana", "not the password"));
  const auto locked = w.try_login("demo", "ana", kPassword);
  REQUIRE_FALSE(locked);
  CHECK(locked.error().detail == wrong.error().detail);
  w.clock.ms += 15 * 60'000;
  CHECK(w.try_login("demo", "ana", kPassword));

  for (int i = 0; i < 5; ++i) CHECK_FALSE(w.try_login("demo", "ana", "not the password"));
  CHECK_FALSE(w.try_login("demo", "ana", kPassword));
  v1::UnlockUserRequest unlock;
  unlock.set_name("ana");
  w.get<v1::User>("Users.Unlock", unlock, w.admin());
  CHECK(w.try_login("demo", "ana", kPassword));
}

TEST_CASE("names that strangers make up leave few traces, and none in the audit log") {
  World w;
  w.access->bootstrap();
  for (int i = 0; i < 80; ++i)
    CHECK_FALSE(w.try_login("demo", "guess-" + std::to_string(i), "not a password"));
  CHECK(w.entities.count() < 64);
  CHECK(w.entities.audited().empty());
}

TEST_CASE("however many guesses are made at once, five passwords are checked") {
  World w([](Access::Parts& parts) {
    parts.config.set_password_threads(4);
    parts.config.set_max_sign_ins(100);
  });
  w.add_user("ana", kPassword, {"viewer"}, w.admin());
  std::atomic<int> in{0};
  std::vector<std::thread> threads;
  // 4 wrong ones have been tried: of the right ones that come at once, one is let through.
  for (int i = 0; i < 4; ++i) CHECK_FALSE(w.try_login("demo", "ana", "not the password"));
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      if (!w.try_login("demo", "ana", "not the password")) ++in;
    });
  for (auto& thread : threads) thread.join();
  CHECK(in == 16);
  CHECK_FALSE(w.try_login("demo", "ana", kPassword));
}

TEST_CASE("past the sign-ins that may be under way, callers are told to retry") {
  World w([](Access::Parts& parts) { parts.config.set_max_sign_ins(1); });
  w.add_user("ana", kPassword, {"viewer"}, w.admin());
  std::atomic<int> refused{0}, done{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 5; ++n) {
        const auto reply = w.try_login("demo", "ana", kPassword);
        if (reply)
          ++done;
        else if (reply.error().type == "overloaded")
          ++refused;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(done + refused == 20);
  CHECK(done > 0);
  CHECK(w.try_login("demo", "ana", kPassword));
}

TEST_CASE("a refresh token is good once; using it again ends the session and its access tokens") {
  World w;
  w.add_user("ana", kPassword, {"viewer"}, w.admin());
  const auto first = w.login("demo", "ana", kPassword);
  auto reply = w.refresh(first.refresh_token());
  REQUIRE(reply);
  const auto second = static_cast<const v1::TokenReply&>(**reply);
  CHECK(w.refusal_of(second.access_token()) == "");
  CHECK(second.session_expires_at().seconds() == first.session_expires_at().seconds());
  CHECK(w.refresh(first.refresh_token()).error().type == "invalid-refresh-token");
  CHECK(w.refusal_of(second.access_token()) == "invalid-credential");
  CHECK(w.refusal_of(first.access_token()) == "invalid-credential");
  CHECK_FALSE(w.refresh(second.refresh_token()));

  const auto good = w.login("demo", "ana", kPassword).refresh_token();
  auto other_secret = good;
  other_secret.back() = other_secret.back() == 'a' ? 'b' : 'a';
  for (const auto& bad :
       {std::string(), std::string("cxr_"), std::string("cxr_demo.ana"), good + "x", good.substr(4),
        "cxr_acme" + good.substr(8), other_secret, std::string(5000, '.')}) {
    CAPTURE(bad);
    CHECK(w.refresh(bad).error().type == "invalid-refresh-token");
  }
  CHECK(w.refresh(good));
}

TEST_CASE("a disabled user is out at once, and in again when enabled; roles change at once, too") {
  World w;
  w.add_user("ana", kPassword, {"viewer"}, w.admin());
  const auto tokens = w.login("demo", "ana", kPassword);
  auto request = update("ana", "disabled");
  request.mutable_settings()->set_disabled(true);
  w.get<v1::User>("Users.Update", request, w.admin());
  CHECK(w.refusal_of(tokens.access_token()) == "invalid-credential");
  CHECK_FALSE(w.refresh(tokens.refresh_token()));
  request.mutable_settings()->set_disabled(false);
  w.get<v1::User>("Users.Update", request, w.admin());
  CHECK(w.refusal_of(tokens.access_token()) == "");
  request = update("ana", "roles");
  request.mutable_settings()->add_roles("analyst");
  const auto user = w.get<v1::User>("Users.Update", request, w.admin());
  CHECK(user.roles(0) == "analyst");
  CHECK_FALSE(user.disabled());
  CHECK(w.caller_of(tokens.access_token())->permissions == find_built_in_role("analyst")->permissions);
  request = update("ana", "password_hash");
  CHECK(w.refusal("Users.Update", request, w.admin()) == "unknown-field");
}

TEST_CASE("a new password ends all sessions; a new user of an old name inherits none") {
  World w;
  w.add_user("ana", kPassword, {"viewer"}, w.admin());
  const auto tokens = w.login("demo", "ana", kPassword);
  v1::SetPasswordRequest set;
  set.set_name("ana");
  set.set_password("short");
  CHECK(w.refusal("Users.SetPassword", set, w.admin()) == "weak-password");
  set.set_password("another horse battery");
  w.get<v1::User>("Users.SetPassword", set, w.admin());
  CHECK(w.refusal_of(tokens.access_token()) == "invalid-credential");
  CHECK_FALSE(w.refresh(tokens.refresh_token()));
  CHECK_FALSE(w.try_login("demo", "ana", kPassword));
  const auto next = w.login("demo", "ana", "another horse battery");

  w.clock.ms += 5000;
  v1::DeleteUserRequest remove;
  remove.set_name("ana");
  w.get<v1::DeleteUserReply>("Users.Delete", remove, w.admin());
  CHECK(w.refusal_of(next.access_token()) == "invalid-credential");
  CHECK(w.refusal("Users.Delete", remove, w.admin()) == "no-such-user");
  w.add_user("ana", kPassword, {"admin"}, w.admin());
  CHECK(w.refusal_of(next.access_token()) == "invalid-credential");
  CHECK_FALSE(w.refresh(next.refresh_token()));
  CHECK(w.refusal_of(w.login("demo", "ana", kPassword).access_token()) == "");
}

TEST_CASE("nobody gives what he does not have, by whatever way") {
  World w;
  const auto admin = w.admin();
  v1::PutRoleRequest put;
  put.set_name("helpdesk");
  put.mutable_role()->add_permissions("user.manage");
  put.mutable_role()->add_permissions("campaign.read");
  w.get<v1::Role>("Roles.Put", put, admin);
  w.add_user("helen", kPassword, {"helpdesk"}, admin);
  w.add_user("boss", kPassword, {"admin"}, admin);
  const auto admin_id = admin->actor.substr(4);
  const auto helen = w.caller_of(w.login("demo", "helen", kPassword).access_token());

  v1::CreateUserRequest create;
  create.set_name("eve");
  create.add_roles("admin");
  CHECK(w.refusal("Users.Create", create, helen) == "cannot-grant");
  auto own = update("helen", "roles");
  own.mutable_settings()->add_roles("admin");
  CHECK(w.refusal("Users.Update", own, helen) == "cannot-grant");
  auto boss = update("boss", "disabled");
  boss.mutable_settings()->set_disabled(true);
  CHECK(w.refusal("Users.Update", boss, helen) == "cannot-grant");
  v1::SetPasswordRequest set;
  set.set_name("boss");
  set.set_password("helen knows this one");
  CHECK(w.refusal("Users.SetPassword", set, helen) == "cannot-grant");
  v1::DeleteUserRequest remove;
  remove.set_name("boss");
  CHECK(w.refusal("Users.Delete", remove, helen) == "cannot-grant");
  CHECK(w.refusal("ApiKeys.Create", key_request({"admin"}), helen) == "cannot-grant");
  CHECK(w.refusal("ApiKeys.Create", key_request({}, {"campaign.write"}), helen) == "cannot-grant");
  v1::RotateApiKeyRequest rotate;
  rotate.set_key_id(admin_id);
  CHECK(w.refusal("ApiKeys.Rotate", rotate, helen) == "cannot-grant");
  put.mutable_role()->add_permissions("campaign.write");
  CHECK(w.refusal("Roles.Put", put, helen) == "cannot-grant");

  CHECK(w.refusal("ApiKeys.Create", key_request({"helpdesk"}, {"campaign.read"}), helen) == "");
  create.clear_roles();
  create.add_roles("helpdesk");
  CHECK(w.refusal("Users.Create", create, helen) == "");
  create.set_name("mallory");
  create.add_roles("emperor");
  CHECK(w.refusal("Users.Create", create, admin) == "unknown-role");
  CHECK(w.refusal("ApiKeys.Create", key_request({}, {"campaign.rule"}), admin) == "unknown-permission");
}

TEST_CASE("an administrator of another tenant has nothing of the node, and cannot give it") {
  World w;
  const auto acme = w.admin_of("acme");
  CHECK(acme->tenant == "acme");
  CHECK_FALSE(acme->operates);
  CHECK((acme->permissions & system_permissions()).none());
  CHECK(w.refusal("ApiKeys.Create", key_request({}, {"system.read"}), acme) == "cannot-grant");
  // The role comes to nothing there, so that it is no harm to have it.
  const auto made = w.get<v1::ApiKeyWithSecret>("ApiKeys.Create", key_request({"operator"}), acme);
  CHECK(w.caller_of(made.secret())->permissions.none());

  w.add_user("ana", kPassword, {"viewer"}, w.admin());
  v1::GetUserRequest get;
  get.set_name("ana");
  CHECK(w.refusal("Users.Get", get, acme) == "no-such-user");
  CHECK(w.get<v1::ListUsersReply>("Users.List", v1::ListUsersRequest(), acme).users_size() == 0);
  CHECK(w.get<v1::Tenant>("Tenants.GetOwn", v1::GetOwnTenantRequest(), acme).name() == "acme");

  v1::UpdateTenantRequest disable;
  disable.set_name("acme");
  disable.mutable_settings()->set_disabled(true);
  w.get<v1::Tenant>("Tenants.Update", disable, w.admin());
  CHECK(w.refusal_of(made.secret()) == "invalid-credential");
  disable.set_name("demo");
  CHECK(w.refusal("Tenants.Update", disable, w.admin()) == "operating-tenant");
  v1::CreateTenantRequest again;
  again.set_name("acme");
  CHECK(w.refusal("Tenants.Create", again, w.admin()) != "");
  again.set_name("system");
  CHECK(w.refusal("Tenants.Create", again, w.admin()) == "invalid-name");
  CHECK(w.get<v1::ListTenantsReply>("Tenants.List", v1::ListTenantsRequest(), w.admin()).tenants_size() == 2);
}

TEST_CASE("the last administrator of a tenant stays") {
  World w;
  const auto admin = w.admin();
  v1::RevokeApiKeyRequest revoke;
  revoke.set_key_id(admin->actor.substr(4));
  CHECK(w.refusal("ApiKeys.Revoke", revoke, admin) == "last-admin");
  w.add_user("ana", kPassword, {"admin"}, admin);
  w.get<v1::ApiKey>("ApiKeys.Revoke", revoke, admin);
  CHECK(w.refusal_of(w.admin_key()) == "invalid-credential");

  const auto ana = w.caller_of(w.login("demo", "ana", kPassword).access_token());
  v1::DeleteUserRequest remove;
  remove.set_name("ana");
  CHECK(w.refusal("Users.Delete", remove, ana) == "last-admin");
  auto request = update("ana", "disabled");
  request.mutable_settings()->set_disabled(true);
  CHECK(w.refusal("Users.Update", request, ana) == "last-admin");
  request = update("ana", "roles");
  request.mutable_settings()->add_roles("viewer");
  CHECK(w.refusal("Users.Update", request, ana) == "last-admin");
  w.add_user("bob", "", {"admin"}, ana);  // who cannot sign in is none
  CHECK(w.refusal("Users.Update", request, ana) == "last-admin");
  w.get<v1::ApiKeyWithSecret>("ApiKeys.Create", key_request({"admin"}), ana);
  CHECK(w.refusal("Users.Update", request, ana) == "");
}

TEST_CASE("of two administrators who remove each other at once, one stays") {
  for (int round = 0; round < 5; ++round) {
    World w;
    const auto admin = w.admin();
    w.add_user("ana", kPassword, {"admin"}, admin);
    w.add_user("bob", kPassword, {"admin"}, admin);
    v1::RevokeApiKeyRequest revoke;
    revoke.set_key_id(admin->actor.substr(4));
    w.get<v1::ApiKey>("ApiKeys.Revoke", revoke, admin);
    std::atomic<int> removed{0};
    std::vector<std::thread> threads;
    for (const auto name : {"ana", "bob"})
      threads.emplace_back([&, name] {
        v1::DeleteUserRequest remove;
        remove.set_name(name);
        if (w.call("Users.Delete", remove, admin)) ++removed;
      });
    for (auto& thread : threads) thread.join();
    CHECK(removed == 1);
  }
}

TEST_CASE("roles of a tenant's own come and go, built-in ones stay") {
  World w;
  const auto admin = w.admin();
  v1::PutRoleRequest put;
  put.set_name("editor");
  put.mutable_role()->set_description("Edits");
  put.mutable_role()->add_permissions("creative.write");
  const auto role = w.get<v1::Role>("Roles.Put", put, admin);
  CHECK(role.name() == "editor");
  const auto key = w.get<v1::ApiKeyWithSecret>("ApiKeys.Create", key_request({"editor"}), admin).secret();
  CHECK(w.caller_of(key)->permissions.count() == 1);

  put.mutable_role()->add_permissions("creative.read");
  put.set_if_match("stale");
  CHECK(w.refusal("Roles.Put", put, admin) == "etag-mismatch");
  put.set_if_match(role.etag());
  w.get<v1::Role>("Roles.Put", put, admin);
  CHECK(w.caller_of(key)->permissions.count() == 2);
  put.set_if_match("");
  put.mutable_role()->add_permissions("creative.burn");
  CHECK(w.refusal("Roles.Put", put, admin) == "unknown-permission");
  put.set_name("admin");
  CHECK(w.refusal("Roles.Put", put, admin) == "built-in-role");

  CHECK(w.get<v1::ListRolesReply>("Roles.List", v1::ListRolesRequest(), admin).roles_size() == 11);
  v1::DeleteRoleRequest remove;
  remove.set_name("viewer");
  CHECK(w.refusal("Roles.Delete", remove, admin) == "built-in-role");
  remove.set_name("editor");
  w.get<v1::DeleteRoleReply>("Roles.Delete", remove, admin);
  CHECK(w.caller_of(key)->permissions.none());
  CHECK(w.refusal("Roles.Delete", remove, admin) == "no-such-role");
}

TEST_CASE("lists come in pages, and edits of what has changed are refused") {
  World w;
  const auto admin = w.admin();
  for (const auto name : {"a", "b", "c"}) w.add_user(name, "", {"viewer"}, admin);
  v1::ListUsersRequest list;
  list.set_page_size(2);
  std::string seen;
  do {
    const auto page = w.get<v1::ListUsersReply>("Users.List", list, admin);
    for (const auto& user : page.users()) seen += user.name();
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  CHECK(seen == "abc");

  v1::GetUserRequest get;
  get.set_name("a");
  auto request = update("a", "display_name");
  request.mutable_settings()->set_display_name("Ana");
  request.set_if_match(w.get<v1::User>("Users.Get", get, admin).etag());
  CHECK(w.get<v1::User>("Users.Update", request, admin).display_name() == "Ana");
  CHECK(w.refusal("Users.Update", request, admin) == "etag-mismatch");
  v1::CreateUserRequest create;
  create.set_name("a");
  CHECK(w.refusal("Users.Create", create, admin) == "already-exists");
  for (const auto bad : {"", "Ana", "-a", "a b", "a.b", "a/b", "~1"}) {
    create.set_name(bad);
    CHECK(w.refusal("Users.Create", create, admin) == "invalid-name");
  }
}

TEST_CASE("users' roles are known by who they are") {
  World w;
  w.add_user("ana", "", {"director"}, w.admin());
  CHECK(w.access->roles_of("demo", "user/ana") == std::vector<std::string>{"director"});
  CHECK_FALSE(w.access->roles_of("acme", "user/ana"));
  CHECK_FALSE(w.access->roles_of("demo", "user/bob"));
  CHECK_FALSE(w.access->roles_of("demo", "ana"));
  CHECK(w.access->roles_of("demo", w.admin()->actor) == std::vector<std::string>{"admin"});
}

TEST_CASE("every built-in role is what its line says") {
  CHECK(built_in_roles().size() == 10);
  CHECK(find_built_in_role("admin")->permissions == all_permissions());
  CHECK(find_built_in_role("operator")->permissions == system_permissions());
  CHECK(find_built_in_role("bidder")->permissions.count() == 1);
  CHECK(find_built_in_role("source")->permissions.count() == 1);
  for (const auto& role : built_in_roles()) {
    const auto system = role.permissions & system_permissions();
    CHECK((system.none() || role.name == "admin" || role.name == "operator"));
    const bool manages = role.permissions.test(*permission_number("user.manage"));
    CHECK(manages == (role.name == "admin"));
  }
}

}  // namespace cx::auth
