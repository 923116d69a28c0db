#include "tests/runtime/entity/harness.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "runtime/address.hpp"
#include "runtime/journal/rocks_journal.hpp"

namespace cx::test {
namespace {

constexpr std::int64_t kCompany = 4;  // milliseconds, as in region.cpp

const Kinds& default_kinds() {
  static const Kinds kinds = all_kinds();
  return kinds;
}

/// The n-th key that lies in a shard.
const std::string& key_in(std::uint32_t shard, unsigned n) {
  static std::map<std::uint32_t, std::vector<std::string>> known;
  static std::map<std::uint32_t, unsigned> tried;
  auto& keys = known[shard];
  for (auto& next = tried[shard]; keys.size() <= n; ++next)
    if (auto key = std::to_string(next); shard_of("t", key) == shard) keys.push_back(std::move(key));
  return keys[n];
}

/// A journal that takes whatever anybody writes.
class Unfenced final : public Journal {
 public:
  explicit Unfenced(std::unique_ptr<Journal> journal) : journal_(std::move(journal)) {}
  std::vector<Result<Head>> open(std::span<const std::uint32_t> shards,
                                 std::optional<std::uint64_t>) override {
    return journal_->open(shards, std::nullopt);
  }
  std::vector<std::optional<Error>> append(std::span<const Append> appends, bool sync) override {
    std::vector<Append> all(appends.begin(), appends.end());
    std::map<std::uint32_t, std::uint64_t> last;
    for (auto& append : all) {
      const auto head = journal_->head(append.shard);
      auto& after = last.emplace(append.shard, head->last).first->second;
      append.epoch = head->epoch;
      append.after = after;
      after += append.records.size();
    }
    return journal_->append(all, sync);
  }
  std::optional<Error> sync() override { return journal_->sync(); }
  Result<Head> head(std::uint32_t shard) const override { return journal_->head(shard); }
  std::optional<Error> read(std::uint32_t shard, std::uint64_t after,
                            const VisitRecord& visit) const override {
    return journal_->read(shard, after, visit);
  }
  std::vector<Result<std::optional<std::string>>> get(Table table,
                                                      std::span<const RowKey> keys) const override {
    return journal_->get(table, keys);
  }
  std::optional<Error> scan(Table table, std::uint32_t shard, std::string_view from,
                            const VisitRow& visit) const override {
    return journal_->scan(table, shard, from, visit);
  }
  std::optional<Error> truncate(std::uint32_t shard, std::uint64_t upto,
                                std::span<const Write> bases) override {
    return journal_->truncate(shard, upto, bases);
  }
  std::uint64_t bytes_written() const override { return journal_->bytes_written(); }

 private:
  const std::unique_ptr<Journal> journal_;
};

HostOptions host_options(const WorldOptions& world) {
  auto options = world.host;
  options.clustered = world.clustered;
  return options;
}

}  // namespace

class World::Port final : public HostPort {
 public:
  Port(World& world, unsigned number, std::vector<std::uint32_t> shards)
      : host(
            host_options(world.options_), shards, world.kinds(), *world.journal_, world.environment,
            [&world](const std::string& kind) -> KindProbe& { return world.probe(kind); }, *this),
        world_(world),
        number_(number),
        life_(world.life_) {}

  void offload(std::function<Then()> work) override {
    world_.post(Task::work, [this, work = std::move(work)] { world_.post(Task::message, work()); });
  }
  void commit(std::vector<Append> appends, Committed then) override {
    const bool first = world_.to_commit_.empty();
    world_.to_commit_.push_back({std::move(appends), std::move(then)});
    if (first) world_.post(Task::commit, [this] { world_.commit_group(); });
  }
  // The network may outlive the node that sends: the next one gets what is in it, and answers nobody.
  void send(std::uint32_t from, Request request, Respond respond) override {
    const auto to = request.shard;
    auto answer = [&world = world_, life = life_, from, to, respond = std::move(respond)](Answer answer) {
      world.environment.carry(to, from, [&world, life, respond, answer = std::move(answer)] {
        world.post(Task::message, [&world, life, respond, answer] {
          if (world.life_ == life) respond(answer);
        });
      });
    };
    world_.environment.carry(from, to,
                             [&world = world_, request = std::move(request), answer = std::move(answer)] {
                               world.post(Task::message, [&world, request, answer] {
                                 if (world.running()) world.target(request).handle(request, answer);
                               });
                             });
  }
  void deliver(const Endpoint&, Letter letter, Respond respond) override {
    world_.post(Task::message,
                [&world = world_, life = life_, letter = std::move(letter), respond = std::move(respond)] {
                  const auto answer = [&world, life, respond](Answer answer) {
                    if (world.life_ != life) return;  // its node is gone
                    world.post(Task::message, [respond, answer = std::move(answer)] { respond(answer); });
                  };
                  if (world.endpoint) return world.endpoint(letter, answer);
                  answer(Error{Code::unavailable, "unavailable", "Nobody is there.", ""});
                });
  }
  void flush_later() override {
    world_.timers_.emplace(world_.now() + kCompany, [this] { host.flush(); });
  }

