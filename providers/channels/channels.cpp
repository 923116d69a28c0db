#include "providers/channels/channels.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/send.hpp>
#include <caf/unit.hpp>
#include <fmt/format.h>
#include <map>
#include <unordered_map>

#include "providers/channels/sender.hpp"
#include "providers/pool/supervisor.hpp"
#include "runtime/address.hpp"
#include "runtime/entity/messages.hpp"
#include "runtime/metered.hpp"

namespace cx::channels {

using Settled = pool::Settled<Fate>;

/// What the endpoint is told by the pool: a message is done with.
struct Ended {
  std::uint64_t letter = 0;
  Settled settled;
};
/// Tries again to tell a customer.
struct TellAgain {
  std::uint64_t letter = 0;
};
struct DrainChannels {
  std::function<void()> done;
};
struct LookAtAccounts {};

}  // namespace cx::channels

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::channels::Ended)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::channels::TellAgain)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::channels::DrainChannels)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::channels::LookAtAccounts)

namespace cx::channels {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kSenders = 2;
// A customer that cannot be told what became of its message: a shard that recovers is back by then. After it
// the letter comes again, and with it the message, to a vendor that knows its id.
constexpr int kTellings = 12;
constexpr milliseconds kTellPause{25}, kMostTellPause{5'000};
constexpr auto kMaxStay = std::chrono::hours(24);
constexpr auto kLookAtAccounts = std::chrono::seconds(1);

std::int64_t system_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

Error stopping() {
  return {Code::unavailable, "unavailable", "The node is stopping.", ""};
}

v1::SettleMessage settlement(const std::string& message_id, const Settled& settled) {
  v1::SettleMessage out;
  out.set_message_id(message_id);
  out.set_attempts(settled.attempts);
  const auto because = [&](v1::SettleMessage::Outcome outcome, const std::string& reason,
                           const std::string& detail) {
    out.set_outcome(outcome);
    out.set_reason(reason);
    out.set_detail(detail);
  };
  if (settled.ending != pool::Ending::done) {
    // Whoever may have it counts as having it.
    because(settled.unknown > 0 ? v1::SettleMessage::UNKNOWN : v1::SettleMessage::FAILED, settled.error.type,
            settled.error.detail);
    return out;
  }
  const auto& fate = *settled.value;
  if (fate.kind == Fate::Kind::sent) {
    out.set_outcome(v1::SettleMessage::SENT);
    out.set_vendor_id(fate.vendor_id);
  } else if (fate.kind == Fate::Kind::deferred) {
    because(v1::SettleMessage::DEFERRED, fate.rule, fate.detail);
  } else {
    because(settled.unknown > 0 ? v1::SettleMessage::UNKNOWN : v1::SettleMessage::REFUSED, fate.rule,
            fate.detail);
  }
  return out;
}

class Endpoint : public Metered<caf::event_based_actor> {
 public:
  Endpoint(caf::actor_config& config, KindProbe& kind, ChannelParts parts, net::PrivateHosts allowed)
      : Metered(config, kind), parts_(std::move(parts)), now_us_(parts_.now_us ? parts_.now_us : system_us) {
    http_ = std::make_shared<HttpClient>(
        HttpClient::Options{std::move(allowed), parts_.config.in_flight(), parts_.ca_file});
  }

 protected:
  caf::behavior make_behavior() override {
    auto& kind = parts_.metrics.kind("channel-sender");
    for (std::size_t i = 0; i < kSenders; ++i)
      senders_.push_back(
          spawn_sender(system(), {&parts_.customers, &parts_.accounts, http_, &parts_.clock, &kind}));
    pool_ = pool::spawn<Dispatch, Fate>(
        system(), "channel", make_policy(parts_.config),
        [senders = senders_] { return make_worker(senders); }, parts_.clock, parts_.seed, parts_.metrics,
        parts_.probe.pool);
    return {[this](const Letter& letter) { return take(letter); }, [this](Ended& ended) { finish(ended); },
            [this](const TellAgain& again) { tell(again.letter); },
            [this](const LookAtAccounts&) { look_at_accounts(); },
            [this](DrainChannels& drain) {
              drained_ = std::move(drain.done);
              pool_.drain([] {});
              end_drain();
            }};
  }

  void on_exit() override {
    pool_.stop();
    for (const auto& sender : senders_) caf::anon_send_exit(sender, caf::exit_reason::user_shutdown);
    http_->stop();
    // CAF tells nobody that a promise was dropped.
    for (auto& [number, waiting] : waiting_) waiting.promise.deliver(to_caf(stopping()));
    waiting_.clear();
  }

 private:
  struct Waiting {
    caf::response_promise promise;
    std::shared_ptr<const Dispatch> dispatch;
    std::shared_ptr<const v1::SettleMessage> settlement;
    int tellings = 0;
  };

  caf::response_promise take(const Letter& letter) {
    auto promise = make_response_promise();
    if (drained_) {
      promise.deliver(to_caf(stopping()));
      return promise;
    }
    const auto to = parse_address(letter.to);
    const auto* command = dynamic_cast<const v1::DispatchMessage*>(letter.command.get());
    const auto customer = command == nullptr ? Result<Address>(Error{}) : parse_address(command->customer());
    if (!to || !customer || command->message_id().empty() || customer->tenant != to->tenant) {
      promise.deliver(
          to_caf({Code::invalid_argument, "invalid-dispatch",
                  fmt::format("{} takes a DispatchMessage of a customer of its tenant.", letter.to), ""}));
      return promise;
    }
    if (waiting_.size() >= parts_.config.max_queue()) {
      parts_.probe.returned.add();
      promise.deliver(to_caf({Code::overloaded, "overloaded", "The channels' queue is full.", ""}));
      return promise;
    }
    const auto number = ++letters_;
    auto dispatch = std::make_shared<const Dispatch>(
        Dispatch{to->tenant, to->key, command->customer(), command->message_id()});
    waiting_[number] = {promise, dispatch, nullptr};
    submit(number, std::move(dispatch));
    if (command->caused_at() > 0)
      parts_.probe.handover_ns.record(
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, now_us_() - command->caused_at())) * 1000);
    return promise;
  }

