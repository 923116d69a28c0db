#include "runtime/cluster/placement.hpp"

#include <algorithm>
#include <cmath>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <rapidcheck.h>
#include <set>

#include "runtime/address.hpp"

namespace cx::cluster {
namespace {

v1::Member member(const std::string& incarnation, const std::string& node, std::uint32_t weight = 100) {
  v1::Member made;
  made.set_incarnation(incarnation);
  made.set_node(node);
  made.set_weight(weight);
  made.set_status(v1::Member::STATUS_SERVING);
  made.set_renewal(1);
  return made;
}

Members nodes(int count, std::uint32_t weight = 100) {
  Members members;
  for (int i = 1; i <= count; ++i) {
    const auto incarnation = fmt::format("i{}", i);
    members[incarnation] = member(incarnation, fmt::format("n{}", i), weight);
  }
  return members;
}

std::map<std::string, int> counts(const std::vector<std::string>& owners) {
  std::map<std::string, int> result;
  for (const auto& owner : owners) ++result[owner];
  return result;
}

int moving(const v1::Placement& table) {
  return static_cast<int>(std::count_if(table.shards().begin(), table.shards().end(),
                                        [](const auto& place) { return !place.next().empty(); }));
}

/// Owners hand over at once.
void complete(v1::Placement& table) {
  for (auto& place : *table.mutable_shards()) {
    if (place.next().empty()) continue;
    place.set_owner(place.next());
    place.set_epoch(place.epoch() + 1);
    place.clear_next();
  }
}

/// Steps until there is nothing to propose; how many shards changed their owner on the way.
int settle(v1::Placement& table, const Members& members) {
  int moved = 0;
  for (int step = 0;; ++step) {
    REQUIRE(step < 200);
    const auto before = table;
    const auto next = propose(table, members, kShards / 10);
    if (!next) return moved;
    table = *next;
    complete(table);
    for (int shard = 0; shard < table.shards_size(); ++shard) {
      moved += before.shards(shard).owner() != table.shards(shard).owner();
    }
  }
}

TEST_CASE("each member gets its weight's part of the shards") {
  auto members = nodes(4);
  members["i4"].set_weight(300);
  auto table = empty_placement(kShards);
  CHECK(settle(table, members) == static_cast<int>(kShards));
  const auto owned = counts(belongs(table, members));
  for (const auto& [incarnation, count] : owned) {
    const double expected = kShards * (incarnation == "i4" ? 0.5 : 1.0 / 6);
    CHECK(std::abs(count - expected) < 5 * std::sqrt(expected));
  }
  for (const auto& place : table.shards()) CHECK(place.epoch() == 1);
}

TEST_CASE(
    "when one of n equal nodes joins, about a part in n of the shards moves, all of it to the new one") {
  for (int n = 2; n <= 20; ++n) {
    auto table = empty_placement(kShards);
    settle(table, nodes(n - 1));
    const auto moves = plan(table, nodes(n));
    const double expected = static_cast<double>(kShards) / n;
    CHECK(std::abs(static_cast<double>(moves.size()) - expected) < 5 * std::sqrt(expected));
    for (const auto& move : moves) CHECK(move.to == fmt::format("i{}", n));
    CHECK(settle(table, nodes(n)) == static_cast<int>(moves.size()));
  }
}

TEST_CASE(
    "when a node dies, its shards alone change hands, at once, and it gets the same ones when it is back") {
  auto members = nodes(5);
  auto table = empty_placement(kShards);
  settle(table, members);
  const auto before = table;
  members["i3"].set_status(v1::Member::STATUS_LEFT);
  const auto next = propose(table, members, kShards / 10);
  REQUIRE(next);
  for (int shard = 0; shard < table.shards_size(); ++shard) {
    const auto& was = before.shards(shard);
    const auto& is = next->shards(shard);
    CHECK(is.next().empty());
    CHECK(is.owner() != "i3");
    CHECK(is.epoch() == was.epoch() + (was.owner() == "i3" ? 1 : 0));
    if (was.owner() != "i3") CHECK(is.owner() == was.owner());
  }
  table = *next;
  members["i9"] = member("i9", "n3");
  settle(table, members);
  for (int shard = 0; shard < table.shards_size(); ++shard) {
    const auto& was = before.shards(shard).owner();
    CHECK(table.shards(shard).owner() == (was == "i3" ? "i9" : was));
  }
}

TEST_CASE(
    "a drained node, one that drains, one without weight and one that is not confirmed get nothing and lose "
    "all") {
  const auto change = [](int how, Members& members, v1::Placement& table) {
    if (how == 0) table.add_drained("n2");
    if (how == 1) members["i2"].set_status(v1::Member::STATUS_DRAINING);
    if (how == 2) members["i2"].set_weight(0);
    if (how == 3) members["i2"].set_renewal(0);
  };
  for (int how = 0; how < 4; ++how) {
    auto members = nodes(3);
    auto table = empty_placement(kShards);
    settle(table, members);
    change(how, members, table);
    const auto first = propose(table, members, kShards / 10);
    REQUIRE(first);
    CHECK(moving(*first) == static_cast<int>(kShards / 10));
    settle(table, members);
    for (const auto& place : table.shards()) CHECK(place.owner() != "i2");
  }
}

TEST_CASE("with nobody to give them to, shards stay with who drains, and those of the dead are nobody's") {
  auto members = nodes(2);
  auto table = empty_placement(kShards);
  settle(table, members);
  table.add_drained("n1");
  table.add_drained("n2");
  CHECK_FALSE(propose(table, members, kShards / 10));
  members["i2"].set_status(v1::Member::STATUS_LEFT);
  const auto next = propose(table, members, kShards / 10);
  REQUIRE(next);
  for (const auto& place : next->shards()) CHECK((place.owner() == "i1" || place.owner().empty()));
  CHECK_FALSE(propose(*next, members, kShards / 10));
}

TEST_CASE(
    "a move to a member that left is given to another, or undone where the shard belongs to its owner after "
    "all") {
  auto members = nodes(3);
  auto table = empty_placement(kShards);
  settle(table, nodes(2));
  table = *propose(table, members, kShards / 10);
  REQUIRE(moving(table) > 0);
  members["i3"].set_status(v1::Member::STATUS_LEFT);
  const auto undone = propose(table, members, kShards / 10);
  REQUIRE(undone);
  CHECK(moving(*undone) == 0);
  for (int shard = 0; shard < table.shards_size(); ++shard) {
    CHECK(undone->shards(shard).owner() == table.shards(shard).owner());
    CHECK(undone->shards(shard).epoch() == table.shards(shard).epoch());
  }
}

TEST_CASE("shards of an owner that we have never heard of are left alone") {
  auto table = empty_placement(kShards);
  for (auto& place : *table.mutable_shards()) place.set_owner("stranger");
  CHECK_FALSE(propose(table, nodes(3), kShards / 10));
}

TEST_CASE(
    "from any table, whoever comes and goes, steps lead to where all belongs, with few moving at any time") {
  rc::check([] {
    const auto any_incarnation = [] { return fmt::format("i{}", *rc::gen::inRange(1, 7)); };
    auto members = nodes(5);
    for (auto& [_, m] : members) {
      if (*rc::gen::inRange(0, 4) == 0) m.set_status(v1::Member::STATUS_LEFT);
      if (*rc::gen::inRange(0, 6) == 0) m.set_status(v1::Member::STATUS_DRAINING);
      m.set_weight(*rc::gen::inRange(0u, 4u));
    }
    members["i6"] = member("i6", "n6");
    members["i6"].set_status(v1::Member::STATUS_LEFT);
    auto table = empty_placement(64);
    for (auto& place : *table.mutable_shards()) {
      if (*rc::gen::inRange(0, 5) > 0) place.set_owner(any_incarnation());
      if (*rc::gen::inRange(0, 10) == 0) place.set_next(any_incarnation());
      place.set_epoch(*rc::gen::inRange(0u, 9u));
    }
    const auto owners = belongs(table, members);
    for (int step = 0; step < 100; ++step) {
      const auto before = table;
      const auto next = propose(table, members, 6);
      if (!next) break;
      RC_ASSERT(moving(*next) <= std::max(6, moving(before)));
      for (int shard = 0; shard < 64; ++shard) {
        const auto& was = before.shards(shard);
        const auto& is = next->shards(shard);
        RC_ASSERT(is.epoch() == was.epoch() + (!is.owner().empty() && is.owner() != was.owner() ? 1 : 0));
        const auto owner = members.find(was.owner());
        if (owner != members.end() && owner->second.status() != v1::Member::STATUS_LEFT)
          RC_ASSERT(is.owner() == was.owner());
      }
      table = *next;
      complete(table);
    }
    RC_ASSERT(!propose(table, members, 6).has_value());
    for (int shard = 0; shard < 64; ++shard) {
      if (!owners[static_cast<std::size_t>(shard)].empty()) {
        RC_ASSERT(table.shards(shard).owner() == owners[static_cast<std::size_t>(shard)]);
      }
    }
  });
}

}  // namespace
}  // namespace cx::cluster
