#include "gateways/auth/oidc.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "gateways/auth/files.hpp"

namespace cx::auth {
namespace {

constexpr std::int64_t kDiscoveryMs = 3'600'000, kKeysMs = 3'600'000, kMostOften = 10'000;
constexpr char kSeparator = '\n';

Error wrong(const v1::OidcProvider& provider, const std::string& what) {
  return {Code::invalid_argument, "invalid-configuration",
          fmt::format("auth.oidc: {}: {}.", provider.name(), what), ""};
}
Error unavailable(const v1::OidcProvider& provider, const std::string& why) {
  spdlog::warn("sign-in with {} does not work: {}", provider.name(), why);
  return {Code::unavailable, "provider-unavailable",
          fmt::format("The identity provider {} does not answer as it should; retry in a minute.",
                      provider.name()),
          ""};
}
/// Why is for us to know.
Error refused(const v1::OidcProvider& provider, const std::string& why) {
  spdlog::debug("a sign-in with {} was refused: {}", provider.name(), why);
  return {Code::unauthenticated, "sign-in-failed",
          fmt::format("The sign-in with {} was refused; start it again, or ask an administrator.",
                      provider.name()),
          ""};
}

bool is_usable(const std::string& url, const v1::OidcProvider& provider) {
  return !url.empty() && !check_url_of(url, provider.issuer());
}

}  // namespace

Oidc::Oidc(const Shared& shared, Executor& network, Fetch fetch)
    : shared_(shared), network_(network), fetch_(std::move(fetch)), key_(random_bytes(32)) {}

Result<std::unique_ptr<Oidc>> Oidc::open(const Shared& shared, Executor& network, Fetch fetch) {
  std::unique_ptr<Oidc> out(new Oidc(shared, network, std::move(fetch)));
  for (const auto& config : shared.config.oidc()) {
    if (out->find(config.name()) != nullptr)
      return wrong(config, "is there already; each provider has a name of its own");
    if (config.name() == "password") return wrong(config, "that name is taken");
    if (const auto error = check_url(config.issuer())) return wrong(config, "issuer: " + error->detail);
    auto provider = std::make_unique<Provider>();
    provider->config = config;
    if (!config.client_secret_file().empty()) {
      auto secret = read_small(config.client_secret_file(), 4096);
      if (!secret) return secret.error();
      while (secret->ends_with('\n')) secret->pop_back();
      provider->secret = std::move(*secret);
    }
    out->providers_.push_back(std::move(provider));
  }
  return out;
}

Oidc::Provider* Oidc::find(const std::string& name) const {
  for (const auto& provider : providers_)
    if (provider->config.name() == name) return provider.get();
  return nullptr;
}

bool Oidc::enter() {
  if (under_way_.fetch_add(1) < kMostUnderWay) return true;
  under_way_.fetch_sub(1);
  return false;
}

void Oidc::start(const std::string& name, std::function<void(Services::Reply)> done) {
  auto* provider = find(name);
  if (provider == nullptr)
    return done(
        Error{Code::not_found, "no-such-provider",
              fmt::format("There is no identity provider '{}'; ask an administrator which there are.", name),
              "/provider"});
  if (!enter())
    return done(Error{Code::overloaded, "overloaded", "Too many users sign in just now; retry.", ""});
  network_.post([this, provider, done = std::move(done)] {
    auto started = make_start(*provider);
    under_way_.fetch_sub(1);
    if (!started) return done(started.error());
    done(auth::reply(std::move(*started)));
  });
}

void Oidc::identify(const CallContext&, MessagePtr evidence, Done done) {
  const auto request = std::static_pointer_cast<const v1::FinishOidcLoginRequest>(std::move(evidence));
  auto* provider = find(request->provider());
  if (provider == nullptr)
    return done(
        Error{Code::not_found, "no-such-provider", "There is no such identity provider.", "/provider"});
  if (!enter())
    return done(Error{Code::overloaded, "overloaded", "Too many users sign in just now; retry.", ""});
  network_.post([this, provider, request, done = std::move(done)] {
    auto person = finish(*provider, *request);
    under_way_.fetch_sub(1);
    done(std::move(person));
  });
}

Result<Oidc::Discovered> Oidc::discover(Provider& provider) {
  const auto now = shared_.clock.unix_ms();
  {
    const std::lock_guard lock(provider.mutex);
    if (now < provider.discovered.until) return provider.discovered;
  }
  auto url = provider.config.issuer();
  if (url.ends_with('/')) url.pop_back();
  const auto fetched = fetch_({url + "/.well-known/openid-configuration"});
  if (!fetched) return unavailable(provider.config, fetched.error().detail);
  const auto document = fetched->status == 200 ? JsonObject::parse(fetched->body) : std::nullopt;
  if (!document)
    return unavailable(provider.config,
                       fmt::format("its configuration is answered with {}", fetched->status));
  // OpenID Connect Discovery 1.0 section 4.3: else anybody could speak for anybody.
  if (document->text("issuer") != provider.config.issuer())
    return unavailable(provider.config, "its configuration is another issuer's");
  Discovered found{document->text("authorization_endpoint").value_or(""),
                   document->text("token_endpoint").value_or(""), document->text("jwks_uri").value_or(""),
                   now + kDiscoveryMs};
  for (const auto* endpoint : {&found.authorization_endpoint, &found.token_endpoint, &found.jwks_uri})
    if (!is_usable(*endpoint, provider.config))
      return unavailable(provider.config, "its configuration lacks an endpoint, or has a bad one");
  const std::lock_guard lock(provider.mutex);
  provider.discovered = found;
  return found;
}

Result<KeySet> Oidc::keys(Provider& provider, const Discovered& at, bool again) {
  const auto now = shared_.clock.unix_ms();
  {
    const std::lock_guard lock(provider.mutex);
    const bool fresh = again ? now < provider.keys_fetched + kMostOften : now < provider.keys_until;
    if (fresh) return provider.keys;
    provider.keys_fetched = now;
  }
  const auto fetched = fetch_({at.jwks_uri});
  auto keys = fetched && fetched->status == 200 ? keys_from_jwks(fetched->body) : std::nullopt;
  if (!keys) return unavailable(provider.config, "its keys cannot be fetched");
  const std::lock_guard lock(provider.mutex);
  provider.keys = *keys;
  provider.keys_until = now + kKeysMs;
  return *std::move(keys);
}

Result<v1::StartOidcLoginReply> Oidc::make_start(Provider& provider) {
  const auto at = discover(provider);
  if (!at) return at.error();
  const auto& config = provider.config;
  const Started started{config.name(), random_base62(32), random_base62(64),
                        shared_.clock.unix_ms() + kStateMs};
  const auto state =
      to_base64url(seal(key_, fmt::format("{1}{0}{2}{0}{3}{0}{4}", kSeparator, started.provider,
                                          started.nonce, started.verifier, started.until)));
  auto scopes = "openid " + config.scopes();
  if (scopes.ends_with(' ')) scopes.pop_back();
  const auto& endpoint = at->authorization_endpoint;
  v1::StartOidcLoginReply out;
  out.set_authorization_url(fmt::format(
      "{}{}response_type=code&client_id={}&redirect_uri={}&scope={}&state={}&nonce={}&code_challenge={}"
      "&code_challenge_method=S256",
      endpoint, endpoint.find('?') == endpoint.npos ? '?' : '&', form_encode(config.client_id()),
      form_encode(config.redirect_url()), form_encode(scopes), state, started.nonce,
      to_base64url(bytes_of(sha256(started.verifier)))));
  out.set_state(state);
  *out.mutable_expires_at() = timestamp(started.until);
  return out;
}

Result<Oidc::Started> Oidc::take_state(const Provider& provider, const std::string& state) {
  const auto sealed = from_base64url(state);
  const auto plain = sealed ? unseal(key_, *sealed) : std::nullopt;
  if (!plain) return refused(provider.config, "its state is none of ours, or of before a restart");
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= plain->size();) {
    const auto end = std::min(plain->find(kSeparator, begin), plain->size());
    parts.push_back(plain->substr(begin, end - begin));
    begin = end + 1;
  }
  const auto now = shared_.clock.unix_ms();
  const Started started{parts.at(0), parts.at(1), parts.at(2), std::stoll(parts.at(3))};
  if (started.provider != provider.config.name())
    return refused(provider.config, "its state is another provider's");
  if (now >= started.until) return refused(provider.config, "it took longer than ten minutes");
  const std::lock_guard lock(used_mutex_);
  if (used_.size() >= kMostUsed) std::erase_if(used_, [&](const auto& used) { return used.second <= now; });
  if (used_.size() >= kMostUsed)
    return Error{Code::overloaded, "overloaded", "Too many users sign in just now; retry in some minutes.",
                 ""};
  if (!used_.emplace(started.nonce, started.until).second)
    return refused(provider.config, "its state was used before");
  return started;
}

