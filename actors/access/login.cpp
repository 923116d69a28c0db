#include "actors/access/login.hpp"

#include <algorithm>
#include <google/protobuf/util/time_util.h>

namespace cx {
namespace {

using google::protobuf::Timestamp;
using Event = Login::Event;

Timestamp time_of(std::int64_t unix_ms) {
  return google::protobuf::util::TimeUtil::MillisecondsToTimestamp(unix_ms);
}
std::int64_t ms_of(const Timestamp& time) {
  return google::protobuf::util::TimeUtil::TimestampToMilliseconds(time);
}

bool is_over(const v1::Session& session, std::int64_t now) {
  return now - ms_of(session.used_at()) >= Login::kIdle || now - ms_of(session.created_at()) >= Login::kAge;
}

const v1::Session* find(const v1::LoginState& state, const std::string& name) {
  const auto& all = state.sessions();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& session) { return session.session() == name; });
  return found == all.end() ? nullptr : &*found;
}

Event ended(const std::string& session) {
  Event event;
  event.mutable_ended()->add_sessions(session);
  return event;
}

std::int64_t lock_length(std::uint32_t locks_before) {
  std::int64_t length = Login::kFirstLock;
  for (; locks_before > 0 && length < Login::kLongestLock; --locks_before) length *= 2;
  return std::min(length, Login::kLongestLock);
}

}  // namespace

Outcome<Event, v1::AttemptReserved> Login::handle(const State& state, const v1::ReserveAttempt&,
                                                  const Context& context) {
  Outcome<Event, v1::AttemptReserved> out;
  // An attempt during a lock does not count: whoever makes many could keep a user out forever.
  if (state.has_locked_until() && context.now < ms_of(state.locked_until())) return out;
  out.reply.set_allowed(true);

  auto& attempted = *out.events.emplace_back().mutable_attempted();
  const bool forgotten = context.now - ms_of(state.last_attempt()) >= kForget;
  attempted.set_attempts(forgotten ? 1 : state.attempts() + 1);
  attempted.set_locks(forgotten ? 0 : state.locks());
  *attempted.mutable_at() = time_of(context.now);
  if (attempted.attempts() >= kAttempts) {
    *attempted.mutable_locked_until() = time_of(context.now + lock_length(attempted.locks()));
    attempted.set_attempts(0);
    attempted.set_locks(attempted.locks() + 1);
  }
  return out;
}

Outcome<Event, v1::SessionOpened> Login::handle(const State& state, const v1::OpenSession& command,
                                                const Context& context) {
  Outcome<Event, v1::SessionOpened> out;
  if (command.by_password() && state.has_last_attempt()) out.events.emplace_back().mutable_forgiven();

  v1::LoginEvent::Ended gone;
  int live = 0;
  for (const auto& session : state.sessions())
    if (is_over(session, context.now))
      gone.add_sessions(session.session());
    else
      ++live;
  for (const auto& session : state.sessions()) {
    if (live < kSessions) break;
    if (is_over(session, context.now)) continue;
    gone.add_sessions(session.session());
    out.reply.add_ended(session.session());
    --live;
  }
  if (gone.sessions_size() > 0) *out.events.emplace_back().mutable_ended() = std::move(gone);

  auto& session = *out.events.emplace_back().mutable_opened()->mutable_session();
  session.set_session(command.session());
  session.set_provider(command.provider());
  *session.mutable_created_at() = time_of(context.now);
  *session.mutable_used_at() = session.created_at();
  session.set_refresh_sha256(command.refresh_sha256());
  *out.reply.mutable_expires_at() = time_of(context.now + kAge);
  return out;
}

Outcome<Event, v1::SessionRotated> Login::handle(const State& state, const v1::RotateSession& command,
                                                 const Context& context) {
  Outcome<Event, v1::SessionRotated> out;
  const auto* session = find(state, command.session());
  if (session == nullptr) return out;
  if (is_over(*session, context.now)) {
    out.events.push_back(ended(command.session()));
    return out;
  }
  // What is compared are hashes of random secrets: how long it takes says nothing about a secret.
  if (session->refresh_sha256() == command.refresh_sha256()) {
    auto& rotated = *out.events.emplace_back().mutable_rotated();
    rotated.set_session(command.session());
    rotated.set_refresh_sha256(command.next_sha256());
    *rotated.mutable_at() = time_of(context.now);
    out.reply.set_outcome(v1::SessionRotated::ROTATED);
    *out.reply.mutable_created_at() = session->created_at();
    *out.reply.mutable_expires_at() = time_of(ms_of(session->created_at()) + kAge);
    return out;
  }
  const auto& used = session->used_sha256();
  const auto start = command.refresh_sha256().substr(0, kUsedBytes);
  if (std::find(used.begin(), used.end(), start) != used.end()) {
    out.events.push_back(ended(command.session()));
    out.reply.set_outcome(v1::SessionRotated::REUSED);
  }
  return out;
}

Outcome<Event, v1::SessionsEnded> Login::handle(const State& state, const v1::EndSessions& command,
                                                const Context&) {
  Outcome<Event, v1::SessionsEnded> out;
  for (const auto& session : state.sessions())
    if (command.session().empty() || command.session() == session.session())
      out.reply.add_sessions(session.session());
  if (out.reply.sessions_size() > 0)
    *out.events.emplace_back().mutable_ended()->mutable_sessions() = out.reply.sessions();
  return out;
}

Outcome<Event, v1::LoginUnlocked> Login::handle(const State& state, const v1::UnlockLogin&, const Context&) {
  Outcome<Event, v1::LoginUnlocked> out;
  if (state.has_last_attempt()) out.events.emplace_back().mutable_forgiven();
  return out;
}

void Login::apply(State& state, const Event& event) {
  auto& sessions = *state.mutable_sessions();
  switch (event.event_case()) {
    case Event::kAttempted:
      state.set_attempts(event.attempted().attempts());
      state.set_locks(event.attempted().locks());
      *state.mutable_last_attempt() = event.attempted().at();
      if (event.attempted().has_locked_until())
        *state.mutable_locked_until() = event.attempted().locked_until();
      else
        state.clear_locked_until();
      break;
    case Event::kForgiven:
      state.clear_attempts();
      state.clear_locks();
      state.clear_last_attempt();
      state.clear_locked_until();
      break;
    case Event::kOpened:
      *sessions.Add() = event.opened().session();
      break;
    case Event::kRotated: {
      const auto& rotated = event.rotated();
      const auto at = std::find_if(sessions.begin(), sessions.end(),
                                   [&](const auto& s) { return s.session() == rotated.session(); });
      if (at == sessions.end()) break;
      auto& used = *at->mutable_used_sha256();
      if (used.size() == kUsed) used.erase(used.begin());
      *used.Add() = at->refresh_sha256().substr(0, kUsedBytes);
      at->set_refresh_sha256(rotated.refresh_sha256());
      *at->mutable_used_at() = rotated.at();
      std::rotate(at, at + 1, sessions.end());  // the least recently used stays first
      break;
    }
    case Event::kEnded: {
      const auto& gone = event.ended().sessions();
      sessions.erase(std::remove_if(sessions.begin(), sessions.end(),
                                    [&](const auto& s) {
                                      return std::find(gone.begin(), gone.end(), s.session()) != gone.end();
                                    }),
                     sessions.end());
      break;
    }
    case Event::EVENT_NOT_SET:
      break;
  }
}

}  // namespace cx
