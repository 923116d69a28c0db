#include "tests/runtime/cluster/model.hpp"

#include <algorithm>
#include <deque>
#include <limits>

namespace cx::cluster {
namespace {

constexpr std::uint8_t kNodes = 3;
constexpr std::uint8_t kLease = 1;  // ticks
constexpr std::uint8_t kMaxLog = 2;
constexpr std::uint8_t kNobody = 7;

enum Local : std::uint8_t { kNone, kHeld, kReleased };
enum Writing : std::uint8_t { kIdle, kFlying, kVoid, kStored };  // void: its condition cannot hold any more

struct Node {
  // The member.
  std::uint8_t up = 1;    ///< else stopped, or out
  std::uint8_t life = 0;  ///< incarnation
  std::uint8_t lease = kLease;
  std::uint8_t flight = 0;  ///< renewal on its way: 0 none, else ticks since it was sent, + 1
  std::uint8_t known = 1;   ///< it knows what its key has
  std::uint8_t age = 0;     ///< ticks since the renewal that its key has was sent; 0 while known
  // Its key, as others see it.
  std::uint8_t left = 0;
  std::uint8_t seen = 1;    ///< others have seen what it has
  std::uint8_t silent = 0;  ///< for so many ticks they have seen nothing new
  // What it knows of the table.
  std::uint8_t fresh = 1;
  std::uint8_t mine = 0, mine_epoch = 0,
               mine_goes = 0;  ///< it is the owner; in this epoch; and the shard is to go
  std::uint8_t comes = 0;      ///< it is the next owner
  // The shard here.
  std::uint8_t local = kNone;
  std::uint8_t epoch = 0;
  std::uint8_t open = 0;
  std::uint8_t tail = 0;  ///< what it takes for the end of the log is the end
  // An append of its.
  std::uint8_t writing = kIdle, writing_epoch = 0, writing_at = 0;
};

struct State {
  std::array<Node, kNodes> nodes;
  std::uint8_t owner = 0, next = kNobody, epoch = 1;  ///< of the table; node + 3 * incarnation
  std::uint8_t fence = 1, fence_by = 0;
  std::uint8_t length = 0;
  std::array<std::uint8_t, kMaxLog> log{};  ///< epochs
  std::array<std::uint8_t, kMaxLog> acked{};
  std::uint8_t moves = 0, rejoins = 0;
};

using Packed = std::array<std::uint64_t, kNodes>;

class Bits {
 public:
  explicit Bits(std::uint64_t& word) : word_(word) {}
  void put(std::uint8_t value, int bits) {
    word_ |= static_cast<std::uint64_t>(value) << at_;
    at_ += bits;
  }

 private:
  std::uint64_t& word_;
  int at_ = 0;
};

class Read {
 public:
  explicit Read(std::uint64_t word) : word_(word) {}
  std::uint8_t get(int bits) {
    const auto value = static_cast<std::uint8_t>(word_ & ((1u << bits) - 1));
    word_ >>= bits;
    return value;
  }

