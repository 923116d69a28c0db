#pragma once

// Internal to this folder: includes Asio.

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cx/v1/config.pb.h"
#include "gateways/http/dispatch.hpp"
#include "gateways/http/tls.hpp"

namespace cx::http {

class Connection;
struct Exchange;

/// What the threads of a server share.
struct Shared : Site {
  Shared(const v1::HttpConfig& config, std::span<const Method> methods, const Door& door, Metrics& metrics)
      : Site(config, methods, door, metrics), unrouted(metrics.endpoint("other")) {}

  std::unique_ptr<TlsContext> tls;  ///< null where none is spoken; set before the workers run
  EndpointProbe& unrouted;          ///< requests that reached no route
  std::atomic<bool> draining{false};

  /// Connections served, and those that are only told that there is no room.
  std::atomic<std::uint32_t> open{0}, turned_away{0};
  Counter refused;  ///< connections over the limit since the start

  std::mutex mutex;
  std::condition_variable all_closed;  ///< notified while draining
};

/// One thread's connections: an io_context, a coarse clock that sweeps them for timeouts, and an inbox for
/// replies from other threads. Everything but `run`, `stop`, `drain` and `deliver` belongs to the thread in
/// run(). Connections hold their worker, so that a reply after the server's end still finds an inbox, a
/// closed one.
class Worker : public std::enable_shared_from_this<Worker> {
 public:
  explicit Worker(std::shared_ptr<Shared> shared);
  ~Worker();

  /// Serves until stop(); returns with every connection closed.
  void run();
  /// Closes everything; thread-safe.
  void stop();
  /// Closes idle connections, the others after their requests under way; thread-safe.
  void drain();
  /// Hands over the answer to `exchange` of `connection`; thread-safe.
  void deliver(std::shared_ptr<Connection> connection, Exchange& exchange, RawReply reply);

  /// Takes over an accepted socket, counted in `open`, or in `turned_away` when it is over the limit.
  void adopt(boost::asio::ip::tcp::socket socket, bool over_limit);
  void forget(Connection& connection);

  boost::asio::io_context& io() { return io_; }
  Shared& shared() { return *shared_; }
  const std::string& date() const { return date_; }

 private:
  struct Delivery {
    std::shared_ptr<Connection> connection;
    Exchange* exchange;
    RawReply reply;
  };
  template <class Visit>
  void for_each_connection(Visit visit);
  void tick();
  void empty_inbox();

  const std::shared_ptr<Shared> shared_;
  boost::asio::io_context io_{1};
  boost::asio::steady_timer timer_{io_};
  const std::chrono::milliseconds period_;
  std::string date_;
  std::time_t date_second_ = 0;
  std::list<std::shared_ptr<Connection>> connections_;
  bool stopped_ = false;

  std::mutex inbox_mutex_;
  std::vector<Delivery> inbox_, batch_;
  bool inbox_closed_ = false;
};

}  // namespace cx::http