  void submit(std::uint64_t number, std::shared_ptr<const Dispatch> dispatch) {
    pool::Submission<Dispatch, Fate> work;
    work.id = dispatch->customer + '#' + dispatch->message_id;
    work.key = dispatch->tenant + '/' + dispatch->via;
    // One that is gone by now is found missing by the sender, after the customer was asked.
    if (auto account = parts_.accounts.account(dispatch->tenant, dispatch->via)) {
      work.rate = account->rate;
      work.attempts = account->attempts;
      work.key_batches = account->concurrency;
      if (accounts_.empty()) delayed_send(this, kLookAtAccounts, LookAtAccounts{});
      accounts_[{dispatch->tenant, dispatch->via}] = std::move(account);
    }
    work.item = std::move(dispatch);
    work.settle = [self = caf::actor_cast<caf::actor>(this), number](Settled settled) {
      caf::anon_send(self, Ended{number, std::move(settled)});
    };
    pool_.submit(std::move(work));
  }

  /// A new rate holds for what waits already, too.
  void look_at_accounts() {
    for (auto at = accounts_.begin(); at != accounts_.end();) {
      auto& [name, known] = *at;
      auto now = parts_.accounts.account(name.first, name.second);
      if (now && now != known) pool_.adjust(name.first + '/' + name.second, now->rate, now->concurrency);
      known = std::move(now);
      at = known && !waiting_.empty() ? std::next(at) : accounts_.erase(at);
    }
    if (!accounts_.empty()) delayed_send(this, kLookAtAccounts, LookAtAccounts{});
  }

  /// What is done with is told to the customer, then to the outbox.
  void finish(Ended& ended) {
    const auto found = waiting_.find(ended.letter);
    if (found == waiting_.end()) return;
    const auto& settled = ended.settled;
    auto& probe = parts_.probe;
    if (settled.ending == pool::Ending::given_back || settled.ending == pool::Ending::refused) {
      probe.returned.add();
      return answer(ended.letter, settled.error);
    }
    if (settled.value && settled.value->kind == Fate::Kind::returned) {
      probe.returned.add();
      return answer(ended.letter, settled.value->error);
    }
    if (settled.value && settled.value->kind == Fate::Kind::gone) {
      probe.gone.add();
      return answer(ended.letter, std::nullopt);
    }
    auto& waiting = found->second;
    auto made = settlement(waiting.dispatch->message_id, settled);
    count(made.outcome());
    waiting.settlement = std::make_shared<const v1::SettleMessage>(std::move(made));
    tell(ended.letter);
  }

