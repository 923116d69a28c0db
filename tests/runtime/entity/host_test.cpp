#include "runtime/entity/host.hpp"

#include <doctest/doctest.h>

#include "tests/runtime/entity/harness.hpp"

// What an entity and its caller can rely on while nothing breaks.

namespace cx::test {
namespace {

struct Fixture : World {
  Fixture() { REQUIRE_FALSE(start()); }
  const std::string counter = entity("counter", 0), account = entity("account", 1),
                    alarm = entity("alarm", 2);
};

Result<Request> route_to(const World& world, const std::string& address, const Message& command) {
  auto copy = std::shared_ptr<Message>(command.New());
  copy->CopyFrom(command);
  return route(world.kinds(), address, MessagePtr(copy));
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an entity wakes up on its first message, and keeps what it was told") {
  CHECK(resident() == 0);
  CHECK(total(counter) == 0);
  CHECK(add(counter, 3) == 3);
  CHECK(add(counter, 4) == 7);
  CHECK(total(counter) == 7);
  CHECK(total(entity("counter", 4)) == 0);
  CHECK(resident() == 2);
  restart();
  CHECK(resident() == 0);
  CHECK(total(counter) == 7);
}

TEST_CASE_FIXTURE(Fixture, "a command is answered once it is on disk, and not before") {
  total(counter);
  hold_commits(true);
  const auto first = send(counter, make_add(1)), second = send(counter, make_add(1));
  run();
  CHECK_FALSE(*first);
  CHECK(records(shard_at(0)).empty());
  hold_commits(false);
  CHECK(step());  // the first goes alone, the second in the next commit
  CHECK(records(shard_at(0)).size() == 1);
  CHECK_FALSE(*first);
  CHECK(step());
  CHECK(total_of(**first) == 1);
  CHECK_FALSE(*second);
  run();
  CHECK(total_of(**second) == 2);
}

TEST_CASE_FIXTURE(Fixture, "a relaxed command is answered at once, and written within a few milliseconds") {
  total(counter);
  const auto relaxed = send(counter, make_relaxed(1));
  REQUIRE(*relaxed);
  CHECK(total_of(**relaxed) == 1);
  run();
  CHECK(records(shard_at(0)).empty());
  advance(20);
  CHECK(records(shard_at(0)).size() == 1);

  SUBCASE("it waits for what it saw of others that are not") {
    hold_commits(true);
    send(counter, make_add(10));
    const auto after = send(counter, make_relaxed(1));
    run();
    CHECK_FALSE(*after);
    hold_commits(false);
    run();
    CHECK(total_of(**after) == 12);
  }
  SUBCASE("a crash may forget it") {
    send(counter, make_relaxed(1));
    restart();
    CHECK(total(counter) == 1);
  }
}

TEST_CASE_FIXTURE(Fixture, "nothing is relaxed where the node is strict") {
  options_.host.strict = true;
  restart();
  total(counter);
  hold_commits(true);
  const auto relaxed = send(counter, make_relaxed(1));
  run();
  CHECK_FALSE(*relaxed);
}

TEST_CASE_FIXTURE(Fixture, "a query, and a refusal, wait until what they saw is on disk, and write nothing") {
  add(counter, 5);
  const auto before = records(shard_at(0)).size();
  hold_commits(true);
  send(counter, make_add(1));
  const auto query = send(counter, GetTotal());
  const auto refusal = send(counter, make_take(7));
  const auto elsewhere = send(entity("counter", 4), GetTotal());
  run();
  CHECK_FALSE(*query);
  CHECK_FALSE(*refusal);
  CHECK(*elsewhere);
  hold_commits(false);
  run();
  CHECK(total_of(**query) == 6);
  CHECK((**refusal).error().type == "too-little");
  CHECK(records(shard_at(0)).size() == before + 1);
  CHECK(total(counter) == 6);
}

TEST_CASE_FIXTURE(Fixture, "a query makes a relaxed command durable before it answers") {
  total(counter);
  send(counter, make_relaxed(1));
  CHECK(total(counter) == 1);
  CHECK(records(shard_at(0)).size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a handler that throws is contained to its command") {
  add(counter, 5);
  const auto answer = ask(counter, Explode());
  REQUIRE_FALSE(answer);
  CHECK(answer.error().type == "handler-failed");
  CHECK(answer.error().detail.find(counter) != std::string::npos);
  CHECK(answer.error().detail.find("boom") != std::string::npos);
  CHECK(total(counter) == 5);
  CHECK(records(shard_at(0)).size() == 1);
  CHECK(probe("counter").failures.value() == 1);
}

TEST_CASE_FIXTURE(Fixture, "what cannot be routed is refused with what is wrong about it") {
  struct {
    const char* address;
    const char* type;
    Code code;
  } const table[] = {
      {"counter/t", "invalid-address", Code::invalid_argument},
      {"counter/T/x", "invalid-address", Code::invalid_argument},
      {"counter/t/", "invalid-address", Code::invalid_argument},
      {"abacus/t/x", "unknown-kind", Code::not_found},
      {"account/t/x", "unknown-command", Code::invalid_argument},
  };
  for (const auto& row : table) {
    CAPTURE(row.address);
    const auto answer = ask(row.address, make_add(1));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().type == row.type);
    CHECK(answer.error().code == row.code);
    CHECK_FALSE(answer.error().detail.empty());
  }
}

TEST_CASE_FIXTURE(Fixture, "a shard of somebody else is refused, and so is everything after stop") {
  auto request = route_to(*this, counter, make_add(1));
  request->shard = 5;
  std::optional<Answer> answer;
  host_of(shard_at(0)).handle(*request, [&](Answer a) { answer = std::move(a); });
  REQUIRE(answer);
  CHECK(answer->error().code == Code::unavailable);

  host_of(shard_at(0)).stop([] {});
  run();
  CHECK(ask(counter, make_add(1)).error().type == "stopping");
}

TEST_CASE_FIXTURE(Fixture, "a command past its deadline does nothing") {
  CHECK(ask(counter, make_add(1), {.deadline = now() - 1}).error().type == "deadline-exceeded");
  CHECK(total_of(ask(counter, make_add(1), {.deadline = now()})) == 1);
  tick();
  CHECK(records(shard_at(0)).size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a record holds all that the decision was made from, and led to") {
  tell(account, make_deposit(10),
       {.source = "client",
        .sequence = 7,
        .settled = 3,
        .deadline = now() + 5,
        .actor = "user/ann",
        .trace = "t-1"});
  const auto all = records(shard_at(1));
  REQUIRE(all.size() == 1);
  const auto& record = all[0];
  CHECK(record.shard() == shard_at(1));
  CHECK(record.sequence() == 1);
  CHECK(record.epoch() == 1);
  CHECK(record.entity() == account);
  CHECK(record.command().type() == "cx.test.Deposit");
  CHECK(record.now() == now());
  CHECK(record.actor() == "user/ann");
  CHECK(record.trace() == "t-1");
  CHECK(record.deadline() == now() + 5);
  CHECK(record.id().source() == "client");
  CHECK(record.id().sequence() == 7);
  CHECK(record.id().settled() == 3);
  CHECK(record.schema() == 1);
  CHECK(record.events_size() == 1);
  CHECK(record.reply().type() == "cx.test.Balance");
}

TEST_CASE_FIXTURE(Fixture,
                  "stop writes what is relaxed, snapshots what has changed, and says when it is done") {
  for (unsigned n = 0; n < 12; ++n) total(entity("counter", n));
  for (unsigned n = 0; n < 12; ++n) send(entity("counter", n), make_relaxed(n));
  CHECK(stop());
  REQUIRE_FALSE(start());
  for (unsigned n = 0; n < 12; ++n) {
    CHECK(stored_snapshot(entity("counter", n)));
    CHECK(total(entity("counter", n)) == n);
  }
  for (const auto shard : options_.shards) {
    CHECK(status(shard).checkpoint == status(shard).last);
    CHECK(status(shard).dirty == 0);
  }
}

TEST_CASE_FIXTURE(Fixture, "an entity can be looked at as it is, asleep or awake") {
  CHECK(inspect(counter)->sequence() == 0);
  add(counter, 3);
  const auto seen = inspect(counter);
  REQUIRE(seen);
  CHECK(seen->sequence() == 1);
  CounterState state;
  CHECK(state.ParseFromString(seen->state()));
  CHECK(state.total() == 3);
  CHECK(inspect("abacus/t/x").error().type == "unknown-kind");
}

TEST_CASE_FIXTURE(Fixture,
                  "the log reproduces itself: the same command and context lead to the same record") {
  options_.shards = {3};
  restart();
  for (int i = 0; i < 5; ++i) {
    add(entity("counter", 0), i);
    tell(entity("account", 0), make_deposit(100));
    tell(entity("account", 0), make_transfer(entity("account", 1), 10 + i),
         {.source = "c", .sequence = static_cast<std::uint64_t>(i)});
    tell(entity("alarm", 0), make_alarm("a" + std::to_string(i), now() + 100, 2, 50));
    advance(1'000);
  }
  std::map<std::string, std::unique_ptr<Entity>> entities;
  std::size_t compared = 0;
  for (const auto& record : records(3)) {
    CAPTURE(record.DebugString());
    const auto request = route(kinds(), record.entity(), record.command());
    REQUIRE(request);
    auto& entity = entities[record.entity()];
    if (!entity) entity = request->kind->make(record.entity());
    const auto key = record.entity().substr(record.entity().rfind('/') + 1);
    const Context context{record.now(),   record.entity(),   "t",          key, record.actor(),
                          record.trace(), record.deadline(), record.seed()};
    const auto decision = entity->decide(*request->type, *request->command, context);
    REQUIRE(decision);
    REQUIRE(decision->events.size() == static_cast<std::size_t>(record.events_size()));
    for (int i = 0; i < record.events_size(); ++i)
      CHECK(decision->events[static_cast<std::size_t>(i)] == record.events(i));
    REQUIRE(decision->effects.outbox.size() == static_cast<std::size_t>(record.outbox_size()));
    for (int i = 0; i < record.outbox_size(); ++i) {
      const auto& letter = decision->effects.outbox[static_cast<std::size_t>(i)];
      CHECK(letter.to == record.outbox(i).to());
      CHECK(letter.command->SerializeAsString() == record.outbox(i).command().bytes());
    }
    REQUIRE(decision->effects.reminders.size() == static_cast<std::size_t>(record.reminders_size()));
    for (int i = 0; i < record.reminders_size(); ++i)
      CHECK(decision->effects.reminders[static_cast<std::size_t>(i)].due == record.reminders(i).due());
    ++compared;
  }
  CHECK(compared >= 5 * 6);  // add, deposit, transfer, credit, set, two rings
  for (const auto& [address, entity] : entities) CHECK(entity->save() == inspect(address)->state());
}

}  // namespace cx::test
