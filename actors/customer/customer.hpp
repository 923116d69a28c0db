#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "actors/customer/policy.hpp"
#include "cx/v1/customer.pb.h"
#include "cx/v1/decision.pb.h"
#include "cx/v1/event.pb.h"
#include "cx/v1/journey.pb.h"
#include "runtime/entity/kind.hpp"

namespace cx {

namespace journey {
class Book;
}

/// The customer entity, as its pure core: what one person is to a tenant. It takes events, starts journeys,
/// and is the gate that every message to the person has to pass; and it caps bids. A shard's region
/// serialises the commands of one customer, so check-and-reserve is exact without a lock.
struct Customer {
  static constexpr std::string_view kName = "customer";
  static constexpr std::uint32_t kSchema = 1;
  using State = v1::CustomerState;
  using Event = v1::CustomerEvent;
  using Commands =
      std::tuple<v1::ReserveImpressions, v1::ReleaseImpressions, v1::TakeEvent, v1::TriggerJourney,
                 v1::RunFinished, v1::DecideStep, v1::RequestMessage, v1::ReconsiderMessage, v1::ClearMessage,
                 v1::SettleMessage, v1::SetCustomerConsent, v1::SuppressCustomer, v1::UnsuppressCustomer,
                 v1::GetCustomer, v1::GetEntries, v1::RecordDecisions>;
  template <class Reply>
  using Out = Outcome<Event, Reply>;

  /// Gives a customer never seen before a profile; pure.
  using Profiles = v1::Profile (*)(std::uint64_t seed, std::string_view address);
  Profiles profiles;
  std::uint64_t seed;
  /// Null: there are no journeys, or no delivery policies. They outlive the kind.
  const journey::Book* journeys = nullptr;
  const delivery::Policies* policies = nullptr;

  State initial(std::string_view address) const;

  // Bids: customer.cpp.
  static Outcome<Event, v1::ImpressionsGranted> handle(const State& state,
                                                       const v1::ReserveImpressions& command,
                                                       const Context& context);
  static Outcome<Event, NoReply> handle(const State& state, const v1::ReleaseImpressions& command,
                                        const Context& context);
  static Outcome<Event, NoReply> handle(const State& state, const v1::RecordDecisions& command,
                                        const Context& context);

  // What happens: events.cpp. An event within 24 hours of one of the same source and id is a duplicate. One
  // that is an outcome of a decision (outcome.hpp) is reported to it.
  // rate_limited "customer-busy" once 100,000 were taken in some 24 hours.
  Result<Out<v1::EventAccepted>> handle(const State& state, const v1::TakeEvent& command,
                                        const Context& context) const;

  // Journeys: runs.cpp.
  /// not_found "no-such-journey"; conflict "journey-not-active", "not-triggered-by-api", "too-many-journeys";
  /// invalid_argument "data-too-large"; unavailable "journey-not-loaded", as of DecideStep.
  Result<Out<v1::JourneyTriggered>> handle(const State& state, const v1::TriggerJourney& command,
                                           const Context& context) const;
  static Out<NoReply> handle(const State& state, const v1::RunFinished& command, const Context& context);
  Result<Out<NoReply>> handle(const State& state, const v1::DecideStep& command,
                              const Context& context) const;

  // Messages: messages.cpp. unavailable "policy-not-loaded".
  Result<Out<NoReply>> handle(const State& state, const v1::RequestMessage& command,
                              const Context& context) const;
  Result<Out<NoReply>> handle(const State& state, const v1::ReconsiderMessage& command,
                              const Context& context) const;
  Result<v1::Clearance> handle(const State& state, const v1::ClearMessage& query,
                               const Context& context) const;
  Result<Out<v1::MessageSettled>> handle(const State& state, const v1::SettleMessage& command,
                                         const Context& context) const;

  // What the customer allows: preferences.cpp. invalid_argument "invalid-channel", "invalid-purpose",
  // "invalid-reason", "invalid-time"; conflict "too-many-consents".
  Result<Out<v1::CustomerView>> handle(const State& state, const v1::SetCustomerConsent& command,
                                       const Context& context) const;
  Result<Out<v1::CustomerView>> handle(const State& state, const v1::SuppressCustomer& command,
                                       const Context& context) const;
  Result<Out<v1::CustomerView>> handle(const State& state, const v1::UnsuppressCustomer& command,
                                       const Context& context) const;

  // What is known: view.cpp. not_found "no-such-customer".
  Result<v1::CustomerView> handle(const State& state, const v1::GetCustomer& query,
                                  const Context& context) const;
  static Result<v1::Entries> handle(const State& state, const v1::GetEntries& query, const Context& context);

  static void apply(State& state, const Event& event);

  // CustomerFacts: facts.cpp.
  MessagePtr facts(const State& state, const v1::TakeEvent& command, const Context& context) const;
  MessagePtr facts(const State& state, const v1::TriggerJourney& command, const Context& context) const;
  /// Of commands that the delivery policy has to do with.
  template <class Command>
  requires std::same_as<Command, v1::RequestMessage> || std::same_as<Command, v1::ReconsiderMessage> ||
      std::same_as<Command, v1::ClearMessage> || std::same_as<Command, v1::SettleMessage> ||
      std::same_as<Command, v1::SetCustomerConsent> || std::same_as<Command, v1::SuppressCustomer> ||
      std::same_as<Command, v1::UnsuppressCustomer> || std::same_as<Command, v1::GetCustomer>
          MessagePtr facts(const State&, const Command&, const Context& context)
  const { return policy_facts(context); }

 private:
  MessagePtr policy_facts(const Context& context) const;
  /// The delivery policy that the facts name; null for none. unavailable "policy-not-loaded".
  Result<delivery::PolicyPtr> policy_of(const Context& context) const;
  /// The state as others see it, after `events`.
  v1::CustomerView view_after(const State& state, const std::vector<Event>& events,
                              const Context& context) const;
};

/// How many more impressions `cap` allows at `now` (Unix milliseconds): sliding windows of 60 minutes and 24
/// hours, each (now - window, now].
std::uint32_t cap_room(const v1::CustomerState& state, const v1::FrequencyCap& cap, std::int64_t now);

}  // namespace cx
