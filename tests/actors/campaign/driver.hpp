#pragma once

#include <algorithm>
#include <doctest/doctest.h>
#include <map>
#include <string>
#include <vector>

#include "actors/campaign/campaign.hpp"
#include "actors/campaign/rules.hpp"
#include "actors/campaign/timing.hpp"
#include "runtime/entity/kind_of.hpp"

// A campaign with its reminders and a clock. Every decision is also folded from its events, and goes through
// save and load, which must not make a difference.

namespace cx::test {

constexpr std::int64_t kNow = 1'800'000'000'000;
constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kMicros = 1'000'000;

/// Who acts, and as what.
struct Person {
  std::string actor;
  std::vector<std::string> roles;
};
inline const Person kAna{"user/ana", {"marketer"}};
inline const Person kMia{"user/mia", {"manager"}};
inline const Person kMax{"user/max", {"manager"}};
inline const Person kDan{"user/dan", {"director"}};
inline const Person kDee{"user/dee", {"director", "manager"}};
inline const Person kCy{"user/cy", {"compliance"}};
inline const Person kCat{"user/cat", {"compliance"}};
inline const Person kNode{"", {}};

inline v1::Money dollars(std::int64_t n) {
  v1::Money money;
  money.set_micros(n * kMicros);
  money.set_currency("USD");
  return money;
}

inline v1::CampaignContent content_of(std::int64_t budget,
                                      std::vector<v1::Channel> channels = {v1::CHANNEL_EMAIL}) {
  v1::CampaignContent content;
  content.set_name("Spring sale");
  *content.mutable_budget() = dollars(budget);
  for (const auto channel : channels) content.add_channels(channel);
  return content;
}

template <class Command>
Command with_comment(std::string comment = "why") {
  Command command;
  command.set_campaign_id("spring-sale");
  command.set_comment(std::move(comment));
  return command;
}

class Driver {
 public:
  std::int64_t now = kNow;
  struct Timer {
    std::int64_t due;
    MessagePtr command;
  };
  std::map<std::string, Timer> reminders;
  std::vector<MessagePtr> fired;

  Driver() : kind_(make_kind(Campaign{})), entity_(fresh()), folded_(fresh()) {}

  const v1::CampaignState& state() const { return static_cast<const v1::CampaignState&>(entity_->state()); }
  v1::CampaignStage stage() const { return state().stage(); }
  std::size_t bytes() const { return entity_->bytes(); }
  std::string save() const { return entity_->save(); }

  Result<MessagePtr> send(const Message& command, const Person& who) {
    const auto* type = kind_->command(command.GetDescriptor());
    REQUIRE(type);
    const auto before = entity_->save();
    Context context;
    context.now = now;
    context.self = "campaign/demo/spring-sale";
    context.tenant = "demo";
    context.key = "spring-sale";
    context.actor = who.actor;
    context.roles = who.roles;
    auto decision = entity_->decide(*type, command, context);
    if (!decision) {
      REQUIRE(entity_->save() == before);
      return decision.error();
    }
    for (const auto& event : decision->events) REQUIRE_FALSE(folded_->apply(kind_->schema(), event));
    REQUIRE(folded_->save() == entity_->save());
    auto woken = fresh();
    REQUIRE_FALSE(woken->load(kind_->schema(), entity_->save()));
    REQUIRE(woken->save() == entity_->save());
    entity_ = std::move(woken);
    for (const auto& name : decision->effects.cancelled) reminders.erase(name);
    for (const auto& timer : decision->effects.reminders) reminders[timer.name] = {timer.due, timer.command};
    return decision->reply;
  }

  template <class Command>
  Result<v1::Campaign> run(const Command& command, const Person& who) {
    auto reply = send(command, who);
    if (!reply) return reply.error();
    return static_cast<const v1::Campaign&>(**reply);
  }

  Result<v1::Campaign> create(const v1::CampaignContent& content, const Person& who = kAna) {
    v1::CreateCampaign command;
    command.set_campaign_id("spring-sale");
    *command.mutable_campaign() = content;
    return run(command, who);
  }
  Result<v1::Campaign> update(const v1::CampaignContent& patch, std::vector<std::string> paths = {},
                              const Person& who = kAna) {
    v1::UpdateCampaign command;
    command.set_campaign_id("spring-sale");
    *command.mutable_campaign() = patch;
    for (auto& path : paths) command.mutable_update_mask()->add_paths(std::move(path));
    return run(command, who);
  }
  Result<v1::Campaign> submit(const Person& who = kAna, const std::vector<v1::ApprovalRule>& rules = {}) {
    auto command = with_comment<v1::SubmitCampaign>();
    for (const auto& rule : rules) *command.add_rules() = rule;
    return run(command, who);
  }
  Result<v1::Campaign> approve(const Person& who, bool creative = false, bool legal = false) {
    auto command = with_comment<v1::ApproveCampaign>();
    command.set_creative_reviewed(creative);
    command.set_legal_reviewed(legal);
    return run(command, who);
  }
  Result<v1::Campaign> schedule(std::int64_t at, const Person& who = kAna) {
    auto command = with_comment<v1::ScheduleCampaign>();
    *command.mutable_start_at() = campaign::time_of(at);
    return run(command, who);
  }
  template <class Command>
  Result<v1::Campaign> act(const Person& who = kAna) {
    return run(with_comment<Command>(), who);
  }

  /// The type of the error; "" for none.
  template <class T>
  static std::string type(const Result<T>& result) {
    return result ? "" : result.error().type;
  }

  /// Fires what is due, the earliest first, as the node does.
  void fire() {
    for (;;) {
      auto next = std::min_element(reminders.begin(), reminders.end(),
                                   [](const auto& a, const auto& b) { return a.second.due < b.second.due; });
      if (next == reminders.end() || next->second.due > now) return;
      const auto command = next->second.command;
      reminders.erase(next);
      fired.push_back(command);
      REQUIRE(send(*command, kNode));
    }
  }
  /// Lets time pass, and fires what becomes due at its time.
  void wait_until(std::int64_t time) {
    for (;;) {
      std::int64_t next = time;
      for (const auto& [name, timer] : reminders) next = std::min(next, timer.due);
      now = std::max(now, next);
      fire();
      if (now >= time) return;
    }
  }

 private:
  std::unique_ptr<Entity> fresh() const { return kind_->make("campaign/demo/spring-sale"); }

  std::unique_ptr<EntityKind> kind_;
  std::unique_ptr<Entity> entity_, folded_;
};

}  // namespace cx::test