  void elsewhere(Request request, Respond respond) override {
    world_.post(Task::message, [this, request = std::move(request), respond = std::move(respond)] {
      world_.dispatch(request, respond);
    });
  }
  void here(std::uint32_t shard, bool is) override {
    if (!is) {
      has.erase(shard);
    } else if (has.insert(shard).second) {
      for (auto& [request, respond] : std::exchange(world_.elsewhere_[shard], {}))
        elsewhere(std::move(request), std::move(respond));
    }
  }
  void lost(ShardEpoch shard) override {
    if (world_.on_lost) world_.on_lost(number_, shard);
  }

  Host host;
  std::set<std::uint32_t> has;

 private:
  World& world_;
  const unsigned number_;
  const std::uint64_t life_;
};

World::World(WorldOptions options)
    : environment(options.seed), options_(std::move(options)), order_(options_.seed) {
  if (options_.kinds == nullptr) options_.kinds = &default_kinds();
}

World::~World() {
  crash();
}

std::optional<Error> World::start() {
  auto journal = RocksJournal::open("/data", environment);
  if (!journal) return journal.error();
  journal_ = std::move(*journal);
  if (options_.unfenced) journal_ = std::make_unique<Unfenced>(std::move(journal_));
  if (options_.clustered) {
    for (unsigned i = 0; i < options_.hosts; ++i)
      ports_.push_back(std::make_unique<Port>(*this, i, options_.shards));
    for (unsigned n = 0; n < options_.shards.size(); ++n) {
      const auto shard = options_.shards[n];
      const auto head = journal_->head(shard);
      placement_[shard] = {n % options_.hosts, head->epoch + 1};
      take(shard);
    }
    run();
    return std::nullopt;
  }
  auto first = std::make_shared<std::optional<Error>>();
  for (unsigned i = 0; i < options_.hosts; ++i) {
    std::vector<std::uint32_t> shards;
    for (std::size_t n = i; n < options_.shards.size(); n += options_.hosts)
      shards.push_back(options_.shards[n]);
    ports_.push_back(std::make_unique<Port>(*this, i, std::move(shards)));
    ports_.back()->host.open([first](std::optional<Error> error) {
      if (error && !*first) *first = std::move(error);
    });
  }
  run();
  return *first;
}

bool World::stop() {
  auto done = std::make_shared<std::size_t>(0);
  for (auto& port : ports_) port->host.stop([done] { ++*done; });
  run();
  const bool all = *done == ports_.size();
  crash();
  return all;
}

void World::crash() {
  ++life_;
  tasks_.clear();
  timers_.clear();
  to_commit_.clear();
  placement_.clear();
  elsewhere_.clear();
  ports_.clear();
  journal_.reset();
}

void World::lose_power(std::uint64_t keep) {
  environment.disk().lose_power();
  crash();
  environment.disk().restore_power(keep);
}

void World::restart() {
  crash();
  if (const auto error = start()) throw std::runtime_error("restart: " + error->detail);
}

bool World::due(const Task& task) const {
  return !(task.kind == Task::commit && hold_commits_) && !(task.kind == Task::work && hold_work_);
}

bool World::step() {
  while (!timers_.empty() && timers_.begin()->first <= now()) {
    tasks_.push_back({Task::message, std::move(timers_.begin()->second)});
    timers_.erase(timers_.begin());
  }
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (!due(tasks_[i])) continue;
    ready.push_back(i);
    if (!options_.shuffled) break;
  }
  if (ready.empty()) return false;
  const auto at = ready[order_.below(static_cast<std::uint32_t>(ready.size()))];
  const auto task = std::move(tasks_[at].run);
  tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(at));
  task();
  return true;
}