  void count(v1::SettleMessage::Outcome outcome) {
    auto& probe = parts_.probe;
    switch (outcome) {
      case v1::SettleMessage::SENT:
        return probe.sent.add();
      case v1::SettleMessage::UNKNOWN:
        return probe.unknown.add();
      case v1::SettleMessage::REFUSED:
        return probe.refused.add();
      case v1::SettleMessage::DEFERRED:
        return probe.deferred.add();
      default:
        return probe.failed.add();
    }
  }

  void tell(std::uint64_t number) {
    const auto found = waiting_.find(number);
    if (found == waiting_.end()) return;
    auto& waiting = found->second;
    ++waiting.tellings;
    auto command = parts_.customers.request(waiting.dispatch->customer, waiting.settlement);
    if (!command) return answer(number, command.error());
    request(parts_.customers.region(command->shard), caf::infinite, std::move(*command))
        .then([this, number](const MessagePtr&) { answer(number, std::nullopt); },
              [this, number](const caf::error& error) { not_told(number, from_caf(error)); });
  }

  void not_told(std::uint64_t number, const Error& error) {
    const auto found = waiting_.find(number);
    if (found == waiting_.end()) return;
    const bool passes = error.code == Code::overloaded || error.code == Code::unavailable ||
                        error.code == Code::deadline_exceeded;
    if (!passes || found->second.tellings >= kTellings) return answer(number, error);
    const auto pause = std::min(kMostTellPause, kTellPause * (1 << found->second.tellings));
    delayed_send(this, pause, TellAgain{number});
  }

  void answer(std::uint64_t number, const std::optional<Error>& error) {
    const auto found = waiting_.find(number);
    if (found == waiting_.end()) return;
    auto promise = std::move(found->second.promise);
    waiting_.erase(found);
    if (error)
      promise.deliver(to_caf(*error));
    else
      promise.deliver(caf::unit);
    end_drain();
  }

  void end_drain() {
    if (drained_ && *drained_ && waiting_.empty()) std::exchange(*drained_, nullptr)();
  }

  const ChannelParts parts_;
  const std::function<std::int64_t()> now_us_;
  std::shared_ptr<HttpClient> http_;
  std::vector<caf::actor> senders_;
  pool::Pool<Dispatch, Fate> pool_;
  std::uint64_t letters_ = 0;
  std::optional<std::function<void()>> drained_;  // there is one: no letter is taken any more
  std::unordered_map<std::uint64_t, Waiting> waiting_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const Account>> accounts_;  // of what waits
};

}  // namespace

pool::Policy make_policy(const v1::ChannelsConfig& config) {
  pool::Policy policy;
  policy.workers = 1;
  policy.worker_batches = config.in_flight();
  policy.max_key_batches = Account().concurrency;
  policy.max_queue = config.max_queue();
  policy.max_key_queue = config.channel_queue();
  policy.max_stay = kMaxStay;
  policy.attempts = Account().attempts;
  policy.backoff = milliseconds(config.backoff_ms());
  policy.retry_unknown = true;
  policy.breaker_failures = config.breaker_failures();
  policy.breaker_pause = milliseconds(config.breaker_pause_ms());
  return policy;
}

Result<caf::actor> spawn_channels(caf::actor_system& system, ChannelParts parts) {
  const auto& entries = parts.config.allow_private();
  const std::vector<std::string> list(entries.begin(), entries.end());
  auto allowed = net::PrivateHosts::parse(list);
  if (!allowed) return allowed.error();
  auto& kind = parts.metrics.kind("channel");
  kind.addresses = {"channel/system/endpoint"};
  return caf::actor_cast<caf::actor>(system.spawn<Endpoint>(kind, std::move(parts), std::move(*allowed)));
}

void drain_channels(const caf::actor& channels, std::function<void()> done) {
  caf::anon_send(channels, DrainChannels{std::move(done)});
}

}  // namespace cx::channels
