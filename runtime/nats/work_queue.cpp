#include "runtime/nats/work_queue.hpp"

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <fmt/format.h>
#include <mutex>
#include <spdlog/spdlog.h>
#include <thread>

#include "runtime/nats/api.hpp"

namespace cx::nats {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Steady = std::chrono::steady_clock;

namespace {

constexpr milliseconds kPull{1'000};     // how long a request for messages waits at the server
constexpr milliseconds kSlack{1'000};    // until we take one for lost
constexpr milliseconds kTick{100};       // between looks at what is missing
constexpr milliseconds kPause{200};      // after a request that was refused
constexpr milliseconds kRepair{1'000};   // between attempts to make stream and consumer anew
constexpr milliseconds kTimeout{5'000};  // of making the consumer
constexpr milliseconds kLook{2'000};     // between looks at a consumer that gives nothing

std::optional<Error> ensure_consumer(Connection& connection, const WorkQueueConfig& config) {
  const auto ns = [](milliseconds ms) { return std::chrono::duration_cast<nanoseconds>(ms).count(); };
  const boost::json::object request{{"stream_name", config.stream.name},
                                    {"config", boost::json::object{{"durable_name", config.consumer},
                                                                   {"deliver_policy", "all"},
                                                                   {"ack_policy", "explicit"},
                                                                   {"ack_wait", ns(config.redeliver)},
                                                                   {"max_deliver", -1},
                                                                   {"max_ack_pending", -1},
                                                                   {"filter_subject", config.subject}}}};
  const auto made =
      api::call(connection, fmt::format("CONSUMER.DURABLE.CREATE.{}.{}", config.stream.name, config.consumer),
                request, kTimeout);
  return made ? std::nullopt : std::optional(made.error());
}

/// What of a queue's messages its consumer knows of.
struct Standing {
  std::uint64_t messages = 0;  ///< in the stream
  std::uint64_t given = 0;     ///< of which the consumer has given out, not yet settled
  std::uint64_t count = 0;     ///< how many it ever gave out
  std::uint64_t upto = 0;      ///< number of the last one in the stream that it gave out
  std::uint64_t last = 0;      ///< number of the stream's last one
  bool operator==(const Standing&) const = default;
};

std::optional<Standing> standing_of(Connection& connection, const WorkQueueConfig& config) {
  const auto stream = api::call(connection, "STREAM.INFO." + config.stream.name,
                                {{"subjects_filter", config.subject}}, kTimeout);
  const auto consumer = api::call(
      connection, fmt::format("CONSUMER.INFO.{}.{}", config.stream.name, config.consumer), {}, kTimeout);
  if (!stream || !consumer) return std::nullopt;
  const auto& delivered = api::member(*consumer, "delivered");
  const auto& state = api::member(*stream, "state");
  Standing standing{0, api::number(*consumer, "num_ack_pending"), api::number(delivered, "consumer_seq"),
                    api::number(delivered, "stream_seq"), api::number(state, "last_seq")};
  for (const auto& [subject, count] : api::member(state, "subjects"))
    if (count.is_number()) standing.messages += count.to_number<std::uint64_t>();
  return standing;
}

}  // namespace

/// Shared with the jobs.
struct WorkQueue::State {
  struct Pull {
    std::uint64_t id = 0;
    std::uint32_t left = 0;  // messages still to come
    Steady::time_point until;
  };

  State(JetStream& s, WorkQueueConfig c)
      : stream(s), config(std::move(c)), inbox(api::new_inbox()), connection(&s.connection()) {}

  /// Asks for as many messages as there is credit for, but not for each one alone. The mutex is held.
  void pull() {
    const auto now = Steady::now();
    if (stopped || broken || now < not_before || connection == nullptr || !connection->connected() ||
        !config.ready())
      return;
    std::uint32_t used = under_way;
    for (const auto& one : pulls) used += one.left;
    if (used >= config.credit) return;
    const auto free = config.credit - used;
    if (!pulls.empty() && free < std::max(1U, config.credit / 4)) return;
    const auto id = ++last_pull;
    const auto request = fmt::format("{{\"batch\":{},\"expires\":{}}}", free,
                                     std::chrono::duration_cast<nanoseconds>(kPull).count());
    if (connection->publish(next, request, {}, inbox + std::to_string(id))) {
      not_before = now + kPause;
      return;
    }
    pulls.push_back({id, free, now + kPull + kSlack});
  }

  void settle(const std::string& ack, std::string_view how) {
    const std::lock_guard lock(mutex);
    if (connection != nullptr) {
      if (!how.empty() && connection->publish(ack, how))
        spdlog::debug("A message of {} could not be settled; it comes again.", config.stream.name);
    }
    --under_way;
    if (is_idle()) idle.notify_all();
    pull();
  }

  void on_status(std::string_view status, std::string_view description, std::string_view subject) {
    if (status.empty() || status == "100") return;
    std::uint64_t id = 0;
    if (subject.size() > inbox.size())
      std::from_chars(subject.data() + inbox.size(), subject.data() + subject.size(), id);
    const std::lock_guard lock(mutex);
    std::erase_if(pulls, [id](const Pull& one) { return one.id == id; });
    if (status == "503" || description.find("Deleted") != description.npos) broken = true;
    if (status != "408") not_before = Steady::now() + kPause;
    if (is_idle()) idle.notify_all();
    pull();
  }

  bool is_idle() const { return under_way == 0 && pulls.empty(); }

  JetStream& stream;  // of the keeper's thread
  const WorkQueueConfig config;
  const std::string inbox;
  const std::string next =
      fmt::format("$JS.API.CONSUMER.MSG.NEXT.{}.{}", config.stream.name, config.consumer);

  std::mutex mutex;
  std::condition_variable idle;
  Connection* connection;  // null once the queue is gone
  std::deque<Pull> pulls;  // the server serves the oldest first
  std::uint64_t last_pull = 0;
  std::uint32_t under_way = 0;
  std::uint64_t taken = 0;  // messages, ever
  bool stopped = false;
  bool broken = false;  // stream or consumer seem to be gone
  Steady::time_point not_before{};
};

struct Job::Parts {
  Parts(std::shared_ptr<WorkQueue::State> s, std::string a, const api::Position& origin)
      : state(std::move(s)), ack(std::move(a)), deliveries(origin.deliveries), at(origin.at) {}
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() { settle(""); }
  void settle(std::string_view how) {
    if (!settled.exchange(true)) state->settle(ack, how);
  }
  const std::shared_ptr<WorkQueue::State> state;
  const std::string ack;
  const std::uint64_t deliveries;
  const std::int64_t at;
  std::atomic<bool> settled{false};
};

std::uint64_t Job::deliveries() const {
  return parts_->deliveries;
}
std::int64_t Job::at() const {
  return parts_->at;
}
void Job::done() const {
  parts_->settle("+ACK");
}
void Job::drop() const {
  parts_->settle("+TERM");
}
void Job::later(milliseconds delay) const {
  parts_->settle(
      fmt::format("-NAK {{\"delay\":{}}}", std::chrono::duration_cast<nanoseconds>(delay).count()));
}

/// Sees to what no message reports: requests that got lost, a connection that was away, a stream that is
/// gone.
class WorkQueue::Keeper {
 public:
  explicit Keeper(State& state)
      : state_(state), thread_([this](const std::stop_token& stop) { run(stop); }) {}

 private:
  void run(const std::stop_token& stop) {
    std::unique_lock lock(state_.mutex);
    while (!stop.stop_requested()) {
      const auto now = Steady::now();
      if (!state_.connection->connected()) state_.pulls.clear();
      std::erase_if(state_.pulls, [now](const auto& one) { return one.until < now; });
      if (state_.is_idle()) state_.idle.notify_all();
      const bool repair = state_.broken && !state_.stopped && state_.connection->connected() && now >= retry_;
      if (repair) {
        lock.unlock();
        const bool repaired = make();
        lock.lock();
        state_.broken = !repaired;
        retry_ = Steady::now() + kRepair;
      }
      state_.pull();
      if (state_.stopped || state_.broken || state_.pulls.empty() || state_.under_way > 0 ||
          state_.taken != taken_) {
        taken_ = state_.taken;
        before_.reset();
        look_ = now + kLook;
      } else if (now >= look_) {
        lock.unlock();
        look();
        lock.lock();
        look_ = Steady::now() + kLook;
      }
      woken_.wait_for(lock, stop, kTick, [] { return false; });
    }
  }

  /// A consumer that gives out nothing though there are messages is made anew. After a server died, 2.9 may
  /// number new messages below those that the consumer remembers, and never gives them out; and it was seen
  /// to forget those who wait at a consumer whose stream had just been deleted.
  void look() {
    const auto now = standing_of(state_.stream.connection(), state_.config);
    const bool stuck = now && now == before_ && (now->messages > now->given || now->upto > now->last);
    before_ = now;
    if (!stuck) return;
    spdlog::warn(
        "The consumer of the work queue {} gives out nothing ({} messages are there); it is made anew.",
        state_.config.stream.name, now->messages);
    const auto& [stream, consumer] = std::tie(state_.config.stream.name, state_.config.consumer);
    const auto deleted = api::call(state_.stream.connection(),
                                   fmt::format("CONSUMER.DELETE.{}.{}", stream, consumer), {}, kTimeout);
    if (deleted) make();  // else another node was first
    before_.reset();
  }

  bool make() {
    auto error = state_.stream.ensure(state_.config.stream);
    if (!error) error = ensure_consumer(state_.stream.connection(), state_.config);
    if (error) spdlog::warn("The work queue {} is not there: {}", state_.config.stream.name, error->detail);
    return !error;
  }

  State& state_;
  Steady::time_point retry_{}, look_{};
  std::uint64_t taken_ = 0;
  std::optional<Standing> before_;
  std::condition_variable_any woken_;
  std::jthread thread_;  // the last: it uses the others
};

WorkQueue::WorkQueue(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<WorkQueue>> WorkQueue::open(JetStream& stream, WorkQueueConfig config, Take take) {
  if (auto error = stream.ensure(config.stream)) return *std::move(error);
  if (auto error = ensure_consumer(stream.connection(), config)) return *std::move(error);
  const auto state = std::make_shared<State>(stream, std::move(config));
  std::unique_ptr<WorkQueue> queue(new WorkQueue(state));
  auto subscribed = stream.connection().subscribe(
      state->inbox + "*", "", [state, take = std::move(take)](const Incoming& in) {
        const auto origin = api::position_of(in.reply);
        if (!origin) return state->on_status(in.header("Status"), in.header("Description"), in.subject);
        if (origin->stream != state->config.stream.name || origin->consumer != state->config.consumer) return;
        {
          const std::lock_guard lock(state->mutex);
          if (!state->pulls.empty() && --state->pulls.front().left == 0) state->pulls.pop_front();
          ++state->under_way;
          ++state->taken;
        }
        take(in, Job(std::make_shared<Job::Parts>(state, std::string(in.reply), *origin)));
      });
  if (!subscribed) return subscribed.error();
  queue->subscription_ = std::move(*subscribed);
  queue->keeper_ = std::make_unique<Keeper>(*state);
  return queue;
}

WorkQueue::~WorkQueue() {
  stop();
  subscription_.reset();
  keeper_.reset();
  const std::lock_guard lock(state_->mutex);
  state_->connection = nullptr;
}

void WorkQueue::stop() {
  const std::lock_guard lock(state_->mutex);
  state_->stopped = true;
}

bool WorkQueue::wait(milliseconds grace) {
  std::unique_lock lock(state_->mutex);
  return state_->idle.wait_for(lock, grace, [this] { return state_->is_idle(); });
}

std::size_t WorkQueue::under_way() const {
  const std::lock_guard lock(state_->mutex);
  return state_->under_way;
}

}  // namespace cx::nats
