#include "runtime/entity/serve.hpp"

#include <caf/actor_system.hpp>
#include <doctest/doctest.h>
#include <future>

#include "runtime/entity/kind_of.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/system.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/kinds/kinds.hpp"
#include "tests/kinds/shelf.hpp"
#include "tests/virtual_time.hpp"

namespace cx::test {
namespace {

ServiceDescriptors shelves() {
  return {PutThings::descriptor()->file()->FindServiceByName("Shelves")};
}

struct Fixture {
  Fixture() {
    kinds.add(make_kind(ShelfKind{}));
    auto opened = RocksJournal::open("/data", environment);
    REQUIRE(opened);
    journal = std::move(*opened);
    entities.emplace(Entities::Parts{system, environment, kinds, *journal, commits, reads, metrics, "node"},
                     HostOptions{}, true, 2);
    REQUIRE_FALSE(entities->start());
    serve_entities(shelves(), kinds, *entities, table);
  }
  ~Fixture() { entities.reset(); }

  CallContext call(const std::string& tenant, const std::string& actor, const std::string& key = "") {
    auto caller = std::make_shared<Caller>();
    caller->tenant = tenant;
    caller->actor = actor;
    caller->roles = {"manager"};
    CallContext context;
    context.caller = std::move(caller);
    context.idempotency_key = key;
    return context;
  }
  Result<Shelf> ask(const std::string& method, const CallContext& context, const Message& message) {
    std::shared_ptr<Message> request(message.New());
    request->CopyFrom(message);
    std::promise<Services::Reply> promise;
    (*table.unary("cx.test.Shelves." + method))(
        context, request,
        Services::Respond([&](Services::Reply reply) { promise.set_value(std::move(reply)); }));
    const auto reply = promise.get_future().get();
    if (!reply) return reply.error();
    return static_cast<const Shelf&>(**reply);
  }
  Result<Shelf> put(std::uint32_t count, const CallContext& context) {
    PutThings things;
    things.set_shelf_id("a");
    things.set_count(count);
    return ask("Put", context, things);
  }
  std::uint64_t things(const std::string& tenant) {
    GetShelf get;
    get.set_shelf_id("a");
    const auto shelf = ask("Get", call(tenant, "user/ann"), get);
    REQUIRE(shelf);
    return shelf->things();
  }

  FaultEnvironment environment;
  Metrics metrics{"node"};
  SystemConfig config{VirtualTime::Config::limits()};
  caf::actor_system system{config};
  Kinds kinds = all_kinds();
  std::unique_ptr<Journal> journal;
  ThreadPool commits{1}, reads{1};
  std::optional<Entities> entities;
  Services table;
};

struct Deaf : ShelfKind {
  using Commands = std::tuple<GetShelf>;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a method with a target is a command of that entity, in the caller's tenant") {
  const auto shelf = put(3, call("acme", "user/ann"));
  REQUIRE(shelf);
  CHECK(shelf->things() == 3);
  CHECK(shelf->last_actor() == "user/ann");
  CHECK(things("acme") == 3);
  CHECK(things("other") == 0);
  CHECK(put(98, call("acme", "user/ann")).error().type == "shelf-full");
}

TEST_CASE_FIXTURE(Fixture, "an idempotency key makes a command take effect once, for each caller") {
  const auto first = put(3, call("acme", "user/ann", "key-1"));
  REQUIRE(first);
  const auto again = put(3, call("acme", "user/ann", "key-1"));
  REQUIRE(again);
  CHECK(again->SerializeAsString() == first->SerializeAsString());
  CHECK(things("acme") == 3);
  CHECK(put(4, call("acme", "user/ann", "key-1")).error().type == "idempotency-key-reused");
  CHECK(put(4, call("acme", "user/bob", "key-1")));
  CHECK(put(3, call("acme", "user/ann", "key-2")));
  CHECK(things("acme") == 10);
}

TEST_CASE_FIXTURE(Fixture, "what is sent along is sent exactly if the command is accepted") {
  const auto along = [&](const std::string& key) {
    auto context = call("acme", "user/ann", key);
    auto note = std::make_shared<PutThings>();
    note->set_count(1);
    context.along = std::make_shared<CallContext::Along>();
    context.along->to = "shelf/acme/log";
    context.along->command = note;
    return context;
  };
  const auto logged = [&] {
    GetShelf get;
    get.set_shelf_id("log");
    return ask("Get", call("acme", "user/ann"), get)->things();
  };
  auto accepted = along("key-1");
  REQUIRE(put(60, accepted));
  CHECK(accepted.along->sent);
  while (logged() == 0) std::this_thread::yield();
  CHECK_FALSE(put(60, along("")));
  CHECK(put(60, along("key-1")));  // heard before
  REQUIRE(put(1, along("")));
  while (logged() < 2) std::this_thread::yield();
  CHECK(logged() == 2);
}

TEST_CASE("a service that does not fit its kind is found out at start") {
  FaultEnvironment environment;
  Metrics metrics{"node"};
  SystemConfig config{VirtualTime::Config::limits()};
  caf::actor_system system{config};
  Kinds kinds;
  kinds.add(make_kind(Deaf{}));
  auto journal = RocksJournal::open("/data", environment);
  REQUIRE(journal);
  ThreadPool commits{1}, reads{1};
  Entities entities({system, environment, kinds, **journal, commits, reads, metrics, "node"}, {}, true, 1);
  Services table;
  CHECK_THROWS_WITH(serve_entities(shelves(), kinds, entities, table),
                    "cx.test.Shelves.Put: a shelf takes no cx.test.PutThings");
  serve_entities(shelves(), Kinds(), entities, table);  // not hosted here
  CHECK(table.unary("cx.test.Shelves.Put") == nullptr);
}

}  // namespace cx::test
