#include "tests/runtime/entity/simulation.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <xxhash.h>

#include "tests/runtime/entity/harness.hpp"
#include "tests/runtime/entity/ledger.hpp"

namespace cx::test {
namespace {

constexpr unsigned kCounters = 6, kAccounts = 12, kAlarms = 4, kClients = 3;
constexpr unsigned kSteps = 1'500;
constexpr std::size_t kUnderWay = 24;

class Simulation {
 public:
  Simulation(std::uint64_t seed, bool clustered, const Sabotage& sabotage)
      : random_(seed ^ 0x5eed),
        clustered_(clustered),
        lying_disk_(sabotage.lying_disk),
        world_(options(seed, sabotage)) {
    world_.endpoint = [this](const Letter& letter, const Respond& respond) { pay(letter, respond); };
    world_.on_lost = [this](unsigned, ShardEpoch) { ++verdict_.lost; };
    if (clustered) world_.misroute = [this](const Request& request) { return mislead(request); };
  }

  Verdict run();

 private:
  WorldOptions options(std::uint64_t seed, const Sabotage& sabotage);
  bool chance(double p) { return random_.uniform() < p; }
  std::uint32_t below(std::uint32_t n) { return random_.below(n); }

  void step();
  void start();
  void break_something();
  void move_something();
  std::optional<unsigned> mislead(const Request& request);
  void command();
  Transfer transfer();
  void issue(Op& op);
  void collect();
  void forget_answers();
  void pay(const Letter& letter, const Respond& respond);
  void settle();
  void quiet();

  struct UnderWay {
    std::size_t op;
    World::Reply reply;
  };
  struct Client {
    std::uint64_t sequence = 0;
    std::vector<std::size_t> open;  ///< its ops with an id that it has no answer to
  };

