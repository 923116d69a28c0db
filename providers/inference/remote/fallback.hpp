#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "providers/inference/remote/remote.hpp"
#include "runtime/telemetry/counter.hpp"

namespace cx::inference::remote {

/// Whether a server is worth asking. Shared by the providers of a pool, so that one finds out for all.
/// Thread-safe.
class Breaker {
 public:
  struct Policy {
    std::uint32_t failures = 5;              ///< in a row, after which the server rests
    std::chrono::milliseconds pause{1'000};  ///< how long; then one request tries again
  };
  Breaker(Policy policy, const Clock& clock) : policy_(policy), clock_(clock) {}

  /// Whether to ask now. Who is told yes, reports.
  bool admits();
  /// How it went; true when that opened or closed the breaker.
  bool report(bool ok);
  bool open() const;

 private:
  const Policy policy_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // guards the rest
  std::uint32_t failures_ = 0;
  bool open_ = false;
  SteadyTime next_try_;
};

/// What is counted of a remote backend, by batches.
struct RemoteProbe {
  Counter answered;                  ///< by the server
  Counter failed;                    ///< asked, but the fallback answered
  Counter skipped;                   ///< answered by the fallback without asking
  std::atomic<bool> resting{false};  ///< the breaker is open
};

/// A server's answer, or where there is none, this machine's: a batch is answered by one of them, and
/// provider_name() is that one's. The server is given its timeout or what the batch's deadline leaves, less
/// the time that the fallback needs.
class FallbackProvider final : public CoLaNetProvider {
 public:
  FallbackProvider(std::unique_ptr<RemoteProvider> server, std::unique_ptr<CoLaNetProvider> fallback,
                   std::shared_ptr<Breaker> breaker, RemoteProbe& probe);

  Result<Scores> predict(const Item& item) override;
  std::vector<Result<Scores>> predict_batch(std::span<const Item> items) override;
  std::string provider_name() const override;
  bool supports_batching() const override { return true; }
  /// The server's; the fallback's batches are cut to its own.
  std::size_t max_batch_size() const override { return server_->max_batch_size(); }
  /// An error only of the fallback: without the server all goes on.
  std::optional<Error> warm_up() override;

 private:
  std::optional<std::vector<Scores>> ask_server(std::span<const Item> items);
  void report(const Error* error);

  const std::unique_ptr<RemoteProvider> server_;
  const std::unique_ptr<CoLaNetProvider> fallback_;
  const std::shared_ptr<Breaker> breaker_;
  RemoteProbe& probe_;
  bool by_server_ = true;  // who gave the last answer
};

}  // namespace cx::inference::remote
