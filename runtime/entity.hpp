#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace cx {

/// What a decision may know besides state and command: recorded with its events, so that it can be replayed.
struct Context {
  std::int64_t now;          ///< UTC, Unix milliseconds
  std::string_view address;  ///< of the entity
};

/// What a decision leads to. `events` are applied in order before anybody sees the reply.
template <class Event, class Reply>
struct Outcome {
  std::vector<Event> events;
  Reply reply;
};

/// The reply of a command that nobody waits for.
struct NoReply {};

/// Limits of a region; see ActorsConfig.
struct RegionLimits {
  std::size_t max_resident = 200'000;
  std::size_t max_asleep = 2'000'000;
  std::int64_t idle_ms = 60'000;
  std::size_t max_stash = 64;  ///< commands that wait for one entity to change sides
};

// An entity kind is a type with
//
//   using State, Event;                    // Protobuf messages
//   using Commands = std::tuple<...>;      // Protobuf messages
//   State wake(std::string_view address, const std::string* memory) const;
//   static std::optional<Memory> sleep(const State&, std::int64_t now);
//   static Outcome<Event, Reply> handle(const State&, const Command&, const Context&);   // one per command
//   static void apply(State&, const Event&);
//
// handle and apply are pure. `wake` gives the state of an entity that was never seen (null), or that
// remembers.

/// What a sleeping entity remembers, and until when it matters; past that time it is as if never seen.
struct Memory {
  std::string bytes;
  std::int64_t forget_at;  ///< Unix milliseconds
};

}  // namespace cx
