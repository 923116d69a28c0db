#include "runtime/cluster/membership.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/runtime/cluster/simulation.hpp"

namespace cx::cluster {
namespace {

using Stage = Membership::Stage;

v1::Member identity(const std::string& node, const std::string& version = "1.2.3") {
  v1::Member made;
  made.set_node(node);
  made.set_host("127.0.0.1");
  made.set_port(1);
  made.set_weight(100);
  made.set_version(version);
  made.set_lease_ms(2000);
  return made;
}

/// One node, and a bucket that answers at once unless told otherwise.
struct Desk {
  Membership member;
  std::int64_t now = 10'000;
  std::uint64_t revision = 0;
  std::map<std::string, Membership::Found> bucket;
  bool reachable = true;
  std::vector<ShardEpoch> taken;
  std::vector<std::uint32_t> released, dropped;
  std::uint64_t round = 0;
  TopologyPtr topology;

  explicit Desk(const v1::Member& who, std::uint32_t shards = 20) : member(who, "test", shards) {}

  void put(const std::string& key, const std::string& value) {
    bucket[key] = {++revision, value};
    member.shown(now, key, revision, value);
    work();
  }
  v1::Member other(const std::string& incarnation, const std::string& node, std::uint64_t renewal) {
    auto made = identity(node);
    made.set_incarnation(incarnation);
    made.set_renewal(renewal);
    made.set_status(v1::Member::STATUS_SERVING);
    put("member." + incarnation, made.SerializeAsString());
    return made;
  }
  /// Carries out what the member wants, until it wants no more.
  void work() {
    for (int rounds = 0; rounds < 100; ++rounds) {
      auto commands = member.commands();
      for (const auto shard : commands.drop) dropped.push_back(shard);
      for (const auto shard : commands.release) released.push_back(shard);
      if (!commands.release.empty()) round = commands.round;
      for (const auto& shard : commands.take) taken.push_back(shard);
      if (commands.topology) topology = commands.topology;
      if (commands.puts.empty() && commands.reads.empty()) return;
      for (const auto& one : commands.puts) {
        if (!reachable) {
          member.outcome(now, one.key, Membership::Outcome::unknown, 0);
        } else if (bucket[one.key].revision != one.after) {
          member.outcome(now, one.key, Membership::Outcome::refused, 0);
        } else {
          bucket[one.key] = {++revision, one.value};
          member.outcome(now, one.key, Membership::Outcome::stored, revision);
          member.shown(now, one.key, revision, one.value);
        }
      }
      for (const auto& key : commands.reads) {
        member.read(now, key, reachable ? std::optional(bucket[key]) : std::nullopt);
      }
      if (reachable) member.caught_up(now);
    }
  }
  void pass(std::int64_t ms) {
    for (const auto end = now + ms; now < end;) {
      now += 20;
      member.tick(now);
      work();
    }
  }
  void join(const std::string& incarnation = "5000") {
    member.join(now, incarnation, 0);
    work();
    member.caught_up(now);
    work();
  }
  v1::Member stored(const std::string& incarnation) {
    v1::Member found;
    found.ParseFromString(bucket["member." + incarnation].value);
    return found;
  }
};

TEST_CASE("the first node takes every shard, in epoch 1") {
  Desk desk(identity("n1"));
  desk.join();
  CHECK(desk.member.stage() == Stage::serving);
  CHECK(desk.taken.size() == 20);
  for (const auto& shard : desk.taken) CHECK(shard.epoch == 1);
  REQUIRE(desk.topology);
  CHECK(desk.topology->self == "5000");
  CHECK(desk.topology->members.contains("5000"));
  CHECK(desk.topology->placement.version() == 1);
}

TEST_CASE("a name that a living member has is refused, with who has it") {
  Desk desk(identity("n1"));
  desk.other("4000", "n1", 7);
  desk.join();
  CHECK(desk.member.stage() == Stage::checking);
  desk.pass(400);
  desk.other("4000", "n1", 8);
  desk.pass(400);
  desk.other("4000", "n1", 9);
  REQUIRE(desk.member.stage() == Stage::refused);
  CHECK(desk.member.refusal().type == "duplicate-node");
  CHECK(desk.member.refusal().detail.find("incarnation 4000 at 127.0.0.1:1") != std::string::npos);
  CHECK_FALSE(desk.bucket.contains("member.5000"));
}

TEST_CASE("a name of one who is silent is free after its lease and the margin, and it is declared dead") {
  Desk desk(identity("n1"));
  desk.other("4000", "n1", 7);
  desk.join();
  desk.pass(2400);
  CHECK(desk.member.stage() == Stage::checking);
  desk.pass(200);
  CHECK(desk.member.stage() == Stage::serving);
  CHECK(desk.stored("4000").status() == v1::Member::STATUS_LEFT);
  CHECK(desk.stored("4000").ended_by() == "5000");
}

TEST_CASE("versions work together when they are at most one minor release apart") {
  struct Row {
    const char* version;
    bool refused;
  };
  for (const auto& row : {Row{"1.3.0", false}, Row{"1.1.9", false}, Row{"1.4.0", true}, Row{"1.0.0", true},
                          Row{"2.2.3", true}, Row{"1.2.99-rc1", false}, Row{"garbage", true}}) {
    CAPTURE(row.version);
    Desk desk(identity("n1", row.version));
    desk.join();
    REQUIRE(desk.member.stage() == Stage::serving);  // alone, any will do
    Desk second(identity("n2", row.version));
    for (std::uint64_t renewal = 1; renewal <= 6; ++renewal) {
      second.other("4000", "n1", renewal);
      if (renewal == 1) second.join();
      second.pass(300);
    }
    CHECK((second.member.stage() == Stage::refused) == row.refused);
    if (row.refused) CHECK(second.member.refusal().type == "version-skew");
  }
}

TEST_CASE(
    "without NATS the shards stop when the lease is over, counted from when the renewal was sent, and come "
    "back") {
  Desk desk(identity("n1"));
  desk.join();
  const auto deadline = desk.member.deadline();
  desk.reachable = false;
  desk.taken.clear();
  while (desk.now + 20 < deadline) {
    desk.pass(20);
    REQUIRE(desk.dropped.empty());
    REQUIRE(desk.member.holds(0, desk.now));
  }
  desk.pass(40);
  CHECK(desk.dropped.size() == 20);
  CHECK_FALSE(desk.member.holds(0, desk.now));
  CHECK_FALSE(desk.topology->members.contains("5000"));
  desk.pass(10'000);
  CHECK(desk.taken.empty());
  desk.reachable = true;
  desk.pass(200);
  CHECK(desk.member.incarnation() == "5000");
  CHECK(desk.taken.size() == 20);
  for (const auto& shard : desk.taken) CHECK(shard.epoch == 1);  // nobody had them meanwhile
  CHECK(desk.topology->members.contains("5000"));
}

TEST_CASE("whoever was declared dead is out, and comes back as another") {
  Desk desk(identity("n1"));
  desk.join();
  auto dead = desk.stored("5000");
  dead.set_status(v1::Member::STATUS_LEFT);
  dead.set_ended_by("somebody");
  desk.put("member.5000", dead.SerializeAsString());
  CHECK(desk.member.stage() == Stage::out);
  CHECK(desk.dropped.size() == 20);
  desk.taken.clear();
  desk.member.join(desk.now, "6000", 0);
  desk.work();
  CHECK(desk.member.stage() == Stage::serving);
  CHECK(desk.taken.size() == 20);
  for (const auto& shard : desk.taken) CHECK(shard.epoch == 2);
}

TEST_CASE("a shard whose journal is ahead gets an epoch above it") {
  Desk desk(identity("n1"));
  desk.join();
  desk.taken.clear();
  desk.member.lost(desk.now, {3, 17});
  desk.work();
  REQUIRE(desk.taken.size() == 1);
  CHECK(desk.taken[0] == ShardEpoch{3, 18});
  CHECK(desk.member.table().shards(3).epoch() == 18);
}

TEST_CASE("a planned move is released first, and handed over in the next epoch") {
  Desk desk(identity("n1"));
  desk.join();
  desk.other("6000", "n2", 1);
  desk.work();
  REQUIRE(desk.released.size() == 2);  // a tenth of 20
  const auto shard = desk.released[0];
  CHECK(desk.member.holds(shard, desk.now));
  CHECK(desk.member.table().shards(static_cast<int>(shard)).owner() == "5000");
  CHECK(desk.member.table().shards(static_cast<int>(shard)).next() == "6000");
  desk.member.released(desk.now, shard, desk.round + 1);  // of another time: void
  desk.work();
  CHECK(desk.member.holds(shard, desk.now));
  for (const auto each : std::vector(desk.released)) desk.member.released(desk.now, each, desk.round);
  desk.work();
  CHECK_FALSE(desk.member.holds(shard, desk.now));
  CHECK(desk.member.table().shards(static_cast<int>(shard)).owner() == "6000");
  CHECK(desk.member.table().shards(static_cast<int>(shard)).epoch() == 2);
  CHECK(desk.released.size() == 4);  // and the next ones follow
}

TEST_CASE("a table that is older than one that we have seen is not believed, but replaced") {
  Desk desk(identity("n1"));
  desk.join();
  auto old = empty_placement(20);
  const auto seen = desk.member.table();
  desk.member.drain(desk.now, "n9", true);
  desk.work();
  REQUIRE(desk.member.table().version() == 2);
  desk.taken.clear();
  desk.put("table", seen.SerializeAsString());  // the server forgot the last one
  desk.pass(100);
  CHECK(desk.dropped.empty());
  CHECK(desk.member.table().version() == 3);
  CHECK(drained(desk.member.table(), "n9"));
  v1::Placement stored;
  stored.ParseFromString(desk.bucket["table"].value);
  CHECK(stored.version() == 3);
}

TEST_CASE("what is no placement is not believed, and a node does not join a cluster that has one") {
  Desk desk(identity("n1"));
  desk.put("table", "\xff\xff garbage");
  desk.join();
  CHECK(desk.member.stage() == Stage::refused);
  CHECK(desk.member.refusal().type == "invalid-placement");
  Desk other(identity("n1"));
  other.join();
  other.put("table", "\xff\xff garbage");
  other.put("member.x", "\xff\xff garbage");
  other.put("member.y", other.stored("5000").SerializeAsString());  // not its key
  other.put("nonsense", "x");
  other.pass(100);
  CHECK(other.member.stage() == Stage::serving);
  CHECK(other.member.table().version() == 2);
  CHECK(other.dropped.empty());
}

TEST_CASE("the last to leave releases its shards before it says so") {
  Desk desk(identity("n1"));
  desk.join();
  desk.member.leave(desk.now, 5000);
  desk.work();
  CHECK(desk.released.size() == 20);
  CHECK(desk.member.stage() == Stage::serving);
  for (const auto each : std::vector(desk.released)) desk.member.released(desk.now, each, desk.round);
  desk.pass(100);
  CHECK(desk.member.stage() == Stage::left);
  CHECK(desk.stored("5000").status() == v1::Member::STATUS_LEFT);
  CHECK(desk.stored("5000").ended_by().empty());
  CHECK(desk.dropped.empty());
}

TEST_CASE("members who left are erased in the end") {
  Desk desk(identity("n1"));
  desk.join();
  auto gone = identity("n2");
  gone.set_incarnation("1000");
  gone.set_status(v1::Member::STATUS_LEFT);
  desk.put("member.1000", gone.SerializeAsString());
  std::vector<std::string> forgotten;
  for (const auto end = desk.now + Membership::kForgetMs + 200; desk.now < end;) {
    desk.now += 100;
    desk.member.tick(desk.now);
    auto commands = desk.member.commands();
    for (const auto& key : commands.forget) forgotten.push_back(key);
    for (const auto& one : commands.puts) {
      desk.bucket[one.key] = {++desk.revision, one.value};
      desk.member.outcome(desk.now, one.key, Membership::Outcome::stored, desk.revision);
    }
  }
  CHECK(forgotten == std::vector<std::string>{"member.1000"});
  CHECK_FALSE(desk.member.members().contains("1000"));
}

TEST_CASE("simulated: three nodes share the shards, and a fourth gets its part") {
  Simulation simulation(1, 3);
  simulation.run(8000, false);
  CHECK(simulation.failure() == "");
  CHECK(simulation.unsettled() == "");
  CHECK(simulation.buried() == 0);
}

TEST_CASE("simulated: shards of a node that crashed are served again soon, those of a drained one move") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Simulation simulation(seed, 3);
    simulation.run(8000, false);
    simulation.crash(1);
    simulation.run(3500, false);
    CHECK(simulation.failure() == "");
    CHECK(simulation.unsettled() == "");
    CHECK(simulation.buried() == 1);
    simulation.start(1);
    simulation.run(4000, false);
    CHECK(simulation.unsettled() == "");
    simulation.drain(0, 2, true);
    simulation.run(2000, false);
    CHECK(simulation.owned(2) == 0);
    CHECK(simulation.unsettled() == "");
    simulation.leave(2);
    simulation.leave(1);
    simulation.run(2000, false);
    CHECK(simulation.member(1)->stage() == Stage::left);
    CHECK(simulation.owned(0) == Simulation::kShardsHere);
    CHECK(simulation.failure() == "");
  }
}

TEST_CASE("simulated: NATS away for long costs nobody its membership") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Simulation simulation(seed, 3);
    simulation.run(8000, false);
    for (std::size_t node = 0; node < 3; ++node) simulation.cut(node, 10'000);
    simulation.run(15'000, false);
    CHECK(simulation.failure() == "");
    CHECK(simulation.unsettled() == "");
    CHECK(simulation.buried() == 0);
  }
}

TEST_CASE("simulated: of two processes of one name one serves") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    Simulation simulation(seed, 1);
    simulation.add_twin(0);  // at the same moment as the first
    simulation.run(6000, false);
    CHECK(simulation.failure() == "");
    const bool one = simulation.member(0)->stage() == Stage::serving;
    const bool other = simulation.member(1)->stage() == Stage::serving;
    CHECK(one != other);
  }
}

TEST_CASE("simulated: under faults no shard has two holders; after them every shard is served") {
  const char* seeds = std::getenv("CX_SEEDS");
  const char* first = std::getenv("CX_SEED");
  const std::uint64_t from = first != nullptr ? std::strtoull(first, nullptr, 10) : 1;
  const std::uint64_t count = seeds != nullptr ? std::strtoull(seeds, nullptr, 10) : 40;
  std::size_t outs = 0, buried = 0;
  for (std::uint64_t seed = from; seed < from + count; ++seed) {
    CAPTURE(seed);
    Simulation simulation(seed, 3 + seed % 3);
    simulation.run(60'000, true);
    REQUIRE(simulation.failure() == "");
    simulation.heal();
    simulation.run(10'000, false);
    simulation.undrain_all();
    simulation.run(10'000, false);
    REQUIRE(simulation.failure() == "");
    REQUIRE(simulation.unsettled() == "");
    outs += simulation.outs();
    buried += simulation.buried();
  }
  MESSAGE(count << " minutes of faults from seed " << from << ": " << buried << " declared dead, " << outs
                << " came back");
}

}  // namespace
}  // namespace cx::cluster
