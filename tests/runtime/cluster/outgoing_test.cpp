#include "runtime/cluster/outgoing.hpp"

#include <algorithm>
#include <deque>
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "runtime/entity/route.hpp"
#include "tests/kinds/commands.hpp"
#include "tests/kinds/kinds.hpp"
#include "tests/runtime/cluster/topologies.hpp"

// What waits for whom, under a time that moves when told.

namespace cx::test {
namespace {

using cluster::Outgoing;
using cluster::Stamp;

const Kinds& kinds() {
  static const Kinds all = all_kinds();
  return all;
}

struct Sent {
  std::string member;
  std::uint64_t id;
  Request request;
  Stamp stamp;
};

struct Port final : cluster::OutgoingPort {
  std::optional<Error> send(const std::string& member, std::uint64_t id, const Request& request,
                            const Stamp& stamp) override {
    sent.push_back({member, id, request, stamp});
    if (too_large) return Error{Code::invalid_argument, "too-large", "", ""};
    return std::nullopt;
  }
  void serve(std::uint64_t id, Request request) override {
    sent.push_back({"me", id, std::move(request), {}});
  }
  /// The one that waits longest for its answer.
  Sent next() {
    REQUIRE_FALSE(sent.empty());
    auto first = std::move(sent.front());
    sent.pop_front();
    return first;
  }
  std::deque<Sent> sent;
  bool too_large = false;
};

Error not_here() {
  return {Code::unavailable, cluster::kNotHere, "", ""};
}

struct World {
  explicit World(Outgoing::Limits limits = {.credit = 8, .patience_ms = 100}) : out(limits, port, counts) {}

  /// The types of the answers, by number; "" for none yet, "ok" for a reply.
  std::vector<std::string> answers;
  std::vector<int> times;  ///< that each was answered

  std::size_t ask(const Message& command, const std::string& source = "", std::int64_t deadline = 0,
                  const std::string& to = "counter/t/1") {
    auto copy = std::shared_ptr<Message>(command.New());
    copy->CopyFrom(command);
    auto request = route(kinds(), to, copy);
    REQUIRE(request);
    request->source = source;
    const auto number = answers.size();
    answers.emplace_back();
    times.push_back(0);
    out.submit(
        std::move(*request),
        [this, number](Answer answer) {
          answers[number] = answer ? "ok" : answer.error().type;
          ++times[number];
        },
        deadline, now);
    return number;
  }
  void pass(std::int64_t ms) {
    for (; ms > 0; --ms) {
      ++now;
      out.tick(now);
    }
  }
  void reply(std::uint64_t id) { out.answered(id, MessagePtr(std::make_shared<Total>()), now); }
  void refuse(std::uint64_t id) { out.answered(id, not_here(), now); }

