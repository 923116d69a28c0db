#include <google/protobuf/util/time_util.h>

#include "actors/customer/decide.hpp"
#include "actors/customer/person.hpp"
#include "runtime/address.hpp"

// What a customer allows. It holds from the next look of the gate on: what waits for a channel or for its
// time is stopped when its turn comes.

namespace cx {
namespace {

using google::protobuf::util::TimeUtil;

std::optional<Error> check_channel(v1::Channel channel, bool all) {
  if (v1::Channel_IsValid(channel) && (all || channel != v1::CHANNEL_UNSPECIFIED)) return std::nullopt;
  return Error{Code::invalid_argument, "invalid-channel", "It has to be a channel, as CHANNEL_EMAIL.",
               "/channel"};
}

}  // namespace

Result<Customer::Out<v1::CustomerView>> Customer::handle(const State& state,
                                                         const v1::SetCustomerConsent& command,
                                                         const Context& context) const {
  if (auto error = check_channel(command.channel(), false)) return *error;
  if (!is_name(command.purpose()))
    return Error{Code::invalid_argument, "invalid-purpose", "A purpose is 1 to 63 of a-z, 0-9 and '-'.",
                 "/purpose"};
  const auto& person = state.person();
  if (person.consents_size() >= kMostConsents &&
      find_consent(person, command.purpose(), command.channel()) == nullptr)
    return Error{Code::conflict, "too-many-consents",
                 "The customer has " + std::to_string(kMostConsents) +
                     " consents, which is the most. Use a purpose that is there already.",
                 "/purpose"};
  Out<v1::CustomerView> out;
  auto& consent = *Numbered(state, out.events).add().mutable_consent()->mutable_consent();
  consent.set_purpose(command.purpose());
  consent.set_channel(command.channel());
  consent.set_granted(command.granted());
  consent.set_at(context.now);
  consent.set_origin(cut(command.origin(), kMostNameBytes));
  out.reply = view_after(state, out.events, context);
  return out;
}

Result<Customer::Out<v1::CustomerView>> Customer::handle(const State& state,
                                                         const v1::SuppressCustomer& command,
                                                         const Context& context) const {
  if (auto error = check_channel(command.channel(), true)) return *error;
  if (command.reason() == v1::SUPPRESSION_REASON_UNSPECIFIED ||
      !v1::SuppressionReason_IsValid(command.reason()))
    return Error{Code::invalid_argument, "invalid-reason",
                 "It has to be a reason, as SUPPRESSION_REASON_USER_OPT_OUT.", "/reason"};
  std::int64_t until = 0;
  if (command.has_until()) {
    const auto& time = command.until();
    const bool valid = time.seconds() >= TimeUtil::kTimestampMinSeconds &&
                       time.seconds() <= TimeUtil::kTimestampMaxSeconds && time.nanos() >= 0 &&
                       time.nanos() <= 999'999'999;
    if (valid) until = TimeUtil::TimestampToMilliseconds(time);
    if (!valid || until <= context.now)
      return Error{Code::invalid_argument, "invalid-time",
                   "until has to be in the future. Leave it out to suppress for good.", "/until"};
  }
  Out<v1::CustomerView> out;
  auto& set = *Numbered(state, out.events).add().mutable_suppression();
  set.mutable_suppression()->set_channel(command.channel());
  set.mutable_suppression()->set_reason(command.reason());
  set.mutable_suppression()->set_until(until);
  set.set_at(context.now);
  out.reply = view_after(state, out.events, context);
  return out;
}

Result<Customer::Out<v1::CustomerView>> Customer::handle(const State& state,
                                                         const v1::UnsuppressCustomer& command,
                                                         const Context& context) const {
  if (auto error = check_channel(command.channel(), true)) return *error;
  Out<v1::CustomerView> out;
  if (const auto* entry = find_suppression(state.person(), command.channel())) {
    auto& set = *Numbered(state, out.events).add().mutable_suppression();
    *set.mutable_suppression() = *entry;
    set.set_removed(true);
    set.set_at(context.now);
  }
  out.reply = view_after(state, out.events, context);
  return out;
}

}  // namespace cx
