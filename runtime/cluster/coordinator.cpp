#include "runtime/cluster/coordinator.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <spdlog/spdlog.h>
#include <thread>
#include <utility>

#include "runtime/cluster/membership.hpp"
#include "runtime/nats/jetstream.hpp"

namespace cx::cluster {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// What a thread is to do, one after the other. What is pushed after close() is void, so that whoever may
/// still call back needs this only.
class Queue {
 public:
  using Task = std::function<void()>;

  void push(Task task) {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return;
      tasks_.push_back(std::move(task));
    }
    ready_.notify_one();
  }
  void close() {
    std::vector<Task> dropped;
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
      dropped.swap(tasks_);
    }
    ready_.notify_one();
  }
  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  /// What was pushed, after `patience` at the latest; nothing any more when closed.
  std::optional<std::vector<Task>> pop(milliseconds patience) {
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, patience, [this] { return closed_ || !tasks_.empty(); });
    if (closed_) return std::nullopt;
    return std::exchange(tasks_, {});
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<Task> tasks_;
  bool closed_ = false;
};

milliseconds call_timeout(const v1::Member& member) {
  return milliseconds(std::clamp<std::uint32_t>(member.lease_ms() / 4, 50, 2000));
}

}  // namespace

struct Coordinator::Inner {
  explicit Inner(Parts given)
      : parts(std::move(given)),
        stream("KV_" + parts.cluster + "_members"),
        prefix("$KV." + parts.cluster + "_members."),
        member(parts.member, parts.cluster),
        jetstream(parts.connection, call_timeout(parts.member)) {
    parts.shards.on_lost([this, events = events](ShardEpoch shard) {
      events->push([this, shard] { member.lost(now(), shard); });
    });
  }
  ~Inner() {
    events->close();
    calls->close();
    if (reader.joinable()) reader.join();
    follower.reset();
    if (thread.joinable()) thread.join();
  }

  std::int64_t now() const {
    return std::chrono::duration_cast<milliseconds>(parts.environment.clock().steady().time_since_epoch())
        .count();
  }

  // On the thread.

  void run() {
    const milliseconds pause(std::clamp<std::uint32_t>(parts.member.lease_ms() / 40, 5, 50));
    while (auto tasks = events->pop(pause)) {
      member.tick(now());  // before all else: a lease may be over
      carry_out();
      for (const auto& task : *tasks) {
        task();
        carry_out();
      }
      come_back();
    }
  }

  void carry_out() {
    auto commands = member.commands();
    for (const auto& line : commands.log) spdlog::info("cluster: {}", line);
    if (!commands.drop.empty()) parts.shards.drop(commands.drop);
    if (!commands.release.empty()) {
      parts.shards.release(commands.release,
                           [this, events = events, round = commands.round](std::uint32_t shard) {
                             events->push([this, shard, round] { member.released(now(), shard, round); });
                           });
    }
    if (!commands.take.empty()) parts.shards.take(std::move(commands.take));
    for (auto& one : commands.puts) put(std::move(one));
    for (auto& key : commands.reads) calls->push([this, key = std::move(key)] { read(key); });
    if (commands.list) calls->push([this] { list(); });
    for (auto& key : commands.forget) {
      calls->push([this, key = std::move(key)] {
        if (const auto error = jetstream.purge(stream, prefix + key, 0)) {
          spdlog::warn("cluster: {} could not be erased: {}", key, error->detail);
        }
      });
    }
    bool told = false;
    {
      std::lock_guard lock(mutex);
      told = stage == member.stage() && !commands.topology;
      stage = member.stage();
      refusal = member.refusal();
      if (commands.topology) topology = commands.topology;
    }
    if (!told) changed.notify_all();
    if (commands.topology && parts.changed) parts.changed(commands.topology);
  }