 private:
  std::uint64_t word_;
};

/// Calls `each` with every field of a node and its width; then those of the rest in the first word.
template <class S, class Each>
void fields(S& state, std::size_t word, Each each) {
  auto& n = state.nodes[word];
  each(n.up, 1), each(n.life, 1), each(n.lease, 2), each(n.flight, 2), each(n.known, 1), each(n.age, 2);
  each(n.left, 1), each(n.seen, 1), each(n.silent, 2), each(n.fresh, 1), each(n.mine, 1),
      each(n.mine_epoch, 3);
  each(n.mine_goes, 1), each(n.comes, 1), each(n.local, 2), each(n.epoch, 3), each(n.open, 1),
      each(n.tail, 1);
  each(n.writing, 2), each(n.writing_epoch, 3), each(n.writing_at, 2);
  if (word > 0) return;
  each(state.owner, 3), each(state.next, 3), each(state.epoch, 3), each(state.fence, 3),
      each(state.fence_by, 3);
  each(state.length, 2), each(state.moves, 2), each(state.rejoins, 2);
  for (std::size_t i = 0; i < kMaxLog; ++i) each(state.log[i], 3), each(state.acked[i], 1);
}

Packed pack(const State& state) {
  Packed packed{};
  for (std::size_t word = 0; word < kNodes; ++word) {
    Bits bits(packed[word]);
    fields(state, word, [&](std::uint8_t value, int width) { bits.put(value, width); });
  }
  return packed;
}

State unpack(const Packed& packed) {
  State state;
  for (std::size_t word = 0; word < kNodes; ++word) {
    Read bits(packed[word]);
    fields(state, word, [&](std::uint8_t& value, int width) { value = bits.get(width); });
  }
  return state;
}

/// The states seen so far, by number, and how each was reached first.
class Seen {
 public:
  std::pair<std::uint32_t, bool> add(const Packed& state, std::uint32_t parent, const char* step,
                                     std::uint8_t node) {
    if (states_.size() * 2 >= table_.size()) grow();
    auto slot = find(state);
    if (table_[slot] != kFree) return {table_[slot], false};
    table_[slot] = static_cast<std::uint32_t>(states_.size());
    states_.push_back(state);
    from_.push_back({step, parent, node});
    return {table_[slot], true};
  }
  const Packed& operator[](std::uint32_t i) const { return states_[i]; }
  std::size_t size() const { return states_.size(); }
  std::vector<std::string> path(std::uint32_t to) const {
    std::vector<std::string> steps;
    for (; to != 0; to = from_[to].parent)
      steps.push_back(std::string(1, "ABC-"[from_[to].node]) + ' ' + from_[to].step);
    std::reverse(steps.begin(), steps.end());
    return steps;
  }

 private:
  static constexpr std::uint32_t kFree = std::numeric_limits<std::uint32_t>::max();
  struct From {
    const char* step;
    std::uint32_t parent;
    std::uint8_t node;
  };
  std::size_t find(const Packed& state) const {
    std::uint64_t hash = 0;
    for (const auto word : state) {
      hash = (hash ^ word) * 0x9e3779b97f4a7c15;
      hash ^= hash >> 29;
    }
    auto slot = hash & (table_.size() - 1);
    while (table_[slot] != kFree && states_[table_[slot]] != state) slot = (slot + 1) & (table_.size() - 1);
    return slot;
  }
  void grow() {
    table_.assign(std::max<std::size_t>(1 << 16, table_.size() * 2), kFree);
    for (std::uint32_t i = 0; i < states_.size(); ++i) table_[find(states_[i])] = i;
  }

  std::vector<std::uint32_t> table_;
  std::vector<Packed> states_;
  std::vector<From> from_;
};

std::uint8_t name(std::uint8_t node, const Node& n) {
  return static_cast<std::uint8_t>(node + kNodes * n.life);
}

bool dead(const State& state, std::uint8_t who) {
  const auto& n = state.nodes[who % kNodes];
  return who / kNodes < n.life || n.left;
}

/// All that can happen next. `then` gets the state, the step and the node.
template <class Then>
class Steps {
 public:
  Steps(const State& state, const Faulty& faulty, const Bounds& bounds, Then then)
      : now_(state), faulty_(faulty), bounds_(bounds), then_(then) {}

  void all() {
    tick();
    for (std::uint8_t i = 0; i < kNodes; ++i) {
      member(i);
      if (now_.nodes[i].up) {
        table(i);
        shard(i);
      }
      append(i);
    }
  }

  std::string violation;

 private:
  template <class Change>
  void step(const char* what, std::uint8_t node, Change change) {
    State next = now_;
    std::string broken = change(next);
    for (std::uint8_t i = 0; i < kNodes; ++i) settle(next, i);
    if (broken.empty()) broken = overlap(next);
    if (violation.empty()) violation = broken;
    then_(next, what, node, !broken.empty());
  }

  static std::string overlap(const State& state) {
    int holders = 0;
    for (const auto& n : state.nodes) holders += n.up && n.lease > 0 && n.local == kHeld;
    return holders > 1 ? "two nodes believe that the shard is theirs" : "";
  }

  /// Whether its lease may make a difference.
  static bool has_to_do(const State& state, std::uint8_t i) {
    const auto& n = state.nodes[i];
    return state.owner == name(i, n) || n.mine || n.local != kNone || n.writing != kIdle;
  }