Result<std::string> Oidc::redeem(Provider& provider, const Discovered& at, const Started& started,
                                 const std::string& code) {
  const auto& config = provider.config;
  FetchRequest request;
  request.url = at.token_endpoint;
  request.form =
      fmt::format("grant_type=authorization_code&code={}&redirect_uri={}&client_id={}&code_verifier={}",
                  form_encode(code), form_encode(config.redirect_url()), form_encode(config.client_id()),
                  started.verifier);
  if (!provider.secret.empty()) {
    request.user = form_encode(config.client_id());  // RFC 6749 section 2.3.1
    request.password = form_encode(provider.secret);
  }
  const auto fetched = fetch_(request);
  if (!fetched) return unavailable(config, fetched.error().detail);
  if (fetched->status >= 500)
    return unavailable(config, fmt::format("its token endpoint answers {}", fetched->status));
  const auto document = fetched->status == 200 ? JsonObject::parse(fetched->body) : std::nullopt;
  const auto token = document ? document->text("id_token") : std::nullopt;
  if (!token)
    return refused(config, fmt::format("its token endpoint answers {} without an id_token", fetched->status));
  return *token;
}

/// OpenID Connect Core 1.0 section 3.1.3.7.
Result<JsonObject> Oidc::check_id_token(Provider& provider, const Discovered& at, const Started& started,
                                        const std::string& id_token) {
  const auto& config = provider.config;
  auto token = parse_token(id_token);
  if (!token) return refused(config, "its id_token is no signed token");
  auto known = keys(provider, at, false);
  if (!known) return known.error();
  const auto* key = choose_key(*token, *known);
  if (key == nullptr) {
    known = keys(provider, at, true);
    if (!known) return known.error();
    key = choose_key(*token, *known);
  }
  if (key == nullptr || !verify(*token, *key)) return refused(config, "nobody known signed its id_token");
  const auto& claims = token->claims;
  const auto audience = claims.texts("aud");
  if (claims.text("iss") != config.issuer()) return refused(config, "its id_token is another issuer's");
  if (std::find(audience.begin(), audience.end(), config.client_id()) == audience.end())
    return refused(config, "its id_token is for somebody else");
  if ((audience.size() > 1 || claims.has("azp")) && claims.text("azp") != config.client_id())
    return refused(config, "its id_token was given to somebody else");
  if (!equal(claims.text("nonce").value_or(""), started.nonce))
    return refused(config, "its id_token is of another sign-in");
  if (freshness(claims, shared_.clock.unix_ms(), kLeeway) != Freshness::good || !claims.has("iat"))
    return refused(config, "its id_token has expired, or is not good yet");
  return std::move(token->claims);
}