  void put(Membership::Put one) {
    jetstream.publish(
        prefix + one.key, one.value, {}, one.after,
        [this, events = events, key = one.key](Result<std::uint64_t> stored) {
          auto outcome = Membership::Outcome::stored;
          std::uint64_t revision = 0;
          if (stored) {
            revision = *stored;
          } else {
            const auto& type = stored.error().type;
            const bool refused = type == "wrong-last-sequence";
            outcome = refused ? Membership::Outcome::refused : Membership::Outcome::unknown;
            if (!refused && type != "timeout" && type != "unavailable") {
              spdlog::error("cluster: {} could not be stored: {}", key, stored.error().detail);
            }
          }
          events->push([this, key, outcome, revision] { member.outcome(now(), key, outcome, revision); });
        });
  }

  void start(const std::string& why) {
    spdlog::info("cluster: node {} joins cluster {}{}", parts.member.node(), parts.cluster, why);
    member.join(now(), fmt::format("{:016x}", parts.environment.random()),
                parts.environment.clock().unix_ms());
    carry_out();
  }

  /// As another, after it was declared dead.
  void come_back() {
    const auto where = member.stage();
    if (where == Membership::Stage::out) {
      retry_at = now() + parts.member.lease_ms();
      start(" again");
    } else if (where == Membership::Stage::refused && has_served && now() >= retry_at) {
      retry_at = now() + parts.member.lease_ms();
      spdlog::error("cluster: {}", member.refusal().detail);
      start(" again");
    }
    if (where == Membership::Stage::serving) has_served = true;
  }

  // On the reader's thread, which waits for NATS so that the other one need not.

  void run_calls() {
    const milliseconds pause(2 * parts.member.lease_ms());
    for (std::int64_t look_at = now() + pause.count(); auto tasks = calls->pop(pause);) {
      for (const auto& task : *tasks) task();
      if (now() < look_at) continue;
      look_after_follower();
      look_at = now() + pause.count();
    }
  }

  void read(const std::string& key) {
    std::optional<Membership::Found> found;
    auto stored = jetstream.last(stream, prefix + key);
    if (stored) {
      found = Membership::Found{stored->sequence, std::move(stored->payload)};
    } else if (stored.error().type == "not-found") {
      found = Membership::Found{};
    }
    events->push([this, key, found = std::move(found)] { member.read(now(), key, found); });
  }

  /// From the oldest message to the newest, so that of each key the last is among them, however they change
  /// meanwhile. What the follower says of having caught up is no substitute: where messages replace others,
  /// the packaged server counts wrongly how many are left.
  void list() {
    for (std::uint64_t from = 1; !events->closed();) {
      auto entry = jetstream.next(stream, prefix + ">", from);
      if (entry) {
        from = entry->sequence + 1;
        show(std::move(*entry));
      } else if (entry.error().type == "not-found") {
        events->push([this] { member.caught_up(now()); });
        return;
      } else {
        std::this_thread::sleep_for(50ms);
      }
    }
  }

  void show(nats::Stored&& entry) {
    if (!entry.subject.starts_with(prefix)) return;
    events->push([this, key = entry.subject.substr(prefix.size()), revision = entry.sequence,
                  value = std::move(entry.payload)] { member.shown(now(), key, revision, value); });
  }

  /// A server that lost acknowledged messages gives their numbers to others, which the follower would pass
  /// over; and it may read from a server whose copy has come to a halt. Either way the leader's word counts.
  void look_after_follower() {
    const auto seen = followed.load();  // before: the stream goes on
    const auto state = jetstream.state(stream);
    if (!state) return;
    const bool halted = state->last > seen && seen == seen_before;
    seen_before = seen;
    if (state->last >= seen && !halted) return;
    spdlog::warn("cluster: stream {} ends at {} although its copy that we read ends at {}: it is read again",
                 stream, state->last, seen);
    follow();
    list();
  }

  void follow() {
    follower.reset();
    followed = 0;
    follower = jetstream.follow(stream, "", 1, [this](nats::Stored&& entry) {
      followed = entry.sequence;
      show(std::move(entry));
    });
  }

