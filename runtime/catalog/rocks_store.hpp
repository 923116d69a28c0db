#pragma once

#include <shared_mutex>

#include "runtime/catalog/store.hpp"
#include "runtime/journal/rocks.hpp"

namespace cx {

/// Documents in a RocksDB directory of their own; the keys are described in README.md.
class RocksDocumentStore final : public DocumentStore {
 public:
  static Result<std::unique_ptr<RocksDocumentStore>> open(const std::string& path, rocksdb::Env& env);

  Result<std::optional<v1::Document>> latest(const DocumentKey& key) const override;
  Result<std::optional<v1::Document>> revision(const DocumentKey& key, std::uint64_t number) const override;
  Result<std::vector<v1::Document>> history(const DocumentKey& key, std::uint64_t before,
                                            std::size_t limit) const override;
  Result<std::vector<v1::Document>> list(std::string_view kind, std::string_view tenant,
                                         std::string_view after, std::size_t limit) const override;
  Result<std::uint64_t> scan(std::string_view kind, const Visit& visit) const override;
  Result<std::vector<v1::Document>> changes(std::uint64_t after, std::size_t limit) const override;
  std::vector<std::optional<Error>> put(std::span<v1::Document> documents) override;
  void on_change(std::function<void()> changed) override { changed_ = std::move(changed); }

  /// For a replica of another store: takes over a document with the change number that it has there, which is
  /// above last_change(). Refuses as put() does. Not synced: a loss of power may take back the last ones.
  std::optional<Error> take(v1::Document document);
  /// Number of the newest change; 0 where there is none.
  std::uint64_t last_change() const;

 private:
  RocksDocumentStore(std::string path, rocksdb::Env& env) : path_(std::move(path)), env_(env) {}
  std::optional<Error> reopen();
  /// `numbered`: the documents have their change numbers, and another store keeps them safe.
  std::vector<std::optional<Error>> store(std::span<v1::Document> documents, bool numbered);
  std::optional<Error> write(std::span<v1::Document> documents, std::span<std::optional<Error>> results,
                             bool numbered);
  /// The newest revision of each document whose key starts with `prefix`, from key `from` on, until `visit`
  /// is false.
  std::optional<Error> each_latest(std::string_view prefix, std::string_view from,
                                   const std::function<bool(v1::Document&&)>& visit) const;
  Result<v1::Document> read(std::string_view bytes) const;

  const std::string path_;
  rocksdb::Env& env_;
  std::function<void()> changed_;
  mutable std::shared_mutex files_mutex_;  // held to read through files_, and alone to replace them
  RocksFiles files_;
  mutable std::mutex writing_;  // guards the two below; taken before files_mutex_
  std::uint64_t last_change_ = 0;
  bool in_doubt_ = false;  // a write failed: what the files hold is known when they have been opened again
};

}  // namespace cx