  /// What a node does at once with what it knows; and what does not matter is made equal.
  void settle(State& state, std::uint8_t i) const {
    auto& n = state.nodes[i];
    if (n.up && !n.fresh && !n.mine) view(state, i);  // one who waits would only do the same later
    if (!n.up) {
      n.lease = n.flight = n.age = n.mine = n.mine_epoch = n.mine_goes = n.comes = n.fresh = 0;
      n.known = 1;
      n.local = kNone;
    } else if (n.lease > 0) {
      const bool early = faulty_.takes_early && n.comes;
      if (n.mine || early) {
        if (n.mine && n.mine_goes && n.local == kNone) n.local = kReleased;
        if ((early || !n.mine_goes) && n.local != kHeld) {
          n.local = kHeld;
          n.epoch = n.mine_epoch;
          n.open = n.tail = 0;
        } else if (n.local == kHeld && n.epoch != n.mine_epoch) {
          n.epoch = n.mine_epoch;
          n.open = n.tail = 0;
        }
      } else {
        n.local = kNone;
      }
    }
    if (n.local != kHeld) n.epoch = n.open = n.tail = 0;
    if (n.writing == kIdle) n.writing_epoch = n.writing_at = 0;
    const bool involved = !n.up || n.left || has_to_do(state, i);
    if (!involved) {
      n.lease = kLease;
      n.known = n.seen = 1;
      n.flight = n.age = n.silent = 0;
    }
    if (n.left) n.silent = n.flight = 0, n.seen = 1;
    if (n.known) n.age = 0;
  }

  void tick() {
    step("a tick passes", 3, [](State& s) {
      for (auto& n : s.nodes) {
        if (n.lease > 0) --n.lease;
        if (n.flight > 0 && n.flight <= kLease) ++n.flight;
        if (!n.known && n.age < kLease) ++n.age;
        if (!n.left && n.silent <= kLease) ++n.silent;
      }
      return "";
    });
  }

  void member(std::uint8_t i) {
    const auto& n = now_.nodes[i];
    if (n.up && n.flight == 0 && n.known && !n.left) {
      step("sends a renewal", i, [&](State& s) { return s.nodes[i].flight = 1, ""; });
    }
    if (n.flight > 0) {
      step("loses a renewal", i, [&](State& s) { return s.nodes[i].flight = 0, ""; });
      step("has its renewal stored", i, [&](State& s) {
        auto& m = s.nodes[i];
        m.age = static_cast<std::uint8_t>(m.flight - 1);
        m.flight = m.known = m.seen = 0;
        return "";
      });
    }
    if (n.up && !n.known) {
      step("learns that it has renewed", i, [&](State& s) {
        auto& m = s.nodes[i];
        const std::uint8_t rest =
            faulty_.lease_from_reply ? kLease : static_cast<std::uint8_t>(kLease - m.age);
        m.lease = std::max(m.lease, rest);
        m.known = 1;
        return "";
      });
    }
    if (!n.seen) {
      step("is seen to have renewed", i, [&](State& s) {
        s.nodes[i].seen = 1;
        s.nodes[i].silent = 0;
        return "";
      });
    }
    const bool long_enough = n.silent > kLease || faulty_.buries_early;
    if (!n.left && long_enough && (n.seen || faulty_.buries_blindly)) {
      step("is declared dead", i, [&](State& s) { return s.nodes[i].left = 1, ""; });
    }
    if (n.up && n.left) {
      step("learns that it is dead", i, [&](State& s) { return s.nodes[i].up = 0, ""; });
    }
    if (n.up && has_to_do(now_, i)) {
      step("stops", i, [&](State& s) { return s.nodes[i].up = 0, ""; });
    }
    if (!n.up && n.left && n.life == 0 && now_.rejoins < bounds_.rejoins) {
      step("joins again", i, [&](State& s) {
        auto& m = s.nodes[i];
        m.up = m.life = m.known = m.seen = 1;
        m.left = m.silent = m.fresh = 0;
        m.lease = kLease;
        ++s.rejoins;
        return "";
      });
    }
  }

  void view(State& s, std::uint8_t i) const {
    auto& n = s.nodes[i];
    const auto me = name(i, n);
    n.fresh = 1;
    n.mine = s.owner == me;
    n.comes = s.next == me;
    n.mine_epoch = n.mine || (faulty_.takes_early && n.comes) ? s.epoch : 0;
    n.mine_goes = n.mine && s.next != kNobody;
  }

