#include <doctest/doctest.h>
#include <map>
#include <rapidcheck.h>

#include "runtime/catalog/rocks_store.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/runtime/catalog/jetstream_node.hpp"

namespace cx {
namespace {

using Documents = std::vector<v1::Document>;

/// A home of documents that can be closed and opened again.
struct Home {
  virtual ~Home() = default;
  virtual void open() = 0;
  virtual DocumentStore& store() = 0;
};

struct RocksHome final : Home {
  RocksHome() { open(); }
  void open() override {
    held.reset();
    auto opened = RocksDocumentStore::open("/data/catalog", environment.files());
    REQUIRE(opened);
    held = std::move(*opened);
  }
  DocumentStore& store() override { return *held; }

  test::FaultEnvironment environment;
  std::unique_ptr<RocksDocumentStore> held;
};

struct JetStreamHome final : Home {
  JetStreamHome() { open(); }
  void open() override { node.open(cluster); }
  DocumentStore& store() override { return *node.store; }

  const std::string cluster = test::new_cluster();
  test::JetStreamNode node;
};

std::unique_ptr<Home> (*const kHomes[])() = {
    []() -> std::unique_ptr<Home> { return std::make_unique<RocksHome>(); },
    []() -> std::unique_ptr<Home> { return std::make_unique<JetStreamHome>(); }};

v1::Document document(const DocumentKey& key, std::uint64_t revision, const std::string& body) {
  v1::Document out;
  out.set_kind(key.kind);
  out.set_tenant(key.tenant);
  out.set_id(key.id);
  out.set_revision(revision);
  if (body != "removed") out.mutable_body()->set_bytes(body);
  return out;
}

std::optional<Error> put(DocumentStore& store, const DocumentKey& key, std::uint64_t revision,
                         const std::string& body) {
  auto one = document(key, revision, body);
  return store.put({&one, 1}).front();
}

std::string bodies(const Result<Documents>& documents) {
  REQUIRE(documents);
  std::string out;
  for (const auto& d : *documents) out += d.id() + std::to_string(d.revision()) + d.body().bytes() + ' ';
  return out;
}

/// The documents as they should be, and the changes.
struct Model {
  std::map<DocumentKey, Documents> documents;
  Documents changes;
};

}  // namespace

TEST_CASE("every home of documents does as a map would, whatever comes in which order") {
  for (const auto make : kHomes)
    CHECK(rc::check([make] {
      const auto home = make();
      Model model;
      const std::vector<std::string> ids = {"a", "a-b", "ab", "b", "Z_9"};
      const auto steps = *rc::gen::inRange(1, 40);
      for (int step = 0; step < steps; ++step) {
        if (*rc::gen::inRange(0, 8) == 0) home->open();
        Documents batch;
        for (int n = *rc::gen::inRange(1, 5); n > 0; --n) {
          const DocumentKey key{*rc::gen::element<std::string>("x", "xy", "y"),
                                *rc::gen::element<std::string>("t", "t-u", "tu"), *rc::gen::elementOf(ids)};
          const auto wrong = *rc::gen::inRange(0, 4) == 0 ? 1 : 0;
          batch.push_back(document(key, model.documents[key].size() + 1 + wrong,
                                   *rc::gen::element<std::string>("removed", "", "1", "22")));
          // Later documents of a batch see the earlier ones.
          if (wrong == 0) model.documents[key].push_back(batch.back());
        }
        const auto results = home->store().put(batch);
        for (std::size_t i = 0; i < batch.size(); ++i) {
          RC_ASSERT((results[i] || batch[i].revision() <= model.documents[key_of(batch[i])].size()));
          if (results[i]) {
            RC_ASSERT(results[i]->code == Code::conflict);
          } else {
            RC_ASSERT((model.changes.empty() || batch[i].change() > model.changes.back().change()));
            model.changes.push_back(batch[i]);
            model.documents[key_of(batch[i])][batch[i].revision() - 1] = batch[i];
          }
        }
      }
      const auto& store = home->store();
      std::map<std::string, std::string> listed, scanned;
      for (const auto& [key, revisions] : model.documents) {
        const auto newest = store.latest(key);
        RC_ASSERT((newest && newest->has_value() == !revisions.empty()));
        RC_ASSERT(bodies(store.history(key, 0, 1'000)) ==
                  bodies(Documents(revisions.rbegin(), revisions.rend())));
        for (const auto& revision : revisions) {
          const auto found = store.revision(key, revision.revision());
          RC_ASSERT((found && *found));
          RC_ASSERT((*found)->SerializeAsString() == revision.SerializeAsString());
        }
        RC_ASSERT(!store.revision(key, revisions.size() + 1)->has_value());
        RC_ASSERT(!store.revision(key, 0)->has_value());
        if (revisions.empty() || !revisions.back().has_body()) continue;
        listed[key.kind + '/' + key.tenant] += bodies(Documents{revisions.back()});
        scanned[key.kind] += bodies(Documents{revisions.back()});
      }
      for (const auto kind : {"x", "xy", "y"}) {
        Documents all;
        const auto change = store.scan(kind, [&](v1::Document&& d) { all.push_back(std::move(d)); });
        RC_ASSERT(change);
        RC_ASSERT(*change == (model.changes.empty() ? 0 : model.changes.back().change()));
        RC_ASSERT(bodies(all) == scanned[kind]);
        for (const auto tenant : {"t", "t-u", "tu"}) {
          Documents pages;
          for (std::string after;;) {
            const auto page = store.list(kind, tenant, after, 2);
            RC_ASSERT(page);
            pages.insert(pages.end(), page->begin(), page->end());
            if (page->size() < 2) break;
            after = page->back().id();
          }
          RC_ASSERT(bodies(pages) == listed[std::string(kind) + '/' + tenant]);
        }
      }
      Documents changes;
      for (std::uint64_t after = 0;;) {
        const auto page = store.changes(after, 3);
        RC_ASSERT(page);
        if (page->empty()) break;
        changes.insert(changes.end(), page->begin(), page->end());
        after = page->back().change();
      }
      RC_ASSERT(bodies(changes) == bodies(model.changes));
    }));
}

TEST_CASE("a page of history begins below a revision") {
  for (const auto make : kHomes) {
    const auto home = make();
    const DocumentKey key{"x", "t", "a"};
    for (std::uint64_t n = 1; n <= 5; ++n) REQUIRE(!put(home->store(), key, n, "v"));
    CHECK(bodies(home->store().history(key, 0, 2)) == "a5v a4v ");
    CHECK(bodies(home->store().history(key, 4, 2)) == "a3v a2v ");
    CHECK(bodies(home->store().history(key, 2, 2)) == "a1v ");
    CHECK(bodies(home->store().history(key, 1, 2)).empty());
  }
}

TEST_CASE("whoever listens is told of changes, not of refusals that changed nothing") {
  for (const auto make : kHomes) {
    const auto home = make();
    int told = 0;
    home->store().on_change([&] { ++told; });
    REQUIRE(!put(home->store(), {"x", "t", "a"}, 1, "v"));
    CHECK(told == 1);
    CHECK(put(home->store(), {"x", "t", "a"}, 1, "v")->code == Code::conflict);
    CHECK(told == 1);
  }
}

TEST_CASE("what was put survives a loss of power, and what failed was put whole or not at all") {
  using test::FaultFiles;
  int failures = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    RocksHome home;
    const DocumentKey key{"x", "t", "a"};
    std::uint64_t stored = 0;
    home.environment.disk().fail(
        {.operation = seed % 2 == 0 ? FaultFiles::Operation::write : FaultFiles::Operation::sync,
         .failure = seed % 3 == 0 ? FaultFiles::Failure::no_space : FaultFiles::Failure::io_error,
         .skip = seed % 7,
         .keep = seed,
         .suffix = ".log"});
    for (int attempt = 0; attempt < 20; ++attempt) {
      const auto error = put(home.store(), key, stored + 1, std::string(50, 'v'));
      if (!error) {
        ++stored;
        continue;
      }
      ++failures;
      INFO(error->type << ": " << error->detail);
      // Whether it took place may be asked again as soon as the files can be opened.
      const auto newest = home.store().latest(key);
      if (error->code == Code::conflict) {
        REQUIRE(newest);
        CHECK(((*newest)->revision() == stored || (*newest)->revision() == stored + 1));
        stored = (*newest)->revision();
      }
    }
    CHECK(stored >= 18);  // one failure does not last
    home.environment.disk().lose_power();
    home.held.reset();
    home.environment.disk().restore_power(seed);
    home.open();
    const auto history = home.store().history(key, 0, 100);
    REQUIRE(history);
    CHECK(history->size() >= stored);
    CHECK(home.store().changes(0, 100)->size() == history->size());
  }
  CHECK(failures > 0);
}

}  // namespace cx
