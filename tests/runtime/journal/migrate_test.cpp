#include "runtime/journal/migrate.hpp"

#include <doctest/doctest.h>

#include "runtime/catalog/rocks_store.hpp"
#include "runtime/random.hpp"
#include "tests/runtime/journal/homes.hpp"

namespace cx::test {
namespace {

bool always(const MigrationProgress&) {
  return true;
}

/// Shards with records, rows and truncated beginnings.
void fill(Journal& journal, std::uint32_t shards, std::uint64_t seed) {
  Random random(seed);
  for (std::uint32_t i = 0; i < shards; ++i) {
    const std::uint32_t shard = i * 7 % kShards;
    for (std::uint32_t epochs = random.below(3); epochs > 0; --epochs) open_one(journal, shard);
    Head head = open_one(journal, shard);
    for (std::uint32_t n = random.below(30); n > 0; --n) {
      std::vector<Write> writes;
      writes.push_back({static_cast<Table>(random.below(kTables)), std::string(1 + random.below(3), 'k'),
                        std::string(random.below(100), 'v')});
      REQUIRE(append_one(journal, append_of(shard, head, {std::string(random.below(2'000), 'r')}, writes)) ==
              "");
      ++head.last;
    }
    if (random.below(2) == 0)
      REQUIRE_FALSE(journal.truncate(shard, random.below(static_cast<std::uint32_t>(head.last) + 1), {}));
  }
}

void compare(const Journal& a, const Journal& b) {
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    CHECK(*a.head(shard) == *b.head(shard));
    CHECK(records_of(a, shard) == records_of(b, shard));
    for (std::size_t table = 0; table < kTables; ++table)
      CHECK(rows_of(a, static_cast<Table>(table), shard) == rows_of(b, static_cast<Table>(table), shard));
  }
}

}  // namespace

TEST_CASE("a journal moves into a cluster, however often it is stopped and started again") {
  MemoryHome old;
  fill(old.journal(), 40, 5);
  const auto cluster = new_cluster();
  JetStreamNode node(shared_server().config(), cluster), other(shared_server().config(), cluster);
  Result<Migrated> result = Error{};
  for (std::uint64_t most = 3;; most *= 4) {
    node.open();
    result = migrate_journal(old.journal(), node.journal(),
                             [&](const MigrationProgress& at) { return at.done < most; });
    if (result) break;
    REQUIRE(type_of(result) == "interrupted");
  }
  CHECK(result->shards == 40);
  CHECK(result->skipped > 0);
  compare(old.journal(), node.journal());
  node.open();
  compare(old.journal(), node.journal());
  compare(old.journal(), other.open());  // a node that has nothing yet
  const auto again = migrate_journal(old.journal(), node.journal(), always);
  REQUIRE(again);
  CHECK(again->skipped == 40);

  // And the logs go on.
  const Head before = *old.journal().head(7);
  Head head = open_one(other.journal(), 7);
  CHECK(head == Head{before.epoch + 1, before.first, before.last});
  CHECK(append_one(other.journal(), append_of(7, head, {"new"})) == "");
  await_head(node.journal(), 7, head.last + 1);
  CHECK(records_of(node.journal(), 7).back().second == "new");
  CHECK_FALSE(other.journal().truncate(7, head.last + 1, {}));
  CHECK(open_one(other.open_cold(), 7).last == head.last + 1);
  CHECK(type_of(migrate_journal(old.journal(), node.journal(), always)) == "not-empty");
}

TEST_CASE("a shard that changed between two runs of a migration that had not come to it is copied as it is") {
  MemoryHome old;
  fill(old.journal(), 3, 8);
  JetStreamNode node(shared_server().config(), new_cluster());
  node.open();
  CHECK(type_of(migrate_journal(old.journal(), node.journal(),
                                [](const MigrationProgress& at) { return at.done < 7; })) == "interrupted");
  const Head head = open_one(old.journal(), 14);
  CHECK(append_one(old.journal(), append_of(14, head, {"later"})) == "");
  REQUIRE(migrate_journal(old.journal(), node.journal(), always));
  compare(old.journal(), node.journal());
}

TEST_CASE("a copy that differs from what was copied is found") {
  MemoryHome old;
  fill(old.journal(), 3, 9);
  JetStreamNode node(shared_server().config(), new_cluster());
  node.open();
  REQUIRE(migrate_journal(old.journal(), node.journal(), always));
  const Head head = open_one(old.journal(), 7);
  CHECK(append_one(old.journal(), append_of(7, head, {"later"})) == "");
  CHECK(type_of(migrate_journal(old.journal(), node.journal(), always)) == "verification-failed");
}

TEST_CASE("documents move with all their revisions") {
  FaultEnvironment environment(1), elsewhere(2);
  auto from = RocksDocumentStore::open("/from", environment.files());
  auto to = RocksDocumentStore::open("/to", elsewhere.files());
  REQUIRE(from);
  REQUIRE(to);
  const auto store = [](DocumentStore& to_store, const std::string& id, std::uint64_t revision,
                        const std::string& body) {
    v1::Document document;
    document.set_kind("offer");
    document.set_tenant("acme");
    document.set_id(id);
    document.set_revision(revision);
    document.set_etag(id + body);
    document.mutable_body()->set_bytes(body);
    return type_of(to_store.put(std::span(&document, 1))[0]);
  };
  for (std::uint64_t revision = 1; revision <= 5; ++revision)
    for (int id = 0; id < 100; ++id)
      REQUIRE(store(**from, "o" + std::to_string(id), revision, std::to_string(revision)) == "");
  CHECK(type_of(migrate_documents(**from, **to, [](const MigrationProgress& at) { return at.done < 300; })) ==
        "interrupted");
  auto moved = migrate_documents(**from, **to, always);
  REQUIRE(moved);
  CHECK(*moved == 500);
  CHECK((*to)->history({"offer", "acme", "o7"}, 0, 10)->size() == 5);
  CHECK(*migrate_documents(**from, **to, always) == 500);
  SUBCASE("the same document") {
    CHECK(store(**to, "o1", 6, "theirs") == "");
    CHECK(store(**from, "o1", 6, "ours") == "");
    CHECK(type_of(migrate_documents(**from, **to, always)) == "not-empty");
  }
  SUBCASE("another document") {
    CHECK(store(**to, "other", 1, "theirs") == "");
    CHECK(type_of(migrate_documents(**from, **to, always)) == "verification-failed");
  }
}

}  // namespace cx::test
