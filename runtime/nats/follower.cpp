#include "runtime/nats/follower.hpp"

#include <algorithm>
#include <atomic>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <spdlog/spdlog.h>
#include <thread>
#include <utility>

#include "runtime/nats/api.hpp"

namespace cx::nats {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using boost::json::object;

// Before a pull has been used up the next is on its way, no earlier: what waits in memory is bounded.
constexpr std::uint64_t kBatch = 1024;
constexpr std::size_t kBatchBytes = 8u << 20;
constexpr auto kPullLasts = 30s;
constexpr auto kHeartbeat = 500ms;
constexpr auto kSilence = 1600ms;  // then the consumer is taken for dead
constexpr auto kLook = 100ms;      // how often the connection is looked at meanwhile
constexpr auto kStill = 2000ms;    // without a message; then the stream is asked whether there are any
constexpr auto kStillMost = 60s;
constexpr auto kForgotten = 60s;  // a server forgets a consumer that nobody pulls from
constexpr auto kPauseFirst = 50ms, kPauseMost = 1000ms;

std::int64_t nanoseconds(std::chrono::nanoseconds time) {
  return time.count();
}

/// A message of the consumer's, or a word about the pull.
struct Item {
  Stored message;
  std::uint64_t consumed = 0;  // the consumer's own number: 1, 2, ...
  std::uint64_t pending = 0;   // messages behind this one
  std::string status, why;     // of a word
};

/// What the connection's threads and the follower's share. One for each consumer, so that an old one's
/// messages go nowhere.
struct Inbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Item> items;
  std::optional<Result<Received>> answer;  // to the consumer's creation
  Clock::time_point heard = Clock::now();
};

/// Reads by pulls from a consumer that lives in one server's memory, acknowledges nothing, and is made anew
/// behind the last message used when anything looks odd. Its own thread does all but receiving.
class PullFollower final : public Follower {
 public:
  PullFollower(Connection& connection, std::chrono::milliseconds timeout, std::string stream,
               std::string subject, std::uint64_t from, std::function<void(Stored&&)> use,
               std::function<void()> caught_up)
      : connection_(connection),
        timeout_(timeout),
        stream_(std::move(stream)),
        subject_(std::move(subject)),
        use_(std::move(use)),
        caught_up_(std::move(caught_up)),
        next_(std::max<std::uint64_t>(from, 1)),
        thread_([this] { run(); }) {}

  ~PullFollower() override {
    {
      std::lock_guard lock(stop_mutex_);
      stopping_ = true;
      if (inbox_) inbox_->changed.notify_all();
    }
    stopped_.notify_all();
    thread_.join();
  }

 private:
  void run();
  /// Makes a consumer and reads from it until something looks odd: what that is.
  std::string read();
  std::optional<std::string> create(const std::string& inbox);
  std::optional<std::string> take(std::vector<Item>& items, const std::string& pull_name);
  std::optional<std::string> pull(const std::string& name);
  std::optional<std::string> word(const Item& item);
  std::optional<std::string> look();
  bool pause(std::chrono::milliseconds time);

  Connection& connection_;
  const std::chrono::milliseconds timeout_;
  const std::string stream_, subject_;
  const std::function<void(Stored&&)> use_;
  const std::function<void()> caught_up_;
  std::uint64_t next_;          // sequence of the stream that is not used yet
  std::uint64_t consumed_ = 0;  // of the consumer's
  std::uint64_t expected_ = 0;  // messages of pulls that are still to come
  // The last message when the consumer was made; 0 once it has been seen. The server's count of what is
  // pending includes, and keeps, messages that others replaced meanwhile, so that it alone may never come to
  // 0.
  std::uint64_t target_ = 0;
  std::uint64_t pulls_ = 0;
  std::uint64_t due_ = 0;  // the last message when nothing had come for a while; 0 when something has
  Clock::duration still_ = kStill;
  bool progress_ = false;  // since the consumer was made
  std::string consumer_;
  std::shared_ptr<Inbox> inbox_;  // under stop_mutex_ where it is replaced

  std::mutex stop_mutex_;
  std::condition_variable stopped_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

bool PullFollower::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(stop_mutex_);
  return !stopped_.wait_for(lock, time, [this] { return stopping_.load(); });
}

