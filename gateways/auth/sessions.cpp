#include <algorithm>
#include <array>
#include <spdlog/spdlog.h>

#include "gateways/auth/authenticator.hpp"
#include "gateways/auth/sign_in.hpp"
#include "runtime/json.hpp"

namespace cx::auth {
namespace {

constexpr std::size_t kSessionName = 22, kSecret = 43;  // 131 and 256 bits
constexpr int kMostEnded = 200;                         // sessions that are named one by one
constexpr int kTries = 20;

Error bad_refresh_token() {
  return {Code::unauthenticated, "invalid-refresh-token",
          "The refresh token is not good, or not any more; sign in again.", ""};
}

/// A refresh token reads "cxr_<tenant>.<user>.<session>.<secret>"; none of the four has a dot.
struct RefreshParts {
  std::string tenant, user, session, secret;
};
std::optional<RefreshParts> parse_refresh(std::string_view text) {
  constexpr std::string_view kStart = "cxr_";
  if (!text.starts_with(kStart) || text.size() > 300) return std::nullopt;
  text.remove_prefix(kStart.size());
  std::array<std::string, 4> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto dot = text.find('.');
    if ((dot == text.npos) != (i + 1 == parts.size())) return std::nullopt;
    parts[i] = text.substr(0, dot);
    text.remove_prefix(dot == text.npos ? text.size() : dot + 1);
  }
  if (parts[2].size() != kSessionName || parts[3].size() != kSecret) return std::nullopt;
  return RefreshParts{parts[0], parts[1], parts[2], parts[3]};
}

void append_member(std::string& json, std::string_view name, std::string_view value) {
  append_json(json.append(1, json.empty() ? '{' : ','), name);
  append_json(json.append(1, ':'), value);
}
void append_member(std::string& json, std::string_view name, std::int64_t value) {
  append_json(json.append(1, ','), name);
  json.append(1, ':').append(std::to_string(value));
}

}  // namespace

v1::TokenReply Sessions::tokens(const std::string& tenant, const std::string& user,
                                const std::string& session, const std::string& secret,
                                const google::protobuf::Timestamp& session_expires) const {
  const auto now = shared_.clock.unix_ms() / 1000;
  const auto expires = now + std::int64_t{shared_.config.access_minutes()} * 60;
  std::string claims;
  append_member(claims, "iss", kOurName);
  append_member(claims, "aud", kOurName);
  append_member(claims, "sub", user);
  append_member(claims, "tenant_id", tenant);
  append_member(claims, "sid", session);
  append_member(claims, "jti", random_base62(kSessionName));
  append_member(claims, "iat", now);
  append_member(claims, "nbf", now);
  append_member(claims, "exp", expires);
  claims += ",\"roles\":[";
  // For whoever reads the token; what counts here is what the directory says when it is shown.
  const auto directory = shared_.directory.get();
  if (const auto* entry = directory->user(tenant, user))
    for (const auto& role : entry->roles) append_json(claims.append(claims.back() == '[' ? "" : ","), role);
  claims += "]}";

  v1::TokenReply out;
  out.set_access_token(shared_.signing_keys.sign(claims));
  out.set_token_type("Bearer");
  *out.mutable_expires_at() = timestamp(expires * 1000);
  std::string refresh("cxr_");
  for (const auto* part : {&tenant, &user, &session}) refresh.append(*part).append(1, '.');
  out.set_refresh_token(refresh.append(secret));
  *out.mutable_session_expires_at() = session_expires;
  out.set_tenant(tenant);
  out.set_actor("user/" + user);
  return out;
}

void Sessions::open(Person person, Done done) const {
  auto command = std::make_shared<v1::OpenSession>();
  const auto secret = random_base62(kSecret);
  command->set_session(random_base62(kSessionName));
  command->set_provider(person.provider);
  command->set_refresh_sha256(text_of(sha256(secret)));
  command->set_by_password(!person.password_hash.empty());
  const auto session = command->session();
  const auto opened = [this, person, session, secret, done](const v1::SessionOpened& reply) {
    // Whoever changes a password or removes a user ends the sessions afterwards: a session that was opened
    // meanwhile is either seen there, or the change is seen here.
    const auto user = read<v1::UserDocument>(shared_.catalog, {kUser, person.tenant, person.user});
    if (!user || user->body.disabled() ||
        (!person.password_hash.empty() && user->body.password_hash() != person.password_hash)) {
      end(person.tenant, person.user, session, [done](const auto&) { done(sign_in_failed()); });
      return;
    }
    const std::vector<std::string> ended(reply.ended().begin(), reply.ended().end());
    if (auto error = refuse(person.tenant, person.user, ended)) return done(*std::move(error));
    shared_.settle(user->document.change());
    done(auth::reply(tokens(person.tenant, person.user, session, secret, reply.expires_at())));
  };
  shared_.ask(
      login_address(person.tenant, person.user), std::move(command),
      [this, opened, done](const Result<MessagePtr>& answer) {
        if (!answer) return done(answer.error());
        shared_.run([opened, reply = *answer] { opened(static_cast<const v1::SessionOpened&>(*reply)); });
      });
}

