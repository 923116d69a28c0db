#include "gateways/auth/authenticator.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <thread>

#include "tests/gateways/auth/tokens.hpp"
#include "tests/gateways/auth/world.hpp"

namespace cx::auth {
namespace {

using test::World;

v1::ApiKeyWithSecret make(World& w, const std::function<void(v1::CreateApiKeyRequest&)>& adapt = nullptr,
                          CallerPtr by = nullptr) {
  v1::CreateApiKeyRequest request;
  request.set_name("a key");
  request.add_roles("bidder");
  if (adapt) adapt(request);
  return w.get<v1::ApiKeyWithSecret>("ApiKeys.Create", request, by ? by : w.admin());
}

std::string refusal(const World& w, const Credential& credential) {
  const auto admission = w.access->authenticator().admit(credential, 1);
  return admission ? "" : admission.error().type;
}

constexpr auto kIssuer = "https://id.example/";

/// With another issuer, whose keys are at a URL.
struct Foreign {
  explicit Foreign(const std::function<void(v1::TokenIssuer&)>& adapt = nullptr)
      : w([&](Access::Parts& parts) {
          auto& issuer = *parts.config.add_issuers();
          issuer.set_issuer(kIssuer);
          issuer.set_audience("cx");
          issuer.set_jwks_url("https://id.example/jwks.json");
          issuer.set_tenant("demo");
          if (adapt) adapt(issuer);
          parts.fetch = [this](const FetchRequest& request) -> Result<Fetched> {
            const std::lock_guard lock(mutex);
            ++fetches;
            if (request.url != "https://id.example/jwks.json" || jwks.empty())
              return Error{Code::unavailable, "fetch-failed", "Nobody answers.", ""};
            return Fetched{200, jwks, 600};
          };
        }) {}

