#include "actors/intake/agent.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <fmt/format.h>
#include <optional>
#include <random>
#include <unordered_map>
#include <xxhash.h>

#include "actors/intake/intake.hpp"
#include "actors/intake/segment.hpp"
#include "runtime/entity/messages.hpp"
#include "runtime/json.hpp"
#include "runtime/metered.hpp"

namespace cx::intake {
namespace {

// Events of one batch that are with their customers at once: what waits for a disk waits together, and no
// batch takes the credit of a customer for itself.
constexpr std::size_t kWindow = 64;

// Calls that a batch counts for: it may be 16 times as large, and what is made of it is as large again.
constexpr std::uint32_t kBatchWeight = 32;

/// Whether the same request may succeed a little later.
bool passes(const Error& error) {
  return error.code == Code::overloaded || error.code == Code::unavailable ||
         error.code == Code::deadline_exceeded || error.code == Code::rate_limited;
}

/// Whether it is what was sent that is wrong.
bool blames_sender(Code code) {
  return code == Code::invalid_argument || code == Code::conflict || code == Code::precondition_failed;
}

/// What nobody can read is not worth keeping.
bool worth_keeping(const Error& error) {
  return error.type != "malformed-json" && error.type != "body-too-large" &&
         error.code == Code::invalid_argument;
}

RawReply refusal(Error error) {
  const bool told = error.code == Code::overloaded || error.code == Code::rate_limited;
  const bool again = passes(error);
  auto reply = RawReply::failure(std::move(error));
  if (again && !told) reply.metadata.emplace_back("retry-after", "1");
  return reply;
}

/// One call or batch on its way.
struct Conversation {
  RawRequest raw;
  std::int64_t received = 0;  // Unix microseconds
  bool is_batch = false;
  Batch batch;
  std::size_t events = 0, next = 0, under_way = 0;
  std::size_t accepted = 0, duplicates = 0;
  struct Rejected {
    std::size_t index;
    Error why;
  };
  std::vector<Rejected> rejected;
  std::optional<Error> failure;  // of all of it
  bool going_on = false;
};

std::string summary(const Conversation& c) {
  auto out =
      fmt::format(R"({{"success":true,"accepted":{},"duplicates":{},"rejected":[)", c.accepted, c.duplicates);
  for (const auto& [index, why] : c.rejected) {
    if (out.back() == '}') out += ',';
    out += fmt::format(R"({{"index":{},"type":)", index);
    append_json(out, why.type);
    out += R"(,"detail":)";
    append_json(out, why.detail);
    out += R"(,"pointer":)";
    append_json(out, why.pointer);
    out += '}';
  }
  return out += "]}";
}

class IntakeAgent : public Metered<caf::event_based_actor> {
 public:
  IntakeAgent(caf::actor_config& config, AgentParts parts, v1::EventType type)
      : Metered(config, *parts.kind), parts_(parts), type_(type), random_([] {
          std::random_device device;
          return static_cast<std::uint64_t>(device()) << 32 | device();
        }()) {}

 protected:
  caf::behavior make_behavior() override {
    return {[this](RawRequest& raw) { begin(std::move(raw)); }};
  }

 private:
  using Id = std::uint64_t;

  void begin(RawRequest raw) {
    const Id id = ++last_id_;
    auto& c = conversations_[id];
    c.raw = std::move(raw);
    using std::chrono::microseconds;
    const auto waited = parts_.clock->steady() - c.raw.received;
    c.received = parts_.clock->unix_ms() * 1000 - std::chrono::duration_cast<microseconds>(waited).count();
    c.is_batch = type_ == v1::EVENT_TYPE_UNSPECIFIED;
    if (!c.is_batch) {
      c.events = 1;
    } else if (auto batch = parser_.batch(c.raw.body)) {
      c.batch = std::move(*batch);
      c.events = c.batch.items.size();
    } else {
      c.failure = batch.error();
    }
    go_on(id, c);
  }

  Received received(const Conversation& c) { return {c.raw.caller->actor, c.received, random_}; }

  /// Takes the next events up, and answers when there are none and all is known. `c` may be gone afterwards.
  void go_on(Id id, Conversation& c) {
    c.going_on = true;  // what is settled at once must not come back here
    while (!c.failure && c.under_way < kWindow && c.next < c.events) {
      const auto index = c.next++;
      ++c.under_way;
      take(id, c, index,
           c.is_batch ? parser_.item(c.batch, index, received(c))
                      : parser_.call(type_, c.raw.body, received(c)));
    }
    c.going_on = false;
    if (c.under_way == 0) finish(id, c);
  }

  /// One event less is under way. `c` may be gone afterwards.
  void settle(Id id, Conversation& c) {
    --c.under_way;
    if (!c.going_on) go_on(id, c);
  }

