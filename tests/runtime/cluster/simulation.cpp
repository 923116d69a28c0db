#include "tests/runtime/cluster/simulation.hpp"

#include <fmt/format.h>

namespace cx::cluster {

Simulation::Simulation(std::uint64_t seed, std::size_t nodes)
    : random_(seed), nodes_(nodes), fence_(kShardsHere) {
  for (std::size_t i = 0; i < nodes; ++i) {
    nodes_[i].name = fmt::format("n{}", i + 1);
    at(now_ + random_.below(300), [this, i] { start(i); });
  }
}

void Simulation::on(std::size_t node, std::int64_t ms, std::function<void(Node&, Membership&)> run) {
  at(ms, [this, node, life = nodes_[node].life, run = std::move(run)] {
    auto& there = nodes_[node];
    if (!there.member || there.life != life) return;
    if (there.paused_until > now_) return on(node, there.paused_until, run);
    run(there, *there.member);
    carry_out(node);
  });
}

std::int64_t Simulation::travel() {
  if (faults_ && random_.below(50) == 0) return random_.below(3000);
  return random_.below(15);
}

bool Simulation::lost(const Node& node) {
  return node.cut_until > now_ || (faults_ && random_.below(12) == 0);
}

void Simulation::start(std::size_t node) {
  auto& there = nodes_[node];
  if (there.member || (healed_ && there.twin)) return;
  ++there.life;
  there.rate = 0.95 + 0.1 * random_.uniform();
  there.offset = static_cast<std::int64_t>(random_.below(1'000'000)) - now_ / 2;
  there.paused_until = 0;
  there.followed = 0;
  there.open.assign(kShardsHere, 0);
  there.opening.assign(kShardsHere, 0);
  v1::Member identity;
  identity.set_node(there.name);
  identity.set_host("127.0.0.1");
  identity.set_port(1000 + static_cast<std::uint32_t>(node));
  identity.set_weight(100);
  identity.set_version("1.2.3");
  identity.set_lease_ms(kLease);
  there.member.emplace(identity, "sim", kShardsHere);
  there.member->join(clock(there), fmt::format("{:016x}", random_.next()), now_);
  carry_out(node);
  at(now_ + 1, [this, node, life = there.life] { tick(node, life); });
  at(now_ + 2, [this, node, life = there.life] { follow(node, life); });
}

void Simulation::crash(std::size_t node) {
  nodes_[node].member.reset();
}

void Simulation::pause(std::size_t node, std::int64_t ms) {
  nodes_[node].paused_until = std::max(nodes_[node].paused_until, now_ + ms);
}

void Simulation::cut(std::size_t node, std::int64_t ms) {
  nodes_[node].cut_until = std::max(nodes_[node].cut_until, now_ + ms);
}

void Simulation::leave(std::size_t node) {
  on(node, now_, [this](Node& there, Membership& member) { member.leave(clock(there), 5000); });
}

void Simulation::drain(std::size_t at, std::size_t node, bool drained) {
  on(at, now_, [this, name = nodes_[node].name, drained](Node& there, Membership& member) {
    if (member.stage() == Membership::Stage::serving) member.drain(clock(there), name, drained);
  });
}

void Simulation::add_twin(std::size_t node) {
  nodes_.push_back({});
  nodes_.back().name = nodes_[node].name;
  nodes_.back().twin = true;
  start(nodes_.size() - 1);
}

std::size_t Simulation::owned(std::size_t node) const {
  std::size_t n = 0;
  for (const auto& place : table_.shards()) {
    n += nodes_[node].member && place.owner() == nodes_[node].member->incarnation();
  }
  return n;
}

void Simulation::tick(std::size_t node, std::uint64_t life) {
  auto& there = nodes_[node];
  if (!there.member || there.life != life) return;
  if (there.paused_until > now_) return at(there.paused_until, [=, this] { tick(node, life); });
  there.member->tick(clock(there));
  carry_out(node);
  const auto stage = there.member->stage();
  if (stage == Membership::Stage::out) {
    ++outs_;
    there.member->join(clock(there), fmt::format("{:016x}", random_.next()), now_);
    carry_out(node);
  } else if (stage == Membership::Stage::refused || stage == Membership::Stage::left) {
    if (healed_ || (faults_ && random_.below(20) == 0)) {
      crash(node);
      if (healed_) at(now_ + 500, [=, this] { start(node); });
      return;
    }
  } else {
    commit(node);
  }
  at(now_ + 20 + random_.below(30), [=, this] { tick(node, life); });
}

void Simulation::follow(std::size_t node, std::uint64_t life) {
  auto& there = nodes_[node];
  if (!there.member || there.life != life) return;
  const auto again = [&](std::int64_t ms) { at(ms, [=, this] { follow(node, life); }); };
  if (there.paused_until > now_) return again(there.paused_until);
  if (there.cut_until > now_) return again(there.cut_until + random_.below(200));
  const std::size_t end =
      random_.below(8) == 0 && log_.size() > there.followed ? log_.size() - 1 : log_.size();
  for (; there.followed < end; ++there.followed) {
    const auto& entry = log_[there.followed];
    if (last_[entry.key] != there.followed + 1) continue;  // only the last of a key is kept
    there.member->shown(clock(there), entry.key, there.followed + 1, entry.value);
    carry_out(node);
  }
  if (there.followed == log_.size()) there.member->caught_up(clock(there));
  carry_out(node);
  again(now_ + 1 + (faults_ && random_.below(100) == 0 ? random_.below(1000) : random_.below(10)));
}

void Simulation::carry_out(std::size_t node) {
  auto commands = nodes_[node].member->commands();
  auto& there = nodes_[node];
  for (const auto shard : commands.drop) there.open[shard] = there.opening[shard] = 0;
  for (const auto shard : commands.release) {
    there.opening[shard] = 0;
    on(node, now_ + 1 + random_.below(faults_ ? 400 : 40),
       [=, this, round = commands.round](Node& host, Membership& member) {
         host.open[shard] = 0;
         member.released(clock(host), shard, round);
       });
  }
  for (const auto shard : commands.take) take(node, shard);
  for (auto& one : commands.puts) put(node, std::move(one));
  for (const auto& key : commands.reads) read(node, key);
}

void Simulation::take(std::size_t node, ShardEpoch shard) {
  nodes_[node].opening[shard.shard] = shard.epoch;
  on(node, now_ + 1 + random_.below(60), [=, this](Node& host, Membership& member) {
    if (host.opening[shard.shard] != shard.epoch) return;
    if (lost(host)) return take(node, shard);
    host.opening[shard.shard] = 0;
    auto& fence = fence_[shard.shard];
    if (shard.epoch < fence) return member.lost(clock(host), {shard.shard, fence});
    fence = host.open[shard.shard] = shard.epoch;
  });
}

/// Each shard that the host serves commits something, unless it is fenced.
void Simulation::commit(std::size_t node) {
  auto& there = nodes_[node];
  if (lost(there)) return;
  for (std::uint32_t shard = 0; shard < kShardsHere; ++shard) {
    const auto epoch = there.open[shard];
    if (epoch == 0 || epoch == fence_[shard]) continue;
    there.open[shard] = 0;
    there.member->lost(clock(there), {shard, fence_[shard]});
    carry_out(node);
  }
}

void Simulation::put(std::size_t node, Membership::Put one) {
  auto answered = std::make_shared<bool>(false);
  const auto answer = [=, this](std::int64_t ms, Membership::Outcome outcome, std::uint64_t revision) {
    on(node, ms, [=, this, key = one.key](Node& there, Membership& member) {
      if (std::exchange(*answered, true)) return;
      member.outcome(clock(there), key, outcome, revision);
    });
  };
  answer(now_ + kLease / 4, Membership::Outcome::unknown, 0);
  if (lost(nodes_[node])) return;
  at(now_ + travel(), [=, this, one = std::move(one)] {
    const auto revision = store(one);
    if (lost(nodes_[node])) return;
    answer(now_ + travel(), revision > 0 ? Membership::Outcome::stored : Membership::Outcome::refused,
           revision);
  });
}

void Simulation::read(std::size_t node, const std::string& key) {
  auto answered = std::make_shared<bool>(false);
  const auto answer = [=, this](std::int64_t ms, std::optional<Membership::Found> found) {
    on(node, ms, [=, this](Node& there, Membership& member) {
      if (!std::exchange(*answered, true)) member.read(clock(there), key, found);
    });
  };
  answer(now_ + kLease / 4, std::nullopt);
  if (lost(nodes_[node])) return;
  at(now_ + travel(), [=, this] {
    if (lost(nodes_[node])) return;
    const auto revision = last_.contains(key) ? last_[key] : 0;
    answer(now_ + travel(), Membership::Found{revision, revision == 0 ? "" : log_[revision - 1].value});
  });
}

/// Checks what nobody may ever write.
std::uint64_t Simulation::store(const Membership::Put& one) {
  const auto last = last_.contains(one.key) ? last_[one.key] : 0;
  if (last != one.after) return 0;
  if (one.key == "table") {
    v1::Placement table;
    table.ParseFromString(one.value);
    if (table.version() != table_.version() + 1) fail("a version was left out");
    std::uint32_t moving = 0;
    for (int shard = 0; shard < table.shards_size(); ++shard) {
      const auto& after = table.shards(shard);
      moving += !after.next().empty();
      if (table_.shards_size() == 0) continue;
      const auto& before = table_.shards(shard);
      if (after.epoch() < before.epoch()) fail("an epoch went down");
      if (after.owner() != before.owner() && !after.owner().empty() && after.epoch() == before.epoch()) {
        fail("another owner in the same epoch");
      }
    }
    if (moving > kShardsHere / 10) fail("too many shards are moving");
    table_ = table;
  } else {
    v1::Member member;
    member.ParseFromString(one.value);
    if (one.after == 0 && !incarnations_.insert(member.incarnation()).second)
      fail("an incarnation came twice");
    if (gone_.contains(member.incarnation())) fail("an incarnation came back");
    if (member.status() == v1::Member::STATUS_LEFT) {
      gone_.insert(member.incarnation());
      buried_ += !member.ended_by().empty();
    }
  }
  log_.push_back({one.key, one.value});
  return last_[one.key] = log_.size();
}

void Simulation::fail(const std::string& what) {
  if (failure_.empty()) failure_ = fmt::format("at {} ms: {}", now_, what);
}

void Simulation::check() {
  for (std::uint32_t shard = 0; shard < kShardsHere; ++shard) {
    const Node* holder = nullptr;
    for (const auto& node : nodes_) {
      if (!node.member || !node.member->holds(shard, clock(node))) continue;
      if (holder != nullptr)
        fail(fmt::format("{} and {} both hold shard {}", holder->name, node.name, shard));
      holder = &node;
    }
  }
  std::set<std::string> names;
  for (const auto& node : nodes_) {
    if (!node.member || node.member->stage() != Membership::Stage::serving ||
        clock(node) >= node.member->deadline())
      continue;
    if (!names.insert(node.name).second) fail("two nodes serve under the name " + node.name);
  }
}

void Simulation::fault() {
  const auto node = random_.below(static_cast<std::uint32_t>(nodes_.size()));
  const auto other = random_.below(static_cast<std::uint32_t>(nodes_.size()));
  const auto long_one = 200 + random_.below(6000);
  switch (random_.below(12)) {
    case 0:
    case 1:
      crash(node);
      at(now_ + random_.below(6000), [=, this] { start(node); });
      break;
    case 2:
    case 3:
      pause(node, long_one);
      break;
    case 4:
    case 5:
      cut(node, long_one);
      break;
    case 6:  // NATS is away
      for (std::size_t i = 0; i < nodes_.size(); ++i) cut(i, long_one);
      break;
    case 7:
      drain(node, other, true);
      break;
    case 8:
      for (std::size_t i = 0; i < nodes_.size(); ++i) drain(node, i, false);
      break;
    case 9:
      leave(node);
      at(now_ + 6000 + random_.below(3000), [=, this] {
        crash(node);
        start(node);
      });
      break;
    case 10:  // the journal has more than the table knows of
      fence_[random_.below(kShardsHere)] += 1 + random_.below(3);
      break;
    case 11:
      if (nodes_.size() < 8) add_twin(node);
      break;
  }
}

void Simulation::run(std::int64_t ms, bool faults) {
  faults_ = faults;
  const auto end = now_ + ms;
  std::int64_t next_fault = now_ + 500;
  while (!events_.empty() && events_.top().at <= end && failure_.empty()) {
    auto event = events_.top();
    events_.pop();
    now_ = std::max(now_, event.at);
    if (faults && now_ >= next_fault) {
      fault();
      next_fault = now_ + 200 + random_.below(2500);
    }
    event.run();
    check();
  }
  now_ = end;
}

void Simulation::heal() {
  healed_ = true;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i].paused_until = nodes_[i].cut_until = 0;
    if (nodes_[i].twin) {
      crash(i);
      continue;
    }
    const auto* there = member(i);
    if (there != nullptr &&
        (there->stage() == Membership::Stage::left || there->stage() == Membership::Stage::refused))
      crash(i);
    start(i);
  }
}

