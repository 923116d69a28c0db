#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "tools/loadgen/load.hpp"
#include "tools/loadgen/response.hpp"
#include "tools/loadgen/target.hpp"
#include "tools/loadgen/workload.hpp"

namespace cx::loadgen {

/// What the workers of a run share.
struct Shared {
  const Plan& plan;
  const Target& target;
  Nanos began;       ///< steady clock; the zero of all other times
  Nanos measure_at;  ///< end of the warm-up
  Nanos end;         ///< nothing is due from here on
  std::vector<std::atomic<std::uint32_t>> bids_of_user;
};

/// The steady clock, as Nanos.
Nanos steady_now();

/// One thread's share of the load: a set of connections, each with at most one request under way, behind one
/// epoll. Not thread-safe; run() is called once.
class Worker {
 public:
  /// `index` of plan.threads. Keeps a copy of the requests to patch.
  Worker(Shared& shared, std::vector<Template> requests, std::uint32_t index);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Returns when the load is over.
  void run();
  const Tally& tally() const { return tally_; }

 private:
  enum class State { down, connecting, idle, busy };
  struct Connection {
    int fd = -1;
    State state = State::down;
    Nanos since = 0;     // when the state began; for `busy`, when the request was sent
    Nanos intended = 0;  // what its latency counts from
    std::uint32_t user = 0;
    std::string request_id;
    std::string unsent;
    ResponseScanner scanner;
    std::vector<char> received;
    std::size_t received_size = 0;
  };

  Nanos now() const { return steady_now() - shared_.began; }
  bool measured(Nanos at) const { return at >= shared_.measure_at; }
  bool over(Nanos now);

  void dispatch(Nanos now);
  std::optional<Nanos> next_due(Nanos now);
  Nanos wake_at(Nanos now) const;

  void connect(Connection& connection, Nanos now);
  void disconnect(Connection& connection, Nanos now);
  void become_idle(Connection& connection, Nanos now);
  void on_event(Connection& connection, std::uint32_t events, Nanos now);
  void send(Connection& connection, Nanos intended, Nanos now);
  void flush(Connection& connection, Nanos now);
  void receive(Connection& connection, Nanos now);
  void complete(Connection& connection, std::string_view response, Nanos now);
  void lose(Connection& connection, Nanos now);
  void sweep(Nanos now);

  Shared& shared_;
  const Plan& plan_;
  const std::uint32_t index_;
  std::vector<Template> requests_;
  Random random_;
  Zipf zipf_;
  std::optional<Schedule> schedule_;  // mode open
  std::uint32_t next_user_;           // mode once_each
  std::uint64_t next_request_;
  int epoll_ = -1;
  std::vector<Connection> connections_;
  std::deque<Connection*> idle_;  // first in, first out: every connection has its turn
  std::size_t busy_ = 0;
  Nanos next_sweep_ = 0;
  Tally tally_;
};

}  // namespace cx::loadgen
