#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/access/caller.hpp"
#include "runtime/clock.hpp"
#include "runtime/error.hpp"

namespace cx {

/// The answer to a raw request: a document, nothing, or an error.
struct RawReply {
  enum class Kind { document, empty, error };
  Kind kind = Kind::empty;
  std::string body;  ///< kind document
  Error error;       ///< kind error
  /// HTTP header fields, gRPC trailers. Names are lower-case literals.
  std::vector<std::pair<std::string_view, std::string>> metadata;

  static RawReply document(std::string body) { return {Kind::document, std::move(body), {}, {}}; }
  static RawReply empty() { return {}; }
  static RawReply failure(Error error) { return {Kind::error, {}, std::move(error), {}}; }
};

/// Where a reply goes. A gateway derives from it; `deliver` is called exactly once, from any thread, and must
/// not block: a gateway posts to its own executor.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual void deliver(RawReply reply) noexcept = 0;
};

/// The right to answer one request, once. Copies share that right (an actor message must be copyable). When
/// the last copy goes away unanswered, the caller gets an `internal` error instead of silence.
class ReplyTo {
 public:
  ReplyTo() = default;
  explicit ReplyTo(std::shared_ptr<ReplySink> sink) : once_(std::make_shared<Once>(std::move(sink))) {}

  /// Answers, if nobody has answered before. One thread at a time.
  void operator()(RawReply reply) const {
    if (once_) once_->deliver(std::move(reply));
  }

  /// Counts this request in `credit` until it is answered or dropped.
  void charge(std::shared_ptr<std::atomic<std::uint32_t>> credit) const {
    credit->fetch_add(1, std::memory_order_relaxed);
    once_->credit = std::move(credit);
  }

 private:
  struct Once {
    explicit Once(std::shared_ptr<ReplySink> s) : sink(std::move(s)) {}
    Once(const Once&) = delete;
    Once& operator=(const Once&) = delete;
    ~Once() {
      if (sink)
        deliver(RawReply::failure(
            {Code::internal, "no-answer", "The request was dropped unanswered; retry it.", ""}));
    }
    void deliver(RawReply reply) {
      if (const auto back = std::move(credit)) back->fetch_sub(1, std::memory_order_relaxed);
      if (auto to = std::move(sink)) to->deliver(std::move(reply));
    }
    std::shared_ptr<ReplySink> sink;
    std::shared_ptr<std::atomic<std::uint32_t>> credit;
  };
  std::shared_ptr<Once> once_;
};

/// A request whose bytes only its agent understands.
struct RawRequest {
  /// The body as received. Its capacity exceeds its size by at least kRawPadding, so that a parser may read
  /// past the end in place.
  std::string body;
  SteadyTime received;  ///< when its last byte arrived
  ReplyTo reply;
  CallerPtr caller;  ///< never null
};

/// Bytes of spare capacity behind a raw body (simdjson needs 64).
inline constexpr std::size_t kRawPadding = 64;

/// Something that takes raw requests: a pool of agents.
class RawTarget {
 public:
  virtual ~RawTarget() = default;
  /// Takes the request, or returns false at once when it has no credit left; the request is then untouched.
  /// Thread-safe, never blocks.
  virtual bool post(RawRequest& request) = 0;
};

}  // namespace cx
