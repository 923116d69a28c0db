#include <algorithm>

#include "actors/customer/decide.hpp"
#include "actors/customer/gate.hpp"
#include "actors/customer/person.hpp"
#include "runtime/json.hpp"

// Messages on their way to a customer. One that the gate lets pass is counted towards caps at once and handed
// to its channel; its pool asks again right before it sends, and tells what became of it. One that has to
// wait counts for nothing, and passes the gate anew when its time comes. So a message counts once, however
// often it is handed over, put off or told about.

namespace cx {
namespace {

using delivery::Verdict;
using Reason = std::pair<std::string_view, std::string_view>;  // rule, detail

constexpr std::int64_t kPause = 1'000;  // before a message that its channel put off is looked at again

delivery::Asked asked_of(const v1::RequestMessage& request) {
  return {request.channel(), request.purpose(), request.transactional(), request.message_id()};
}

// A message in one decision.
struct Passing {
  const v1::Person& person;
  const v1::RequestMessage& request;
  const Context& context;
  Numbered numbered;
  Effects& effects;
  bool is_new = false;

  v1::MessageChanged& becomes(const char* what, Reason why = {}) {
    auto& changed = *numbered.add().mutable_message();
    changed.set_what(what);
    changed.set_message_id(request.message_id());
    changed.set_journey(request.journey());
    changed.set_step(request.step());
    changed.set_channel(request.channel());
    changed.set_purpose(request.purpose());
    changed.set_rule(std::string(why.first));
    changed.set_detail(std::string(why.second));
    changed.set_at(context.now);
    if (!request.instance().empty()) {
      v1::MessageUpdate update;
      update.set_message_id(request.message_id());
      update.set_step(request.step());
      update.set_visit(request.visit());
      update.set_what(what);
      update.set_rule(std::string(why.first));
      update.set_detail(std::string(why.second));
      effects.send(request.instance(), std::move(update));
    }
    return changed;
  }
  // Of one that is new the state needs the request itself.
  void keep(v1::MessageChanged& changed) {
    if (is_new) *changed.mutable_request() = request;
  }

