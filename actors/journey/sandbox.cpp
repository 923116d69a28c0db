#include "actors/journey/sandbox.hpp"

#include <tuple>

namespace cx::journey {
namespace {

constexpr int kMostLetters = 100'000;  // that one thing may lead to at once

template <class T>
struct IsOutcome : std::false_type {};
template <class Event, class Reply>
struct IsOutcome<Outcome<Event, Reply>> : std::true_type {};

/// What a handler returns as a Result, whatever it returns.
template <class T>
Result<T> lifted(T value) {
  return Result<T>(std::move(value));
}
template <class T>
Result<T> lifted(Result<T> value) {
  return value;
}

Error unknown(const std::string& address) {
  return {Code::internal, "unknown-address", "Nothing takes this message at " + address + ".", ""};
}

/// The key of "kind/tenant/key".
std::string key_of(const std::string& address) {
  return address.substr(address.find('/', address.find('/') + 1) + 1);
}

}  // namespace

Sandbox::Sandbox(const Book& book, const delivery::Policies* policies, std::string tenant, std::int64_t now)
    : tenant_(std::move(tenant)),
      now_(now),
      customer_kind_{[](std::uint64_t, std::string_view) { return v1::Profile(); }, 0, &book, policies},
      instance_kind_{&book} {}

Context Sandbox::context(const std::string& self, const std::string& key) const {
  Context out;
  out.now = now_;
  out.self = self;
  out.tenant = tenant_;
  out.key = key;
  return out;
}

template <class Kind, class Tell>
std::optional<Error> Sandbox::decide(const Kind& kind, typename Kind::State& state, const Letter& letter,
                                     const std::string& key, const Tell& told) {
  bool taken = false;
  std::optional<Error> error;
  const auto one = [&]<class Command>(const Command*) {
    if (taken || letter.command->GetDescriptor() != Command::descriptor()) return;
    taken = true;
    const auto& command = static_cast<const Command&>(*letter.command);
    auto context = this->context(letter.to, key);
    context.actor = letter.from;
    MessagePtr facts;
    if constexpr (requires { MessagePtr(kind.facts(state, command, context)); }) {
      facts = kind.facts(state, command, context);
      context.facts = facts.get();
    }
    auto result = lifted(kind.handle(state, command, context));
    if (!result) {
      error = result.error();
      return;
    }
    if constexpr (IsOutcome<std::decay_t<decltype(*result)>>::value) {
      for (const auto& event : result->events) {
        Kind::apply(state, event);
        if (told) told(key, event);
      }
      const auto forget = [this](const Name& name) {
        const auto at = timers_.find(name);
        if (at == timers_.end()) return;
        due_.erase({at->second.due, at->second.number});
        timers_.erase(at);
      };
      for (const auto& name : result->cancelled) forget({letter.to, name});
      for (auto& timer : result->reminders) {
        const Name name{letter.to, timer.name};
        forget(name);
        timers_[name] = {timer.due, ++number_, std::move(timer.command)};
        due_[{timer.due, number_}] = name;
      }
      for (auto& sent : result->outbox)
        letters_.push_back({letter.to, std::move(sent.to), std::move(sent.command)});
    }
  };
  std::apply([&](const auto&... commands) { (one(&commands), ...); }, typename Kind::Commands());
  if (!taken) return unknown(letter.to);
  return error;
}

std::optional<Error> Sandbox::dispatch(const std::string& key, const v1::DispatchMessage& message) {
  const auto at = customers_.find(key);
  if (at == customers_.end()) return unknown(message.customer());
  const v1::PendingMessage* pending = nullptr;
  for (const auto& one : at->second.person().messages())
    if (one.request().message_id() == message.message_id()) pending = &one;
  const auto self = message.customer();
  auto context = this->context(self, key);
  v1::ClearMessage query;
  query.set_message_id(message.message_id());
  const auto facts = customer_kind_.facts(at->second, query, context);
  context.facts = facts.get();
  const auto clearance = customer_kind_.handle(at->second, query, context);
  if (!clearance) return clearance.error();
  if (clearance->verdict() == v1::Clearance::GONE) return std::nullopt;
  v1::SettleMessage settled;
  settled.set_message_id(message.message_id());
  switch (clearance->verdict()) {
    case v1::Clearance::GO:
      if (on_sent && pending != nullptr) on_sent(key, pending->request());
      settled.set_outcome(v1::SettleMessage::SENT);
      break;
    case v1::Clearance::DEFERRED:
      settled.set_outcome(v1::SettleMessage::DEFERRED);
      break;
    default:
      settled.set_outcome(v1::SettleMessage::REFUSED);
  }
  settled.set_reason(clearance->rule());
  settled.set_detail(clearance->detail());
  letters_.push_back({"", self, std::make_shared<v1::SettleMessage>(std::move(settled))});
  return std::nullopt;
}

std::optional<Error> Sandbox::deliver(const Letter& letter) {
  const auto key = key_of(letter.to);
  if (letter.to.starts_with("customer/"))
    return decide(customer_kind_, customers_[key], letter, key, on_customer);
  if (letter.to.starts_with("journey/"))
    return decide(instance_kind_, instances_[key], letter, key, on_instance);
  if (letter.to.starts_with("channel/"))
    if (const auto* message = dynamic_cast<const v1::DispatchMessage*>(letter.command.get()))
      return dispatch(key_of(message->customer()), *message);
  return unknown(letter.to);
}

std::optional<Error> Sandbox::drain() {
  for (int n = 0; !letters_.empty(); ++n) {
    if (n == kMostLetters)
      return Error{Code::internal, "endless",
                   "One event leads to more than 100,000 messages between entities.", ""};
    const auto letter = std::move(letters_.front());
    letters_.pop_front();
    if (auto error = deliver(letter)) {
      letters_.clear();
      return error;
    }
  }
  return std::nullopt;
}

std::optional<Error> Sandbox::tell(const std::string& address, MessagePtr command) {
  letters_.push_back({"", address, std::move(command)});
  return drain();
}

std::optional<std::int64_t> Sandbox::next_due() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first.first;
}

std::optional<Error> Sandbox::advance(std::int64_t to) {
  while (!due_.empty() && due_.begin()->first.first <= to) {
    now_ = std::max(now_, due_.begin()->first.first);
    const auto name = due_.begin()->second;
    due_.erase(due_.begin());
    const auto at = timers_.find(name);
    letters_.push_back({name.first, name.first, std::move(at->second.command)});
    timers_.erase(at);
    if (auto error = drain()) return error;
  }
  now_ = std::max(now_, to);
  return std::nullopt;
}

void Sandbox::apply(const std::string& customer, const v1::CustomerEvent& event) {
  Customer::apply(customers_[customer], event);
}

const v1::CustomerState* Sandbox::customer(const std::string& key) const {
  const auto at = customers_.find(key);
  return at == customers_.end() ? nullptr : &at->second;
}

const v1::InstanceState* Sandbox::instance(const std::string& key) const {
  const auto at = instances_.find(key);
  return at == instances_.end() ? nullptr : &at->second;
}

}  // namespace cx::journey
