#include "runtime/catalog/compiled.hpp"

#include <doctest/doctest.h>
#include <set>
#include <thread>

#include "cx/v1/journal.pb.h"
#include "runtime/catalog/rocks_store.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/queued_executor.hpp"

namespace cx {
namespace {

using Note = v1::Reminder;
using Names = std::set<std::string>;

Result<Names> names_of(const Definitions& all) {
  Names out;
  for (const auto& [key, document] : all) {
    const auto note = read_body<Note>(document);
    if (!note) return note.error();
    if (note->name() == "poison") return Error{Code::invalid_argument, "poison", "No.", ""};
    if (note->name() == "bomb") throw std::runtime_error("boom");
    out.insert(note->name());
  }
  return out;
}

struct Fixture {
  Fixture() {
    auto opened = RocksDocumentStore::open("/data/catalog", environment.files());
    REQUIRE(opened);
    store = std::move(*opened);
    catalog = std::make_unique<Catalog>(*store, environment.clock(), executor);
    for (const auto kind : {"note", "memo", "other"})
      catalog->define<Note>(kind, [](const Note&) { return std::nullopt; });
  }
  void put(const std::string& kind, const std::string& id, const std::string& name) {
    Note note;
    note.set_name(name);
    REQUIRE(catalog->put({kind, "acme", id}, note, {}, "ann"));
  }

  test::FaultEnvironment environment;
  test::QueuedExecutor executor;
  std::unique_ptr<RocksDocumentStore> store;
  std::unique_ptr<Catalog> catalog;
};

}  // namespace

TEST_CASE("a compiled snapshot follows the documents of its kinds, once for a burst") {
  Fixture f;
  f.put("note", "a", "one");
  f.put("note", "b", "gone");
  REQUIRE(f.catalog->remove({"note", "acme", "b"}, {}, "ann"));
  const Compiled<Names> compiled(*f.catalog, {"note", "memo"}, names_of);
  CHECK(*compiled.get() == Names{"one"});

  const auto held = compiled.get();
  f.put("memo", "a", "two");
  for (int i = 0; i < 600; ++i) f.put("note", std::to_string(i), "three");
  CHECK(*compiled.get() == Names{"one"});
  f.executor.run();
  CHECK(*compiled.get() == Names{"one", "two", "three"});
  CHECK(*held == Names{"one"});
  CHECK(compiled.status().compiles == 2);
  CHECK(compiled.status().documents == 602);

  REQUIRE(f.catalog->remove({"memo", "acme", "a"}, {}, "ann"));
  f.put("other", "a", "four");
  f.executor.run();
  CHECK(*compiled.get() == Names{"one", "three"});
  f.put("other", "a", "five");
  f.executor.run();
  CHECK(compiled.status().compiles == 3);
}

TEST_CASE("what does not compile leaves the last that did, and is reported until it does") {
  for (const auto bad : {"poison", "bomb"}) {
    Fixture f;
    f.put("note", "a", "one");
    const Compiled<Names> compiled(*f.catalog, {"note"}, names_of);
    f.put("note", "b", bad);
    f.executor.run();
    CHECK(*compiled.get() == Names{"one"});
    REQUIRE(compiled.status().error);
    CHECK(compiled.status().documents == 1);

    const Compiled<Names> from_nothing(*f.catalog, {"note"}, names_of);
    CHECK(from_nothing.get()->empty());
    f.put("note", "b", "two");
    f.executor.run();
    CHECK(*compiled.get() == Names{"one", "two"});
    CHECK(*from_nothing.get() == Names{"one", "two"});
    CHECK(!compiled.status().error);
  }
}

TEST_CASE(
    "readers of a published value see whole ones, never an older one after a newer, and all are freed") {
  struct Value {
    explicit Value(int n) : first(n), second(n) { ++alive(); }
    ~Value() {
      first = -1;
      --alive();
    }
    static std::atomic<int>& alive() {
      static std::atomic<int> n{0};
      return n;
    }
    int first, second;
  };
  {
    Published<Value> published(std::make_shared<const Value>(0));
    const Published<Value> other(std::make_shared<const Value>(7));
    std::atomic<bool> stop{false}, good{true};
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; ++t)
      readers.emplace_back([&] {
        int last = 0;
        while (!stop) {
          const auto value = published.get();
          const auto nested = published.get();
          if (value->first != value->second || value->first < last || nested->first < value->first)
            good = false;
          if (other.get()->first != 7) good = false;
          last = value->first;
        }
      });
    for (int n = 1; n <= 20'000; ++n) published.set(std::make_shared<const Value>(n));
    stop = true;
    for (auto& reader : readers) reader.join();
    CHECK(good);
    CHECK(published.get()->first == 20'000);
    CHECK(Value::alive() == 2);
  }
  // What is left is what this thread read last; it lets go when it reads another.
  const Published<Value> another(std::make_shared<const Value>(1));
  CHECK(another.get()->first == 1);
  CHECK(Value::alive() == 1);
}

}  // namespace cx
