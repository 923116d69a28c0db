#include <doctest/doctest.h>

#include "tests/runtime/entity/harness.hpp"

// Messages with an id: whoever sends one again gets the same answer, and nothing happens twice.

namespace cx::test {
namespace {

struct Fixture : World {
  Fixture() { REQUIRE_FALSE(start()); }
  const std::string counter = entity("counter", 0);

  std::int64_t add_as(const std::string& source, std::uint64_t sequence, std::int64_t n,
                      std::uint64_t settled = 0) {
    return total_of(ask(counter, make_add(n), {.source = source, .sequence = sequence, .settled = settled}));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a repeated message gets the first answer") {
  CHECK(add_as("c", 1, 5) == 5);
  CHECK(add_as("c", 2, 5) == 10);
  const auto again = [&] {
    CHECK(add_as("c", 1, 5) == 5);
    CHECK(add_as("c", 2, 5) == 10);
    CHECK(total(counter) == 10);
  };
  SUBCASE("at once") {
    again();
  }
  SUBCASE("from the log") {
    restart();
    again();
  }
  SUBCASE("from a snapshot") {
    REQUIRE(stop());
    REQUIRE_FALSE(start());
    again();
  }
  SUBCASE("after a sleep") {
    advance(120'000);
    CHECK(resident() == 0);
    again();
  }
  CHECK(add_as("d", 1, 1) == 11);
  CHECK(add_as("c", 3, 1) == 12);
}

TEST_CASE_FIXTURE(Fixture, "a message repeated before its commit waits for it") {
  total(counter);
  hold_commits(true);
  const Envelope envelope{.source = "c", .sequence = 1};
  const auto first = send(counter, make_add(5), envelope), second = send(counter, make_add(5), envelope);
  run();
  CHECK_FALSE(*second);
  hold_commits(false);
  run();
  CHECK(total_of(**first) == 5);
  CHECK(total_of(**second) == 5);
  CHECK(records(shard_at(0)).size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "what is settled is forgotten, and dropped when it comes all the same") {
  for (std::uint64_t i = 1; i <= 10; ++i) add_as("c", i, 1);
  CHECK(inspect(counter)->seen(0).handled_size() == 10);
  CHECK(add_as("c", 11, 1, 9) == 11);
  CHECK(inspect(counter)->seen(0).handled_size() == 3);
  const auto late = ask(counter, make_add(1), {.source = "c", .sequence = 4});
  REQUIRE(late);
  CHECK(*late == nullptr);
  CHECK(total(counter) == 11);
  CHECK(add_as("c", 9, 1) == 9);
  restart();
  CHECK(ask(counter, make_add(1), {.source = "c", .sequence = 4}));
  CHECK(total(counter) == 11);
}

TEST_CASE_FIXTURE(Fixture, "messages of a source may come in any order") {
  for (const std::uint64_t i : {5, 2, 9, 1, 7}) add_as("c", i, 1);
  CHECK(total(counter) == 5);
  for (const std::uint64_t i : {1, 2, 3, 5, 7, 9}) add_as("c", i, 1);
  CHECK(total(counter) == 6);
}

TEST_CASE_FIXTURE(Fixture, "a refused message may be sent again, and is then decided anew") {
  CHECK(ask(counter, make_take(3), {.source = "c", .sequence = 1}).error().type == "too-little");
  add(counter, 5);
  CHECK(total_of(ask(counter, make_take(3), {.source = "c", .sequence = 1})) == 2);
  CHECK(total_of(ask(counter, make_take(3), {.source = "c", .sequence = 1})) == 2);
}

TEST_CASE_FIXTURE(Fixture, "an entity remembers only so many unsettled messages of one source") {
  for (std::uint64_t i = 1; i <= 1'024; ++i) REQUIRE(add_as("c", i, 1) > 0);
  const auto refused = ask(counter, make_add(1), {.source = "c", .sequence = 1'025});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::overloaded);
  CHECK(add_as("c", 7, 1) == 7);
  CHECK(add_as("d", 1, 1) == 1'025);
  // Whoever settles what it has been answered may go on.
  CHECK(add_as("c", 1'025, 1, 1'020) == 1'026);
}

TEST_CASE_FIXTURE(Fixture, "without the memory for messages, a repeat takes effect twice") {
  options_.host.sabotage.no_dedupe = true;
  restart();
  add_as("c", 1, 1);
  CHECK(add_as("c", 1, 1) == 2);
}

}  // namespace cx::test
