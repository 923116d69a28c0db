#include "gateways/auth/oidc.hpp"

#include <doctest/doctest.h>
#include <fstream>

#include "tests/gateways/auth/simulator.hpp"
#include "tests/gateways/auth/world.hpp"

namespace cx::auth {
namespace {

using test::World;

/// A node that users sign in to with the simulator.
struct Fixture {
  explicit Fixture(bool create_users = true)
      : secret(std::filesystem::temp_directory_path() / ("cx-oidc-" + random_base62(10))),
        w([&](Access::Parts& parts) {
          std::ofstream(secret) << "s3cret:/?&\n";
          for (const auto name : {"sim", "sim2"}) {
            auto& provider = *parts.config.add_oidc();
            provider.set_name(name);
            provider.set_issuer(simulator.url());
            provider.set_client_id("cx");
            provider.set_client_secret_file(secret);
            provider.set_redirect_url("https://cx.example/signed-in");
            provider.set_scopes("email profile");
            provider.set_tenant("demo");
            provider.set_create_users(create_users);
            provider.add_roles("viewer");
          }
          parts.fetch = fetch_by_curl;
        }) {
    w.access->bootstrap();
    set("good");
  }
  ~Fixture() { std::filesystem::remove(secret); }

  void set(const std::string& mode) {
    simulator.set("mode=" + mode + "&now=" + std::to_string(w.clock.unix_ms() / 1000));
  }
  Services::Reply start(const std::string& provider = "sim") {
    v1::StartOidcLoginRequest request;
    request.set_provider(provider);
    return w.call("Tokens.StartOidcLogin", request);
  }
  /// As the browser does: to the provider and back.
  v1::FinishOidcLoginRequest browse(const std::string& hint = "sam") {
    const auto started = start();
    REQUIRE(started);
    const auto& reply = static_cast<const v1::StartOidcLoginReply&>(**started);
    const auto back = fetch_by_curl({reply.authorization_url() + "&login_hint=" + hint});
    REQUIRE(back);
    REQUIRE(back->status == 200);
    const auto document = JsonObject::parse(back->body);
    CHECK(document->text("state") == reply.state());
    v1::FinishOidcLoginRequest finish;
    finish.set_provider("sim");
    finish.set_state(*document->text("state"));
    finish.set_code(*document->text("code"));
    return finish;
  }
  std::string refusal(const v1::FinishOidcLoginRequest& request) {
    return w.refusal("Tokens.FinishOidcLogin", request);
  }

