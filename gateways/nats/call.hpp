#pragma once  // internal to this folder

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "gateways/nats/message.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::nats_gateway {

/// The way out, shared by all requests under way, which may outlive the gateway and its connection. Counts
/// them, too. Thread-safe.
class Outlet {
 public:
  explicit Outlet(nats::Connection& connection) : connection_(&connection) {}

  /// Counts a request under way; false if there are `most` already. Every enter() that is true needs its
  /// leave().
  bool enter(std::size_t most);
  void leave();
  /// Waits until none is under way, at most for `grace`.
  void wait(std::chrono::milliseconds grace);
  /// Nothing goes out from now on, and nothing of the gateway's is used.
  void close();
  /// Calls `use(nats::Connection&)` unless it is closed.
  template <class Use>
  void use(Use use) {
    const std::shared_lock lock(mutex_);
    if (connection_ != nullptr) use(*connection_);
  }

  Counter unanswered;   ///< failures that nobody waits for, and answers that could not be sent
  Counter misdirected;  ///< requests with a reply subject that is not allowed
  Counter dropped;      ///< requests that waited too long for their turn, or were too many

 private:
  std::shared_mutex mutex_;
  nats::Connection* connection_;
  std::mutex count_mutex_;
  std::condition_variable none_;
  std::size_t count_ = 0;
};

/// One request, from its arrival until it is answered.
class Call final : public ReplySink {
 public:
  Call(std::shared_ptr<Outlet> outlet, EndpointProbe& probe, std::string reply_to, std::string request_id);
  ~Call() override;

  /// Counts it among the requests under way, as Outlet::enter().
  bool enter(std::size_t most) { return entered_ = outlet_->enter(most); }
  /// Of several answers the first is sent.
  void deliver(RawReply reply) noexcept override;
  void fail(Error error) noexcept { deliver(RawReply::failure(std::move(error))); }

  About about;  ///< set before anybody else may answer
  SteadyTime received() const { return received_; }

 private:
  void send(RawReply reply, nats::Connection& connection);

  const std::shared_ptr<Outlet> outlet_;
  EndpointProbe& probe_;  // only while the outlet is open
  const std::string reply_to_;
  const SteadyTime received_ = std::chrono::steady_clock::now();
  bool entered_ = false;
  std::atomic<bool> answered_{false};
};

}  // namespace cx::nats_gateway
