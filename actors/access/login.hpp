#pragma once

#include <cstdint>
#include <string_view>
#include <tuple>

#include "cx/v1/access.pb.h"
#include "runtime/entity/kind.hpp"

namespace cx {

/// The entity login/<tenant>/<user>: how often somebody has failed to sign in, and the sessions of who has
/// not. A password is checked elsewhere, since that takes time: an attempt is reserved before, and counts as
/// failed until a session is opened, so that however many run at once no more than kAttempts are ever
/// checked between two locks. Secrets never come here, only their SHA-256.
struct Login {
  static constexpr std::string_view kName = "login";
  static constexpr std::uint32_t kSchema = 1;
  using State = v1::LoginState;
  using Event = v1::LoginEvent;
  using Commands =
      std::tuple<v1::ReserveAttempt, v1::OpenSession, v1::RotateSession, v1::EndSessions, v1::UnlockLogin>;

  static constexpr std::uint32_t kAttempts = 5;                 ///< that lead to a lock
  static constexpr std::int64_t kFirstLock = 15 * 60'000;       ///< milliseconds; doubled by each one after
  static constexpr std::int64_t kLongestLock = 24 * 3'600'000;  ///< milliseconds
  /// Milliseconds without an attempt after which earlier ones are forgotten.
  static constexpr std::int64_t kForget = 7 * kLongestLock;
  static constexpr std::int64_t kIdle = 14 * kLongestLock;  ///< after which an unused session has ended
  static constexpr std::int64_t kAge = 90 * kLongestLock;   ///< after which any session has
  static constexpr int kSessions = 50;                      ///< of one user; the least recently used goes
  /// Secrets that a session remembers to have been used. A copy of an older one is refused, too, but does
  /// not end the session.
  static constexpr int kUsed = 64;
  static constexpr std::size_t kUsedBytes = 8;  ///< of a hash, enough to know it again

  static Outcome<Event, v1::AttemptReserved> handle(const State& state, const v1::ReserveAttempt& command,
                                                    const Context& context);
  static Outcome<Event, v1::SessionOpened> handle(const State& state, const v1::OpenSession& command,
                                                  const Context& context);
  static Outcome<Event, v1::SessionRotated> handle(const State& state, const v1::RotateSession& command,
                                                   const Context& context);
  static Outcome<Event, v1::SessionsEnded> handle(const State& state, const v1::EndSessions& command,
                                                  const Context& context);
  static Outcome<Event, v1::LoginUnlocked> handle(const State& state, const v1::UnlockLogin& command,
                                                  const Context& context);
  static void apply(State& state, const Event& event);
};

}  // namespace cx
