#pragma once

#include <map>

#include "gateways/nats/event_sink.hpp"

namespace cx::nats_gateway {

/// Tells others what happens to entities: takes it out of the journal's records and publishes it in NATS, as
/// EVENTS.md describes. A projection: it lags while NATS is away, and then catches up. In a cluster every
/// node has one, and each tells what happens on the shards that it owns.
class Publisher final : public Projection {
 public:
  /// By kind of entities, what others are told of a record; there is at least one.
  using Kinds = std::map<std::string, Announce>;

  /// `is_mine`: whether this node owns a shard; on any thread, cheap. `jetstream` outlives the publisher.
  Publisher(
      nats::JetStream& jetstream, EventStreamOptions options, Kinds kinds,
      std::function<bool(std::uint32_t shard)> is_mine = [](std::uint32_t) { return true; });

  const std::string& name() const override { return name_; }
  std::uint32_t version() const override { return 1; }
  Sink& sink() override { return sink_; }
  std::span<const std::string> kinds() const override { return names_; }
  std::optional<Error> project(std::span<const v1::JournalRecord> records) override;
  bool takes(std::uint32_t shard) const override { return is_mine_(shard); }

 private:
  const std::string name_ = "events-to-nats";
  const std::string prefix_;
  const Kinds kinds_;
  std::vector<std::string> names_;
  const std::function<bool(std::uint32_t)> is_mine_;
  EventSink sink_;
};

}  // namespace cx::nats_gateway
