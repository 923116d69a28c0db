#pragma once

#include <atomic>
#include <doctest/doctest.h>

#include "runtime/catalog/jetstream_store.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/nats/nats_server.hpp"

namespace cx::test {

/// Of the process.
inline NatsServer& nats_server() {
  static NatsServer server;
  return server;
}

inline std::string new_cluster() {
  static std::atomic<int> made{0};
  return "cluster-" + std::to_string(++made);
}

/// A node with a connection of its own, whose replica is on files in memory.
struct JetStreamNode {
  explicit JetStreamNode(std::chrono::milliseconds timeout = std::chrono::seconds(2),
                         const v1::NatsConfig& config = nats_server().config())
      : replicas(config.replicas()) {
    auto opened = nats::Connection::open(config, "test");
    REQUIRE(opened);
    connection = std::move(*opened);
    jetstream = std::make_unique<nats::JetStream>(*connection, timeout);
  }
  void open(const std::string& cluster, std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    store.reset();
    auto opened = JetStreamDocumentStore::open(
        *jetstream, {.cluster = cluster, .replicas = replicas, .patience = patience}, "/data/catalog",
        environment.files());
    INFO((opened ? "" : opened.error().detail));
    REQUIRE(opened);
    store = std::move(*opened);
  }

  const std::uint32_t replicas;
  FaultEnvironment environment;
  std::unique_ptr<nats::Connection> connection;
  std::unique_ptr<nats::JetStream> jetstream;
  std::unique_ptr<JetStreamDocumentStore> store;
};

}  // namespace cx::test
