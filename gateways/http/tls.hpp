#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "cx/v1/config.pb.h"
#include "runtime/clock.hpp"
#include "runtime/error.hpp"

struct ssl_ctx_st;
struct ssl_st;

namespace cx::http {

/// The TLS of one connection: bytes in, bytes out; it knows no socket. For the thread of its connection.
///
/// What arrives goes into received(), what it means comes out of read(), which also shakes hands. What there
/// is to send goes into write(); take() fetches what is to go to the peer, and has something after read(),
/// too.
class TlsSession {
 public:
  enum class State {
    handshake,
    open,
    ended,       ///< the peer has said that it sends no more
    plain_http,  ///< it never began: the peer speaks HTTP without TLS
    failed,      ///< the alert that says so is in take()
  };

  explicit TlsSession(ssl_ctx_st* context);
  ~TlsSession();

  State state() const { return state_; }
  bool established() const { return state_ == State::open || state_ == State::ended; }
  /// Where to put what arrives; of its first `size` bytes received() tells.
  std::array<char, 16 * 1024>& room() { return room_; }
  void received(std::size_t size);
  /// Decrypts up to `size` bytes; 0 when more must arrive first, or the state is neither handshake nor open.
  std::size_t read(char* to, std::size_t size);
  /// Encrypts. Only once it is established.
  void write(std::string_view plain);
  /// Says that nothing more will be sent.
  void finish();
  /// Replaces `out` by what is to go to the peer.
  void take(std::string& out);
  /// Bytes that take() would fetch.
  std::size_t waiting() const;
  /// The subject of the client's certificate, which was verified, by RFC 2253: "CN=ssp-1,O=Acme". Empty where
  /// there is none.
  const std::string& subject() const { return subject_; }

 private:
  void fail();

  ssl_st* const ssl_;
  State state_ = State::handshake;
  std::string subject_;
  std::array<char, 16 * 1024> room_;
};

/// A server's certificate and whom it trusts. Thread-safe.
class TlsContext {
 public:
  /// Errors: invalid_argument "invalid-configuration" that names the file and what is wrong with it.
  static Result<std::unique_ptr<TlsContext>> load(const v1::TlsConfig& config);

  std::unique_ptr<TlsSession> accept() const;
  /// Once a second: reads the files again if one of them has changed; keeps what it had, and says so in the
  /// log, where they are not right. Connections that are open keep what they began with.
  void refresh(SteadyTime now);

 private:
  using Context = std::shared_ptr<ssl_ctx_st>;
  /// What tells one version of the three files from another.
  using Stamps = std::array<std::array<std::int64_t, 4>, 3>;

  TlsContext(const v1::TlsConfig& config, Context context, const Stamps& stamps)
      : config_(config), context_(std::move(context)), stamps_(stamps) {}
  static Result<Context> build(const v1::TlsConfig& config);
  static Stamps stamps_of(const v1::TlsConfig& config);

  const v1::TlsConfig config_;
  mutable std::mutex mutex_;  // of context_
  Context context_;
  std::atomic<SteadyTime::rep> due_{0};
  std::mutex refreshing_;  // of what follows
  Stamps stamps_;          // of the files as they were tried last
  bool stale_ = false;     // the last try failed
};

}  // namespace cx::http
