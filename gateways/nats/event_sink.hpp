#pragma once

#include <bitset>
#include <chrono>

#include "gateways/nats/cloud_event.hpp"
#include "runtime/nats/jetstream.hpp"
#include "runtime/projection/projection.hpp"

namespace cx::nats_gateway {

struct EventStreamOptions {
  std::string prefix;  ///< a name
  std::uint32_t replicas = 1;
  std::uint32_t hours = 72;  ///< that messages are kept
  std::chrono::milliseconds timeout{5'000};
};

/// A sink whose effects are messages of the stream PREFIX_events. They are sent when a transaction is
/// committed: at least once (a repeat within the stream's two minutes is dropped by its Nats-Msg-Id), and
/// those of one entity in order, as the next is sent when the one before is stored.
///
/// Cursors are in the stream PREFIX_published, one message for each shard on PREFIX.published.SHARD ("4711"
/// in decimal, written by sync(), on the condition that nobody else wrote since) and the version on
/// PREFIX.published.version: whichever node gets a shard goes on where the one before it was.
class EventSink final : public Sink {
 public:
  /// `jetstream` outlives the sink.
  EventSink(nats::JetStream& jetstream, EventStreamOptions options);

  Result<Position> load() override;
  std::optional<Error> reset(std::uint32_t version) override;
  std::optional<Error> begin() override;
  std::optional<Error> commit(std::span<const CursorMove> moves) override;
  void rollback() override { messages_.clear(); }
  std::optional<Error> sync() override;

  /// For the projection, in a transaction. "event-too-large" where the servers do not take it.
  std::optional<Error> add(EventMessage message);

 private:
  struct Sending {
    std::string_view subject, payload;
    const nats::Headers* headers;
    std::optional<std::uint64_t> after;
  };
  std::vector<Result<std::uint64_t>> publish(std::span<const Sending> wave);
  std::string cursor_subject(std::string_view of) const;
  std::optional<Error> look_again(std::uint32_t shard);
  bool note(const nats::Stored& message);

  nats::JetStream& jetstream_;
  const EventStreamOptions options_;
  const std::string cursors_stream_;
  bool ensured_ = false;
  std::vector<EventMessage> messages_;  // of the transaction

  std::optional<std::uint32_t> version_;
  Cursors cursors_{};                          // the highest that is known of each shard
  std::array<std::uint64_t, kShards> last_{};  // sequence of the last message of each shard's cursor
  std::bitset<kShards> unsynced_;
};

}  // namespace cx::nats_gateway
