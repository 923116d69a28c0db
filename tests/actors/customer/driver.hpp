#pragma once

#include <algorithm>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <map>
#include <string>
#include <vector>

#include "actors/customer/customer.hpp"
#include "actors/customer/demo_profiles.hpp"
#include "actors/journey/address.hpp"
#include "actors/journey/book.hpp"
#include "runtime/entity/kind_of.hpp"

// A customer with journeys, a delivery policy, a clock, reminders and the letters that it sends. Every
// decision is also folded from its events, goes through save and load, and is made a second time with the
// facts of the first: none of that must make a difference.

namespace cx::test {

constexpr std::int64_t kSecond = 1'000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kNow = 1'772'323'200'000;  // 2026-03-01T00:00:00Z, a Sunday

/// Journeys that are active in the order in which they were added.
struct FakeBook final : journey::Book {
  std::map<std::pair<std::string, std::uint64_t>, journey::DefinitionPtr> definitions;
  std::map<std::string, v1::JourneyStage> stages;
  std::map<std::string, std::uint64_t> newest;

  void add(const v1::Journey& journey, v1::JourneyStage stage = v1::JOURNEY_STAGE_ACTIVE) {
    const auto compiled = journey::Definition::compile(journey);
    if (!compiled)
      FAIL(compiled.error().type << " " << compiled.error().pointer << ": " << compiled.error().detail);
    definitions[{journey.id(), ++newest[journey.id()]}] = *compiled;
    stages[journey.id()] = stage;
  }
  v1::JourneyRevision revision(const std::string& id) const {
    v1::JourneyRevision out;
    out.set_journey(id);
    out.set_revision(newest.at(id));
    return out;
  }
  journey::DefinitionPtr find(std::string_view, std::string_view id, std::uint64_t revision) const override {
    const auto found = definitions.find({std::string(id), revision});
    return found == definitions.end() ? nullptr : found->second;
  }
  std::vector<v1::JourneyRevision> started_by(std::string_view, std::string_view event) const override {
    std::vector<v1::JourneyRevision> out;
    for (const auto& [id, stage] : stages)
      if (stage == v1::JOURNEY_STAGE_ACTIVE && find("", id, newest.at(id))->trigger_event() == event)
        out.push_back(revision(id));
    return out;
  }
  std::optional<v1::JourneyRevision> active(std::string_view, std::string_view id) const override {
    if (stage("", id) != v1::JOURNEY_STAGE_ACTIVE) return std::nullopt;
    return revision(std::string(id));
  }
  v1::JourneyStage stage(std::string_view, std::string_view id) const override {
    const auto found = stages.find(std::string(id));
    return found == stages.end() ? v1::JOURNEY_STAGE_DRAFT : found->second;
  }
};

struct FakePolicies final : delivery::Policies {
  std::map<std::uint64_t, delivery::PolicyPtr> revisions;
  void set(const v1::DeliveryPolicy& policy) {
    const auto compiled = delivery::compile_policy(policy);
    if (!compiled) FAIL(compiled.error().pointer << ": " << compiled.error().detail);
    revisions[revisions.size() + 1] = *compiled;
  }
  std::uint64_t current(std::string_view) const override { return revisions.size(); }
  delivery::PolicyPtr find(std::string_view, std::uint64_t revision) const override {
    const auto found = revisions.find(revision);
    return found == revisions.end() ? nullptr : found->second;
  }
};

/// A journey that an event starts, with one step that waits a day.
inline v1::Journey journey_of(const std::string& id, const std::string& event) {
  v1::Journey out;
  out.set_id(id);
  if (event.empty())
    out.mutable_trigger()->mutable_api();
  else
    out.mutable_trigger()->mutable_event()->set_name(event);
  auto& wait = *out.add_steps();
  wait.set_id("wait");
  wait.mutable_wait()->mutable_duration()->set_seconds(86'400);
  auto& end = *out.add_steps();
  end.set_id("end");
  end.mutable_exit();
  return out;
}

inline v1::TakeEvent track(const std::string& name, const std::string& id, std::int64_t at = kNow) {
  v1::TakeEvent out;
  out.set_type(v1::EVENT_TYPE_TRACK);
  out.set_name(name);
  out.set_event_id(id);
  out.set_source("key/1");
  out.set_at(at);
  out.set_received_at(at * 1'000);
  return out;
}
inline v1::TakeEvent identify(const std::string& traits, const std::string& id, std::int64_t at = kNow) {
  auto out = track("", id, at);
  out.set_type(v1::EVENT_TYPE_IDENTIFY);
  out.set_properties(traits);
  return out;
}
inline v1::RequestMessage request(const std::string& id, v1::Channel channel = v1::CHANNEL_EMAIL) {
  v1::RequestMessage out;
  out.set_message_id(id);
  out.set_instance("journey/acme/welcome:c-1");
  out.set_journey("welcome");
  out.set_revision(1);
  out.set_step("hello");
  out.set_visit(3);
  out.set_via("main");
  out.set_channel(channel);
  out.set_template_("welcome");
  out.set_purpose("marketing");
  out.set_event(R"({"properties":{"total":12.5}})");
  out.set_memory(R"({"a":1})");
  out.set_caused_at(77);
  return out;
}

class Driver {
 public:
  std::int64_t now = kNow;
  FakeBook book;
  FakePolicies policies;
  struct Letter {
    std::string to;
    MessagePtr command;
  };
  std::vector<Letter> letters;  ///< since they were taken
  std::map<std::string, Effects::Timer> reminders;
  std::vector<v1::CustomerEvent> events;  ///< all

  const v1::CustomerState& state() const { return static_cast<const v1::CustomerState&>(entity_->state()); }
  const v1::Person& person() const { return state().person(); }
  std::size_t bytes() const { return entity_->bytes(); }

  Result<MessagePtr> send(const Message& command) {
    const auto* type = kind_->command(command.GetDescriptor());
    REQUIRE(type);
    const auto before = entity_->save();
    auto decision = entity_->decide(*type, command, context(nullptr));
    // The same again, from what is on disk, with the facts that were recorded.
    auto again = fresh();
    REQUIRE_FALSE(again->load(kind_->schema(), before));
    if (decision && decision->facts) {
      const auto repeated = again->decide(*type, command, context(decision->facts.get()));
      REQUIRE(repeated);
      REQUIRE(repeated->events == decision->events);
    }
    if (!decision || type->query) {
      REQUIRE(entity_->save() == before);
      if (!decision) return decision.error();
      return decision->reply;
    }
    for (const auto& event : decision->events) REQUIRE_FALSE(folded_->apply(kind_->schema(), event));
    REQUIRE(folded_->save() == entity_->save());
    auto woken = fresh();
    REQUIRE_FALSE(woken->load(kind_->schema(), entity_->save()));
    REQUIRE(woken->save() == entity_->save());
    for (const auto& bytes : decision->events) {
      auto& event = events.emplace_back();
      REQUIRE(event.ParseFromString(bytes));
      if (event.number() != 0) REQUIRE(event.number() == ++entries_);
    }
    for (const auto& timer : decision->effects.reminders) reminders[timer.name] = timer;
    for (const auto& name : decision->effects.cancelled) reminders.erase(name);
    for (const auto& letter : decision->effects.outbox) letters.push_back({letter.to, letter.command});
    return decision->reply;
  }

  template <class Reply, class Command>
  Reply ask(const Command& command) {
    const auto reply = send(command);
    if (!reply) FAIL(reply.error().type << ": " << reply.error().detail);
    return static_cast<const Reply&>(**reply);
  }
  std::string error(const Message& command) {
    const auto reply = send(command);
    return reply ? "" : reply.error().type;
  }
  bool take(const v1::TakeEvent& event) { return !ask<v1::EventAccepted>(event).duplicate(); }
  v1::CustomerView view() { return ask<v1::CustomerView>(v1::GetCustomer()); }
  v1::Clearance clear(const std::string& id) {
    v1::ClearMessage query;
    query.set_message_id(id);
    return ask<v1::Clearance>(query);
  }
  void settle(const std::string& id, v1::SettleMessage::Outcome outcome, const std::string& reason = "") {
    v1::SettleMessage command;
    command.set_message_id(id);
    command.set_outcome(outcome);
    command.set_reason(reason);
    REQUIRE(send(command));
  }
  void consent(bool granted, v1::Channel channel = v1::CHANNEL_EMAIL,
               const std::string& purpose = "marketing") {
    v1::SetCustomerConsent command;
    command.set_purpose(purpose);
    command.set_channel(channel);
    command.set_granted(granted);
    REQUIRE(send(command));
  }

  /// The letters of one type, and all others forgotten.
  template <class Command>
  std::vector<std::pair<std::string, Command>> taken() {
    std::vector<std::pair<std::string, Command>> out;
    for (const auto& letter : letters)
      if (const auto* command = dynamic_cast<const Command*>(letter.command.get()))
        out.emplace_back(letter.to, *command);
    letters.clear();
    return out;
  }
  /// What became of messages, and why: "deferred by quiet-hours".
  std::vector<std::string> updates() {
    std::vector<std::string> out;
    for (const auto& [to, update] : taken<v1::MessageUpdate>())
      out.push_back(update.what() + (update.rule().empty() ? "" : " by " + update.rule()));
    return out;
  }
  /// Lets time pass, and fires what becomes due, at its time.
  void wait_until(std::int64_t time) {
    for (;;) {
      auto next = std::min_element(reminders.begin(), reminders.end(),
                                   [](const auto& a, const auto& b) { return a.second.due < b.second.due; });
      if (next == reminders.end() || next->second.due > time) break;
      now = std::max(now, next->second.due);
      const auto command = next->second.command;
      reminders.erase(next);
      REQUIRE(send(*command));
    }
    now = std::max(now, time);
  }

 private:
  Context context(const Message* facts) const {
    Context out;
    out.now = now;
    out.self = "customer/acme/c-1";
    out.tenant = "acme";
    out.key = "c-1";
    out.actor = "user/ana";
    out.facts = facts;
    return out;
  }
  static v1::Profile no_profile(std::uint64_t, std::string_view) { return {}; }
  std::unique_ptr<Entity> fresh() const { return kind_->make("customer/acme/c-1"); }

  std::uint64_t entries_ = 0;
  std::unique_ptr<EntityKind> kind_ = make_kind(Customer{no_profile, 0, &book, &policies});
  std::unique_ptr<Entity> entity_ = fresh(), folded_ = fresh();
};

}  // namespace cx::test