  Port port;
  Outgoing::Counts counts;
  Outgoing out;
  std::int64_t now = 1000;
};

const std::uint32_t kShard = shard_of("t", "1");

}  // namespace

TEST_CASE("a request waits for a table, then for a link, and goes to the owner") {
  World world;
  const auto first = world.ask(make_add(1));
  CHECK(world.out.waiting());
  world.out.update(topology("me", 1, {"a", "b"}, "a"), world.now);
  CHECK(world.port.sent.empty());
  world.out.linked("b", world.now);
  CHECK(world.port.sent.empty());
  world.out.linked("a", world.now);
  const auto sent = world.port.next();
  CHECK(sent.member == "a");
  CHECK(sent.stamp.epoch == 1);
  CHECK(sent.stamp.table_version == 1);
  CHECK(sent.stamp.remaining_ms == 0);
  CHECK(world.answers[first].empty());
  world.reply(sent.id);
  CHECK(world.answers[first] == "ok");
  world.reply(sent.id);  // again
  CHECK(world.times[first] == 1);
  CHECK(world.counts.under_way == 0);
}

TEST_CASE("what waits in vain is told so when patience or its deadline is over, and nothing was done") {
  World world;
  const auto patient = world.ask(make_add(1));
  const auto pressed = world.ask(make_add(1), "", world.now + 30);
  const auto late = world.ask(make_add(1), "", world.now);
  CHECK(world.answers[late] == "deadline-exceeded");
  world.pass(29);
  CHECK(world.answers[pressed].empty());
  world.pass(8);
  CHECK(world.answers[pressed] == "deadline-exceeded");
  CHECK(world.answers[patient].empty());
  world.pass(70);
  CHECK(world.answers[patient] == "shard-moving");
  CHECK_FALSE(world.out.waiting());
}

TEST_CASE("the deadline of one that is under way answers it, and keeps its credit until the answer comes") {
  World world({.credit = 1, .patience_ms = 100});
  world.out.update(topology("me", 1, {"a"}, "a"), world.now);
  world.out.linked("a", world.now);
  const auto first = world.ask(make_add(1), "", world.now + 700);
  CHECK(world.port.sent.front().stamp.remaining_ms == 700);
  world.pass(690);
  CHECK(world.answers[first].empty());
  world.pass(20);
  CHECK(world.answers[first] == "deadline-exceeded");
  const auto second = world.ask(make_add(1));
  CHECK(world.answers[second] == "overloaded");
  world.reply(world.port.next().id);
  CHECK(world.times[first] == 1);
  world.ask(make_add(1));
  CHECK(world.port.sent.size() == 1);
}

TEST_CASE("one slow member does not hold up others, nor do shards without an owner") {
  World world({.credit = 2, .patience_ms = 100});
  std::vector<std::string> owners(kShards, "a");
  const auto other = shard_of("t", "2"), nobody = shard_of("t", "3");
  owners[other] = "b";
  owners[nobody] = "";
  world.out.update(topology("me", 1, {"a", "b"}, owners), world.now);
  world.out.linked("a", world.now);
  world.out.linked("b", world.now);
  for (int i = 0; i < 2; ++i) world.ask(make_add(1));
  for (int i = 0; i < 2; ++i) world.ask(make_add(1), "", 0, "counter/t/3");
  CHECK(world.answers[world.ask(make_add(1))] == "overloaded");
  CHECK(world.answers[world.ask(make_add(1), "", 0, "counter/t/3")] == "overloaded");
  world.ask(make_add(1), "", 0, "counter/t/2");
  CHECK(world.port.sent.back().member == "b");
}

TEST_CASE("whoever is refused waits for a newer table, and then goes there, in the order in which it came") {
  World world;
  world.out.update(topology("me", 1, {"a", "b"}, "a"), world.now);
  world.out.linked("a", world.now);
  world.out.linked("b", world.now);
  for (int i = 0; i < 3; ++i) world.ask(make_add(i));
  std::vector<std::uint64_t> ids;
  while (!world.port.sent.empty()) ids.push_back(world.port.next().id);
  std::reverse(ids.begin(), ids.end());
  for (const auto id : ids) world.refuse(id);
  world.ask(make_add(3));
  CHECK(world.port.sent.empty());
  world.out.update(topology("me", 2, {"a", "b"}, "b", 2), world.now);
  REQUIRE(world.port.sent.size() == 4);
  for (int i = 0; i < 4; ++i) {
    const auto sent = world.port.next();
    CHECK(sent.member == "b");
    CHECK(sent.stamp.epoch == 2);
    CHECK(static_cast<const Add&>(*sent.request.command).n() == i);
    world.reply(sent.id);
  }
  for (const auto& answer : world.answers) CHECK(answer == "ok");
}

TEST_CASE("an owner that has not opened its shard yet is asked again, with one request first") {
  World world;
  world.out.update(topology("me", 1, {"a"}, "a"), world.now);
  world.out.linked("a", world.now);
  for (int i = 0; i < 5; ++i) world.ask(make_add(i));
  std::vector<std::uint64_t> ids;
  while (!world.port.sent.empty()) ids.push_back(world.port.next().id);
  for (const auto id : ids) world.refuse(id);
  for (int probe = 0; probe < 4; ++probe) {
    for (int i = 0; i < 20 && world.port.sent.empty(); ++i) world.pass(1);
    REQUIRE(world.port.sent.size() == 1);
    world.refuse(world.port.next().id);
  }
  for (int i = 0; i < 20 && world.port.sent.empty(); ++i) world.pass(1);
  REQUIRE(world.port.sent.size() == 1);
  world.reply(world.port.next().id);
  CHECK(world.port.sent.size() == 4);
}

TEST_CASE("a shard that the table gives to this node is asked for here") {
  World world;
  world.out.update(topology("me", 1, {"a"}, "me"), world.now);
  const auto first = world.ask(make_add(1));
  const auto sent = world.port.next();
  CHECK(sent.member == "me");
  CHECK(sent.request.here_only);
  world.refuse(sent.id);
  CHECK(world.answers[first].empty());
  world.pass(5);
  world.reply(world.port.next().id);
  CHECK(world.answers[first] == "ok");
}

TEST_CASE("a lost link: what is safe goes elsewhere, of the rest nobody knows the outcome") {
  World world;
  world.out.update(topology("me", 1, {"a", "b"}, "a"), world.now);
  world.out.linked("a", world.now);
  world.out.linked("b", world.now);
  const auto unsafe = world.ask(make_add(1));
  const auto query = world.ask(GetTotal());
  const auto named = world.ask(make_add(1), "client-1");
  std::string question;
  world.out.ask(
      "a", std::make_shared<GetTotal>(), [&](Answer a) { question = a ? "ok" : a.error().type; },
      world.now + 50, world.now);
  world.port.sent.clear();
  world.out.unlinked("a", world.now);
  CHECK(world.answers[unsafe] == "outcome-unknown");
  CHECK(question == "node-unreachable");
  CHECK(world.answers[query].empty());
  CHECK(world.port.sent.empty());
  world.pass(60);
  world.out.update(topology("me", 2, {"b"}, "b", 2), world.now);
  REQUIRE(world.port.sent.size() == 2);
  world.reply(world.port.next().id);
  world.reply(world.port.next().id);
  CHECK(world.answers[query] == "ok");
  CHECK(world.answers[named] == "ok");
}

TEST_CASE("an older table changes nothing; another life of this node starts with whatever it has") {
  World world;
  world.out.update(topology("me", 5, {"a", "b"}, "b"), world.now);
  world.out.update(topology("me", 4, {"a", "b"}, "a"), world.now);
  CHECK(world.out.topology()->placement.version() == 5);
  world.out.update(topology("me2", 4, {"a", "b"}, "a"), world.now);
  CHECK(world.out.topology()->self == "me2");
}

TEST_CASE("what is too large is answered at once, and stopping answers everything") {
  World world;
  world.out.update(topology("me", 1, {"a"}, "a"), world.now);
  world.out.linked("a", world.now);
  world.port.too_large = true;
  CHECK(world.answers[world.ask(make_add(1))] == "too-large");
  world.port.too_large = false;
  const auto unsafe = world.ask(make_add(1)), query = world.ask(GetTotal());
  world.out.unlinked("b", world.now);
  world.out.stop();
  CHECK(world.answers[unsafe] == "outcome-unknown");
  CHECK(world.answers[query] == "stopping");
  CHECK(world.answers[world.ask(make_add(1))] == "stopping");
}

TEST_CASE("whatever happens, every request is answered once, and never done twice but when it is safe") {
  rc::check([] {
    World world({.credit = 6, .patience_ms = 60});
    const std::vector<std::string> members{"a", "b", "c"};
    std::uint64_t version = 0;
    std::map<std::string, bool> linked;
    std::map<std::int64_t, int> accepted;  // by n, of those that are not safe
    std::int64_t n = 0;
    const auto steps = *rc::gen::inRange(20, 200);
    for (int step = 0; step < steps; ++step) {
      switch (*rc::gen::inRange(0, 9)) {
        case 0:
        case 1:
        case 2: {
          const auto kind = *rc::gen::inRange(0, 3);
          const auto deadline = *rc::gen::inRange(0, 3) == 0 ? world.now + *rc::gen::inRange(1, 50) : 0;
          const auto to = "counter/t/" + std::to_string(*rc::gen::inRange(1, 4));
          if (kind == 0)
            world.ask(GetTotal(), "", deadline, to);
          else
            world.ask(make_add(++n), kind == 1 ? "client" : "", deadline, to);
          break;
        }
        case 3: {
          const auto& member = members[*rc::gen::inRange<std::size_t>(0, 3)];
          if (std::exchange(linked[member], !linked[member])) {
            std::erase_if(world.port.sent, [&](const Sent& s) { return s.member == member; });
            world.out.unlinked(member, world.now);
          } else {
            world.out.linked(member, world.now);
          }
          break;
        }
        case 4: {
          ++version;
          std::vector<std::string> owners(kShards);
          for (const auto* key : {"1", "2", "3"})
            owners[shard_of("t", key)] =
                *rc::gen::elementOf(std::vector<std::string>{"a", "b", "c", "me", ""});
          world.out.update(topology("me", version, members, owners, version), world.now);
          break;
        }
        case 5:
        case 6:
        case 7:
          if (!world.port.sent.empty()) {
            const auto sent = world.port.next();
            if (*rc::gen::inRange(0, 3) == 0) {
              world.refuse(sent.id);
            } else {
              if (sent.request.source.empty() && !sent.request.type->query)
                ++accepted[static_cast<const Add&>(*sent.request.command).n()];
              world.reply(sent.id);
            }
          }
          break;
        default:
          world.pass(*rc::gen::inRange(1, 30));
      }
      RC_ASSERT(world.counts.under_way.load() <= 6 * 3 + 6);
      RC_ASSERT(world.counts.waiting.load() <= 6 * 4 * 2);
    }
    world.out.stop();
    for (std::size_t i = 0; i < world.answers.size(); ++i) RC_ASSERT(world.times[i] == 1);
    for (const auto& [number, times] : accepted) RC_ASSERT(times == 1);
  });
}

}  // namespace cx::test
