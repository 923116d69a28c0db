#include "providers/channels/sender.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <fmt/format.h>
#include <stdexcept>

#include "runtime/entity/messages.hpp"
#include "runtime/metered.hpp"

namespace cx::channels {

/// One attempt at a message, as a sender gets it. Should nobody call `done`, the pool takes it for unknown.
struct Attempt {
  std::shared_ptr<const Dispatch> dispatch;
  pool::Worker<Dispatch, Fate>::Done done;

  void end(Outcome outcome) const {
    std::vector<Outcome> one;
    one.push_back(std::move(outcome));
    done(std::move(one));
  }
};

}  // namespace cx::channels

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::channels::Attempt)

namespace cx::channels {
namespace {

Outcome fate(Fate::Kind kind, const v1::Clearance& clearance = {}) {
  return Outcome::done({.kind = kind, .rule = clearance.rule(), .detail = clearance.detail()});
}

Error missing(const char* type, const char* what, const std::string& id) {
  return {Code::not_found, type,
          fmt::format("There is no {} '{}' (any more). Store it, or correct the journey.", what, id), ""};
}

class Sender : public Metered<caf::event_based_actor> {
 public:
  Sender(caf::actor_config& config, SenderParts parts)
      : Metered(config, *parts.kind), parts_(std::move(parts)) {}

 protected:
  caf::behavior make_behavior() override {
    return {[this](Attempt& attempt) { begin(std::move(attempt)); }};
  }

 private:
  void begin(Attempt attempt) {
    auto ask = std::make_shared<v1::ClearMessage>();
    ask->set_message_id(attempt.dispatch->message_id);
    auto query = parts_.customers->request(attempt.dispatch->customer, std::move(ask));
    if (!query) return attempt.end(Outcome::done({.kind = Fate::Kind::returned, .error = query.error()}));
    request(parts_.customers->region(query->shard), caf::infinite, std::move(*query))
        .then(
            [this, attempt](const MessagePtr& reply) { cleared(attempt, reply); },
            // Of no account to the receiver: neither an attempt of the message nor a failure of the channel.
            [attempt](const caf::error& error) {
              attempt.end(Outcome::done({.kind = Fate::Kind::returned, .error = from_caf(error)}));
            });
  }

  void cleared(const Attempt& attempt, const MessagePtr& reply) {
    const auto& clearance = static_cast<const v1::Clearance&>(*reply);
    switch (clearance.verdict()) {
      case v1::Clearance::GO:
        break;
      case v1::Clearance::REFUSED:
        return attempt.end(fate(Fate::Kind::refused, clearance));
      case v1::Clearance::DEFERRED:
        return attempt.end(fate(Fate::Kind::deferred, clearance));
      default:
        return attempt.end(fate(Fate::Kind::gone));
    }
    const auto& dispatch = *attempt.dispatch;
    const auto account = parts_.accounts->account(dispatch.tenant, dispatch.via);
    if (!account) return attempt.end(Outcome::failed(missing("no-such-channel", "channel", dispatch.via)));
    const auto content = parts_.accounts->content(dispatch.tenant, clearance.template_());
    if (!content)
      return attempt.end(Outcome::failed(missing("no-such-template", "template", clearance.template_())));
    auto request = make_request(*account, *content, dispatch.message_id, clearance, parts_.clock->unix_ms());
    if (!request) return attempt.end(Outcome::failed(request.error()));
    parts_.http->post(std::move(*request), [attempt, account, clock = parts_.clock](const HttpReply& answer) {
      attempt.end(judge(*account, answer, clock->unix_ms()));
    });
  }

  const SenderParts parts_;
};

class InTurn final : public pool::Worker<Dispatch, Fate> {
 public:
  explicit InTurn(std::vector<caf::actor> senders) : senders_(std::move(senders)) {}

  void start(Tasks tasks, Done done) override {
    if (tasks.size() != 1) throw std::logic_error("channels take one message at a time");
    caf::anon_send(senders_[next_++ % senders_.size()], Attempt{std::move(tasks[0].item), std::move(done)});
  }

 private:
  const std::vector<caf::actor> senders_;
  std::size_t next_ = 0;
};

}  // namespace

caf::actor spawn_sender(caf::actor_system& system, SenderParts parts) {
  return system.spawn<Sender>(std::move(parts));
}

std::unique_ptr<pool::Worker<Dispatch, Fate>> make_worker(std::vector<caf::actor> senders) {
  return std::make_unique<InTurn>(std::move(senders));
}

}  // namespace cx::channels