  void queue(std::int64_t caused_at) {
    auto& changed = becomes("queued");
    changed.set_counted(context.now);
    keep(changed);
    v1::DispatchMessage letter;
    letter.set_message_id(request.message_id());
    letter.set_customer(std::string(context.self));
    letter.set_caused_at(caused_at);
    effects.send("channel/" + std::string(context.tenant) + '/' + request.via(), std::move(letter));
  }
  void defer(std::int64_t until, Reason why) {
    auto& changed = becomes("deferred", why);
    changed.set_until(until);
    keep(changed);
    v1::ReconsiderMessage reminder;
    reminder.set_message_id(request.message_id());
    effects.remind("message:" + request.message_id(), until, std::move(reminder));
  }
  void judge(const delivery::Policy* policy, std::int64_t caused_at) {
    const auto verdict = delivery::judge(policy, person, asked_of(request), context.now);
    if (verdict.what == Verdict::What::go) return queue(caused_at);
    if (verdict.what == Verdict::What::defer) return defer(verdict.until, {verdict.rule, verdict.detail});
    becomes("refused", {verdict.rule, verdict.detail});
  }
};

std::string traits_of(const v1::Person& person) {
  std::string out = "{";
  for (const auto& trait : person.traits()) {
    if (!has_value(trait)) continue;
    if (out.size() > 1) out += ',';
    append_json(out, trait.name());
    out += ':' + trait.json();
  }
  return out + '}';
}

}  // namespace

Result<Customer::Out<NoReply>> Customer::handle(const State& state, const v1::RequestMessage& command,
                                                const Context& context) const {
  Out<NoReply> out;
  const auto& person = state.person();
  if (find_message(person, command.message_id()) != nullptr ||
      find_counted(person, command.message_id()) != nullptr)
    return out;
  const auto policy = policy_of(context);
  if (!policy) return policy.error();
  Passing passing{person, command, context, {state, out.events}, out, true};
  if (person.messages_size() >= kMostMessages)
    passing.becomes("refused",
                    {"too-many-messages", std::to_string(kMostMessages) +
                                              " messages wait for this customer already, which is the most"});
  else
    passing.judge(policy->get(), command.caused_at());
  return out;
}

Result<Customer::Out<NoReply>> Customer::handle(const State& state, const v1::ReconsiderMessage& command,
                                                const Context& context) const {
  Out<NoReply> out;
  const auto* message = find_message(state.person(), command.message_id());
  if (message == nullptr || message->until() == 0) return out;
  const auto policy = policy_of(context);
  if (!policy) return policy.error();
  Passing{state.person(), message->request(), context, {state, out.events}, out}.judge(policy->get(), 0);
  return out;
}

Result<v1::Clearance> Customer::handle(const State& state, const v1::ClearMessage& query,
                                       const Context& context) const {
  v1::Clearance out;
  const auto& person = state.person();
  const auto* message = find_message(person, query.message_id());
  if (message == nullptr || message->until() != 0) return out;  // gone
  const auto policy = policy_of(context);
  if (!policy) return policy.error();
  const auto& request = message->request();
  const auto verdict = delivery::judge(policy->get(), person, asked_of(request), context.now);
  out.set_rule(std::string(verdict.rule));
  out.set_detail(verdict.detail);
  out.set_channel(request.channel());
  if (verdict.what != Verdict::What::go) {
    out.set_verdict(verdict.what == Verdict::What::defer ? v1::Clearance::DEFERRED : v1::Clearance::REFUSED);
    return out;
  }
  out.set_verdict(v1::Clearance::GO);
  out.set_template_(request.template_());
  out.set_customer_id(std::string(context.key));
  out.set_traits(traits_of(person));
  out.set_event(request.event());
  out.set_memory(request.memory());
  out.set_journey(request.journey());
  out.set_step(request.step());
  out.set_purpose(request.purpose());
  return out;
}

Result<Customer::Out<v1::MessageSettled>> Customer::handle(const State& state,
                                                           const v1::SettleMessage& command,
                                                           const Context& context) const {
  Out<v1::MessageSettled> out;
  const auto& person = state.person();
  const auto* message = find_message(person, command.message_id());
  if (message == nullptr || message->until() != 0) return out;  // settled before
  Passing passing{person, message->request(), context, {state, out.events}, out};
  const auto rule = cut(command.reason(), 100), detail = cut(command.detail(), 500);
  const Reason why{rule, detail};
  const auto sent = [&](const char* what) {
    auto& changed = passing.becomes(what, why);
    if (const auto* counted = find_counted(person, command.message_id())) changed.set_counted(counted->at());
    changed.set_vendor_id(cut(command.vendor_id(), 200));
  };
  switch (command.outcome()) {
    case v1::SettleMessage::SENT:
      sent("sent");
      return out;
    case v1::SettleMessage::UNKNOWN:
      sent("unknown");
      return out;
    case v1::SettleMessage::FAILED:
      passing.becomes("failed", why);
      return out;
    case v1::SettleMessage::REFUSED:
      passing.becomes("refused", why);
      return out;
    case v1::SettleMessage::DEFERRED: {
      const auto policy = policy_of(context);
      if (!policy) return policy.error();
      const auto verdict = delivery::judge(policy->get(), person, asked_of(message->request()), context.now);
      if (verdict.what == Verdict::What::refuse)
        passing.becomes("refused", {verdict.rule, verdict.detail});
      else
        passing.defer(std::max(verdict.until, context.now + kPause), why);
      return out;
    }
    default:
      return Error{Code::invalid_argument, "invalid-outcome",
                   "The outcome of a message is SENT, FAILED, UNKNOWN, REFUSED or DEFERRED.", "/outcome"};
  }
}

}  // namespace cx
