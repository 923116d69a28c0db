#include "gateways/auth/authenticator.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <unordered_map>

#include "gateways/auth/api_key.hpp"
#include "runtime/address.hpp"

namespace cx::auth {
namespace {

Error refused(const char* type, const char* detail) {
  return {Code::unauthenticated, type, detail, ""};
}
Error missing() {
  return refused(
      "no-credential",
      "The request shows no credential; send 'Authorization: Bearer' with an access token or an API key.");
}
/// Why is for us to know.
Error invalid() {
  return refused("invalid-credential",
                 "The credential is not valid; sign in again, or ask an administrator for an API key.");
}
Error expired() {
  return refused("expired-credential",
                 "The credential has expired; refresh the token, or ask for a new key.");
}

/// What stands behind `scheme`, in lower case; empty for any other scheme.
std::string_view behind(std::string_view scheme, std::string_view authorization) {
  if (authorization.size() <= scheme.size() || authorization[scheme.size()] != ' ') return {};
  for (std::size_t i = 0; i < scheme.size(); ++i)
    if ((authorization[i] | 0x20) != scheme[i]) return {};
  authorization.remove_prefix(scheme.size());
  const auto first = authorization.find_first_not_of(' ');
  return first == authorization.npos ? std::string_view{} : authorization.substr(first);
}

/// The user name of basic authentication (RFC 7617) without a password; empty for anything else.
std::string basic_user(std::string_view credentials) {
  const auto end = credentials.find_last_not_of('=') + 1;
  if (credentials.size() % 4 != 0 || credentials.size() - end > 2 || end > kMaxToken) return {};
  std::string url(credentials.substr(0, end));
  for (auto& c : url) {
    if (c == '-' || c == '_') return {};
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  auto user = from_base64url(url);
  if (!user || !user->ends_with(':')) return {};
  user->pop_back();
  return *std::move(user);
}

bool has(const std::vector<std::string>& texts, std::string_view wanted) {
  return std::find(texts.begin(), texts.end(), wanted) != texts.end();
}

bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// The permissions among the scopes of a token: of the claim "scope", or "scp", as text or list.
Permissions scopes_of(const JsonObject& claims) {
  Permissions out;
  for (const auto claim : {"scope", "scp"})
    for (const auto& text : claims.texts(claim))
      for (std::size_t begin = 0; begin < text.size();) {
        const auto end = std::min(text.find(' ', begin), text.size());
        if (const auto number = permission_number(std::string_view(text).substr(begin, end - begin)))
          out.set(*number);
        begin = end + 1;
      }
  return out;
}

CallerPtr make_anonymous(const std::string& tenant) {
  if (tenant.empty()) return nullptr;
  auto caller = std::make_shared<Caller>();
  caller->tenant = tenant;
  caller->actor = "anonymous";
  caller->credential = "anonymous";
  caller->permissions.set(permission_number("campaign.bid").value());
  return caller;
}

struct FirstBytes {
  std::size_t operator()(const Sha256& hash) const {
    std::size_t out;
    std::memcpy(&out, hash.data(), sizeof out);
    return out;
  }
};

}  // namespace

/// A token whose signature is good, and who it stood for when that was looked up last.
struct CredentialAuthenticator::Seen {
  const Issuers::Issuer* issuer = nullptr;  // null: we
  std::uint64_t keys_serial = 0;            // of the keys that verified it
  std::int64_t issued = 0, expires = 0;     // Unix milliseconds; the latter with the leeway that it has
  std::string tenant, subject, session;
  std::vector<std::string> roles;  // another issuer's; of our users the directory knows
  Permissions scopes;

  std::uint64_t directory = 0;  // its serial; the rest is by it
  CallerPtr caller;             // null: nobody
  std::shared_ptr<Bucket> bucket;
};

/// Tokens that a thread has verified: the recent ones, and those before them, which go when the recent ones
/// have become too many.
struct CredentialAuthenticator::Memory {
  using Tokens = std::unordered_map<Sha256, Seen, FirstBytes>;
  std::uint64_t of = 0;
  std::weak_ptr<const char> alive;
  Tokens recent, before;