  /// Waits for `done` of what carry_out() tells, with the lock held.
  template <class Done>
  bool wait(milliseconds patience, Done done) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, patience, done);
  }

  Parts parts;
  const std::string stream, prefix;
  const std::shared_ptr<Queue> events = std::make_shared<Queue>();
  const std::shared_ptr<Queue> calls = std::make_shared<Queue>();

  // Of the thread.
  Membership member;
  bool has_served = false;
  std::int64_t retry_at = 0;

  std::mutex mutex;  // guards the four below
  std::condition_variable changed;
  Membership::Stage stage = Membership::Stage::idle;
  Error refusal;
  TopologyPtr topology;

  nats::JetStream jetstream;
  std::unique_ptr<nats::Follower> follower;  ///< of the reader's thread, once that runs
  std::atomic<std::uint64_t> followed{0};
  std::uint64_t seen_before = 0;
  std::thread thread, reader;
};

Coordinator::Coordinator(Parts parts) : inner_(std::make_unique<Inner>(std::move(parts))) {}

Coordinator::~Coordinator() = default;

std::optional<Error> Coordinator::join() {
  auto& in = *inner_;
  nats::StreamConfig bucket;
  bucket.name = in.stream;
  bucket.subjects = {in.prefix + ">"};
  bucket.replicas = in.parts.replicas;
  bucket.max_per_subject = 1;
  if (auto error = in.jetstream.ensure(bucket)) return error;
  in.follow();
  in.events->push([&in] { in.start(""); });
  in.thread = std::thread([&in] { in.run(); });
  in.reader = std::thread([&in] { in.run_calls(); });

  using Stage = Membership::Stage;
  const milliseconds patience = 30s + 3 * milliseconds(in.parts.member.lease_ms());
  const bool decided =
      in.wait(patience, [&in] { return in.stage == Stage::serving || in.stage == Stage::refused; });
  std::lock_guard lock(in.mutex);
  if (in.stage == Stage::refused) return in.refusal;
  if (decided) return std::nullopt;
  return Error{Code::unavailable, "join-timeout",
               fmt::format("node {} did not become a member of cluster {} within {} s: NATS may be slow or "
                           "changing its leader; "
                           "look at its servers, and start the node again",
                           in.parts.member.node(), in.parts.cluster, patience / 1s),
               ""};
}

void Coordinator::leave(milliseconds grace) {
  auto& in = *inner_;
  if (!in.thread.joinable()) return;
  in.events->push([&in, grace] { in.member.leave(in.now(), grace.count()); });
  const milliseconds patience = grace + 1s + 2 * milliseconds(in.parts.member.lease_ms());
  in.wait(patience, [&in] { return in.stage == Membership::Stage::left; });
}

std::optional<Error> Coordinator::set_drained(const std::string& node, bool wanted) {
  auto& in = *inner_;
  const auto before = topology();
  if (!before || !before->members.contains(before->self)) {
    return Error{Code::unavailable, "not-a-member",
                 "this node is not a member of its cluster at the moment; try again", ""};
  }
  const bool known = drained(before->placement, node) ||
                     std::any_of(before->members.begin(), before->members.end(),
                                 [&](const auto& member) { return member.second.node() == node; });
  if (!known) {
    return Error{Code::not_found, "unknown-node",
                 fmt::format("no member of cluster {} is called {}; `campaignctl nodes ls` shows them",
                             in.parts.cluster, node),
                 ""};
  }
  in.events->push([&in, node, wanted] { in.member.drain(in.now(), node, wanted); });
  if (in.wait(10s, [&] { return drained(in.topology->placement, node) == wanted; })) return std::nullopt;
  return Error{
      Code::unavailable, "timeout",
      fmt::format(
          "the placement of cluster {} could not be changed within 10 s: NATS does not answer. It may still "
          "happen; look with `campaignctl nodes ls`",
          in.parts.cluster),
      ""};
}

std::vector<Move> Coordinator::plan() const {
  const auto now = topology();
  return now ? cluster::plan(now->placement, now->members) : std::vector<Move>{};
}

std::vector<Move> Coordinator::rebalance() {
  auto& in = *inner_;
  auto moves = plan();
  in.events->push([&in] { in.member.rebalance(in.now()); });
  return moves;
}

TopologyPtr Coordinator::topology() const {
  std::lock_guard lock(inner_->mutex);
  return inner_->topology;
}

}  // namespace cx::cluster
