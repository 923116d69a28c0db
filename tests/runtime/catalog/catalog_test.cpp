#include "runtime/catalog/catalog.hpp"

#include <doctest/doctest.h>
#include <thread>

#include "cx/v1/journal.pb.h"
#include "runtime/catalog/rocks_store.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/queued_executor.hpp"

namespace cx {
namespace {

// A made-up kind of documents, "note". It borrows a message of the contract.
using Note = v1::Reminder;

Note note(const std::string& name, std::int64_t due = 0) {
  Note out;
  out.set_name(name);
  out.set_due(due);
  return out;
}

std::shared_ptr<const Note> shared_note(const std::string& name) {
  return std::make_shared<Note>(note(name));
}

struct Fixture {
  Fixture() {
    auto opened = RocksDocumentStore::open("/data/catalog", environment.files());
    REQUIRE(opened);
    store = std::move(*opened);
    catalog = std::make_unique<Catalog>(*store, environment.clock(), executor,
                                        CatalogLimits{.document_bytes = 1'000, .batch = 10'000});
    catalog->define<Note>("note", [](const Note& n) -> std::optional<Error> {
      if (!n.name().empty()) return std::nullopt;
      return Error{Code::internal, "", "A note has a name.", "/name"};
    });
    catalog->define<v1::TypedBytes>("other", [](const v1::TypedBytes&) { return std::nullopt; });
  }

  std::string put(const std::string& id, const std::string& name, std::optional<std::string> if_match = {}) {
    const auto done = catalog->put({"note", "acme", id}, note(name), if_match, "ann");
    return done ? done->etag() : done.error().type;
  }
  std::string name(const std::string& id) {
    const auto got = catalog->get({"note", "acme", id});
    return got ? read_body<Note>(*got)->name() : got.error().type;
  }

