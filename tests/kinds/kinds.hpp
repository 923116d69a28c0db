#pragma once

#include <stdexcept>
#include <string>
#include <tuple>

#include "kinds.pb.h"
#include "runtime/entity/kind_of.hpp"

// Entity kinds that exist for tests only; see kinds.proto.

namespace cx::test {

struct Counter {
  static constexpr std::string_view kName = "counter";
  static constexpr std::uint32_t kSchema = 1;
  using State = CounterState;
  using Event = CounterEvent;
  using Commands = std::tuple<Add, AddRelaxed, Take, GetTotal, Explode>;

  static Outcome<Event, Total> added(const State& state, std::int64_t n) {
    Outcome<Event, Total> out;
    out.events.emplace_back().set_added(n);
    out.reply.set_total(state.total() + n);
    out.reply.set_changes(state.changes() + 1);
    return out;
  }
  static Outcome<Event, Total> handle(const State& state, const Add& add, const Context&) {
    return added(state, add.n());
  }
  static Outcome<Event, Total> handle(const State& state, const AddRelaxed& add, const Context&) {
    return added(state, add.n());
  }
  static Result<Outcome<Event, Total>> handle(const State& state, const Take& take, const Context&) {
    if (take.n() > state.total())
      return Error{Code::invalid_argument, "too-little", "There is not that much.", "/n"};
    return added(state, -take.n());
  }
  static Total handle(const State& state, const GetTotal&, const Context&) {
    Total total;
    total.set_total(state.total());
    total.set_changes(state.changes());
    return total;
  }
  static Outcome<Event, NoReply> handle(const State&, const Explode&, const Context&) {
    throw std::runtime_error("boom");
  }
  static void apply(State& state, const Event& event) {
    state.set_total(state.total() + event.added());
    state.set_changes(state.changes() + 1);
  }
};

struct Account {
  static constexpr std::string_view kName = "account";
  static constexpr std::uint32_t kSchema = 1;
  using State = AccountState;
  using Event = AccountEvent;
  using Commands = std::tuple<Deposit, Transfer, Credit, GetBalance>;

  static Balance balance(const State& state) {
    Balance reply;
    reply.set_balance(state.balance());
    reply.set_transfers_out(state.transfers_out());
    reply.set_transfers_in(state.transfers_in());
    return reply;
  }
  static Outcome<Event, Balance> moved(State state, std::int64_t amount, const std::string& other) {
    Outcome<Event, Balance> out;
    auto& event = out.events.emplace_back();
    event.set_amount(amount);
    event.set_other(other);
    apply(state, event);
    out.reply = balance(state);
    return out;
  }
  static Outcome<Event, Balance> handle(const State& state, const Deposit& deposit, const Context&) {
    return moved(state, deposit.amount(), "");
  }
  static Result<Outcome<Event, Balance>> handle(const State& state, const Transfer& transfer,
                                                const Context& context) {
    if (transfer.amount() <= 0 || transfer.amount() > state.balance())
      return Error{Code::invalid_argument, "too-little", "There is not that much on the account.", "/amount"};
    auto out = moved(state, -transfer.amount(), transfer.to());
    Credit credit;
    credit.set_amount(transfer.amount());
    credit.set_from(std::string(context.self));
    *credit.mutable_then() = transfer.then();
    out.send(transfer.to(), std::move(credit));
    return out;
  }
  static Outcome<Event, NoReply> handle(const State& state, const Credit& credit, const Context& context) {
    Outcome<Event, NoReply> out;
    out.events = moved(state, credit.amount(), credit.from()).events;
    if (credit.then().empty()) return out;
    const auto& to = credit.then(0);
    auto& passed_on = out.events.emplace_back();
    passed_on.set_amount(-credit.amount());
    passed_on.set_other(to);
    Credit next;
    next.set_amount(credit.amount());
    next.set_from(std::string(context.self));
    next.mutable_then()->Assign(credit.then().begin() + 1, credit.then().end());
    out.send(to, std::move(next));
    return out;
  }
  static Balance handle(const State& state, const GetBalance&, const Context&) { return balance(state); }
  static void apply(State& state, const Event& event) {
    state.set_balance(state.balance() + event.amount());
    if (event.other().empty()) return;
    if (event.amount() < 0)
      state.set_transfers_out(state.transfers_out() + 1);
    else
      state.set_transfers_in(state.transfers_in() + 1);
  }
};

struct Alarm {
  static constexpr std::string_view kName = "alarm";
  static constexpr std::uint32_t kSchema = 1;
  using State = AlarmState;
  using Event = AlarmEvent;
  using Commands = std::tuple<SetAlarm, CancelAlarm, Ring, GetRings>;

  static Outcome<Event, NoReply> handle(const State&, const SetAlarm& set, const Context&) {
    Outcome<Event, NoReply> out;
    Ring ring;
    ring.set_name(set.name());
    ring.set_due(set.at());
    ring.set_repeat_ms(set.repeat_ms());
    ring.set_times(set.times());
    out.remind(set.name(), set.at(), std::move(ring));
    return out;
  }
  static Outcome<Event, NoReply> handle(const State&, const CancelAlarm& cancel, const Context&) {
    Outcome<Event, NoReply> out;
    out.cancel(cancel.name());
    return out;
  }
  static Result<Outcome<Event, NoReply>> handle(const State&, const Ring& ring, const Context& context) {
    if (ring.times() == 666) return Error{Code::invalid_argument, "broken-bell", "The bell is broken.", ""};
    Outcome<Event, NoReply> out;
    auto& event = out.events.emplace_back();
    event.set_rang(ring.name());
    event.set_late_ms(context.now - ring.due());
    if (ring.times() > 1) {
      Ring next = ring;
      next.set_times(ring.times() - 1);
      next.set_due(ring.due() + ring.repeat_ms());
      out.remind(ring.name(), next.due(), next);
    }
    return out;
  }
  static Rings handle(const State& state, const GetRings&, const Context&) {
    Rings rings;
    rings.set_total(state.total());
    *rings.mutable_rang() = state.rang();
    return rings;
  }
  static void apply(State& state, const Event& event) {
    ++(*state.mutable_rang())[event.rang()];
    state.set_total(state.total() + 1);
    state.set_latest_late_ms(event.late_ms());
  }
};

inline Kinds all_kinds() {
  Kinds kinds;
  kinds.add(make_kind(Counter{}));
  kinds.add(make_kind(Account{}));
  kinds.add(make_kind(Alarm{}));
  return kinds;
}

}  // namespace cx::test