void PullFollower::run() {
  auto wait = std::chrono::milliseconds(kPauseFirst);
  std::string told;
  while (!stopping_) {
    if (!connection_.connected()) {
      pause(kPauseFirst);
      continue;
    }
    progress_ = false;
    const auto odd = read();
    if (!consumer_.empty())
      connection_.publish(fmt::format("$JS.API.CONSUMER.DELETE.{}.{}", stream_, consumer_), "");
    if (stopping_) break;
    if (progress_) {
      wait = kPauseFirst;
      told.clear();
    }
    if (odd != told) spdlog::info("NATS: reading {} goes on behind {}: {}", stream_, next_ - 1, odd);
    told = odd;
    pause(wait);
    wait = std::min<std::chrono::milliseconds>(wait * 2, kPauseMost);
  }
}

std::optional<std::string> PullFollower::create(const std::string& inbox) {
  const auto stream = api::call(connection_, "STREAM.INFO." + stream_, {}, timeout_);
  if (!stream) return stream.error().detail;
  const auto* state = stream->if_contains("state");
  target_ = state != nullptr && state->is_object() ? api::number(state->get_object(), "last_seq") : 0;
  object config{{"deliver_policy", "by_start_sequence"},
                {"opt_start_seq", next_},
                {"ack_policy", "none"},
                {"replay_policy", "instant"},
                {"inactive_threshold", nanoseconds(kForgotten)},
                {"num_replicas", 1},
                {"mem_storage", true}};
  if (!subject_.empty()) config["filter_subject"] = subject_;
  const object request{{"stream_name", stream_}, {"config", std::move(config)}};
  const auto what = "CONSUMER.CREATE." + stream_;
  connection_.ask("$JS.API." + what, boost::json::serialize(request), {}, timeout_,
                  [box = inbox_](Result<Received> answer) {
                    {
                      std::lock_guard lock(box->mutex);
                      box->answer = std::move(answer);
                    }
                    box->changed.notify_all();
                  });
  std::optional<Result<Received>> answer;
  {
    std::unique_lock lock(inbox_->mutex);
    while (!inbox_->answer && !stopping_) inbox_->changed.wait_for(lock, kLook);
    if (!inbox_->answer) return "stopping";
    answer = std::move(inbox_->answer);
  }
  const auto created = api::parse(std::move(*answer), what);
  if (!created) return created.error().detail;
  consumer_ = api::text(*created, "name");
  if (consumer_.empty()) return "a consumer without a name";
  if (auto odd = pull(inbox)) return odd;
  if (api::number(*created, "num_pending") == 0 && caught_up_) caught_up_();
  return std::nullopt;
}

std::optional<std::string> PullFollower::pull(const std::string& name) {
  const object request{{"batch", kBatch},
                       {"max_bytes", std::max(kBatchBytes, 2 * connection_.max_payload())},
                       {"expires", nanoseconds(kPullLasts)},
                       {"idle_heartbeat", nanoseconds(kHeartbeat)}};
  {
    std::lock_guard lock(inbox_->mutex);
    inbox_->heard = Clock::now();
  }
  expected_ += kBatch;
  const auto error =
      connection_.publish(fmt::format("$JS.API.CONSUMER.MSG.NEXT.{}.{}", stream_, consumer_),
                          boost::json::serialize(request), {}, fmt::format("{}{}", name, ++pulls_));
  if (error) return error->detail;
  return std::nullopt;
}

std::optional<std::string> PullFollower::word(const Item& item) {
  if (item.status == "100") return std::nullopt;
  // Servers since 2.10 say of a pull with a limit of bytes when it has had all its messages, too.
  const bool over = item.status == "408" || item.status == "404" ||
                    (item.status == "409" && (item.why.find("MaxBytes") != std::string::npos ||
                                              item.why.find("Batch Completed") != std::string::npos));
  if (!over) return fmt::format("the server says {} {}", item.status, item.why);
  expected_ -= std::min(expected_, item.pending);
  return std::nullopt;
}

