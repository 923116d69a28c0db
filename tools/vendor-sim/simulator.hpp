#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "providers/channels/standard_webhooks.hpp"
#include "runtime/random.hpp"
#include "tools/vendor-sim/answer.hpp"

namespace cx::vendor_sim {

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8025;  ///< 0: a free one
  std::string key;            ///< API key of SendGrid; empty: any
  std::string secret;         ///< of webhooks, as in WebhookSecrets; empty: signatures are not checked
  std::string log;         ///< file to which one JSON object a line is appended for each request; empty: none
  std::uint64_t seed = 1;  ///< of the shares of behaviours
};

/// How a path behaves; see `modes` for what can be.
struct Behaviour {
  enum class Mode { ok, throttle, error, hang, reset, slow, accept_then_fail, duplicate, redirect, huge };
  Mode mode = Mode::ok;
  double share = 1;                    ///< of requests that it hits
  std::optional<std::uint64_t> count;  ///< how many more it hits; absent: all
  unsigned status = 0;                 ///< of error and accept-then-fail; 0: 503 and 500
  std::uint32_t retry_after = 0;       ///< seconds; 0: not said
  std::chrono::milliseconds delay{0};  ///< before the answer; of slow, how long its body takes
};

/// What it received under one id at one path.
struct Received {
  std::string path, id, body;  ///< the first body
  std::int64_t at = 0;         ///< of the first, Unix microseconds
  std::uint64_t times = 0;     ///< requests
  std::uint64_t accepted = 0;  ///< of them, those that the vendor took for good, whatever it answered
  bool same_body = true;
  std::string signature;  ///< of the last: "ok", "none", or what is wrong with it
};

/// Vendors as one object: judges requests, answers as it was told to, and remembers. No sockets, one thread.
class Simulator {
 public:
  using Request = vendor_sim::Request;

  /// Throws std::runtime_error when the secret or the log cannot be used.
  explicit Simulator(Options options);
  ~Simulator();
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  Answer handle(const Request& request);
  static constexpr std::size_t kMostBody = 4 << 20;  ///< longer requests are answered 413

 private:
  struct Counts {
    std::uint64_t requests = 0, accepted = 0, messages = 0, duplicates = 0, bad_signatures = 0;
    std::map<unsigned, std::uint64_t> statuses;  // 0: no answer
  };
  /// What a vendor says of a request, were it in good order.
  struct Verdict {
    std::string id, signature = "none";
    unsigned status = 200;
    boost::json::object body;
  };
  Verdict judge_mail(const Request& request);
  Verdict judge_hook(const Request& request) const;
  Answer control(const Request& request, std::string_view path, std::string_view query);
  Answer set_behaviour(const Request& request);
  Answer messages(std::string_view query) const;
  Answer counts() const;
  Behaviour take_behaviour(const std::string& path);
  void record(const std::string& path, const Verdict& verdict, const std::string& body, bool accepted,
              unsigned status);

  const Options options_;
  std::optional<channels::WebhookSecrets> secrets_;
  int log_ = -1;
  Random random_;
  std::uint64_t vendor_ids_ = 0;
  std::map<std::string, Behaviour, std::less<>> behaviours_;  // by path; "*": all others
  std::vector<Received> received_;
  std::unordered_map<std::string, std::size_t> by_id_;  // path, a space, id
  std::map<std::string, Counts> counts_;
};

}  // namespace cx::vendor_sim