void Sessions::refresh(const CallContext& call, const std::string& token, Done done) const {
  const auto parts = parse_refresh(token);
  const auto directory = shared_.directory.get();
  const auto* user = parts ? directory->user(parts->tenant, parts->user) : nullptr;
  if (user == nullptr || !user->live) return done(bad_refresh_token());
  auto command = std::make_shared<v1::RotateSession>();
  const auto secret = random_base62(kSecret);
  command->set_session(parts->session);
  command->set_refresh_sha256(text_of(sha256(parts->secret)));
  command->set_next_sha256(text_of(sha256(secret)));
  // A session of somebody who had that name before is not this user's.
  const auto since = user->created;
  const auto rotated = [this, call, parts, secret, since, done](const v1::SessionRotated& reply) {
    switch (reply.outcome()) {
      case v1::SessionRotated::ROTATED:
        if (unix_ms(reply.created_at()) < since) return done(bad_refresh_token());
        return done(
            auth::reply(tokens(parts->tenant, parts->user, parts->session, secret, reply.expires_at())));
      case v1::SessionRotated::REUSED:
        spdlog::warn("a refresh token of user/{} of {} was used twice: its session has ended", parts->user,
                     parts->tenant);
        shared_.audit(call, parts->tenant, parts->user, "Refresh", bad_refresh_token());
        if (const auto error = refuse(parts->tenant, parts->user, {parts->session}))
          spdlog::error("access tokens of a session that ended work until they expire: {}", error->detail);
        return done(bad_refresh_token());
      default:
        return done(bad_refresh_token());
    }
  };
  shared_.ask(
      login_address(parts->tenant, parts->user), std::move(command),
      [this, rotated, done](const Result<MessagePtr>& answer) {
        if (!answer) return done(answer.error());
        shared_.run([rotated, reply = *answer] { rotated(static_cast<const v1::SessionRotated&>(*reply)); });
      });
}

void Sessions::end(const std::string& tenant, const std::string& user, const std::string& session,
                   std::function<void(Result<std::uint32_t>)> done) const {
  auto command = std::make_shared<v1::EndSessions>();
  command->set_session(session);
  shared_.ask(login_address(tenant, user), std::move(command),
              [this, tenant, user, done = std::move(done)](const Result<MessagePtr>& answer) {
                if (!answer) return done(answer.error());
                shared_.run([this, tenant, user, done, reply = *answer] {
                  const auto& names = static_cast<const v1::SessionsEnded&>(*reply).sessions();
                  if (auto error = refuse(tenant, user, {names.begin(), names.end()}))
                    return done(*std::move(error));
                  done(static_cast<std::uint32_t>(names.size()));
                });
              });
}

std::optional<Error> Sessions::refuse(const std::string& tenant, const std::string& user,
                                      const std::vector<std::string>& sessions) const {
  if (sessions.empty()) return std::nullopt;
  const DocumentKey key{kEndedSessions, tenant, user};
  for (int i = 0; i < kTries; ++i) {
    auto stored = read<v1::EndedSessions>(shared_.catalog, key);
    if (!stored && stored.error().code != Code::not_found) return stored.error();
    const auto now = shared_.clock.unix_ms();
    v1::EndedSessions next;
    if (stored) {
      if (stored->body.has_issued_before()) *next.mutable_issued_before() = stored->body.issued_before();
      for (const auto& ended : stored->body.sessions())
        if (unix_ms(ended.until()) > now) *next.add_sessions() = ended;
    }
    for (const auto& session : sessions) {
      auto& ended = *next.add_sessions();
      ended.set_session(session);
      *ended.mutable_until() =
          timestamp(now + std::int64_t{shared_.config.access_minutes()} * 60'000 + kLeeway);
    }
    if (next.sessions_size() > kMostEnded) {
      next.clear_sessions();
      *next.mutable_issued_before() = timestamp(now);
    }
    const auto put = shared_.catalog.put(key, next, stored ? stored->document.etag() : "", "user/" + user);
    if (put) {
      shared_.settle(put->change());
      return std::nullopt;
    }
    if (put.error().code != Code::conflict) return put.error();
  }
  return Error{Code::unavailable, "unavailable", "The user's sessions change too often just now; retry.", ""};
}

}  // namespace cx::auth
