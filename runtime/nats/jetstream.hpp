#pragma once

#include <optional>

#include "runtime/nats/connection.hpp"

namespace cx::nats {

struct StreamConfig {
  std::string name;                   ///< of letters, digits, '-', '_'
  std::vector<std::string> subjects;  ///< may have wildcards
  std::uint32_t replicas = 1;
  std::int64_t max_age_hours = 0;    ///< 0: for ever
  std::int64_t max_bytes = 0;        ///< 0: no limit; past it the oldest go
  std::int64_t max_per_subject = 0;  ///< 0: no limit
  bool work_queue = false;           ///< what is acknowledged is gone
  std::chrono::seconds duplicate_window{120};
};

/// Of a stream's messages.
struct Stored {
  std::uint64_t sequence = 0;  ///< in the stream
  std::string subject;
  std::string payload;
  Headers headers;
  std::int64_t at = 0;  ///< Unix milliseconds, by the server
};

struct StreamState {
  std::uint64_t first = 0;  ///< sequence of the oldest message; last + 1 when there is none
  std::uint64_t last = 0;
  std::uint64_t messages = 0;
};

/// Reads a stream in order; see JetStream::follow.
class Follower {
 public:
  virtual ~Follower() = default;
};

/// What we use of JetStream, by its published API over a connection; the server may be 2.9 or newer.
/// Thread-safe. Errors are those of the connection, and "wrong-last-sequence" (a condition did not hold:
/// nothing was stored), "not-found", "stream-missing".
class JetStream {
 public:
  /// `connection` outlives this.
  JetStream(Connection& connection, std::chrono::milliseconds timeout);

  /// Creates the stream, in files, or brings what may change of one that is there (replicas, ages, limits,
  /// more subjects) to the config. Waits. Reads go to the stream's leader (no direct reads): those of the
  /// packaged server can be stale.
  std::optional<Error> ensure(const StreamConfig& config);

  /// Stores a message; answers its sequence, once, on a thread of the connection's, when the stream's
  /// replicas have it. `after`: only if that is the sequence of the last message of the subject (0: there is
  /// none); it brings its own message id, and holds as long as the stream's duplicate window is longer than a
  /// message may be on its way in the servers. With the error "timeout" or "unavailable" it is unknown
  /// whether it was, or still will be, stored. Never waits.
  using Stored1 = std::function<void(Result<std::uint64_t>)>;
  void publish(std::string_view subject, std::string_view payload, const Headers& headers,
               std::optional<std::uint64_t> after, Stored1 stored);
  /// The same, waited for.
  Result<std::uint64_t> publish(std::string_view subject, std::string_view payload, const Headers& headers,
                                std::optional<std::uint64_t> after);

  // All wait. "not-found" where there is none.

  Result<Stored> get(const std::string& stream, std::uint64_t sequence);
  /// The last message of a subject, which may not have wildcards.
  Result<Stored> last(const std::string& stream, std::string_view subject);
  /// The first message of a subject from `sequence` on.
  Result<Stored> next(const std::string& stream, std::string_view subject, std::uint64_t sequence);
  /// `subject`, if not empty, may have wildcards: counts its messages only.
  Result<StreamState> state(const std::string& stream, const std::string& subject = "");
  /// Forgets the messages of a subject (wildcards allowed; empty: all) below `sequence`; every one with 0. To
  /// be called rarely: nats-server 2.9.10 holds the stream up meanwhile, 0.3 s for a subject among 300,000
  /// messages, seconds for all subjects where many share a block, and does not even answer pings then.
  std::optional<Error> purge(const std::string& stream, std::string_view subject, std::uint64_t below);

  /// Calls `use` with every message of the stream (or of `subject`, wildcards allowed) from sequence `from`
  /// on, in order, none twice and none left out but those that are no longer there, one at a time, on a
  /// thread of the follower's own, until the follower is destroyed. Survives lost connections and servers
  /// that restart. `caught_up` is called, on the same thread, whenever nothing more was there a moment ago.
  std::unique_ptr<Follower> follow(const std::string& stream, const std::string& subject, std::uint64_t from,
                                   std::function<void(Stored&&)> use, std::function<void()> caught_up = {});

  Connection& connection() { return connection_; }

 private:
  Connection& connection_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace cx::nats
