#include "runtime/journal/migrate.hpp"

#include <google/protobuf/util/message_differencer.h>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>
#include <xxhash.h>

namespace cx {
namespace {

constexpr std::size_t kDocuments = 200;  // read at once

Error interrupted() {
  return {Code::unavailable, "interrupted", "The migration was stopped. Start it again to go on with it.",
          ""};
}

Error different(const std::string& what) {
  return {Code::internal, "verification-failed",
          what +
              " is not the same in the cluster as in the storage that it was copied from. Do not use the "
              "cluster: delete its streams, and start the migration again.",
          ""};
}

/// What a shard holds, in short.
struct Digest {
  Head head;
  std::uint64_t records = 0, rows = 0, bytes = 0;
  std::uint64_t hash = 0;
  bool operator==(const Digest&) const = default;
  bool empty() const { return head == Head{} && rows == 0; }
};

Result<Digest> digest_of(const Journal& journal, std::uint32_t shard) {
  const auto head = journal.head(shard);
  if (!head) return head.error();
  Digest digest{*head};
  const auto add = [&](std::string_view bytes) {
    digest.hash = XXH3_64bits_withSeed(bytes.data(), bytes.size(), digest.hash + bytes.size());
    digest.bytes += bytes.size();
  };
  auto error = journal.read(shard, head->first - 1, [&](std::uint64_t, std::string_view record) {
    ++digest.records;
    add(record);
    return true;
  });
  for (std::size_t table = 0; table < kTables && !error; ++table) {
    digest.hash += table;
    error =
        journal.scan(static_cast<Table>(table), shard, "", [&](std::string_view key, std::string_view value) {
          ++digest.rows;
          add(key);
          add(value);
          return true;
        });
  }
  if (error) return std::move(*error);
  return digest;
}

bool is_same(v1::Document a, v1::Document b) {
  a.clear_change();
  b.clear_change();
  return google::protobuf::util::MessageDifferencer::Equals(a, b);
}

/// Documents in the order of their changes, a page at a time.
std::optional<Error> each_page(const DocumentStore& store,
                               const std::function<std::optional<Error>(std::vector<v1::Document>&)>& use) {
  for (std::uint64_t after = 0;;) {
    auto page = store.changes(after, kDocuments);
    if (!page) return page.error();
    if (page->empty()) return std::nullopt;
    after = page->back().change();
    if (auto error = use(*page)) return error;
  }
}

/// Puts revisions of different documents, or finds them to be there.
std::optional<Error> put(DocumentStore& to, std::span<v1::Document> documents) {
  const std::vector<v1::Document> wanted(documents.begin(), documents.end());
  const auto results = to.put(documents);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i]) continue;
    if (results[i]->code != Code::conflict) return results[i];
    const DocumentKey key = key_of(wanted[i]);
    const auto there = to.revision(key, wanted[i].revision());
    if (!there) return there.error();
    if (!*there || !is_same(**there, wanted[i]))
      return Error{Code::conflict, "not-empty",
                   "The cluster has a document " + key.text() +
                       " of its own. It was not changed. Choose another name for the cluster, or delete its "
                       "streams if nobody needs what they hold.",
                   ""};
  }
  return std::nullopt;
}

}  // namespace

Result<Migrated> migrate_journal(const Journal& from, JetStreamJournal& to, const OnMigration& progress) {
  if (auto error = to.check_adoptable()) return std::move(*error);
  Migrated migrated;
  std::vector<std::pair<std::uint32_t, Digest>> wanted;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    if (!progress({"shards", shard, kShards})) return interrupted();
    auto digest = digest_of(from, shard);
    if (!digest) return digest.error();
    wanted.emplace_back(shard, *digest);
    if (digest->empty()) continue;
    const auto done = to.adopt(shard, from);
    if (!done) return done.error();
    ++migrated.shards;
    if (!*done) ++migrated.skipped;
    migrated.records += digest->records;
    migrated.rows += digest->rows;
    migrated.bytes += digest->bytes;
  }
  for (const auto& [shard, digest] : wanted) {
    if (!progress({"verifying shards", shard, kShards})) return interrupted();
    const auto copied = digest_of(to, shard);
    if (!copied) return copied.error();
    if (!(*copied == digest)) return different("Shard " + std::to_string(shard));
  }
  (void)progress({"verifying shards", kShards, kShards});
  return migrated;
}

Result<std::uint64_t> migrate_documents(const DocumentStore& from, DocumentStore& to,
                                        const OnMigration& progress) {
  std::uint64_t copied = 0;
  auto error = each_page(from, [&](std::vector<v1::Document>& page) -> std::optional<Error> {
    // A document's revisions one after the other: what is put at once has no order.
    std::set<DocumentKey> keys;
    std::size_t first = 0;
    for (std::size_t i = 0; i <= page.size(); ++i) {
      if (i < page.size() && keys.insert(key_of(page[i])).second) continue;
      if (auto refused = put(to, std::span(page).subspan(first, i - first))) return refused;
      if (i == page.size()) break;
      keys = {key_of(page[i])};
      first = i;
    }
    copied += page.size();
    return progress({"documents", copied, 0}) ? std::nullopt : std::optional(interrupted());
  });
  if (error) return std::move(*error);
  std::uint64_t verified = 0;
  error = each_page(from, [&](std::vector<v1::Document>& page) -> std::optional<Error> {
    for (const auto& document : page) {
      const auto there = to.revision(key_of(document), document.revision());
      if (!there) return there.error();
      if (!*there || !is_same(**there, document)) return different("Document " + key_of(document).text());
    }
    verified += page.size();
    return progress({"verifying documents", verified, copied}) ? std::nullopt : std::optional(interrupted());
  });
  if (error) return std::move(*error);
  std::uint64_t there = 0;
  error = each_page(to, [&](std::vector<v1::Document>& page) {
    there += page.size();
    return std::optional<Error>();
  });
  if (error) return std::move(*error);
  if (there != copied) return different("The number of revisions");
  return copied;
}

}  // namespace cx
