#include "runtime/catalog/catalog.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <xxhash.h>

#include "runtime/address.hpp"

namespace cx {
namespace {

constexpr int kAttempts = 16;             // of an edit that others overtake
constexpr std::size_t kWatchBatch = 256;  // changes

bool is_id(std::string_view s) {
  return !s.empty() && s.size() <= 128 && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// The revision alone would do, but for a store that was restored from a backup and edited since.
std::string etag_of(std::uint64_t revision, const std::string& body) {
  return fmt::format("{}-{:016x}", revision, XXH3_64bits(body.data(), body.size()));
}

bool exists(const std::optional<v1::Document>& newest) {
  return newest && newest->has_body();
}

Error no_such_document(const DocumentKey& key) {
  return {Code::not_found, "no-such-document", "There is no " + key.text() + ". List what there is.", ""};
}

// Why `newest` is not what an edit expects.
std::optional<Error> refuse(const Edit& edit, const std::optional<v1::Document>& newest) {
  const auto& wanted = edit.if_match;
  if (!exists(newest)) {
    if (!edit.body || wanted == "*") return no_such_document(edit.key);
    if (!wanted || wanted->empty()) return std::nullopt;
    return Error{
        Code::precondition_failed, "etag-mismatch",
        edit.key.text() + " does not exist (any more), but If-Match names an ETag of it. Read it again.", ""};
  }
  if (!wanted || *wanted == "*" || *wanted == newest->etag()) return std::nullopt;
  if (wanted->empty())
    return Error{Code::conflict, "already-exists",
                 edit.key.text() + " exists, with ETag " + newest->etag() + ". Name that to replace it.", ""};
  return Error{Code::precondition_failed, "etag-mismatch",
               edit.key.text() + " has changed: its ETag is " + newest->etag() + ", not " + *wanted +
                   ". Read it again and redo the edit.",
               ""};
}

}  // namespace

Catalog::Catalog(DocumentStore& store, const Clock& clock, Executor& executor, CatalogLimits limits)
    : store_(store), clock_(clock), executor_(executor), limits_(limits) {
  store_.on_change([this] { poll(); });
}

Catalog::~Catalog() {
  store_.on_change({});
}

std::optional<Error> Catalog::check(const Edit& edit) const {
  const auto invalid = [](std::string type, std::string detail) {
    return Error{Code::invalid_argument, std::move(type), std::move(detail), ""};
  };
  const auto kind = kinds_.find(edit.key.kind);
  if (kind == kinds_.end()) {
    std::string known;
    for (const auto& [name, _] : kinds_) known += (known.empty() ? "" : ", ") + name;
    return invalid("unknown-kind",
                   "There are no documents of kind '" + edit.key.kind + "', only of " + known + ".");
  }
  if (!is_name(edit.key.tenant))
    return invalid("invalid-key", "The tenant of a document is 1 to 63 characters of a-z, 0-9 and '-'.");
  if (!is_id(edit.key.id))
    return invalid("invalid-key",
                   "The id of a document is 1 to 128 characters of a-z, A-Z, 0-9, '-' and '_'.");
  if (!edit.body) return std::nullopt;
  const auto& type = kind->second.type->GetDescriptor()->full_name();
  if (edit.body->GetDescriptor()->full_name() != type)
    return invalid("invalid-document", edit.key.text() + " has to be a " + type + ", and is a " +
                                           edit.body->GetDescriptor()->full_name() + ".");
  if (const auto bytes = edit.body->ByteSizeLong(); bytes > limits_.document_bytes)
    return invalid("document-too-large", fmt::format("{} has {} bytes; {} is the most. Make it smaller.",
                                                     edit.key.text(), bytes, limits_.document_bytes));
  auto wrong = kind->second.validate(*edit.body);
  if (!wrong) return std::nullopt;
  wrong->code = Code::invalid_argument;
  if (wrong->type.empty()) wrong->type = "invalid-document";
  return wrong;
}

std::vector<Result<v1::Document>> Catalog::edit(std::span<const Edit> edits, const std::string& actor) {
  return edit(edits, actor, 0);
}

std::vector<Result<v1::Document>> Catalog::edit(std::span<const Edit> edits, const std::string& actor,
                                                std::uint64_t restored_from) {
  std::size_t bytes = 0;
  for (const auto& edit : edits) bytes += edit.body ? edit.body->ByteSizeLong() : 0;
  if (edits.size() > limits_.batch || bytes > limits_.batch_bytes)
    return {edits.size(),
            Error{Code::invalid_argument, "batch-too-large",
                  fmt::format("{} documents of {} bytes are too many at once: {} of {} bytes are the most.",
                              edits.size(), bytes, limits_.batch, limits_.batch_bytes),
                  ""}};

  std::vector<Result<v1::Document>> results(edits.size(), Error{});
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (auto error = check(edits[i]))
      results[i] = *error;
    else
      open.push_back(i);
  }
  for (int attempt = 1; !open.empty(); ++attempt) {
    std::vector<v1::Document> documents;
    documents.reserve(open.size());
    std::vector<std::size_t> which;                      // the edit that each document is made by
    std::map<DocumentKey, const v1::Document*> earlier;  // of this batch, as documents
    for (const auto i : open) {
      const auto& edit = edits[i];
      std::optional<v1::Document> newest;
      if (const auto found = earlier.find(edit.key); found != earlier.end()) {
        newest = *found->second;
      } else {
        auto read = store_.latest(edit.key);
        if (!read) {
          results[i] = read.error();
          continue;
        }
        newest = std::move(*read);
      }
      if (auto error = refuse(edit, newest)) {
        results[i] = *error;
        continue;
      }
      auto& next = documents.emplace_back();
      next.set_kind(edit.key.kind);
      next.set_tenant(edit.key.tenant);
      next.set_id(edit.key.id);
      next.set_revision(newest ? newest->revision() + 1 : 1);
      next.set_at(clock_.unix_ms());
      next.set_actor(actor);
      next.set_restored_from(restored_from);
      if (edit.body) {
        next.mutable_body()->set_type(edit.body->GetDescriptor()->full_name());
        next.mutable_body()->set_bytes(edit.body->SerializeAsString());
      }
      next.set_etag(etag_of(next.revision(), next.body().bytes()));
      earlier[edit.key] = &next;
      which.push_back(i);
    }
    const auto outcomes = store_.put(documents);
    open.clear();
    for (std::size_t n = 0; n < which.size(); ++n) {
      if (!outcomes[n])
        results[which[n]] = std::move(documents[n]);
      else if (outcomes[n]->code == Code::conflict && attempt < kAttempts)
        open.push_back(which[n]);  // somebody else was faster: look at what it is now
      else
        results[which[n]] = *outcomes[n];
    }
  }
  return results;
}

Result<v1::Document> Catalog::put(const DocumentKey& key, const google::protobuf::Message& body,
                                  const std::optional<std::string>& if_match, const std::string& actor) {
  // The edit ends before this call does: it may borrow the body.
  const Edit one{key, {std::shared_ptr<void>(), &body}, if_match};
  return edit({&one, 1}, actor).front();
}

Result<v1::Document> Catalog::remove(const DocumentKey& key, const std::optional<std::string>& if_match,
                                     const std::string& actor) {
  const Edit one{key, nullptr, if_match};
  return edit({&one, 1}, actor).front();
}

Result<v1::Document> Catalog::rollback(const DocumentKey& key, std::uint64_t revision,
                                       const std::optional<std::string>& if_match, const std::string& actor) {
  Edit one{key, nullptr, if_match};
  if (auto error = check(one)) return *error;
  const auto old = get(key, revision);
  if (!old) return old.error();
  if (!old->has_body())
    return Error{Code::invalid_argument, "no-such-revision",
                 fmt::format("Revision {} removed {}: there is nothing to bring back. Name an older one.",
                             revision, key.text()),
                 ""};
  const std::shared_ptr<google::protobuf::Message> body(kinds_.at(key.kind).type->New());
  if (old->body().type() != body->GetDescriptor()->full_name() || !body->ParseFromString(old->body().bytes()))
    return Error{Code::invalid_argument, "invalid-document",
                 fmt::format("Revision {} of {} is a {}, which is not read any more. Name a newer one.",
                             revision, key.text(), old->body().type()),
                 ""};
  one.body = body;
  return edit({&one, 1}, actor, revision).front();
}

Result<v1::Document> Catalog::get(const DocumentKey& key) const {
  auto newest = store_.latest(key);
  if (!newest) return newest.error();
  if (!exists(*newest)) return no_such_document(key);
  return std::move(**newest);
}

Result<v1::Document> Catalog::get(const DocumentKey& key, std::uint64_t revision) const {
  auto found = store_.revision(key, revision);
  if (!found) return found.error();
  if (*found) return std::move(**found);
  return Error{
      Code::not_found, "no-such-revision",
      fmt::format("There is no revision {} of {}. Its history lists what there is.", revision, key.text()),
      ""};
}

Result<std::vector<v1::Document>> Catalog::history(const DocumentKey& key, std::uint64_t before,
                                                   std::size_t limit) const {
  return store_.history(key, before, std::min(limit, limits_.page));
}

Result<std::vector<v1::Document>> Catalog::list(std::string_view kind, std::string_view tenant,
                                                std::string_view after, std::size_t limit) const {
  return store_.list(kind, tenant, after, std::min(limit, limits_.page));
}

std::unique_ptr<Watch> Catalog::watch(std::uint64_t after, Changes use) {
  return std::make_unique<Watch>(*this, after, std::move(use));
}

void Catalog::poll() {
  const std::lock_guard lock(watches_mutex_);
  for (auto* watch : watches_) watch->task_.wake();
}

Watch::Watch(Catalog& catalog, std::uint64_t after, Catalog::Changes use)
    : catalog_(catalog),
      use_(std::move(use)),
      after_(after),
      task_(catalog.executor_, [this] { return turn(); }) {
  {
    const std::lock_guard lock(catalog_.watches_mutex_);
    catalog_.watches_.push_back(this);
  }
  task_.wake();
}

Watch::~Watch() {
  {
    const std::lock_guard lock(catalog_.watches_mutex_);
    std::erase(catalog_.watches_, this);
  }
  task_.stop();
}

bool Watch::turn() {
  const auto changes = catalog_.store_.changes(after_, kWatchBatch);
  {
    const std::lock_guard lock(mutex_);
    error_ = changes ? std::nullopt : std::optional(changes.error());
  }
  if (!changes || changes->empty()) return false;
  const bool caught_up = changes->size() < kWatchBatch;
  after_ = changes->back().change();
  use_(*changes, caught_up);
  return !caught_up;
}

std::optional<Error> Watch::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

}  // namespace cx