std::size_t World::run() {
  std::size_t n = 0;
  while (step()) ++n;
  return n;
}

void World::tick(std::int64_t ms) {
  environment.set_clock().advance(ms);
  for (auto& port : ports_) port->host.tick();
}

void World::advance(std::int64_t ms) {
  for (; ms > 0; ms -= Host::kTick) {
    tick(std::min(ms, Host::kTick));
    run();
  }
}

void World::connected(std::string_view name) {
  for (auto& port : ports_) port->host.connected(name);
  run();
}

/// As the Committer does: whatever waits goes to the journal together.
void World::commit_group() {
  auto group = std::exchange(to_commit_, {});
  std::vector<Append> appends;
  for (auto& waiting : group)
    std::move(waiting.appends.begin(), waiting.appends.end(), std::back_inserter(appends));
  if (on_append)
    for (const auto& append : appends) on_append(append);
  auto results = journal_->append(appends, true);
  auto next = results.begin();
  for (auto& waiting : group) {
    const auto end = next + static_cast<std::ptrdiff_t>(waiting.appends.size());
    post(Task::message, [then = std::move(waiting.then), some = std::vector(next, end)] { then(some); });
    next = end;
  }
}

World::Reply World::send(const std::string& address, MessagePtr command, const Envelope& envelope) {
  auto reply = std::make_shared<std::optional<Answer>>();
  auto request = route(kinds(), address, std::move(command));
  if (!request) {
    reply->emplace(request.error());
    return reply;
  }
  request->source = envelope.source;
  request->sequence = envelope.sequence;
  request->settled = envelope.settled;
  request->deadline = envelope.deadline;
  request->actor = envelope.actor;
  request->trace = envelope.trace;
  request->here_only = envelope.here_only;
  auto& host = target(*request);
  host.handle(*std::move(request), [reply](Answer answer) {
    if (*reply) throw std::logic_error("a command was answered twice");
    reply->emplace(std::move(answer));
  });
  return reply;
}

Answer World::answer_of(const Reply& reply) {
  run();
  return *reply ? **reply : Answer(Error{Code::internal, "no-answer", "Nothing was answered.", ""});
}

Result<v1::Snapshot> World::inspect(const std::string& address) {
  auto target = route(kinds(), address);
  if (!target) return target.error();
  auto seen = std::make_shared<std::optional<Result<v1::Snapshot>>>();
  auto& host = host_of(target->shard);
  host.inspect(*std::move(target), [seen](Result<v1::Snapshot> snapshot) { *seen = std::move(snapshot); });
  run();
  return *seen ? **seen : Result<v1::Snapshot>(Error{Code::internal, "no-answer", "", ""});
}

std::optional<Error> World::resolve(const v1::DeadLetter& letter, bool replay) {
  const auto place = parse_dead_letter(letter.id());
  if (!place) return place.error();
  auto answer = std::make_shared<std::optional<Error>>(Error{Code::internal, "no-answer", "", ""});
  host_of(place->shard).resolve(place->shard, place->key, replay, [answer](std::optional<Error> error) {
    *answer = std::move(error);
  });
  run();
  return *answer;
}

std::int64_t World::balance(const std::string& address) {
  const auto answer = ask(address, GetBalance());
  return answer ? static_cast<const Balance&>(**answer).balance() : -1;
}

std::uint64_t World::rings(const std::string& address) {
  const auto answer = ask(address, GetRings());
  return answer ? static_cast<const Rings&>(**answer).total() : ~std::uint64_t{0};
}

std::int64_t World::total_of(const Answer& answer) {
  return answer && *answer ? static_cast<const Total&>(**answer).total() : -1;
}

std::string World::entity(std::string_view kind, unsigned n) const {
  const auto shards = static_cast<unsigned>(options_.shards.size());
  return std::string(kind) + "/t/" + key_in(shard_at(n), n / shards);
}