  /// An event, or why it is none.
  void take(Id id, Conversation& c, std::size_t index, Result<Event> event) {
    if (!event) {
      if (c.is_batch || worth_keeping(event.error())) return keep(id, c, index, event.error());
      c.failure = event.error();
      return settle(id, c);
    }
    ask("customer/" + c.raw.caller->tenant + '/' + event->customer, std::move(event->take), c,
        [this, id, index](const Result<MessagePtr>& answer) {
          auto& conversation = conversations_.at(id);
          if (!answer) return on_refused(id, conversation, index, answer.error());
          const auto& taken = static_cast<const v1::EventAccepted&>(**answer);
          ++(taken.duplicate() ? conversation.duplicates : conversation.accepted);
          settle(id, conversation);
        });
  }

  void on_refused(Id id, Conversation& c, std::size_t index, const Error& why) {
    if (!passes(why)) return keep(id, c, index, why);
    c.failure = why;
    settle(id, c);
  }

  /// Hands an event to the intake entity, as it came.
  void keep(Id id, Conversation& c, std::size_t index, Error why) {
    auto raw = std::make_shared<v1::TakeRaw>();
    raw->set_type(type_);
    raw->set_source(c.raw.caller->actor);
    raw->set_received_at(c.received);
    raw->set_body(c.is_batch ? alone(c.batch, index) : c.raw.body);
    hide_write_key(*raw->mutable_body());
    const auto which = XXH3_64bits(raw->body().data(), raw->body().size()) % Intake::kSpread;
    ask(fmt::format("{}/{}/{}", Intake::kName, c.raw.caller->tenant, which), std::move(raw), c,
        [this, id, index, why = std::move(why)](const Result<MessagePtr>& answer) {
          auto& conversation = conversations_.at(id);
          if (!answer)
            conversation.failure = answer.error();
          else if (blames_sender(why.code))
            conversation.rejected.push_back({index, why});
          else
            ++conversation.accepted;  // a fault of ours; it is kept, and will be seen to
          settle(id, conversation);
        });
  }

  /// Has `answered` called once, now or later.
  template <class Answered>
  void ask(const std::string& to, MessagePtr command, const Conversation& c, Answered answered) {
    auto made = parts_.entities->request(to, std::move(command));
    if (!made) return answered(made.error());
    made->actor = c.raw.caller->actor;
    request(parts_.entities->region(made->shard), caf::infinite, std::move(*made))
        .then([answered](const MessagePtr& reply) { answered(reply); },
              [answered](const caf::error& error) { answered(from_caf(error)); });
  }

  void finish(Id id, Conversation& c) {
    auto& events = *parts_.events;
    events.accepted.add(c.accepted);
    events.duplicates.add(c.duplicates);
    events.rejected.add(c.rejected.size());
    if (c.failure && passes(*c.failure)) events.put_off.add();
    std::sort(c.rejected.begin(), c.rejected.end(),
              [](const auto& a, const auto& b) { return a.index < b.index; });
    if (c.failure)
      c.raw.reply(refusal(std::move(*c.failure)));
    else if (c.is_batch)
      c.raw.reply(RawReply::document(summary(c)));
    else if (!c.rejected.empty())
      c.raw.reply(refusal(std::move(c.rejected.front().why)));
    else
      c.raw.reply(RawReply::document(R"({"success":true})"));
    conversations_.erase(id);
  }

  const AgentParts parts_;
  const v1::EventType type_;
  Parser parser_;
  Random random_;
  Id last_id_ = 0;
  std::unordered_map<Id, Conversation> conversations_;
};

}  // namespace

caf::actor spawn_intake_agent(caf::actor_system& system, AgentParts parts, v1::EventType type) {
  return system.spawn<IntakeAgent>(parts, type);
}

IntakeAgents::IntakeAgents(caf::actor_system& system, const AgentParts& parts, std::uint32_t each,
                           std::uint32_t credit) {
  const auto add = [&](std::string_view name, v1::EventType type, std::uint32_t most) {
    std::vector<caf::actor> agents;
    for (std::uint32_t i = 0; i < each; ++i) agents.push_back(spawn_intake_agent(system, parts, type));
    actors_.insert(actors_.end(), agents.begin(), agents.end());
    pools_.push_back({fmt::format("event-{}", name), std::make_unique<AgentPool>(std::move(agents), most)});
  };
  for (const auto type : {v1::EVENT_TYPE_TRACK, v1::EVENT_TYPE_IDENTIFY, v1::EVENT_TYPE_PAGE,
                          v1::EVENT_TYPE_SCREEN, v1::EVENT_TYPE_GROUP, v1::EVENT_TYPE_ALIAS})
    add(event_type_name(type), type, credit);
  add("batch", v1::EVENT_TYPE_UNSPECIFIED, std::max(1U, credit / kBatchWeight));
}

void IntakeAgents::serve(Services& services) const {
  for (const auto& pool : pools_) services.add(pool.name, pool.agents.get());
}

std::size_t IntakeAgents::under_way() const {
  std::size_t sum = 0;
  for (const auto& pool : pools_) sum += pool.agents->under_way();
  return sum;
}

}  // namespace cx::intake
