#pragma once

#include <google/protobuf/message.h>
#include <map>
#include <memory>
#include <mutex>
#include <type_traits>

#include "runtime/catalog/store.hpp"
#include "runtime/clock.hpp"
#include "runtime/environment/serial_task.hpp"

namespace cx {

struct CatalogLimits {
  std::size_t document_bytes = 1'000'000;
  std::size_t batch = 10'000;  ///< documents put together
  std::size_t batch_bytes = 64'000'000;
  std::size_t page = 1'000;  ///< documents or revisions that one call returns
};

/// A change to a document.
struct Edit {
  DocumentKey key;
  /// What it shall be; null removes it. Of the type that the kind was defined with.
  std::shared_ptr<const google::protobuf::Message> body;
  /// What it has to be now, else the edit is refused: an ETag, "*" for whatever exists, "" for nothing (a
  /// document that never was, or was removed). Absent: whatever it is.
  std::optional<std::string> if_match;
};

class Watch;

/// Definitions that people edit, checked before they are stored, with all their history. Thread-safe, but for
/// define(). Every method but watch() may block: none is to be called on an actor's thread. What a hot path
/// needs of the documents it reads from a Compiled. Errors of edits:
/// - invalid_argument "unknown-kind", "invalid-document" (its pointer leads into the body),
/// "document-too-large",
///   "batch-too-large", "invalid-key": kinds and tenants are names, an id is 1 to 128 of a-z, A-Z, 0-9, '-'
///   and '_';
/// - precondition_failed "etag-mismatch" (says what the ETag is now), conflict "already-exists";
/// - not_found "no-such-document", "no-such-revision"; and those of the store.
class Catalog {
 public:
  /// `executor` runs watches. All three outlive the catalog, and the catalog its watches.
  Catalog(DocumentStore& store, const Clock& clock, Executor& executor, CatalogLimits limits = {});
  ~Catalog();

  /// Makes a kind of documents. `validate` is pure, and returns what is wrong with a body. Before the first
  /// edit.
  template <class T>
  void define(const std::string& kind, std::function<std::optional<Error>(const T&)> validate) {
    kinds_[kind] = {&T::default_instance(), [validate](const google::protobuf::Message& body) {
                      return validate(static_cast<const T&>(body));
                    }};
  }

  /// Stores edits with one sync, in order; each succeeds or fails alone and has one result. `actor` is who
  /// makes them.
  std::vector<Result<v1::Document>> edit(std::span<const Edit> edits, const std::string& actor);

  Result<v1::Document> put(const DocumentKey& key, const google::protobuf::Message& body,
                           const std::optional<std::string>& if_match, const std::string& actor);
  Result<v1::Document> remove(const DocumentKey& key, const std::optional<std::string>& if_match,
                              const std::string& actor);
  /// Stores the body of an older revision as the newest, if it is valid by today's rules.
  Result<v1::Document> rollback(const DocumentKey& key, std::uint64_t revision,
                                const std::optional<std::string>& if_match, const std::string& actor);

  /// The newest revision; not_found after a removal.
  Result<v1::Document> get(const DocumentKey& key) const;
  /// Any revision, a removal too.
  Result<v1::Document> get(const DocumentKey& key, std::uint64_t revision) const;
  /// As DocumentStore has them; `limit` is cut to a page. The next page is before the last revision, after
  /// the last id.
  Result<std::vector<v1::Document>> history(const DocumentKey& key, std::uint64_t before,
                                            std::size_t limit) const;
  Result<std::vector<v1::Document>> list(std::string_view kind, std::string_view tenant,
                                         std::string_view after, std::size_t limit) const;

  /// Calls `use` with all changes above `after`, in order, none left out, a few hundred at a time, on the
  /// executor, one call at a time, until the watch is destroyed. `caught_up`: there were no others a moment
  /// ago. Nothing waits for a slow watch and nothing is queued for it: it reads what it needs from the store.
  using Changes = std::function<void(std::span<const v1::Document> changes, bool caught_up)>;
  std::unique_ptr<Watch> watch(std::uint64_t after, Changes use);

  /// Has every watch look for changes, which it does by itself unless reading failed. To be called now and
  /// then.
  void poll();

  const DocumentStore& store() const { return store_; }
  const Clock& clock() const { return clock_; }

 private:
  friend class Watch;
  struct Kind {
    const google::protobuf::Message* type;
    std::function<std::optional<Error>(const google::protobuf::Message&)> validate;
  };
  std::optional<Error> check(const Edit& edit) const;
  std::vector<Result<v1::Document>> edit(std::span<const Edit> edits, const std::string& actor,
                                         std::uint64_t restored_from);

  DocumentStore& store_;
  const Clock& clock_;
  Executor& executor_;
  const CatalogLimits limits_;
  std::map<std::string, Kind> kinds_;
  std::mutex watches_mutex_;
  std::vector<Watch*> watches_;
};

/// A subscription; see Catalog::watch. When the destructor has returned no call is under way, or will be.
class Watch {
 public:
  Watch(Catalog& catalog, std::uint64_t after, Catalog::Changes use);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Why changes could not be read, the last time that it was tried.
  std::optional<Error> error() const;

 private:
  friend class Catalog;
  bool turn();

  Catalog& catalog_;
  const Catalog::Changes use_;
  std::uint64_t after_;
  mutable std::mutex mutex_;  // guards error_
  std::optional<Error> error_;
  SerialTask task_;
};

/// The body of a document that is a T.
template <class T>
Result<T> read_body(const v1::Document& document) {
  T body;
  if (document.body().type() == T::descriptor()->full_name() && body.ParseFromString(document.body().bytes()))
    return body;
  return Error{Code::internal, "corrupt",
               "The body of " + key_of(document).text() + " is not a " + T::descriptor()->full_name() +
                   ". Roll it back or store it again.",
               ""};
}

}  // namespace cx