void World::move(std::uint32_t shard, unsigned to) {
  const auto from = place(shard);
  const std::vector<std::uint32_t> one{shard};
  ports_[from.host]->host.release(one, [this, to, from, life = life_](std::uint32_t released) {
    post(Task::message, [this, released, to, from, life] {
      auto& now = placement_.at(released);
      if (life != life_ || now.epoch != from.epoch) return;  // seized meanwhile
      now = {to, from.epoch + 1};
      take(released);
    });
  });
}

void World::seize(std::uint32_t shard, unsigned by) {
  placement_.at(shard) = {by, place(shard).epoch + 1};
  take(shard);
}

void World::release(std::uint32_t shard, const std::function<void()>& released) {
  const std::vector<std::uint32_t> one{shard};
  host_of(shard).release(one, [released](std::uint32_t) { released(); });
}

void World::drop(std::uint32_t shard) {
  const std::vector<std::uint32_t> one{shard};
  host_of(shard).drop(one);
}

void World::take(std::uint32_t shard) {
  const auto [host, epoch] = place(shard);
  const std::vector<ShardEpoch> one{{shard, epoch}};
  ports_[host]->host.take(one);
}

Host& World::host(unsigned number) const {
  return ports_[number]->host;
}

bool World::here(unsigned host, std::uint32_t shard) const {
  return ports_[host]->has.contains(shard);
}

std::size_t World::elsewhere() const {
  std::size_t n = 0;
  for (const auto& [shard, waiting] : elsewhere_) n += waiting.size();
  return n;
}

Host& World::target(const Request& request) const {
  if (misroute)
    if (const auto other = misroute(request)) return host(*other);
  return host_of(request.shard);
}

void World::dispatch(const Request& request, const Respond& respond) {
  if (here(place(request.shard).host, request.shard)) return host_of(request.shard).handle(request, respond);
  elsewhere_[request.shard].emplace_back(request, respond);
}

Host& World::host_of(std::uint32_t shard) const {
  if (options_.clustered) return host(place(shard).host);
  const auto at = std::ranges::find(options_.shards, shard) - options_.shards.begin();
  return ports_[static_cast<std::size_t>(at) % ports_.size()]->host;
}

ShardStatus World::status(std::uint32_t shard, unsigned number) const {
  for (const auto& one : host(number).status())
    if (one.shard == shard) return one;
  return {};
}

ShardStatus World::status(std::uint32_t shard) const {
  for (const auto& one : host_of(shard).status())
    if (one.shard == shard) return one;
  return {};
}

std::uint64_t World::resident() const {
  std::uint64_t sum = 0;
  for (const auto& port : ports_)
    for (const auto& one : port->host.status()) sum += one.resident;
  return sum;
}

std::vector<v1::JournalRecord> World::records(std::uint32_t shard) const {
  std::vector<v1::JournalRecord> all;
  const auto error = journal_->read(shard, 0, [&](std::uint64_t, std::string_view bytes) {
    all.emplace_back().ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return true;
  });
  if (error) throw std::runtime_error(error->detail);
  return all;
}

std::vector<v1::DeadLetter> World::dead_letters() const {
  std::vector<v1::DeadLetter> all;
  for (const auto shard : options_.shards) {
    const auto error =
        journal_->scan(Table::dead_letters, shard, "", [&](std::string_view, std::string_view bytes) {
          all.emplace_back().ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
          return true;
        });
    if (error) throw std::runtime_error(error->detail);
  }
  return all;
}

std::size_t World::rows(Table table) const {
  std::size_t n = 0;
  for (const auto shard : options_.shards)
    if (const auto error =
            journal_->scan(table, shard, "", [&](std::string_view, std::string_view) { return ++n > 0; }))
      throw std::runtime_error(error->detail);
  return n;
}

std::optional<v1::Snapshot> World::stored_snapshot(const std::string& address) const {
  const auto target = route(kinds(), address);
  const RowKey key{target->shard, address};
  const auto row = std::move(journal_->get(Table::snapshots, {&key, 1}).front());
  v1::Snapshot snapshot;
  if (!row || !*row || !snapshot.ParseFromString(**row)) return std::nullopt;
  return snapshot;
}

}  // namespace cx::test