std::optional<std::string> PullFollower::take(std::vector<Item>& items, const std::string& pull_name) {
  for (auto& item : items) {
    if (stopping_) return "stopping";
    if (!item.status.empty()) {
      if (auto odd = word(item)) return odd;
      continue;
    }
    due_ = 0;
    still_ = kStill;
    if (item.consumed != consumed_ + 1)
      return fmt::format("its message {} came after its message {}", item.consumed, consumed_);
    ++consumed_;
    if (expected_ > 0) --expected_;
    progress_ = true;
    // A server that lags behind may begin before what was asked for.
    if (item.message.sequence >= next_) {
      next_ = item.message.sequence + 1;
      use_(std::move(item.message));
    }
    const bool reached = target_ != 0 && item.message.sequence >= target_;
    if (reached) target_ = 0;
    if ((item.pending == 0 || reached) && caught_up_) caught_up_();
  }
  if (expected_ <= kBatch / 2) return pull(pull_name);
  return std::nullopt;
}

/// Whether messages were there at the last look that have not come since: the copy that the consumer reads
/// may stand still, although its server says that all is well. Not asked where only some subjects count. Last
/// messages that were deleted look the same, and so it asks less and less often.
std::optional<std::string> PullFollower::look() {
  if (!subject_.empty()) return std::nullopt;
  const auto stream = api::call(connection_, "STREAM.INFO." + stream_, {}, timeout_);
  if (!stream) return std::nullopt;
  const auto* state = stream->if_contains("state");
  if (state == nullptr || !state->is_object()) return std::nullopt;
  const bool some = api::number(state->get_object(), "messages") > 0;
  const auto before = std::exchange(due_, some ? api::number(state->get_object(), "last_seq") : 0);
  if (before < next_) return std::nullopt;
  still_ = std::min<Clock::duration>(2 * still_, kStillMost);
  return fmt::format("message {} does not come", before);
}

std::string PullFollower::read() {
  {
    std::lock_guard lock(stop_mutex_);
    inbox_ = std::make_shared<Inbox>();
  }
  consumed_ = 0;
  expected_ = 0;
  due_ = 0;
  consumer_.clear();
  const auto name = api::new_inbox();
  const auto subscription = connection_.subscribe(
      name + '*', "",
      [box = inbox_](const Incoming& incoming) {
        Item item;
        if (const auto position = api::position_of(incoming.reply)) {
          item.message.sequence = position->sequence;
          item.message.at = position->at;
          item.consumed = position->consumed;
          item.pending = position->pending;
          item.message.payload = incoming.payload;
          item.message.headers = incoming.headers();
        } else {
          item.status = incoming.header("Status");
          item.why = incoming.header("Description");
          if (item.status.empty()) item.status = "?";
          // Of the pull: messages that will not come.
          const auto left = incoming.header("Nats-Pending-Messages");
          if (std::from_chars(left.data(), left.data() + left.size(), item.pending).ec != std::errc{})
            item.pending = kBatch;
        }
        item.message.subject = incoming.subject;
        {
          std::lock_guard lock(box->mutex);
          box->heard = Clock::now();
          box->items.push_back(std::move(item));
        }
        box->changed.notify_one();
      },
      0);
  if (!subscription) return subscription.error().detail;
  if (auto odd = create(name)) return *odd;
  std::vector<Item> items;
  auto moved = Clock::now();
  while (!stopping_) {
    {
      std::unique_lock lock(inbox_->mutex);
      if (inbox_->items.empty()) inbox_->changed.wait_for(lock, kLook);
      items.swap(inbox_->items);
      if (items.empty() && Clock::now() - inbox_->heard > kSilence) return "its consumer is silent";
    }
    if (items.empty() && !connection_.connected()) return "the connection is lost";
    const bool some = std::any_of(items.begin(), items.end(), [](const Item& i) { return i.status.empty(); });
    if (auto odd = take(items, name)) return *odd;
    items.clear();
    if (some || Clock::now() - moved > still_) {
      moved = Clock::now();
      if (auto odd = some ? std::nullopt : look()) return *odd;
    }
  }
  return "stopping";
}

}  // namespace

std::unique_ptr<Follower> make_follower(Connection& connection, std::chrono::milliseconds timeout,
                                        std::string stream, std::string subject, std::uint64_t from,
                                        std::function<void(Stored&&)> use, std::function<void()> caught_up) {
  return std::make_unique<PullFollower>(connection, timeout, std::move(stream), std::move(subject), from,
                                        std::move(use), std::move(caught_up));
}

}  // namespace cx::nats