  test::FaultEnvironment environment;
  test::QueuedExecutor executor;
  std::unique_ptr<RocksDocumentStore> store;
  std::unique_ptr<Catalog> catalog;
};

}  // namespace

TEST_CASE("an edit says what it is an edit of") {
  const std::string absent = "no-such-document", mismatch = "etag-mismatch";
  struct Row {
    const char* before;  // "": never was; "gone": was removed
    std::optional<std::string> if_match;
    std::string put, remove;  // the errors; "": done
  };
  const Row rows[] = {
      {"", std::nullopt, "", absent},
      {"", "", "", absent},
      {"", "*", absent, absent},
      {"", "1-abc", mismatch, absent},
      {"gone", std::nullopt, "", absent},
      {"gone", "", "", absent},
      {"gone", "*", absent, absent},
      {"gone", "current", mismatch, absent},
      {"there", std::nullopt, "", ""},
      {"there", "", "already-exists", "already-exists"},
      {"there", "*", "", ""},
      {"there", "1-abc", mismatch, mismatch},
      {"there", "current", "", ""},
  };
  for (const auto& row : rows)
    for (const bool removes : {false, true}) {
      CAPTURE(row.before);
      CAPTURE(row.if_match.value_or("(none)"));
      Fixture f;
      const DocumentKey key{"note", "acme", "a"};
      auto if_match = row.if_match;
      if (*row.before != '\0') {
        const auto etag = f.put("a", "first");
        if (if_match == "current") if_match = etag;
        if (row.before == std::string("gone")) REQUIRE(f.catalog->remove(key, {}, "ann"));
      }
      const auto done =
          removes ? f.catalog->remove(key, if_match, "ann") : f.catalog->put(key, note("b"), if_match, "ann");
      CHECK((done ? "" : done.error().type) == (removes ? row.remove : row.put));
      if (!done && done.error().type == mismatch) CHECK(done.error().code == Code::precondition_failed);
    }
}

TEST_CASE("a conflict names the current ETag, and every revision has another") {
  Fixture f;
  const auto first = f.put("a", "x"), second = f.put("a", "x");
  CHECK(first != second);
  const auto refused = f.catalog->put({"note", "acme", "a"}, note("y"), first, "bob");
  REQUIRE(!refused);
  CHECK(refused.error().detail.find(second) != std::string::npos);
}

TEST_CASE("what is not valid is not stored, and the error says where it is wrong") {
  Fixture f;
  struct Row {
    DocumentKey key;
    Note body;
    const char *type, *pointer;
  };
  const Row rows[] = {
      {{"note", "acme", "a"}, note(""), "invalid-document", "/name"},
      {{"other", "acme", "a"}, note("x"), "invalid-document", ""},
      {{"nothing", "acme", "a"}, note("x"), "unknown-kind", ""},
      {{"note", "Acme", "a"}, note("x"), "invalid-key", ""},
      {{"note", "", "a"}, note("x"), "invalid-key", ""},
      {{"note", "acme", ""}, note("x"), "invalid-key", ""},
      {{"note", "acme", "a/b"}, note("x"), "invalid-key", ""},
      {{"note", "acme", std::string("a\0b", 3)}, note("x"), "invalid-key", ""},
      {{"note", "acme", std::string(129, 'a')}, note("x"), "invalid-key", ""},
      {{"note", "acme", "a"}, note(std::string(1'000, 'x')), "document-too-large", ""},
  };
  for (const auto& row : rows) {
    const auto done = f.catalog->put(row.key, row.body, {}, "ann");
    REQUIRE(!done);
    CHECK(done.error().code == Code::invalid_argument);
    CHECK(done.error().type == row.type);
    CHECK(done.error().pointer == row.pointer);
    CHECK(!done.error().detail.empty());
  }
  CHECK(f.store->changes(0, 10)->empty());
  CHECK(f.catalog->put({"note", "acme", std::string(128, 'a')}, note("x"), {}, "ann"));
}

TEST_CASE("history keeps who did what, and a rollback is a revision of its own") {
  Fixture f;
  const DocumentKey key{"note", "acme", "a"};
  f.put("a", "one");
  f.environment.set_clock().advance(5);
  f.put("a", "two");
  REQUIRE(f.catalog->remove(key, {}, "bob"));
  CHECK(f.name("a") == "no-such-document");
  CHECK(f.catalog->list("note", "acme", "", 10)->empty());

  const auto back = f.catalog->rollback(key, 1, "", "eve");
  REQUIRE(back);
  CHECK(back->revision() == 4);
  CHECK(back->restored_from() == 1);
  CHECK(back->actor() == "eve");
  CHECK(f.name("a") == "one");
  const auto history = f.catalog->history(key, 0, 10);
  REQUIRE(history->size() == 4);
  CHECK(!(*history)[1].has_body());
  CHECK((*history)[1].actor() == "bob");
  CHECK((*history)[2].at() == (*history)[3].at() + 5);
  CHECK(f.catalog->get(key, 3)->revision() == 3);

  CHECK(f.catalog->rollback(key, 9, {}, "eve").error().type == "no-such-revision");
  CHECK(f.catalog->rollback(key, 3, {}, "eve").error().type == "no-such-revision");
  CHECK(f.catalog->rollback(key, 1, "1-stale", "eve").error().type == "etag-mismatch");
  CHECK(f.catalog->rollback({"note", "acme", "z"}, 1, {}, "eve").error().code == Code::not_found);

  // Rules have become stricter since.
  f.catalog->define<Note>("note", [](const Note& n) -> std::optional<Error> {
    if (n.name() != "one") return std::nullopt;
    return Error{Code::invalid_argument, "", "One is none.", "/name"};
  });
  CHECK(f.catalog->rollback(key, 1, {}, "eve").error().pointer == "/name");
  CHECK(f.catalog->rollback(key, 2, {}, "eve"));
}

TEST_CASE("ten thousand documents take one sync, and each succeeds or fails alone") {
  Fixture f;
  std::vector<Edit> edits;
  for (int i = 0; i < 10'000; ++i)
    edits.push_back({{"note", "acme", "n" + std::to_string(i)}, shared_note(i % 100 == 7 ? "" : "x"), {}});
  const auto syncs = f.environment.disk().count(test::FaultFiles::Operation::sync, ".log");
  const auto results = f.catalog->edit(edits, "ann");
  CHECK(f.environment.disk().count(test::FaultFiles::Operation::sync, ".log") == syncs + 1);
  int refused = 0;
  for (const auto& result : results) refused += result ? 0 : 1;
  CHECK(refused == 100);
  CHECK(f.catalog->list("note", "acme", "", 10'000)->size() == 1'000);

  edits.push_back(edits.front());
  const auto too_many = f.catalog->edit(edits, "ann");
  CHECK(too_many.size() == 10'001);
  CHECK(too_many.back().error().type == "batch-too-large");
}

TEST_CASE("edits of one document in one batch follow each other") {
  Fixture f;
  const DocumentKey key{"note", "acme", "a"};
  const Edit edits[] = {{key, shared_note("one"), ""},
                        {key, shared_note("two"), {}},
                        {key, shared_note("no"), ""},
                        {key, nullptr, "*"},
                        {key, nullptr, {}},
                        {key, shared_note("three"), ""}};
  const auto results = f.catalog->edit(edits, "ann");
  CHECK(results[1]->revision() == 2);
  CHECK(results[2].error().type == "already-exists");
  CHECK(results[3]->revision() == 3);
  CHECK(results[4].error().type == "no-such-document");
  CHECK(results[5]->revision() == 4);
  CHECK(f.name("a") == "three");
}

TEST_CASE("edits that race lose no revision, and only one of those that name the same ETag wins") {
  Fixture f;
  f.put("a", "x");
  const auto etag = f.put("b", "x");
  std::atomic<int> won{0}, done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      const auto once = f.catalog->put({"note", "acme", "b"}, note("y"), etag, "t");
      won += once ? 1 : 0;
      for (int i = 0; i < 50; ++i) done += f.catalog->put({"note", "acme", "a"}, note("y"), {}, "t") ? 1 : 0;
    });
  for (auto& thread : threads) thread.join();
  CHECK(won == 1);
  CHECK(f.catalog->get({"note", "acme", "a"})->revision() == static_cast<std::uint64_t>(done + 1));
  CHECK(done > 50);
}

TEST_CASE("a watch misses nothing from where it resumes, and repeats nothing") {
  Fixture f;
  std::vector<std::uint64_t> seen;
  int ends = 0;
  const auto use = [&](std::span<const v1::Document> changes, bool caught_up) {
    CHECK(changes.size() <= 256);
    for (const auto& document : changes) seen.push_back(document.change());
    ends += caught_up ? 1 : 0;
  };
  std::vector<Edit> edits;
  for (int i = 0; i < 1'000; ++i)
    edits.push_back({{"note", "acme", std::to_string(i)}, shared_note("x"), {}});
  f.catalog->edit(edits, "ann");
  {
    const auto watch = f.catalog->watch(0, use);
    CHECK(seen.empty());
    f.executor.run();
    CHECK(seen.size() == 1'000);
    CHECK(ends == 1);
    f.put("a", "x");
    f.put("a", "y");
    CHECK(f.executor.run() == 1);
    CHECK(seen.size() == 1'002);
    f.put("a", "z");
  }
  f.executor.run();
  CHECK(seen.size() == 1'002);
  f.put("b", "x");
  const auto resumed = f.catalog->watch(seen.back(), use);
  f.executor.run();
  REQUIRE(seen.size() == 1'004);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
}

TEST_CASE("a watch that ends while changes come in is not called afterwards") {
  Fixture f;
  ThreadPool pool(2);
  Catalog catalog(*f.store, f.environment.clock(), pool);
  catalog.define<Note>("note", [](const Note&) { return std::nullopt; });
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) REQUIRE(catalog.put({"note", "acme", "a"}, note("x"), {}, "t"));
  });
  for (int i = 0; i < 200; ++i) {
    auto alive = std::make_unique<std::atomic<int>>(0);
    auto watch = catalog.watch(0, [&](std::span<const v1::Document> changes, bool) {
      alive->fetch_add(static_cast<int>(changes.size()));
    });
    if (i % 2 == 0) std::this_thread::yield();
    watch.reset();
    alive.reset();
  }
  stop = true;
  writer.join();
}

}  // namespace cx
