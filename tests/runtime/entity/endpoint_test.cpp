#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_response_promise.hpp>
#include <doctest/doctest.h>
#include <future>
#include <mutex>
#include <thread>

#include "runtime/entity/entities.hpp"
#include "runtime/entity/messages.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/system.hpp"
#include "tests/runtime/entity/harness.hpp"
#include "tests/virtual_time.hpp"

// Messages to what is no entity: at least once, with the same id, however long it takes.

namespace cx::test {
namespace {

const Kinds& kinds_and_till() {
  static const Kinds kinds = [] {
    auto all = all_kinds();
    all.add_endpoint("till", {&Credit::default_instance()});
    all.add_endpoint("safe", {&Credit::default_instance(), &Add::default_instance()});
    return all;
  }();
  return kinds;
}

struct Fixture : World {
  Fixture()
      : World([] {
          WorldOptions options;
          options.kinds = &kinds_and_till();
          options.hosts = 2;
          return options;
        }()) {
    endpoint = [this](const Letter& letter, const Respond& respond) {
      letters.push_back(letter);
      if (answer)
        respond(*answer);
      else
        waiting.push_back(respond);
    };
    REQUIRE_FALSE(start());
    tell(from, make_deposit(100'000));
  }
  const std::string from = entity("account", 0), other = entity("account", 1);
  std::vector<Letter> letters;
  std::optional<Answer> answer = Answer(MessagePtr());  ///< to what comes; absent to let it wait
  std::vector<Respond> waiting;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a message to an endpoint arrives with all that it needs, once it is on disk") {
  hold_commits(true);
  const auto reply = send(from, make_transfer("till/t/a/b", 10));
  run();
  CHECK(letters.empty());
  hold_commits(false);
  run();
  CHECK(**reply);
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].to == "till/t/a/b");
  CHECK(letters[0].from == from);
  CHECK(letters[0].id == std::to_string(shard_at(0)) + "-2-0");
  CHECK(dynamic_cast<const Credit&>(*letters[0].command).amount() == 10);
  advance(100);
  CHECK(rows(Table::outbox) == 0);
  advance(60'000);
  CHECK(letters.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "only messages may go there, and only those that it takes") {
  CHECK(route(kinds(), "till/t/a").error().type == "unknown-kind");
  CHECK(route(kinds(), "till/t/a", std::make_shared<Credit>()).error().type == "unknown-kind");
  CHECK(route_letter(kinds(), "till/t/a", std::make_shared<Credit>())->endpoint->name == "till");
  CHECK(route_letter(kinds(), "till/t/a", std::make_shared<Add>()).error().type == "unknown-command");
  CHECK(route_letter(kinds(), "safe/t/a", std::make_shared<Add>()));
  CHECK(route_letter(kinds(), "till/T/a", std::make_shared<Credit>()).error().type == "invalid-address");
  CHECK(route_letter(kinds(), "till/t", std::make_shared<Credit>()).error().type == "invalid-address");
  CHECK(route_letter(kinds(), from, std::make_shared<Credit>())->kind != nullptr);
  CHECK(inspect("till/t/a").error().type == "unknown-kind");
  tell(from, make_transfer("till/T/a", 1));
  CHECK(dead_letters().size() == 1);
  CHECK(letters.empty());
}

TEST_CASE_FIXTURE(Fixture,
                  "it may take minutes to answer, and gets nothing twice; after a crash it gets it again") {
  answer.reset();
  tell(from, make_transfer("till/t/a", 10));
  advance(300'000);
  REQUIRE(letters.size() == 1);
  CHECK(rows(Table::outbox) == 1);
  SUBCASE("that went well") {}
  SUBCASE("after a crash") {
    restart();
    REQUIRE(letters.size() == 2);
    CHECK(letters[1].id == letters[0].id);
    waiting.front()(MessagePtr());  // of a node that is no more
    run();
    CHECK(rows(Table::outbox) == 1);
  }
  SUBCASE("after a power cut") {
    lose_power();
    REQUIRE_FALSE(start());
    REQUIRE(letters.size() == 2);
    CHECK(letters[1].id == letters[0].id);
  }
  waiting.back()(MessagePtr());
  waiting.back()(MessagePtr());
  advance(100);
  CHECK(rows(Table::outbox) == 0);
  restart();
  advance(60'000);
  CHECK(letters.size() <= 2);
}

TEST_CASE_FIXTURE(Fixture, "what it answers decides whether it is asked again") {
  const auto error = [](Code code) { return Answer(Error{code, "why", "For a reason.", ""}); };
  std::size_t least = 1, most = 1;
  bool dead = true;
  SUBCASE("not now") {
    answer = error(Code::overloaded);
    SUBCASE("because it has much to do") {}
    SUBCASE("because it is not there") {
      answer = error(Code::unavailable);
    }
    SUBCASE("because time was up") {
      answer = error(Code::deadline_exceeded);
    }
    least = 9;
    most = 15;
    dead = false;
  }
  SUBCASE("never") {
    answer = error(Code::invalid_argument);
  }
  SUBCASE("a fault of its own") {
    answer = error(Code::internal);
    least = most = 8;
  }
  tell(from, make_transfer("till/t/a", 10));
  advance(180'000);
  CHECK(letters.size() >= least);
  CHECK(letters.size() <= most);
  REQUIRE(dead_letters().size() == (dead ? 1 : 0));
  CHECK(rows(Table::outbox) == (dead ? 0 : 1));
  answer = MessagePtr();
  letters.clear();
  if (dead) {
    const auto buried = dead_letters()[0];
    CHECK(buried.reason() == "why");
    CHECK(buried.message().to() == "till/t/a");
    CHECK_FALSE(resolve(buried, true));
    advance(100);
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].id != buried.id());  // it never took it
  } else {
    connected("safe");
    CHECK(letters.empty());
    connected("till");
    REQUIRE(letters.size() == 1);
    advance(60'000);
    CHECK(letters.size() == 1);
  }
  CHECK(rows(Table::outbox) == 0);
  CHECK(dead_letters().empty());
}

TEST_CASE_FIXTURE(Fixture, "what an endpoint keeps waiting keeps nobody else waiting") {
  options_.host.entity_credit = 10'000;
  restart();
  answer.reset();
  balance(other);
  for (int i = 0; i < 1'500; ++i) send(from, make_transfer("till/t/a", 1));
  run();
  advance(200);
  CHECK(letters.size() == 1'024);
  // More than a receiver remembers of one source, each of which it could not forget before.
  for (int i = 0; i < 3'000; ++i) {
    send(from, make_transfer(other, 1));
    if (i % 100 == 0) advance(40);
  }
  advance(1'000);
  CHECK(balance(other) == 3'000);
  CHECK(status(shard_at(0)).outbox == 1'500);
  answer = MessagePtr();
  for (const auto& respond : std::exchange(waiting, {})) respond(MessagePtr());
  advance(1'000);
  CHECK(letters.size() == 1'500);
  CHECK(rows(Table::outbox) == 0);
}

TEST_CASE_FIXTURE(
    Fixture,
    "it gets what is part of a chain within a shard, and what a failed append undoes it never does") {
  const auto second = entity("account", 4);
  balance(second);
  tell(from, make_transfer(second, 5, {from, "till/t/a"}));
  CHECK(letters.size() == 1);
  letters.clear();
  advance(20);
  environment.disk().fail({FaultFiles::Operation::write, FaultFiles::Failure::io_error, 0, false, 0, ".log"});
  CHECK_FALSE(ask(from, make_transfer(second, 5, {from, "till/t/a"})));
  advance(5'000);
  CHECK(letters.empty());
  CHECK(balance(from) == 100'000 - 5);
}

// The same with actors.

namespace {

/// What tills did.
class Book {
 public:
  void note(const std::string& id) {
    const std::lock_guard lock(mutex_);
    ids_.push_back(id);
  }
  std::vector<std::string> ids() const {
    const std::lock_guard lock(mutex_);
    return ids_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> ids_;
};

enum class Habit { answers, keeps, refuses, is_busy };

/// Ends at a string, with all that it keeps.
caf::behavior till(caf::event_based_actor* self, Book* book, Habit habit) {
  auto kept = std::make_shared<std::vector<caf::typed_response_promise<caf::unit_t>>>();
  return {[=](const Letter& letter) -> caf::result<caf::unit_t> {
            book->note(letter.id);
            if (habit == Habit::refuses)
              return to_caf(Error{Code::invalid_argument, "forged", "It is forged.", ""});
            if (habit == Habit::is_busy) return to_caf(Error{Code::overloaded, "busy", "Later.", ""});
            if (habit == Habit::answers) return caf::unit;
            kept->push_back(self->make_response_promise<caf::unit_t>());
            return caf::delegated<caf::unit_t>();
          },
          [=](const std::string&) { self->quit(); }};
}

struct Node {
  explicit Node(FaultEnvironment& e) : environment(e) {
    journal = std::move(*RocksJournal::open("/data", environment));
    entities.emplace(
        Entities::Parts{system, environment, kinds_and_till(), *journal, commits, reads, metrics, "node"},
        HostOptions{}, true, 2);
    REQUIRE_FALSE(entities->start());
  }
  Answer ask(const std::string& address, MessagePtr command) {
    std::promise<Answer> answer;
    auto request = entities->request(address, std::move(command));
    if (!request) return request.error();
    entities->ask(*std::move(request), [&](Answer given) { answer.set_value(std::move(given)); });
    return answer.get_future().get();
  }
  void pay(std::int64_t amount) {
    REQUIRE(ask("account/t/a", std::make_shared<Deposit>(make_deposit(amount))));
    REQUIRE(ask("account/t/a", std::make_shared<Transfer>(make_transfer("till/t/a", amount))));
  }
  std::uint64_t outbox() {
    std::promise<std::uint64_t> sum;
    entities->shards([&](const std::vector<ShardStatus>& all) {
      std::uint64_t n = 0;
      for (const auto& one : all) n += one.outbox;
      sum.set_value(n);
    });
    return sum.get_future().get();
  }
  /// Lets time pass until it is so, which it is before long.
  template <class Condition>
  void until(Condition condition) {
    for (int i = 0; i < 3'000 && !condition(); ++i) {
      environment.set_clock().advance(20);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    REQUIRE(condition());
  }
  void until_noted(const Book& book, std::size_t n) {
    until([&] { return book.ids().size() >= n; });
  }
  void until_delivered() {
    until([&] { return outbox() == 0; });
  }

  FaultEnvironment& environment;
  Metrics metrics{"node"};
  SystemConfig config{VirtualTime::Config::limits()};
  caf::actor_system system{config};
  std::unique_ptr<Journal> journal;
  ThreadPool commits{1}, reads{1};
  std::optional<Entities> entities;
};

}  // namespace

TEST_CASE("an actor that is connected gets what waited for it, and what comes") {
  FaultEnvironment environment;
  Book book;
  Node node(environment);
  CHECK(node.ask("till/t/a", std::make_shared<Credit>()).error().type == "unknown-kind");
  node.pay(10);
  CHECK(node.outbox() == 1);
  CHECK_THROWS_AS(node.entities->connect("bank", node.system.spawn(till, &book, Habit::answers)),
                  std::logic_error);
  node.entities->connect("till", node.system.spawn(till, &book, Habit::answers));
  node.until_noted(book, 1);
  node.pay(10);
  node.until_delivered();
  CHECK(book.ids().size() == 2);
}

TEST_CASE("what an actor takes along when it ends, the next one gets, with the same id") {
  for (const bool before : {true, false}) {
    for (const bool in_peace : {true, false}) {
      CAPTURE(before);
      CAPTURE(in_peace);
      FaultEnvironment environment;
      Book book, next;
      Node node(environment);
      const auto first = node.system.spawn(till, &book, Habit::keeps);
      const auto second = node.system.spawn(till, &next, Habit::answers);
      node.entities->connect("till", first);
      for (int i = 0; i < 5; ++i) node.pay(10);
      node.until_noted(book, 5);
      const auto kept = book.ids();
      CHECK(node.outbox() == 5);
      if (before) node.entities->connect("till", second);
      if (in_peace)
        caf::anon_send(first, std::string("end"));
      else
        caf::anon_send_exit(first, caf::exit_reason::kill);
      if (!before) {
        node.pay(10);
        node.entities->connect("till", second);
      }
      node.until_delivered();
      const auto again = next.ids();
      for (const auto& id : kept) CHECK(std::ranges::count(again, id) == 1);
      CHECK(again.size() == kept.size() + (before ? 0 : 1));
    }
  }
}

TEST_CASE("an actor's error is as good as an entity's") {
  FaultEnvironment environment;
  Book book;
  Node node(environment);
  std::size_t dead = 0;
  SUBCASE("it will not have it") {
    node.entities->connect("till", node.system.spawn(till, &book, Habit::refuses));
    node.pay(10);
    dead = 1;
  }
  SUBCASE("it is busy") {
    node.entities->connect("till", node.system.spawn(till, &book, Habit::is_busy));
    node.pay(10);
    node.until_noted(book, 3);
    node.entities->connect("till", node.system.spawn(till, &book, Habit::answers));
  }
  node.until_delivered();
  std::vector<v1::DeadLetter> letters;
  for (std::uint32_t shard = 0; shard < 1'024; ++shard)
    CHECK_FALSE(
        node.journal->scan(Table::dead_letters, shard, "", [&](std::string_view, std::string_view bytes) {
          return letters.emplace_back().ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
        }));
  REQUIRE(letters.size() == dead);
  if (dead > 0) CHECK(letters[0].reason() == "forged");
}

}  // namespace cx::test