  /// Writes the table on the condition that the writer knows it; the answer may get lost.
  template <class Change>
  void write(const char* what, std::uint8_t i, Change change) {
    for (const bool answered : {true, false}) {
      step(what, i, [&](State& s) {
        change(s);
        for (auto& n : s.nodes) n.fresh = 0;
        if (answered) view(s, i);
        return "";
      });
    }
  }

  void table(std::uint8_t i) {
    const auto& n = now_.nodes[i];
    if (!n.fresh) {
      step("sees the table", i, [&](State& s) { return view(s, i), ""; });
      return;
    }
    if (n.lease == 0) return;
    const bool estate = dead(now_, now_.owner);
    const auto next_epoch = [&](bool raise) { return static_cast<std::uint8_t>(now_.epoch + raise); };
    for (std::uint8_t to = 0; to < kNodes; ++to) {
      const auto who = name(to, now_.nodes[to]);
      if (now_.nodes[to].left || who == now_.owner) continue;
      if (estate && !faulty_.leaves_estate && now_.epoch < bounds_.epochs) {
        write("gives the shard of a dead node away", i, [&](State& s) {
          s.owner = who;
          s.next = kNobody;
          s.epoch = next_epoch(!faulty_.same_epoch);
        });
      }
      if (!estate && now_.next == kNobody && now_.moves < bounds_.moves && now_.epoch < bounds_.epochs) {
        write("plans a move", i, [&](State& s) {
          s.next = who;
          ++s.moves;
        });
      }
    }
    if (!estate && now_.next != kNobody) {
      write("undoes a move", i, [](State& s) { s.next = kNobody; });
    }
    const bool may_go = n.local == kReleased || (faulty_.hands_over_early && n.local == kHeld);
    if (n.mine && n.mine_goes && may_go && now_.epoch < bounds_.epochs) {
      write("hands over", i, [&](State& s) {
        s.owner = s.next;
        s.next = kNobody;
        s.epoch = next_epoch(true);
      });
    }
  }

  void shard(std::uint8_t i) {
    const auto& n = now_.nodes[i];
    if (n.local != kHeld) return;
    if (n.lease == 0) {
      step("stops the shard", i, [&](State& s) { return s.nodes[i].local = kNone, ""; });
    }
    if (n.mine && n.mine_goes && n.lease > 0 && n.writing == kIdle) {
      step("releases", i, [&](State& s) { return s.nodes[i].local = kReleased, ""; });
    }
    if (!n.open) {
      step("opens the shard", i, [&](State& s) -> std::string {
        auto& m = s.nodes[i];
        if (m.epoch < s.fence)
          return m.local = kNone, m.mine = 0, m.mine_epoch = 0, m.mine_goes = 0, m.fresh = 0, "";
        const bool twice = m.epoch == s.fence && s.fence_by != name(i, m);
        s.fence = m.epoch;
        s.fence_by = name(i, m);
        stored(s, i);
        m.open = m.tail = 1;
        return twice ? "two incarnations have opened the shard in one epoch" : "";
      });
    } else if (n.writing == kIdle && now_.length < bounds_.commits) {
      step("sends an append", i, [&](State& s) {
        auto& m = s.nodes[i];
        m.writing = m.tail ? kFlying : kVoid;
        m.writing_epoch = m.epoch;
        m.writing_at = s.length;
        return "";
      });
    }
  }

  /// Something was stored: whoever believes in another end of the log is wrong.
  static void stored(State& s, std::uint8_t by) {
    for (std::uint8_t i = 0; i < kNodes; ++i) {
      auto& n = s.nodes[i];
      if (i != by) n.tail = 0;
      if (n.writing == kFlying) n.writing = kVoid;
    }
  }

