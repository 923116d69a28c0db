#include "tests/runtime/entity/ledger.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "runtime/entity/history.hpp"

namespace cx::test {
namespace {

using Faults = std::vector<std::string>;

template <class... Arguments>
void fault(Faults& faults, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (faults.size() < 20) faults.push_back(fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// What the logs of all shards say, entity by entity.
struct Log {
  std::map<std::string, std::vector<v1::JournalRecord>> of;  ///< by entity
  std::map<std::string, unsigned> traced;                    ///< records by trace
};

Log read_logs(World& world, Faults& faults) {
  Log log;
  for (const auto shard : world.options_.shards) {
    std::uint64_t sequence = 0, epoch = 0;
    for (auto& record : world.records(shard)) {
      if (record.sequence() != ++sequence || record.shard() != shard || record.epoch() < epoch)
        fault(faults, "Shard {}: record {} of epoch {} where {} was to be", shard, record.sequence(),
              record.epoch(), sequence);
      epoch = record.epoch();
      if (!record.trace().empty()) ++log.traced[record.trace()];
      log.of[record.entity()].push_back(std::move(record));
    }
  }
  return log;
}

/// Every command took effect as often as its client was told.
void check_effects(const std::vector<Op>& ops, unsigned era, const Log& log, Faults& faults) {
  for (const auto& op : ops) {
    const auto found = log.traced.find(op.trace());
    const unsigned times = found == log.traced.end() ? 0 : found->second;
    const bool must = op.outcome == Op::acknowledged && !op.query && (!op.relaxed || op.era == era);
    const bool may = must || op.outcome == Op::unknown || (op.relaxed && op.outcome == Op::acknowledged) ||
                     (op.doubled && op.outcome == Op::refused);
    static constexpr const char* kOutcomes[] = {"pending", "acknowledged", "refused", "unknown"};
    if (op.outcome == Op::pending) fault(faults, "{} to {} was never answered", op.trace(), op.to);
    if ((must && times == 0) || (!may && times > 0) || times > 1)
      fault(faults, "{}, {} to {}, {} in era {}, is in the log {} times", op.trace(),
            op.command->GetTypeName(), op.to, kOutcomes[op.outcome], op.era, times);
  }
}

/// Every answer showed a state that the log has, too.
void check_answers(const std::vector<Op>& ops, const Log& log, Faults& faults) {
  std::map<std::string, std::vector<std::int64_t>> totals;
  for (const auto& [address, records] : log.of) {
    if (!address.starts_with("counter/")) continue;
    auto& all = totals[address];
    all.push_back(0);
    for (const auto& record : records) {
      CounterEvent event;
      event.ParseFromString(record.events(0));
      all.push_back(all.back() + event.added());
    }
  }
  for (const auto& op : ops) {
    const auto* total = dynamic_cast<const Total*>(op.reply.get());
    if (total == nullptr || op.relaxed) continue;
    const auto& all = totals[op.to];
    if (total->changes() == 0 && total->total() == 0) continue;
    if (total->changes() >= all.size() || all[total->changes()] != total->total())
      fault(faults, "{} to {} was told of a total of {} after {} changes", op.trace(), op.to, total->total(),
            total->changes());
  }
}

/// Every entity is what its records make it.
void check_states(World& world, const Log& log, Faults& faults) {
  for (const auto& [address, records] : log.of) {
    const auto entity = route(world.kinds(), address)->kind->make(address);
    for (const auto& record : records)
      for (const auto& event : record.events()) entity->apply(record.schema(), event);
    const auto now = world.inspect(address);
    if (!now)
      fault(faults, "{} cannot be looked at: {}", address, now.error().detail);
    else if (now->state() != entity->save() || now->sequence() != records.back().sequence())
      fault(faults, "{} is not what its records make it", address);
  }
}

/// Every decision, made again from what its record says, is the same.
void check_decisions(World& world, const Log& log, Faults& faults) {
  for (const auto& [address, records] : log.of) {
    const auto& kind = *route(world.kinds(), address)->kind;
    Past past;
    past.entity = kind.make(address);
    for (const auto& record : records) {
      if (!record.has_command()) {
        advance(past, record);
        continue;
      }
      const auto again = decide_again(past, kind, record);
      bool same = again && std::ranges::equal(again->events, record.events()) &&
                  again->effects.outbox.size() == static_cast<std::size_t>(record.outbox_size());
      for (int i = 0; same && i < record.outbox_size(); ++i) {
        const auto& letter = again->effects.outbox[static_cast<std::size_t>(i)];
        same = letter.to == record.outbox(i).to() &&
               serialize(*letter.command) == record.outbox(i).command().bytes();
      }
      if (!same) fault(faults, "{} would decide record {} differently", address, record.sequence());
    }
  }
}

/// Every transfer arrived, once, and no money came from nowhere.
void check_money(World& world, const Log& log, const std::map<std::string, Letter>& paid, Faults& faults) {
  std::map<std::string, std::pair<std::string, std::int64_t>> sent;  // by id: to whom, how much
  std::int64_t deposits = 0, balances = 0;
  for (const auto& [address, records] : log.of) {
    for (const auto& record : records) {
      for (int i = 0; i < record.outbox_size(); ++i) {
        Credit credit;
        credit.ParseFromString(record.outbox(i).command().bytes());
        sent[fmt::format("{}-{}-{}", record.shard(), record.sequence(), i)] = {record.outbox(i).to(),
                                                                               credit.amount()};
      }
      if (record.command().type() != "cx.test.Deposit") continue;
      Deposit deposit;
      deposit.ParseFromString(record.command().bytes());
      deposits += deposit.amount();
    }
  }
  for (const auto& [address, records] : log.of) {
    if (!address.starts_with("account/")) continue;
    balances += world.balance(address);
    for (const auto& record : records) {
      if (record.command().type() != "cx.test.Credit") continue;
      const auto number = record.letter() != 0 ? record.letter() : record.id().sequence();
      const auto id = fmt::format(
          "{}-{}-{}", record.letter() != 0 ? std::to_string(record.shard()) : record.id().source().substr(6),
          number / 1024, number % 1024);
      Credit credit;
      credit.ParseFromString(record.command().bytes());
      const auto found = sent.find(id);
      if (found == sent.end() || found->second != std::pair(address, credit.amount()))
        fault(faults, "{} was credited {} by {}, which nobody sent, or twice", address, credit.amount(), id);
      else
        sent.erase(found);
    }
  }
  for (const auto& [id, letter] : paid) {
    const auto amount = dynamic_cast<const Credit&>(*letter.command).amount();
    balances += amount;
    if (const auto found = sent.find(id);
        found == sent.end() || found->second != std::pair(letter.to, amount) || letter.id != id)
      fault(faults, "{} was paid {} by {}, which nobody sent", letter.to, amount, id);
    else
      sent.erase(found);
  }
  for (const auto& [id, what] : sent) fault(faults, "{} never got the {} of {}", what.first, what.second, id);
  if (deposits != balances) fault(faults, "{} were deposited, and {} are there", deposits, balances);
}

/// Every alarm rang when it was due, as often as it was, and no more once it was cancelled.
void check_alarms(const Log& log, Faults& faults) {
  for (const auto& [address, records] : log.of) {
    std::map<std::string, Ring> waiting;
    for (const auto& record : records) {
      const auto& type = record.command().type();
      const auto& bytes = record.command().bytes();
      if (type == "cx.test.SetAlarm") {
        SetAlarm set;
        set.ParseFromString(bytes);
        auto& ring = waiting[set.name()];
        ring.set_due(set.at());
        ring.set_times(set.times());
        ring.set_repeat_ms(set.repeat_ms());
      } else if (type == "cx.test.CancelAlarm") {
        CancelAlarm cancel;
        cancel.ParseFromString(bytes);
        waiting.erase(cancel.name());
      } else if (type == "cx.test.Ring") {
        Ring ring;
        ring.ParseFromString(bytes);
        const auto found = waiting.find(ring.name());
        if (found == waiting.end() || found->second.due() != ring.due() ||
            found->second.times() != ring.times() || record.now() < ring.due()) {
          fault(faults, "{} rang {} at {} for {}, uncalled for", address, ring.name(), record.now(),
                ring.due());
          continue;
        }
        if (ring.times() > 1) {
          found->second.set_due(ring.due() + ring.repeat_ms());
          found->second.set_times(ring.times() - 1);
        } else {
          waiting.erase(found);
        }
      }
    }
    for (const auto& [name, ring] : waiting)
      fault(faults, "{} never rang {}, due at {}", address, name, ring.due());
  }
}

}  // namespace

void Ledger::told(Op& op, const MessagePtr& reply, Faults& faults) {
  op.outcome = Op::acknowledged;
  op.reply = reply;
  op.era = era_;
  const auto* total = dynamic_cast<const Total*>(reply.get());
  if (total == nullptr || op.relaxed) return;
  if (op.client < 0 && total->changes() < op.floor)
    fault(faults, "{} was told of {} changes to {}, which had {} before", op.trace(), total->changes(), op.to,
          op.floor);
  auto& most = seen[op.to];
  most = std::max(most, total->changes());
}

void Ledger::told_again(const Op& op, const MessagePtr& reply, Faults& faults) const {
  if (!reply || !op.reply) return;  // settled meanwhile: nobody keeps the answer any more
  if (reply->SerializeAsString() != op.reply->SerializeAsString())
    fault(faults, "{} to {} was answered twice, and differently", op.trace(), op.to);
}

void Ledger::audit(World& world, Faults& faults) const {
  const auto log = read_logs(world, faults);
  check_effects(ops, era_, log, faults);
  check_answers(ops, log, faults);
  check_states(world, log, faults);
  check_decisions(world, log, faults);
  check_money(world, log, paid, faults);
  check_alarms(log, faults);
  const auto left = world.rows(Table::outbox), due = world.rows(Table::reminders),
             dead = world.dead_letters().size();
  if (left + due + dead > 0)
    fault(faults, "{} messages, {} reminders and {} dead letters are left", left, due, dead);
}

}  // namespace cx::test