void Simulation::undrain_all() {
  for (std::size_t node = 0; node < nodes_.size(); ++node) drain(0, node, false);
}

std::string Simulation::unsettled() const {
  for (std::uint32_t shard = 0; shard < kShardsHere; ++shard) {
    const auto& place = table_.shards(static_cast<int>(shard));
    if (!place.next().empty()) return fmt::format("shard {} is still moving", shard);
    std::size_t serving = 0;
    for (const auto& node : nodes_) {
      if (!node.member || node.open[shard] == 0) continue;
      ++serving;
      if (node.member->incarnation() != place.owner())
        return fmt::format("{} serves shard {} of another", node.name, shard);
      if (!node.member->holds(shard, clock(node)))
        return fmt::format("{} serves shard {} without holding it", node.name, shard);
      if (node.open[shard] != place.epoch() || fence_[shard] != place.epoch())
        return fmt::format("shard {} is in a wrong epoch", shard);
    }
    if (serving != 1) return fmt::format("shard {} is served by {} nodes", shard, serving);
  }
  for (const auto& node : nodes_) {
    if (!node.member) continue;
    if (node.member->stage() != Membership::Stage::serving) {
      return fmt::format("{} is in stage {}", node.name, static_cast<int>(node.member->stage()));
    }
    if (!plan(table_, node.member->members()).empty()) return node.name + " wants to move shards";
  }
  return "";
}

}  // namespace cx::cluster
