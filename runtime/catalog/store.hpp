#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cx/v1/catalog.pb.h"
#include "runtime/error.hpp"

namespace cx {

/// Names a document.
struct DocumentKey {
  std::string kind, tenant, id;
  auto operator<=>(const DocumentKey&) const = default;
  std::string text() const { return kind + '/' + tenant + '/' + id; }
};

inline DocumentKey key_of(const v1::Document& document) {
  return {document.kind(), document.tenant(), document.id()};
}

/// Keeps every revision of every document. A removal is a revision without a body. All that it takes is a
/// compare-and- set on the latest revision of one document, so a shared key-value store can be behind it.
/// Thread-safe; every method may block: none is to be called on an actor's thread. Errors are those of
/// runtime/journal/rocks.hpp.
class DocumentStore {
 public:
  virtual ~DocumentStore() = default;

  /// The newest revision, be it a removal; nothing for a document that never was.
  virtual Result<std::optional<v1::Document>> latest(const DocumentKey& key) const = 0;
  virtual Result<std::optional<v1::Document>> revision(const DocumentKey& key,
                                                       std::uint64_t number) const = 0;

  /// Revisions below `before` (0: all of them), the newest first, at most `limit`.
  virtual Result<std::vector<v1::Document>> history(const DocumentKey& key, std::uint64_t before,
                                                    std::size_t limit) const = 0;

  /// The newest revisions of a tenant's documents of a kind whose id is above `after`, by id, at most
  /// `limit`. Without those that were removed.
  virtual Result<std::vector<v1::Document>> list(std::string_view kind, std::string_view tenant,
                                                 std::string_view after, std::size_t limit) const = 0;

  /// As list(), of all tenants. Returns a change up to which the documents include every one.
  using Visit = std::function<void(v1::Document&&)>;
  virtual Result<std::uint64_t> scan(std::string_view kind, const Visit& visit) const = 0;

  /// Revisions of all documents whose change is above `after`, in the order of changes, at most `limit`.
  virtual Result<std::vector<v1::Document>> changes(std::uint64_t after, std::size_t limit) const = 0;

  /// Stores each document as the revision that it says it is, and numbers the change; refuses with
  /// Code::conflict the one whose document's newest revision is not the one before. They are independent: one
  /// that is refused hinders no other. What succeeded survives a loss of power when this returns. After an
  /// error of the storage it is unknown whether a document was stored: read it.
  virtual std::vector<std::optional<Error>> put(std::span<v1::Document> documents) = 0;

  /// `changed` is called after changes, on any thread; it must be quick. Set once, before the first change.
  virtual void on_change(std::function<void()> changed) = 0;
};

}  // namespace cx