  void append(std::uint8_t i) {
    const auto& n = now_.nodes[i];
    if (n.writing == kFlying || (n.writing == kVoid && faulty_.no_fence)) {
      step("has its append stored", i, [&](State& s) -> std::string {
        auto& m = s.nodes[i];
        const bool old = m.writing_epoch < s.fence;
        const bool over = m.writing_at < s.length && s.acked[m.writing_at];
        stored(s, i);
        s.length = std::max<std::uint8_t>(s.length, static_cast<std::uint8_t>(m.writing_at + 1));
        s.log[m.writing_at] = m.writing_epoch;
        s.acked[m.writing_at] = 0;
        m.writing = kStored;
        if (over) return "an acknowledged commit is gone";
        return old ? "a commit of an old epoch after a newer one" : "";
      });
    }
    if (n.writing == kStored) {
      step("acknowledges", i, [&](State& s) -> std::string {
        auto& m = s.nodes[i];
        const bool there = m.writing_at < s.length && s.log[m.writing_at] == m.writing_epoch;
        s.acked[m.writing_at] = 1;
        m.writing = kIdle;
        return there ? "" : "an acknowledged commit is gone";
      });
    }
    if (n.writing == kVoid) {
      step("has its append refused", i, [&](State& s) {
        auto& m = s.nodes[i];
        m.writing = kIdle;
        if (m.local == kHeld && !m.tail) m.open = 0;  // it has to open the shard again, if it may
        return "";
      });
    }
    if (n.writing == kFlying) {
      step("loses an append", i, [&](State& s) -> std::string {
        auto& m = s.nodes[i];
        m.writing = kIdle;
        if (!faulty_.believes_silence) return "";
        const bool there = m.writing_at < s.length && s.log[m.writing_at] == m.writing_epoch;
        return there ? "" : "an acknowledged commit is gone";
      });
    }
  }

  const State& now_;
  const Faulty& faulty_;
  const Bounds& bounds_;
  Then then_;
};

/// The shard is served, and nothing is on its way.
bool good(const State& s) {
  const auto& n = s.nodes[s.owner % kNodes];
  return !dead(s, s.owner) && n.up && n.lease > 0 && n.local == kHeld && n.open && n.tail &&
         n.epoch == s.epoch && s.fence == s.epoch && s.next == kNobody;
}

/// The bounds of the model, not the protocol, may leave it stuck: no epoch is left, or no node.
bool exhausted(const State& s, const Bounds& bounds) {
  const auto up =
      std::count_if(s.nodes.begin(), s.nodes.end(), [](const Node& n) { return n.up && !n.left; });
  return s.epoch >= bounds.epochs || (up == 0 && s.rejoins == bounds.rejoins);
}

}  // namespace

Checked check_model(const Faulty& faulty, const Bounds& bounds) {
  Checked result;
  Seen seen;
  State first;
  auto& owner = first.nodes[0];
  owner.mine = owner.mine_epoch = owner.open = owner.tail = owner.epoch = 1;
  owner.local = kHeld;
  seen.add(pack(first), 0, "", 3);
  std::vector<std::uint32_t> edges, starts;
  std::vector<std::uint8_t> fine;
  for (std::uint32_t at = 0; at < seen.size(); ++at) {
    const State now = unpack(seen[at]);
    starts.push_back(static_cast<std::uint32_t>(edges.size()));
    fine.push_back(good(now));
    std::uint32_t broken = 0;
    Steps steps(now, faulty, bounds, [&](const State& next, const char* what, std::uint8_t node, bool bad) {
      const auto [number, fresh] = seen.add(pack(next), at, what, node);
      edges.push_back(number);
      if (bad && broken == 0) {
        broken = at;
        result.trace = seen.path(at);
        result.trace.push_back(std::string(1, "ABC-"[node]) + ' ' + what);
      }
    });
    steps.all();
    if (steps.violation.empty() && seen.size() > bounds.states)
      steps.violation = "there are more states than it may look at";
    if (!steps.violation.empty()) {
      result.violation = steps.violation;
      break;
    }
  }
  result.states = seen.size();
  result.steps = edges.size();
  if (!result.violation.empty()) return result;

  starts.push_back(static_cast<std::uint32_t>(edges.size()));
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t at = fine.size(); at-- > 0;) {
      if (fine[at]) continue;
      const bool leads = std::any_of(edges.begin() + starts[at], edges.begin() + starts[at + 1],
                                     [&](std::uint32_t to) { return fine[to]; });
      if (leads) fine[at] = changed = true;
    }
  }
  for (std::uint32_t at = 0; at < fine.size(); ++at) {
    if (fine[at] || exhausted(unpack(seen[at]), bounds)) continue;
    result.violation = "the shard can never be served again";
    result.trace = seen.path(at);
    break;
  }
  return result;
}

}  // namespace cx::cluster