  Seen* find(const Sha256& hash) {
    if (const auto found = recent.find(hash); found != recent.end()) return &found->second;
    const auto found = before.find(hash);
    return found == before.end() ? nullptr : &add(hash, Seen(found->second));
  }
  Seen& add(const Sha256& hash, Seen seen) {
    if (recent.size() >= kRemembered / 2) {
      before = std::move(recent);
      recent.clear();
    }
    return recent.insert_or_assign(hash, std::move(seen)).first->second;
  }
};

CredentialAuthenticator::CredentialAuthenticator(Parts parts)
    : parts_(std::move(parts)),
      anonymous_(make_anonymous(parts_.anonymous_tenant)),
      id_([] {
        static std::atomic<std::uint64_t> last{0};
        return ++last;
      }()),
      alive_(std::make_shared<const char>()) {}

Result<Admission> CredentialAuthenticator::admit(const Credential& credential, std::uint32_t cost) const {
  if (credential.empty()) {
    if (!anonymous_) return missing();
    return Admission{anonymous_, {}, false};
  }
  if (!credential.api_key.empty())
    // Two would leave it open whose request it is.
    return credential.authorization.empty() ? admit_key(credential.api_key, cost) : invalid();
  if (credential.authorization.empty()) return admit_certificate(credential.certificate, cost);
  if (const auto basic = behind("basic", credential.authorization); !basic.empty())
    return admit_key(basic_user(basic), cost);
  const auto token = behind("bearer", credential.authorization);
  return token.starts_with("cx_") ? admit_key(token, cost) : admit_token(token, cost);
}

Result<Admission> CredentialAuthenticator::admit_key(std::string_view text, std::uint32_t cost) const {
  const auto parts = parse_key(text);
  if (!parts) return invalid();
  const auto directory = parts_.directory.get();
  const auto* entry = directory->key(parts->id);
  // What there is to compare is compared whether there is such a key or not.
  static const KeyEntry kNobody;
  const auto& compared = entry != nullptr ? *entry : kNobody;
  const auto shown = sha256(parts->secret);
  const bool current = equal(bytes_of(compared.secret), bytes_of(shown));
  const bool old = equal(bytes_of(compared.old_secret), bytes_of(shown));
  const auto now = parts_.clock.unix_ms();
  if (entry == nullptr || !entry->live || entry->by_certificate) return invalid();
  if (!current && !(old && now < entry->old_secret_until)) return invalid();
  if (entry->caller->expires_at != 0 && now >= entry->caller->expires_at) return expired();
  return take(entry->caller, entry->rate, *entry->bucket, cost);
}

Result<Admission> CredentialAuthenticator::admit_certificate(std::string_view subject,
                                                             std::uint32_t cost) const {
  const auto directory = parts_.directory.get();
  const auto* entry = directory->certificate(subject);
  if (entry == nullptr || !entry->live) return invalid();
  if (entry->caller->expires_at != 0 && parts_.clock.unix_ms() >= entry->caller->expires_at) return expired();
  return take(entry->caller, entry->rate, *entry->bucket, cost);
}

Result<Admission> CredentialAuthenticator::admit_token(std::string_view token, std::uint32_t cost) const {
  if (token.empty() || token.size() > kMaxToken) return invalid();
  const auto directory = parts_.directory.get();
  auto& known = memory();
  const auto hash = sha256(token);
  auto* seen = known.find(hash);
  if (seen == nullptr || seen->keys_serial != keys_serial()) {
    auto verified = verify_token(token, *directory);
    if (!verified) return verified.error();
    seen = &known.add(hash, std::move(*verified));
  } else if (seen->directory != directory->serial) {
    resolve(*seen, *directory);
  }
  if (!seen->caller) return invalid();
  if (parts_.clock.unix_ms() >= seen->expires) return expired();
  return take(seen->caller, parts_.user_rate, *seen->bucket, cost);
}

Result<CredentialAuthenticator::Seen> CredentialAuthenticator::verify_token(
    std::string_view text, const Directory& directory) const {
  const auto token = parse_token(text);
  if (!token) return invalid();
  const auto& claims = token->claims;
  Seen seen;
  seen.keys_serial = keys_serial();
  const auto name = claims.text("iss").value_or("");
  auto* const issuer = name == kOurName ? nullptr : parts_.issuers.find(name);
  if (issuer == nullptr && name != kOurName) return invalid();
  seen.issuer = issuer;

  const auto ring = parts_.signing_keys.ring();
  const auto theirs = issuer == nullptr ? nullptr : parts_.issuers.keys(*issuer);
  const auto& keys = issuer == nullptr ? ring->keys : *theirs;
  const auto* key = choose_key(*token, keys);
  if (key == nullptr && issuer != nullptr) {
    parts_.issuers.want(*issuer);  // it may have a new one
    if (keys.empty())
      return Error{Code::unavailable, "issuer-unavailable",
                   "The keys of the token's issuer could not be fetched yet; retry in a minute.", ""};
  }
  if (key == nullptr || !verify(*token, *key)) return invalid();

  const std::string_view audience = issuer == nullptr ? kOurName : issuer->config.audience();
  if (!has(claims.texts("aud"), audience)) return invalid();
  const auto leeway = issuer == nullptr ? 0 : kLeeway;
  const auto fresh = freshness(claims, parts_.clock.unix_ms(), leeway);
  if (fresh == Freshness::invalid) return invalid();
  if (fresh == Freshness::expired) return expired();
  seen.expires = claims.time("exp").value() + leeway;
  seen.issued = claims.time("iat").value_or(0);
  seen.subject = claims.text("sub").value_or("");
  seen.scopes = scopes_of(claims);
  if (issuer == nullptr) {
    seen.tenant = claims.text("tenant_id").value_or("");
    seen.session = claims.text("sid").value_or("");
  } else {
    const auto& config = issuer->config;
    seen.tenant = config.tenant().empty() ? claims.text(config.tenant_claim()).value_or("") : config.tenant();
    seen.roles = claims.texts(config.roles_claim());
  }
  if (!is_name(seen.tenant) || seen.subject.empty() || seen.subject.size() > 255 ||
      !is_printable(seen.subject) || seen.roles.size() > 64)
    return invalid();
  resolve(seen, directory);
  return seen;
}

bool CredentialAuthenticator::resolve(Seen& seen, const Directory& directory) const {
  seen.directory = directory.serial;
  seen.caller = nullptr;
  auto caller = std::make_shared<Caller>();
  if (seen.issuer == nullptr) {
    const auto* user = directory.user(seen.tenant, seen.subject);
    if (user == nullptr || !user->live || user->ended.contains(seen.session) ||
        seen.issued <= user->issued_before)
      return false;
    caller->actor = "user/" + seen.subject;
    caller->roles = user->roles;
    caller->permissions = user->permissions;
    caller->credential = "access-token";
    caller->session = seen.session;
    seen.bucket = user->bucket;
  } else {
    if (!directory.is_live(seen.tenant)) return false;
    std::string_view issuer = seen.issuer->config.issuer();
    if (const auto scheme = issuer.find("://"); scheme != issuer.npos) issuer.remove_prefix(scheme + 3);
    caller->actor = "external/" + Directory::place(issuer, seen.subject);
    caller->roles = seen.roles;
    caller->permissions = directory.permissions_of(seen.tenant, seen.roles);
    // Scopes narrow what roles give; without roles they are all that there is.
    if (seen.roles.empty())
      caller->permissions = directory.allowed(seen.tenant, seen.scopes);
    else if (seen.scopes.any())
      caller->permissions &= seen.scopes;
    caller->credential = "external-token";
    if (!seen.bucket) seen.bucket = parts_.buckets.of(Directory::place(seen.tenant, caller->actor));
  }
  caller->tenant = seen.tenant;
  caller->expires_at = seen.expires;
  caller->operates = seen.tenant == directory.operating;
  seen.caller = std::move(caller);
  return true;
}

CredentialAuthenticator::Memory& CredentialAuthenticator::memory() const {
  thread_local std::vector<std::unique_ptr<Memory>> all;  // of every authenticator, which is one
  for (const auto& one : all)
    if (one->of == id_) return *one;
  std::erase_if(all, [](const auto& one) { return one->alive.expired(); });
  auto& made = all.emplace_back(std::make_unique<Memory>());
  made->of = id_;
  made->alive = alive_;
  return *made;
}

std::uint64_t CredentialAuthenticator::keys_serial() const {
  return parts_.signing_keys.ring()->serial + parts_.issuers.serial();  // both only grow
}

Result<Admission> CredentialAuthenticator::take(const CallerPtr& caller, const Rate& rate, Bucket& bucket,
                                                std::uint32_t cost) const {
  Admission admission{caller, {}, false};
  if (rate.tokens == 0) return admission;
  using namespace std::chrono;
  const auto now = duration_cast<nanoseconds>(parts_.clock.steady().time_since_epoch()).count();
  admission.limited = !bucket.take(rate, cost, now, admission.quota);
  return admission;
}

}  // namespace cx::auth
