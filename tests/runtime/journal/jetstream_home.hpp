#pragma once

#include <atomic>
#include <chrono>
#include <doctest/doctest.h>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "runtime/journal/jetstream_journal.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/nats/nats_server.hpp"

namespace cx::test {

/// One server for all tests of a process that do not harm it.
inline NatsServer& shared_server() {
  static NatsServer server;
  return server;
}

/// A cluster that nobody else uses.
inline std::string new_cluster() {
  static std::atomic<int> clusters = 0;
  return "t" + std::to_string(++clusters);
}

/// One node's connection and journal. Its files are the environment's, and outlive the journal.
class JetStreamNode {
 public:
  struct Options {
    std::chrono::milliseconds timeout{2'000};
    std::chrono::milliseconds patience{10'000};
    std::uint64_t checkpoint_bytes = 0;
    bool no_fence = false;
    std::string directory = "/data";
    std::shared_ptr<rocksdb::FileSystem> files = memory_files();
  };
  JetStreamNode(const v1::NatsConfig& config, std::string cluster) : JetStreamNode(config, cluster, {}) {}
  JetStreamNode(const v1::NatsConfig& config, std::string cluster, Options options)
      : environment_(++seeds, options.files), cluster_(std::move(cluster)), options_(std::move(options)) {
    auto connection = nats::Connection::open(config, "journal-test");
    REQUIRE(connection);
    connection_ = std::move(*connection);
    replicas_ = std::max(config.replicas(), 1U);
    jetstream_.emplace(*connection_, options_.timeout);
  }

  std::optional<Error> try_open() {
    journal_.reset();
    auto journal = JetStreamJournal::open({options_.directory,
                                           environment_,
                                           *jetstream_,
                                           cluster_,
                                           replicas_,
                                           options_.patience,
                                           options_.checkpoint_bytes,
                                           {options_.no_fence}});
    if (!journal) return journal.error();
    journal_ = std::move(*journal);
    return std::nullopt;
  }
  JetStreamJournal& open() {
    const auto error = try_open();
    const std::string detail = error ? error->detail : "";
    REQUIRE(detail == "");
    return *journal_;
  }
  /// On an empty directory.
  JetStreamJournal& open_cold() {
    options_.directory += "x";
    return open();
  }
  void close() { journal_.reset(); }
  JetStreamJournal& journal() { return *journal_; }
  nats::JetStream& jetstream() { return *jetstream_; }
  FaultEnvironment& environment() { return environment_; }
  std::string stream() const { return cluster_ + "_journal"; }
  std::string subject(std::uint32_t shard) const { return cluster_ + ".journal." + std::to_string(shard); }

 private:
  inline static std::atomic<std::uint64_t> seeds = 1'000;  // attempts of two nodes have to differ
  FaultEnvironment environment_;
  const std::string cluster_;
  Options options_;
  std::uint32_t replicas_ = 1;
  std::unique_ptr<nats::Connection> connection_;
  std::optional<nats::JetStream> jetstream_;
  std::unique_ptr<JetStreamJournal> journal_;
};

/// Waits until a node has seen record `last` of a shard; a test that waits for ever is stopped by its runner.
inline void await_head(const Journal& journal, std::uint32_t shard, std::uint64_t last) {
  for (;;) {
    const auto head = journal.head(shard);
    if (head && head->last >= last) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// A home of the journal for the contract suite; see homes.hpp.
class JetStreamHome {
 public:
  JetStreamHome() : node_(shared_server().config(), new_cluster()) { node_.open(); }
  Journal& journal() { return node_.journal(); }
  void reopen() { node_.open(); }
  static constexpr int kExamples = 20;

 protected:
  JetStreamNode node_;
};

/// The same, of a node that has lost its disk whenever it is opened again.
struct ColdJetStreamHome : JetStreamHome {
  void reopen() { node_.open_cold(); }
  static constexpr int kExamples = 10;
};

}  // namespace cx::test