  const std::string secret;
  const test::Simulator simulator;
  World w;
};

}  // namespace

TEST_CASE("a user signs in with a provider, is made the first time and known the second") {
  Fixture f;
  const auto tokens = f.w.get<v1::TokenReply>("Tokens.FinishOidcLogin", f.browse());
  const auto caller = f.w.caller_of(tokens.access_token());
  CHECK(caller->actor.starts_with("user/sim-"));
  CHECK(caller->roles == std::vector<std::string>{"viewer"});
  v1::GetUserRequest get;
  get.set_name(caller->actor.substr(5));
  const auto user = f.w.get<v1::User>("Users.Get", get, f.w.admin());
  CHECK(user.display_name() == "Sam Sample");
  CHECK(user.email() == "sam@example.com");
  CHECK_FALSE(user.has_password());
  CHECK(f.w.get<v1::TokenReply>("Tokens.FinishOidcLogin", f.browse()).actor() == tokens.actor());
  CHECK(f.w.get<v1::TokenReply>("Tokens.FinishOidcLogin", f.browse("eva")).actor() != tokens.actor());
  CHECK(f.w.refresh(tokens.refresh_token()));
  CHECK_FALSE(f.w.try_login("demo", get.name(), ""));
  CHECK(f.w.entities.audited().size() >= 3);
}

TEST_CASE("who is not made is known when an administrator has linked him, and not when he is disabled") {
  Fixture f(false);
  CHECK(f.refusal(f.browse()) == "sign-in-failed");
  v1::CreateUserRequest create;
  create.set_name("sam");
  create.add_roles("manager");
  auto& identity = *create.add_identities();
  identity.set_provider("nobody");
  identity.set_subject("sam");
  CHECK(f.w.refusal("Users.Create", create, f.w.admin()) == "no-such-provider");
  identity.set_provider("sim");
  f.w.get<v1::User>("Users.Create", create, f.w.admin());
  CHECK(f.w.get<v1::TokenReply>("Tokens.FinishOidcLogin", f.browse()).actor() == "user/sam");
  create.set_name("other");
  CHECK(f.w.refusal("Users.Create", create, f.w.admin()) == "already-linked");
  v1::UpdateUserRequest disable;
  disable.set_name("sam");
  disable.mutable_settings()->set_disabled(true);
  disable.mutable_update_mask()->add_paths("disabled");
  f.w.get<v1::User>("Users.Update", disable, f.w.admin());
  CHECK(f.refusal(f.browse()) == "sign-in-failed");
}

TEST_CASE("whatever a provider gets wrong lets nobody in") {
  Fixture f;
  f.refusal(f.browse());
  for (const auto mode :
       {"wrong_nonce", "no_nonce", "wrong_aud", "two_auds", "wrong_iss", "expired", "future", "unknown_kid",
        "wrong_key", "none", "hs256", "no_sub", "no_id_token", "not_json", "token_refuses", "redirect"}) {
    CAPTURE(std::string(mode));
    const auto request = f.browse();
    f.set(mode);
    CHECK(f.refusal(request) == "sign-in-failed");
    f.set("good");
  }
  for (const auto mode : {"token_error", "huge", "slow"}) {
    CAPTURE(std::string(mode));
    const auto request = f.browse();
    f.set(mode);
    CHECK(f.refusal(request) == "provider-unavailable");
    f.set("good");
  }
  CHECK(f.refusal(f.browse()) == "");
}

TEST_CASE("a provider's configuration has to be its own and usable") {
  for (const auto mode : {"discovery_of_another", "discovery_http", "discovery_huge"}) {
    CAPTURE(std::string(mode));
    Fixture f;
    f.set(mode);
    const auto started = f.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().type == "provider-unavailable");
    f.set("good");
    CHECK(f.start());
  }
  Fixture f;
  CHECK(f.start("nobody").error().type == "no-such-provider");
}

TEST_CASE("a state is good once, for ten minutes, for its provider, and only as it was made") {
  Fixture f;
  const auto request = f.browse();
  auto other = request;
  other.set_provider("sim2");
  CHECK(f.refusal(other) == "sign-in-failed");
  for (std::size_t i = 0; i < request.state().size(); i += 11) {
    auto changed = request;
    auto& c = changed.mutable_state()->at(i);
    c = c == 'a' ? 'b' : 'a';
    CHECK(f.refusal(changed) == "sign-in-failed");
  }
  for (const auto& bad : {std::string(), std::string("x"), std::string(2000, 'a')}) {
    auto changed = request;
    changed.set_state(bad);
    CHECK(f.refusal(changed) == "sign-in-failed");
  }
  CHECK(f.refusal(request) == "");
  CHECK(f.refusal(request) == "sign-in-failed");
  const auto late = f.browse();
  f.w.clock.ms += Oidc::kStateMs;
  CHECK(f.refusal(late) == "sign-in-failed");
}

TEST_CASE("a code that another browser got is of no use: the verifier differs") {
  Fixture f;
  const auto victim = f.browse();
  auto mixed = f.browse();
  mixed.set_code(victim.code());
  CHECK(f.refusal(mixed) == "sign-in-failed");
}

TEST_CASE("a provider's new key is fetched when it is needed, not more often than every ten seconds") {
  Fixture f;
  CHECK(f.refusal(f.browse()) == "");
  f.simulator.set("rotate=k2");
  CHECK(f.refusal(f.browse()) == "sign-in-failed");  // it was fetched just now
  f.w.clock.ms += 10'000;
  f.set("good");
  CHECK(f.refusal(f.browse()) == "");
}

}  // namespace cx::auth