  void publish(const std::vector<VerificationKey>& keys) {
    const std::lock_guard lock(mutex);
    jwks = R"({"keys":[)";
    for (const auto& one : keys) jwks += (jwks.back() == '[' ? "" : ",") + jwk_of(one);
    jwks += "]}";
  }
  /// Claims that are in order, with `more` or instead.
  std::string claims(const std::string& more = "", std::int64_t lifetime = 600) const {
    const auto now = w.clock.unix_ms() / 1000;
    std::string out = R"({"iss":"https://id.example/","aud":"cx","sub":"sam","roles":["viewer"],"iat":)";
    return out + std::to_string(now) + ",\"exp\":" + std::to_string(now + lifetime) + more + '}';
  }
  /// Until the issuers' thread has fetched.
  std::string admitted(const std::string& token) {
    for (int i = 0; i < 500; ++i) {
      const auto type = w.refusal_of(token);
      if (type != "issuer-unavailable") return type;
      w.clock.ms += 1000;  // what failed is tried again after a minute
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return "nothing came";
  }

  std::mutex mutex;
  int fetches = 0;
  std::string jwks;
  const VerificationKey key{"k1", Algorithm::es256, test::p256(), ""};
  World w;
};

}  // namespace

TEST_CASE("a key is taken from both fields, and nothing that is not quite one") {
  World w;
  const auto key = make(w).secret();
  const auto bearer = "Bearer " + key;
  const auto lower = "bearer   " + key;
  CHECK(refusal(w, {bearer, "", ""}) == "");
  CHECK(refusal(w, {lower, "", ""}) == "");
  CHECK(refusal(w, {"", key, ""}) == "");
  CHECK(refusal(w, {}) == "no-credential");
  CHECK(refusal(w, {bearer, key, ""}) == "invalid-credential");
  for (const auto& bad :
       {std::string("Bearer"), std::string("Bearer "), "Basic " + key, key, "Bearer" + key,
        "Bearer " + key + " ", "Bearer cx_" + std::string(8, 'a') + "_" + std::string(40, 'a'),
        "Bearer " + std::string(100'000, 'a'), std::string("Bearer a.b.c"), std::string("Bearer ..")})
    CHECK(refusal(w, {bad, "", ""}) == "invalid-credential");
  for (std::size_t i = 3; i < key.size(); ++i) {
    auto changed = key;
    changed[i] = changed[i] == 'x' ? 'y' : 'x';
    CHECK(refusal(w, {"", changed, ""}) == "invalid-credential");
  }
}

TEST_CASE("a key is taken as the user of basic authentication, without a password") {
  World w;
  const auto key = make(w).secret();
  const auto basic = [](const std::string& text, const std::string& scheme = "Basic ") {
    auto base64 = to_base64url(text);
    for (auto& c : base64) c = c == '-' ? '+' : c == '_' ? '/' : c;
    return scheme + base64.append((4 - base64.size() % 4) % 4, '=');
  };
  for (const auto& good : {basic(key + ':'), basic(key + ':', "basic  "), basic(key + ':', "BASIC ")})
    CHECK(refusal(w, {good, "", ""}) == "");
  CHECK(refusal(w, {basic(key + ':'), key, ""}) == "invalid-credential");
  auto padded = basic(key + ':');
  for (const auto& bad :
       {basic(key), basic(key + ":password"), basic(':' + key), basic(key + "::"), basic(":"), basic(""),
        padded + "=", padded + "====", padded + " ", "Basic " + key, std::string("Basic"),
        std::string("Basic ===="), std::string("Basic "), basic(std::string(10'000, 'a') + ':'),
        basic(key + ':', "Basic"), "Basic " + to_base64url("\xff\xff:")})
    CHECK(refusal(w, {bad, "", ""}) == "invalid-credential");
}

TEST_CASE("a rotated key's old secret is good for the overlap, and a revoked key for nothing") {
  World w;
  const auto made = make(w);
  v1::RotateApiKeyRequest rotate;
  rotate.set_key_id(made.api_key().key_id());
  rotate.set_overlap_seconds(60);
  const auto rotated = w.get<v1::ApiKeyWithSecret>("ApiKeys.Rotate", rotate, w.admin());
  CHECK(rotated.secret() != made.secret());
  CHECK(w.refusal_of(made.secret()) == "");
  CHECK(w.refusal_of(rotated.secret()) == "");
  w.clock.ms += 59'999;
  CHECK(w.refusal_of(made.secret()) == "");
  w.clock.ms += 1;
  CHECK(w.refusal_of(made.secret()) == "invalid-credential");
  CHECK(w.refusal_of(rotated.secret()) == "");
  rotate.set_overlap_seconds(0);
  const auto last = w.get<v1::ApiKeyWithSecret>("ApiKeys.Rotate", rotate, w.admin());
  CHECK(w.refusal_of(rotated.secret()) == "invalid-credential");

  v1::RevokeApiKeyRequest revoke;
  revoke.set_key_id(made.api_key().key_id());
  CHECK(w.get<v1::ApiKey>("ApiKeys.Revoke", revoke, w.admin()).has_revoked_at());
  CHECK(w.refusal_of(last.secret()) == "invalid-credential");
  CHECK(w.refusal("ApiKeys.Rotate", rotate, w.admin()) == "cannot-rotate");
  const auto keys = w.get<v1::ListApiKeysReply>("ApiKeys.List", v1::ListApiKeysRequest(), w.admin());
  CHECK(keys.api_keys_size() == 2);
  CHECK(keys.DebugString().find(made.secret().substr(12)) == std::string::npos);
}

TEST_CASE("a key expires when it says") {
  World w;
  const auto made =
      make(w, [&](auto& request) { *request.mutable_expires_at() = timestamp(w.clock.unix_ms() + 1000); });
  CHECK(w.caller_of(made.secret())->expires_at == w.clock.unix_ms() + 1000);
  w.clock.ms += 1000;
  CHECK(w.refusal_of(made.secret()) == "expired-credential");
  v1::CreateApiKeyRequest late;
  late.set_name("late");
  *late.mutable_expires_at() = timestamp(w.clock.unix_ms());
  CHECK(w.refusal("ApiKeys.Create", late, w.admin()) == "invalid-expiry");
}

TEST_CASE("a key has its bucket, which outlives changes of the directory") {
  World w;
  const auto made = make(w, [](auto& request) {
    request.mutable_rate()->set_requests(10);
    request.mutable_rate()->set_window_seconds(10);
  });
  for (int i = 0; i < 8; ++i) CHECK_FALSE(w.admit_bearer(made.secret())->limited);
  make(w);  // another one: everything is compiled anew
  CHECK_FALSE(w.admit_bearer(made.secret(), 2)->limited);
  const auto refused = w.admit_bearer(made.secret());
  REQUIRE(refused);
  CHECK(refused->limited);
  CHECK(refused->quota.retry_seconds == 1);
  CHECK(refused->caller->actor == "key/" + made.api_key().key_id());
  w.clock.ms += 1000;
  CHECK_FALSE(w.admit_bearer(made.secret())->limited);
  CHECK_FALSE(w.admit_bearer(w.admin_key())->limited);
}

TEST_CASE("threads share a key's bucket exactly, while the directory changes under them") {
  World w;
  const auto made = make(w, [](auto& request) {
    request.mutable_rate()->set_requests(1000);
    request.mutable_rate()->set_window_seconds(3600);
  });
  const auto admin = w.admin();
  std::atomic<int> granted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        const auto admission = w.admit_bearer(made.secret());
        if (admission && !admission->limited) ++granted;
      }
    });
  for (int i = 0; i < 10; ++i) make(w, nullptr, admin);
  for (auto& thread : threads) thread.join();
  CHECK(granted == 1000);
}

TEST_CASE("a certificate is a key of its tenant, when whoever signed it says so") {
  World w;
  const auto by = [](const std::string& subject) {
    return [subject](v1::CreateApiKeyRequest& request) { request.set_certificate_subject(subject); };
  };
  const auto acme = w.admin_of("acme");
  const auto made = make(w, by("CN=ssp-1,O=acme"), acme);
  CHECK(made.secret().empty());
  Credential credential;
  credential.certificate = "CN=ssp-1,O=acme";
  const auto admission = w.access->authenticator().admit(credential, 1);
  REQUIRE(admission);
  CHECK(admission->caller->tenant == "acme");
  CHECK(admission->caller->credential == "certificate");
  credential.certificate = "CN=ssp-1";
  CHECK(refusal(w, credential) == "invalid-credential");
  CHECK(refusal(w, {"", "cx_" + made.api_key().key_id() + "_" + std::string(40, 'a'), ""}) ==
        "invalid-credential");

  v1::CreateApiKeyRequest request;
  request.set_name("x");
  for (const auto subject : {"CN=ssp-2", "CN=ssp-2,O=demo", "CN=O=acme2", "O=acmeX,CN=1"}) {
    request.set_certificate_subject(subject);
    CHECK(w.refusal("ApiKeys.Create", request, acme) == "not-your-certificate");
  }
  request.set_certificate_subject("CN=ssp-1,O=acme");
  CHECK(w.refusal("ApiKeys.Create", request, acme) == "already-exists");
  make(w, by("CN=anything"), w.admin());
}

TEST_CASE(
    "who shows nothing may bid where that is allowed, and nothing else; what is shown has to be valid") {
  World w([](Access::Parts& parts) { parts.anonymous_bids = true; });
  const auto admission = w.access->authenticator().admit({}, 1);
  REQUIRE(admission);
  CHECK(admission->caller->tenant == "demo");
  CHECK(admission->caller->actor == "anonymous");
  CHECK(admission->caller->permissions.count() == 1);
  CHECK(admission->caller->permissions.test(*permission_number("campaign.bid")));
  CHECK_FALSE(admission->caller->operates);
  CHECK(refusal(w, {"Bearer x", "", ""}) == "invalid-credential");
  CHECK(refusal(w, {"", "", "CN=x"}) == "invalid-credential");
}

TEST_CASE("an issuer's token is taken when signature, audience and times are right") {
  Foreign f;
  f.publish({f.key});
  const auto caller_of = [&](const std::string& claims) {
    const auto token = sign_token(f.key, claims);
    CHECK(f.admitted(token) == "");
    return f.w.caller_of(token);
  };
  const auto caller = caller_of(f.claims());
  CHECK(caller->tenant == "demo");
  CHECK(caller->actor == "external/id.example//sam");
  CHECK(caller->credential == "external-token");
  CHECK(caller->permissions.count() == 7);
  const auto narrow = caller_of(f.claims(R"(,"scope":"openid campaign.read campaign.write")"));
  CHECK(narrow->permissions.count() == 1);

  const auto refused = [&](const std::string& claims) { return f.w.refusal_of(sign_token(f.key, claims)); };
  const auto now = std::to_string(f.w.clock.unix_ms() / 1000);
  const auto exp = ",\"exp\":" + std::to_string(f.w.clock.unix_ms() / 1000 + 60);
  const std::string start = R"({"iss":"https://id.example/",)";
  CHECK(refused(start + R"("aud":["x","cx"],"sub":"sam")" + exp + '}') == "");
  CHECK(refused(start + R"("aud":"cy","sub":"sam")" + exp + '}') == "invalid-credential");
  CHECK(refused(start + R"("sub":"sam")" + exp + '}') == "invalid-credential");
  CHECK(refused(start + R"("aud":"cx","sub":"sam"})") == "invalid-credential");
  CHECK(refused(start + R"("aud":"cx")" + exp + '}') == "invalid-credential");
  CHECK(refused(start + R"("aud":"cx","sub":"s\u0000m")" + exp + '}') == "invalid-credential");
  CHECK(refused(R"({"iss":"https://id.example","aud":"cx","sub":"sam")" + exp + '}') == "invalid-credential");
  CHECK(
      refused(R"({"iss":"campaign-express","aud":"campaign-express","sub":"sam","tenant_id":"demo","iat":)" +
              now + exp + '}') == "invalid-credential");
  CHECK(refused(f.claims("", -59)) == "");
  CHECK(refused(f.claims("", -60)) == "expired-credential");
  CHECK(refused(f.claims(",\"nbf\":" + std::to_string(f.w.clock.unix_ms() / 1000 + 61))) ==
        "invalid-credential");
  const VerificationKey other{"k1", Algorithm::es256, test::p256(), ""};
  CHECK(f.w.refusal_of(sign_token(other, f.claims())) == "invalid-credential");
}

TEST_CASE("a remembered token is forgotten when its issuer's keys change") {
  Foreign f;
  f.publish({f.key});
  const auto token = sign_token(f.key, f.claims("", 86'400));
  CHECK(f.admitted(token) == "");
  const VerificationKey next{"k2", Algorithm::es256, test::p256(), ""};
  f.publish({next});
  f.w.clock.ms += 600'000;
  const auto newer = sign_token(next, f.claims("", 86'400));
  for (int i = 0; i < 500 && f.w.refusal_of(newer) != ""; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(f.w.refusal_of(newer) == "");
  CHECK(f.w.refusal_of(token) == "invalid-credential");
}

TEST_CASE("a remembered token is forgotten when it expires") {
  Foreign f;
  f.publish({f.key});
  CHECK(f.admitted(sign_token(f.key, f.claims())) == "");
  f.w.clock.ms += 1000 - f.w.clock.ms % 1000;
  const auto token = sign_token(f.key, f.claims("", 60));
  CHECK(f.w.refusal_of(token) == "");
  f.w.clock.ms += 119'999;
  CHECK(f.w.refusal_of(token) == "");
  f.w.clock.ms += 1;
  CHECK(f.w.refusal_of(token) == "expired-credential");
}

TEST_CASE("a token may name its tenant and roles in claims that the configuration names") {
  Foreign f([](v1::TokenIssuer& issuer) {
    issuer.clear_tenant();
    issuer.set_tenant_claim("https://cx/tenant");
    issuer.set_roles_claim("realm_access.roles");
  });
  f.publish({f.key});
  f.w.admin_of("acme");
  const auto token = [&](const std::string& tenant) {
    return sign_token(
        f.key, f.claims(R"(,"https://cx/tenant":")" + tenant + R"(","realm_access":{"roles":["admin"]})"));
  };
  CHECK(f.admitted(token("acme")) == "");
  const auto caller = f.w.caller_of(token("acme"));
  CHECK(caller->tenant == "acme");
  CHECK(caller->roles == std::vector<std::string>{"admin"});
  CHECK((caller->permissions & system_permissions()).none());
  CHECK(f.w.refusal_of(token("nobody")) == "invalid-credential");
  CHECK(f.w.refusal_of(token("a/b")) == "invalid-credential");
  CHECK(f.w.refusal_of(token("")) == "invalid-credential");
}

TEST_CASE(
    "an issuer's keys are fetched when due, on an unknown key at most every ten seconds, and kept on "
    "failure") {
  test::AtomicClock clock;
  v1::AuthConfig config;
  auto& one = *config.add_issuers();
  one.set_issuer("i");
  one.set_audience("a");
  one.set_jwks_url("https://id.example/jwks.json");
  int fetches = 0;
  std::int64_t max_age = 600;
  std::string body = R"({"keys":[]})";
  const VerificationKey key{"k", Algorithm::es256, test::p256(), ""};
  auto opened = Issuers::open(config, clock, [&](const FetchRequest&) -> Result<Fetched> {
    ++fetches;
    return Fetched{200, body, max_age};
  });
  REQUIRE(opened);
  auto& issuers = **opened;
  auto& issuer = *issuers.find("i");
  CHECK(issuers.find("j") == nullptr);
  CHECK(issuers.keys(issuer)->empty());
  issuers.refresh();
  CHECK(fetches == 1);
  const auto serial = issuers.serial();

  body = R"({"keys":[)" + jwk_of(key) + "]}";
  for (int i = 0; i < 100; ++i) {
    issuers.want(issuer);
    issuers.refresh();
  }
  CHECK(fetches == 1);
  clock.ms += 10'000;
  issuers.refresh();
  CHECK(fetches == 2);
  CHECK(issuers.keys(issuer)->size() == 1);
  CHECK(issuers.serial() > serial);
  clock.ms += 599'999;
  issuers.refresh();
  CHECK(fetches == 2);
  clock.ms += 1;
  body = "not JSON";
  issuers.refresh();
  CHECK(fetches == 3);
  CHECK(issuers.keys(issuer)->size() == 1);
  clock.ms += 59'999;
  issuers.refresh();
  CHECK(fetches == 3);
  clock.ms += 1;
  issuers.refresh();
  CHECK(fetches == 4);
  max_age = 0;  // as often as it likes, but not more often than every 5 minutes
  body = R"({"keys":[)" + jwk_of(key) + "]}";
  clock.ms += 60'000;
  issuers.refresh();
  CHECK(fetches == 5);
  clock.ms += 299'999;
  issuers.refresh();
  CHECK(fetches == 5);
}

TEST_CASE("an issuer's key may be in a file, and what is wrong with it is told") {
  const auto directory = std::filesystem::temp_directory_path() / ("cx-issuer-" + random_base62(10));
  std::filesystem::create_directories(directory);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(directory / name) << text;
    return (directory / name).string();
  };
  const std::string secret(32, 's');
  const auto file = write("secret", secret + "\n");
  {
    Foreign f([&](v1::TokenIssuer& issuer) {
      issuer.clear_jwks_url();
      issuer.set_hs256_secret_file(file);
    });
    CHECK(f.w.refusal_of(test::sign_hs256(secret, R"({"alg":"HS256"})", f.claims())) == "");
    CHECK(f.w.refusal_of(test::sign_hs256(secret + "\n", R"({"alg":"HS256"})", f.claims())) ==
          "invalid-credential");
    CHECK(f.w.refusal_of(sign_token(f.key, f.claims())) == "invalid-credential");
  }
  const auto failure = [&](const std::function<void(v1::TokenIssuer&)>& adapt) {
    v1::AuthConfig config;
    auto& issuer = *config.add_issuers();
    issuer.set_issuer("i");
    issuer.set_audience("a");
    adapt(issuer);
    test::AtomicClock clock;
    const auto opened = Issuers::open(config, clock, nullptr);
    return opened ? "" : opened.error().detail;
  };
  CHECK(failure([](auto&) {}).find("name one of") != std::string::npos);
  CHECK(failure([](auto& i) { i.set_jwks_url("http://id.example/"); }).find("is not https") !=
        std::string::npos);
  CHECK(failure([](auto& i) { i.set_jwks_url("http://127.0.0.1:1/"); }) == "");
  CHECK(failure([&](auto& i) { i.set_public_key_file(file); }).find("holds no RSA key") != std::string::npos);
  CHECK(failure([&](auto& i) { i.set_hs256_secret_file(write("short", "x")); }).find("32 bytes") !=
        std::string::npos);
  CHECK(failure([&](auto& i) { i.set_hs256_secret_file(file + "x"); }).find("cannot be read") !=
        std::string::npos);
  std::filesystem::remove_all(directory);
}

TEST_CASE("a document that cannot be read keeps out whom it stood for, and nobody else") {
  Buckets buckets;
  Definitions all;
  const auto add = [&](const std::string& kind, const std::string& id, const google::protobuf::Message& body,
                       bool broken = false) {
    v1::Document document;
    document.set_kind(kind);
    document.set_tenant("demo");
    document.set_id(id);
    document.mutable_body()->set_type(body.GetDescriptor()->full_name());
    document.mutable_body()->set_bytes(broken ? "\xff\xff" : body.SerializeAsString());
    all[key_of(document)] = document;
  };
  v1::UserDocument user;
  user.add_roles("viewer");
  for (const auto name : {"ana", "bob", "cid"}) add(kUser, name, user, std::string(name) == "bob");
  add(kEndedSessions, "cid", v1::EndedSessions(), true);
  const auto directory = compile_directory(all, {"demo", "demo", {}, {}}, buckets);
  CHECK(directory.user("demo", "ana")->live);
  CHECK(directory.user("demo", "bob") == nullptr);
  CHECK(directory.user("demo", "cid")->issued_before == INT64_MAX);
  CHECK(directory.unreadable == 2);
  CHECK_FALSE(directory.is_live("acme"));
}

TEST_CASE("what admitting costs" * doctest::skip()) {
  World w;
  w.add_user("ana", "correct horse battery", {"manager"}, w.admin());
  const auto key = make(w, [](auto& request) {
                     request.mutable_rate()->set_requests(1'000'000);
                     request.mutable_rate()->set_window_seconds(1);
                   }).secret();
  const auto token = w.login("demo", "ana", "correct horse battery").access_token();
  const auto measure = [&](const std::string& name, const std::string& shown) {
    const auto authorization = "Bearer " + shown;
    Credential credential;
    credential.authorization = authorization;
    constexpr int kTimes = 200'000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kTimes; ++i) static_cast<void>(w.access->authenticator().admit(credential, 1));
    const auto took = std::chrono::steady_clock::now() - start;
    MESSAGE(name << ": " << took.count() / kTimes << " ns, " << shown.size() << " bytes");
  };
  measure("key", key);
  measure("token", token);
  measure("unknown", "cx_" + std::string(8, 'a') + "_" + std::string(40, 'a'));
}

}  // namespace cx::auth
