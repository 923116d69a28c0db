#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "runtime/catalog/rocks_store.hpp"
#include "runtime/nats/jetstream.hpp"

namespace cx {

struct JetStreamStoreOptions {
  std::string cluster;  ///< its name: 1 to 63 of a-z, 0-9 and '-'
  std::uint32_t replicas = 1;
  /// How long put() goes on when the servers do not answer, and open() when nothing comes from them.
  std::chrono::milliseconds patience{5'000};
};

/// Documents as the stream CLUSTER_catalog of JetStream, which all nodes of a cluster share: each revision is
/// a message, a serialised v1::Document, on the subject CLUSTER.catalog.KIND.TENANT.ID; the number of a
/// change is the message's sequence. A message is stored on the condition that the revision before it is the
/// last of its subject, so that of two nodes one wins. No message is ever dropped.
///
/// Reads come from a replica in a RocksDB directory of this node, which follows the stream: what was put here
/// is in it when put() returns, what others put a moment later. They go on while the servers are away. The
/// replica can be lost: it is read again from the stream.
///
/// put() blocks until the outcome is known, or its patience is over. Errors beside the replica's:
/// - invalid_argument "invalid-key" (see below), "document-too-large" (for the servers);
/// - unavailable "catalog-unreachable": whether the document was stored is unknown: read it;
/// - unavailable "catalog-behind": it was stored, but cannot be read here yet;
/// - those of JetStream, where the servers refuse.
/// Kinds and tenants are names, an id is 1 to 128 of a-z, A-Z, 0-9, '-' and '_'.
class JetStreamDocumentStore final : public DocumentStore {
 public:
  /// Makes the stream where there is none, and reads into the replica at `path` what is new since it was open
  /// last. A replica whose last change is not in the stream (it is of another cluster, or was no replica, or
  /// the stream was lost) is not used: it is moved to `path`.other, the one before it there is deleted, the
  /// log says so, and a new one is read. `jetstream` and `env` outlive the store.
  static Result<std::unique_ptr<JetStreamDocumentStore>> open(nats::JetStream& jetstream,
                                                              JetStreamStoreOptions options,
                                                              const std::string& path, rocksdb::Env& env);
  ~JetStreamDocumentStore() override;

  Result<std::optional<v1::Document>> latest(const DocumentKey& key) const override;
  Result<std::optional<v1::Document>> revision(const DocumentKey& key, std::uint64_t number) const override;
  Result<std::vector<v1::Document>> history(const DocumentKey& key, std::uint64_t before,
                                            std::size_t limit) const override;
  Result<std::vector<v1::Document>> list(std::string_view kind, std::string_view tenant,
                                         std::string_view after, std::size_t limit) const override;
  Result<std::uint64_t> scan(std::string_view kind, const Visit& visit) const override;
  Result<std::vector<v1::Document>> changes(std::uint64_t after, std::size_t limit) const override;
  std::vector<std::optional<Error>> put(std::span<v1::Document> documents) override;
  /// Of changes of other nodes, too. No call is under way when this has returned.
  void on_change(std::function<void()> changed) override;

 private:
  struct Attempt;
  JetStreamDocumentStore(nats::JetStream& jetstream, JetStreamStoreOptions options);

  std::optional<Error> open_replica(const std::string& path, rocksdb::Env& env);
  std::optional<Error> follow();
  void use(nats::Stored&& message);
  Result<v1::Document> document_of(const nats::Stored& message) const;
  std::string subject_of(const DocumentKey& key) const;

  void put_wave(std::span<v1::Document> documents, std::span<std::optional<Error>> results);
  std::optional<Error> prepare(const v1::Document& document, bool& caught_up, Attempt& out) const;
  void publish(std::span<Attempt> attempts);
  void settle(Attempt& attempt);
  std::optional<Error> catch_up() const;
  bool wait_for(std::uint64_t sequence) const;

  nats::JetStream& jetstream_;
  const JetStreamStoreOptions options_;
  const std::string stream_;
  std::unique_ptr<RocksDocumentStore> replica_;

  std::mutex changed_mutex_;  // held to call changed_, too
  std::function<void()> changed_;

  mutable std::mutex mutex_;  // guards what follows
  mutable std::condition_variable moved_;
  std::uint64_t applied_ = 0;  // sequence of the last message that was looked at
  bool caught_up_ = false;     // once
  bool stopping_ = false;

  std::unique_ptr<nats::Follower> follower_;  // last: it uses the others
};

}  // namespace cx