  Random random_;
  const bool clustered_, lying_disk_;
  World world_;
  Ledger ledger_;
  std::vector<UnderWay> under_way_;
  std::vector<std::size_t> to_retry_;
  std::vector<Respond> unpaid_;  ///< who waits for an answer of the till
  bool calm_ = false;            ///< nothing breaks any more
  Client clients_[kClients];
  Verdict verdict_;
};

const Kinds& kinds_and_till() {
  static const Kinds kinds = [] {
    auto all = all_kinds();
    all.add_endpoint("till", {&Credit::default_instance()});
    return all;
  }();
  return kinds;
}

WorldOptions Simulation::options(std::uint64_t seed, const Sabotage& sabotage) {
  WorldOptions all;
  all.seed = seed;
  all.shuffled = true;
  all.kinds = &kinds_and_till();
  all.hosts = (clustered_ ? 2 : 1) + below(3);
  all.clustered = clustered_;
  all.unfenced = sabotage.no_fence;
  auto& host = all.host;
  host.max_resident = chance(0.5) ? 2 + below(6) : 1'000;
  host.idle_ms = 100 + below(3'000);
  host.snapshot_ms = 100 + below(3'000);
  host.entity_credit = chance(0.3) ? 2 + below(4) : 256;
  host.outbox_credit = chance(0.3) ? 2 + below(8) : 8'192;
  host.strict = chance(0.2);
  host.sabotage = sabotage.host;
  return all;
}

void Simulation::start() {
  world_.environment.disk().heal();
  world_.environment.disk().lie_about_syncs(lying_disk_);
  if (const auto error = world_.start())
    throw std::runtime_error("The node does not start: " + error->detail);
}

Verdict Simulation::run() {
  try {
    start();
    for (unsigned i = 0; i < kSteps; ++i) step();
    quiet();
    ledger_.audit(world_, verdict_.faults);
    // What was true stays true.
    if (lying_disk_) world_.environment.disk().lie_about_syncs(true);
    world_.lose_power();
    start();
    ledger_.audit(world_, verdict_.faults);
  } catch (const std::exception& e) {
    verdict_.faults.emplace_back(e.what());
  }
  if (!world_.running()) return verdict_;
  std::string all;
  for (const auto shard : world_.options_.shards) {
    for (const auto& record : world_.records(shard)) {
      all += record.SerializeAsString();
      verdict_.within += record.letter() != 0;
      ++verdict_.records;
    }
  }
  verdict_.digest = XXH3_64bits(all.data(), all.size());
  return verdict_;
}

void Simulation::step() {
  if (clustered_ && chance(0.05)) move_something();
  const auto what = random_.uniform();
  if (what < 0.4)
    command();
  else if (what < 0.88)
    for (auto n = 1 + below(6); n > 0 && world_.step(); --n) {
    }
  else if (what < 0.97)
    world_.tick(chance(0.05) ? 5'000 : 1 + below(100));
  else if (what < 0.98)
    world_.environment.release();
  else if (what < 0.985)
    for (const auto& respond : std::exchange(unpaid_, {})) respond(MessagePtr());
  else
    break_something();
  collect();
}

void Simulation::break_something() {
  auto& environment = world_.environment;
  switch (below(8)) {
    case 0:
      ++verdict_.crashes;
      world_.crash();
      forget_answers();
      return start();
    case 1:
      ++verdict_.power_losses;
      world_.lose_power(chance(0.5) ? 0 : random_.next());
      forget_answers();
      return start();
    case 2:
      environment.disk().heal();
      world_.stop();
      collect();
      forget_answers();
      return start();
    case 3:
    case 4: {
      ++verdict_.disk_faults;
      ledger_.broke();
      FaultFiles::Fault fault{
          FaultFiles::Operation::write, FaultFiles::Failure::io_error, below(6), chance(0.2), 0, ".log"};
      if (chance(0.3)) fault.operation = FaultFiles::Operation::sync;
      if (chance(0.4)) fault.failure = FaultFiles::Failure::no_space;
      if (chance(0.5)) fault.keep = below(100);
      return environment.disk().fail(fault);
    }
    case 5:
      return environment.disk().heal();
    case 6:
      return environment.network({0.3 * random_.uniform(), 0.3 * random_.uniform(), 0.5 * random_.uniform()});
    default:
      return environment.network({});
  }
}

void Simulation::move_something() {
  const auto shard = world_.shard_at(below(static_cast<std::uint32_t>(world_.options_.shards.size())));
  const auto what = random_.uniform();
  if (what < 0.5) {
    ++verdict_.moved;
    return world_.move(shard, below(world_.options_.hosts));
  }
  if (what < 0.8) {
    ++verdict_.seized;
    return world_.seize(shard, below(world_.options_.hosts));
  }
  ++verdict_.dropped;
  world_.drop(shard);
  world_.take(shard);
}

/// Whoever had the shard and does not know that it is gone gets some of what it cannot refuse: what it says
/// without writing anything down may be out of date.
std::optional<unsigned> Simulation::mislead(const Request& request) {
  const auto& command = *request.command;
  const bool takes = dynamic_cast<const Add*>(&command) || dynamic_cast<const AddRelaxed*>(&command) ||
                     dynamic_cast<const Deposit*>(&command) || dynamic_cast<const Credit*>(&command);
  if (calm_ || !takes) return std::nullopt;
  for (unsigned host = 0; host < world_.options_.hosts; ++host) {
    if (host == world_.place(request.shard).host || !world_.here(host, request.shard) || chance(0.3))
      continue;
    ++verdict_.misled;
    return host;
  }
  return std::nullopt;
}

/// The node is gone, and with it whatever it had not answered.
void Simulation::forget_answers() {
  ledger_.broke();
  for (const auto& one : under_way_) {
    Op& op = ledger_.ops[one.op];
    if (op.outcome != Op::pending) continue;
    if (op.client < 0)
      op.outcome = Op::unknown;
    else
      to_retry_.push_back(one.op);
  }
  under_way_.clear();
}

void Simulation::command() {
  if (under_way_.size() >= kUnderWay) return;
  if (!to_retry_.empty() && chance(0.5)) {
    const auto which = below(static_cast<std::uint32_t>(to_retry_.size()));
    const auto op = to_retry_[which];
    to_retry_.erase(to_retry_.begin() + which);
    ++verdict_.retried;
    return issue(ledger_.ops[op]);
  }
  Op op;
  op.number = ledger_.ops.size();
  const auto kind = below(10);
  if (kind < 5) {
    op.to = world_.entity("counter", below(kCounters));
    switch (below(8)) {
      case 0:
      case 1:
        op.query = true;
        op.command = std::make_shared<GetTotal>();
        break;
      case 2:
        op.relaxed = !world_.options_.host.strict;
        op.command = std::make_shared<AddRelaxed>(make_relaxed(1 + below(9)));
        break;
      case 3:
        op.command = std::make_shared<Take>(make_take(1 + below(30)));
        break;
      case 4:
        if (chance(0.2)) {
          op.command = std::make_shared<Explode>();
          break;
        }
        [[fallthrough]];
      default:
        op.command = std::make_shared<Add>(make_add(1 + below(9)));
    }
  } else if (kind < 8) {
    op.to = world_.entity("account", below(kAccounts));
    if (chance(0.4))
      op.command = std::make_shared<Deposit>(make_deposit(1 + below(100)));
    else
      op.command = std::make_shared<Transfer>(transfer());
  } else {
    op.to = world_.entity("alarm", below(kAlarms));
    const std::string name(1, static_cast<char>('a' + below(6)));
    if (chance(0.3))
      op.command = std::make_shared<CancelAlarm>(make_cancel(name));
    else
      op.command = std::make_shared<SetAlarm>(
          make_alarm(name, world_.now() + below(3'000), 1 + below(3), 1 + below(1'000)));
  }
  if (!op.query && !op.relaxed && chance(0.6)) {
    op.client = static_cast<int>(below(kClients));
    auto& client = clients_[op.client];
    op.sequence = client.sequence += 1 + below(3);
    client.open.push_back(op.number);
  } else if (chance(0.05)) {
    op.deadline = world_.now() + below(100);
  }
  ledger_.ops.push_back(std::move(op));
  auto& issued = ledger_.ops.back();
  issue(issued);
  if (issued.client < 0 || !chance(0.1)) return;
  issued.doubled = true;  // the network doubles clients' messages, too
  issue(issued);
}

/// To anybody, or through the accounts of one shard, or out of here.
Transfer Simulation::transfer() {
  const auto account = [&](unsigned n) { return world_.entity("account", n); };
  const auto amount = 1 + below(20);
  if (chance(0.2)) return make_transfer("till/t/" + std::to_string(below(3)), amount);
  if (chance(0.5)) return make_transfer(account(below(kAccounts)), amount);
  const auto shards = static_cast<unsigned>(world_.options_.shards.size());
  const auto shard = below(shards);
  std::vector<std::string> then;
  for (auto n = 1 + below(4); n > 0; --n) then.push_back(account(shard + shards * below(3)));
  if (chance(0.2)) then.push_back("till/t/0");
  return make_transfer(account(shard), amount, then);
}

/// The till is outside: it answers at once, later or not, and remembers what it got.
void Simulation::pay(const Letter& letter, const Respond& respond) {
  const auto what = calm_ ? 0 : random_.uniform();
  if (what < 0.7) {
    ++(ledger_.paid.emplace(letter.id, letter).second ? verdict_.paid : verdict_.repaid);
    if (what < 0.4) return respond(MessagePtr());
    return unpaid_.push_back(respond);
  }
  respond(Error{chance(0.5) ? Code::overloaded : Code::unavailable, "closed", "The till is closed.", ""});
}

void Simulation::issue(Op& op) {
  Envelope envelope;
  envelope.trace = op.trace();
  envelope.deadline = op.deadline;
  if (op.client >= 0) {
    envelope.source = fmt::format("client-{}", op.client);
    envelope.sequence = op.sequence;
    envelope.settled = op.sequence;
    for (const auto other : clients_[op.client].open)
      envelope.settled = std::min(envelope.settled, ledger_.ops[other].sequence);
  }
  if (op.outcome == Op::pending) op.floor = ledger_.seen[op.to];
  under_way_.push_back({op.number, world_.send(op.to, op.command, envelope)});
}

/// Notes what was answered.
void Simulation::collect() {
  std::vector<UnderWay> waiting;
  for (auto& one : under_way_) {
    if (!*one.reply) {
      waiting.push_back(std::move(one));
      continue;
    }
    Op& op = ledger_.ops[one.op];
    const Answer& answer = **one.reply;
    const bool again =
        !answer && (answer.error().code == Code::unavailable || answer.error().code == Code::overloaded);
    if (op.outcome != Op::pending) {
      if (answer) ledger_.told_again(op, *answer, verdict_.faults);
      continue;
    }
    if (again && op.client >= 0) {
      to_retry_.push_back(one.op);
      continue;
    }
    if (answer) {
      ++verdict_.acknowledged;
      ledger_.told(op, *answer, verdict_.faults);
    } else if (answer.error().code == Code::unavailable) {
      ++verdict_.unknown;
      op.outcome = Op::unknown;
    } else {
      op.outcome = Op::refused;
    }
    if (op.client >= 0) std::erase(clients_[op.client].open, one.op);
  }
  under_way_ = std::move(waiting);
}

/// Nothing breaks any more; clients repeat what they do not know, and what is on its way arrives.
void Simulation::quiet() {
  calm_ = true;
  for (const auto& respond : std::exchange(unpaid_, {})) respond(MessagePtr());
  world_.environment.disk().heal();
  world_.environment.network({});
  world_.environment.release();
  world_.advance(3'000);
  collect();
  for (int round = 0; round < 50 && !(to_retry_.empty() && under_way_.empty()); ++round) {
    for (const auto op : std::exchange(to_retry_, {})) issue(ledger_.ops[op]);
    world_.advance(1'000);
    collect();
  }
  // With nothing to break, what is relaxed stays, too.
  ledger_.broke();
  for (unsigned n = 0; n < kCounters; ++n) {
    Op op;
    op.number = ledger_.ops.size();
    op.to = world_.entity("counter", n);
    op.relaxed = true;
    op.command = std::make_shared<AddRelaxed>(make_relaxed(1));
    ledger_.ops.push_back(std::move(op));
    issue(ledger_.ops.back());
  }
  world_.advance(120'000);
  collect();
}

}  // namespace

Verdict simulate(std::uint64_t seed, const Sabotage& sabotage) {
  return Simulation(seed, false, sabotage).run();
}

Verdict simulate_cluster(std::uint64_t seed, const Sabotage& sabotage) {
  return Simulation(seed, true, sabotage).run();
}

}  // namespace cx::test
