#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cx/v1/config.pb.h"
#include "gateways/auth/fetch.hpp"
#include "gateways/auth/jwt.hpp"
#include "runtime/catalog/published.hpp"
#include "runtime/clock.hpp"
#include "runtime/error.hpp"

namespace cx::auth {

/// Others whose tokens are taken, and their keys. Keys that are published at a URL are fetched on a thread of
/// their own and kept: again when the reply says that it is old (after 5 minutes to 24 hours), on a failure
/// after a minute, and when a token names a key that is not among them, at most every 10 seconds. When
/// fetching fails the keys that are known stay. Thread-safe.
class Issuers {
 public:
  /// Reads what is in files; errors say which file, and what is wrong. Fetches nothing before start().
  static Result<std::unique_ptr<Issuers>> open(const v1::AuthConfig& config, const Clock& clock, Fetch fetch);
  ~Issuers();

  /// Starts the thread.
  void start();

  struct Issuer {
    std::size_t index;
    v1::TokenIssuer config;  ///< with the names of claims filled in
    std::atomic<bool> wanted{false};
    std::int64_t fetched = 0, due = 0;  ///< steady milliseconds; the thread's own
  };
  /// Null for a stranger. By the text of "iss".
  Issuer* find(std::string_view issuer) const;
  /// Empty while they have never been fetched.
  std::shared_ptr<const KeySet> keys(const Issuer& issuer) const { return keys_.get()->sets[issuer.index]; }
  /// Has the keys fetched, some time soon. Never blocks.
  void want(Issuer& issuer);
  std::uint64_t serial() const { return keys_.get()->serial; }

  /// Fetches what is due; the thread calls this, and tests do. Milliseconds until it has to be called again.
  std::int64_t refresh();

 private:
  struct Keys {
    std::uint64_t serial = 0;
    std::vector<std::shared_ptr<const KeySet>> sets;
  };
  Issuers(const Clock& clock, Fetch fetch)
      : clock_(clock), fetch_(std::move(fetch)), keys_(std::make_shared<const Keys>()) {}
  void run();
  std::int64_t now() const;
  void publish(std::size_t index, KeySet keys);

  const Clock& clock_;
  const Fetch fetch_;
  std::vector<std::unique_ptr<Issuer>> issuers_;
  Published<Keys> keys_;
  std::mutex mutex_;  // guards stop_
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace cx::auth
