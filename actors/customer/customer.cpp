#include "actors/customer/customer.hpp"

#include <algorithm>
#include <iterator>

#include "actors/customer/decide.hpp"
#include "actors/customer/person.hpp"

namespace cx {
namespace {

constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kSeenStep = 60'000;  // last_seen is not worth a record each time

std::uint32_t reserved_since(const v1::CustomerState& state, std::int64_t start) {
  const auto& times = state.reserved_at();
  return static_cast<std::uint32_t>(times.end() - std::upper_bound(times.begin(), times.end(), start));
}

std::uint32_t room(std::uint32_t cap, std::uint32_t used) {
  return cap > used ? cap - used : 0;
}

/// At most as many as are reserved.
void release(const v1::CustomerState& state, std::uint32_t count, std::int64_t reserved_at,
             std::vector<v1::CustomerEvent>& events) {
  const auto& times = state.reserved_at();
  const auto [first, last] = std::equal_range(times.begin(), times.end(), reserved_at);
  count = std::min(count, static_cast<std::uint32_t>(last - first));
  if (count == 0) return;
  auto& released = *events.emplace_back().mutable_released();
  released.set_count(count);
  released.set_reserved_at(reserved_at);
}

}  // namespace

std::uint32_t cap_room(const v1::CustomerState& state, const v1::FrequencyCap& cap, std::int64_t now) {
  return std::min(room(cap.per_hour(), reserved_since(state, now - kHour)),
                  room(cap.per_day(), reserved_since(state, now - kDay)));
}

Customer::State Customer::initial(std::string_view address) const {
  State state;
  *state.mutable_profile() = profiles(seed, address);
  return state;
}

Outcome<Customer::Event, v1::ImpressionsGranted> Customer::handle(const State& state,
                                                                  const v1::ReserveImpressions& command,
                                                                  const Context& context) {
  // A clock that was set back must not reorder the reservations or reopen a window.
  const auto now =
      state.reserved_at().empty() ? context.now : std::max(context.now, *state.reserved_at().rbegin());
  Outcome<Event, v1::ImpressionsGranted> out;
  auto& reply = out.reply;
  reply.set_granted(std::min(command.count(), cap_room(state, command.cap(), now)));
  reply.set_reserved_at(now);
  *reply.mutable_profile() = state.profile();
  reply.set_last_seen(state.last_seen());
  reply.set_used_hour(reserved_since(state, now - kHour) + reply.granted());
  reply.set_used_day(reserved_since(state, now - kDay) + reply.granted());
  if (reply.granted() > 0) {
    auto& reserved = *out.events.emplace_back().mutable_reserved();
    reserved.set_count(reply.granted());
    reserved.set_at(now);
    reserved.set_forget_until(now - kDay);
  }
  if (context.now - state.last_seen() >= kSeenStep)
    out.events.emplace_back().mutable_seen()->set_at(context.now);
  return out;
}

Outcome<Customer::Event, NoReply> Customer::handle(const State& state, const v1::ReleaseImpressions& command,
                                                   const Context&) {
  Outcome<Event, NoReply> out;
  release(state, command.count(), command.reserved_at(), out.events);
  return out;
}

Outcome<Customer::Event, NoReply> Customer::handle(const State& state, const v1::RecordDecisions& command,
                                                   const Context&) {
  Outcome<Event, NoReply> out;
  release(state, command.release(), command.reserved_at(), out.events);
  if (command.bids_size() > 0)
    out.events.emplace_back().mutable_decisions()->set_count(static_cast<std::uint32_t>(command.bids_size()));
  return out;
}

std::string cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  return std::string(text.substr(0, most));
}

void Customer::apply(State& state, const Event& event) {
  auto& times = *state.mutable_reserved_at();
  switch (event.event_case()) {
    case Event::kReserved: {
      const auto& reserved = event.reserved();
      times.erase(times.begin(), std::upper_bound(times.begin(), times.end(), reserved.forget_until()));
      for (std::uint32_t i = 0; i < reserved.count(); ++i) times.Add(reserved.at());
      break;
    }
    case Event::kReleased: {
      const auto first = std::lower_bound(times.begin(), times.end(), event.released().reserved_at());
      times.erase(first, std::next(first, event.released().count()));
      break;
    }
    case Event::kSeen:
      state.set_last_seen(event.seen().at());
      break;
    case Event::kTaken:
      return cx::apply(*state.mutable_person(), event.taken(), event.number());
    case Event::kConsent:
      return cx::apply(*state.mutable_person(), event.consent(), event.number());
    case Event::kSuppression:
      return cx::apply(*state.mutable_person(), event.suppression(), event.number());
    case Event::kRun:
      return cx::apply(*state.mutable_person(), event.run(), event.number());
    case Event::kMessage:
      return cx::apply(*state.mutable_person(), event.message(), event.number());
    case Event::kDecisions:  // there for those who read the log
    case Event::EVENT_NOT_SET:
      break;
  }
}

}  // namespace cx