Result<Person> Oidc::person_of(const Provider& provider, const JsonObject& claims) {
  const auto& config = provider.config;
  const auto subject = claims.text("sub").value_or("");
  if (subject.empty() || subject.size() > 255) return refused(config, "its id_token names nobody");
  const auto directory = shared_.directory.get();
  if (const auto* user = directory->identity(config.tenant(), config.name(), subject)) {
    if (!user->live) return refused(config, "the user is disabled");
    return Person{user->tenant, user->name, config.name(), ""};
  }
  if (!config.create_users() || !directory->is_live(config.tenant()))
    return refused(config, "no user is linked to that identity");
  // A name of its own: never one that an administrator gave to somebody, whatever the claims say.
  const auto digest = sha256(subject);
  std::string name;
  for (std::size_t i = 0; i < 10; ++i) name += fmt::format("{:02x}", digest[i]);
  name.insert(0, 1, '-').insert(0, config.name().substr(0, 40));
  v1::UserDocument user;
  user.set_display_name(claims.text("name").value_or("").substr(0, 200));
  user.set_email(claims.text("email").value_or("").substr(0, 254));
  *user.mutable_roles() = config.roles();
  auto& identity = *user.add_identities();
  identity.set_provider(config.name());
  identity.set_subject(subject);
  *user.mutable_created_at() = timestamp(shared_.clock.unix_ms());
  const auto put = shared_.catalog.put({kUser, config.tenant(), name}, user, "", "oidc/" + config.name());
  if (put) {
    shared_.settle(put->change());
  } else {
    // A sign-in at the same time may have made it; one that is there without the link is somebody else's.
    const auto there = read<v1::UserDocument>(shared_.catalog, {kUser, config.tenant(), name});
    const auto same = [&](const auto& one) {
      return one.provider() == config.name() && one.subject() == subject;
    };
    if (!there || there->body.disabled() ||
        std::none_of(there->body.identities().begin(), there->body.identities().end(), same))
      return refused(config, "a user for that identity could not be made: " + put.error().detail);
  }
  return Person{config.tenant(), name, config.name(), ""};
}

Result<Person> Oidc::finish(Provider& provider, const v1::FinishOidcLoginRequest& request) {
  try {
    const auto started = take_state(provider, request.state());
    if (!started) return started.error();
    const auto at = discover(provider);
    if (!at) return at.error();
    const auto token = redeem(provider, *at, *started, request.code());
    if (!token) return token.error();
    const auto claims = check_id_token(provider, *at, *started, *token);
    if (!claims) return claims.error();
    return person_of(provider, *claims);
  } catch (const std::exception& e) {
    return refused(provider.config, e.what());
  }
}

}  // namespace cx::auth
