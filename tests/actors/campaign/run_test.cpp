#include "driver.hpp"

namespace cx::test {
namespace {

/// Approved, and may run in [start, end); 0 for none.
Driver approved(std::int64_t start = 0, std::int64_t end = 0) {
  auto content = content_of(5'000);
  if (start != 0) *content.mutable_start() = campaign::time_of(start);
  if (end != 0) *content.mutable_end() = campaign::time_of(end);
  Driver d;
  REQUIRE(d.create(content));
  REQUIRE(d.submit());
  REQUIRE(d.approve(kMia)->stage() == v1::CAMPAIGN_STAGE_APPROVED);
  return d;
}

std::int64_t due(const Driver& d, const char* name) {
  const auto found = d.reminders.find(name);
  return found == d.reminders.end() ? 0 : found->second.due;
}

}  // namespace

TEST_CASE("a scheduled campaign goes live and ends by itself, recorded as the system's doing") {
  Driver d = approved(0, kNow + 3 * kHour);
  const auto shown = d.schedule(kNow + kHour);
  REQUIRE(shown);
  CHECK(campaign::ms_of(shown->scheduled_at()) == kNow + kHour);
  CHECK(due(d, "go-live") == kNow + kHour);
  CHECK(due(d, "end") == kNow + 3 * kHour);
  d.wait_until(kNow + kHour - 1);
  CHECK(d.stage() == v1::CAMPAIGN_STAGE_SCHEDULED);
  d.wait_until(kNow + kHour);
  CHECK(d.stage() == v1::CAMPAIGN_STAGE_LIVE);
  const auto& live = *d.state().transitions().rbegin();
  CHECK(live.actor() == "system");
  CHECK(live.automatic());
  CHECK(live.action() == v1::CAMPAIGN_ACTION_GO_LIVE);
  CHECK(campaign::ms_of(d.state().live_at()) == kNow + kHour);
  d.wait_until(kNow + 3 * kHour - 1);
  CHECK(d.stage() == v1::CAMPAIGN_STAGE_LIVE);
  d.wait_until(kNow + 3 * kHour);
  CHECK(d.stage() == v1::CAMPAIGN_STAGE_COMPLETED);
  CHECK(campaign::ms_of(d.state().completed_at()) == kNow + 3 * kHour);
  CHECK(d.reminders.empty());
}

TEST_CASE("a time to go live is in the future and within what was approved") {
  const struct {
    std::int64_t start, end, at;  // 0 for none
    const char* type;
  } cases[] = {
      {0, 0, kNow + 1, ""},
      {0, 0, kNow, "invalid-start"},
      {0, 0, kNow - kHour, "invalid-start"},
      {0, 0, 0, "invalid-start"},
      {kNow + kHour, 0, 0, ""},
      {kNow + kHour, 0, kNow + kHour, ""},
      {kNow + kHour, 0, kNow + kHour - 1, "invalid-start"},
      {kNow - kHour, 0, 0, "invalid-start"},
      {kNow - kHour, 0, kNow + 1, ""},
      {0, kNow + kHour, kNow + kHour - 1, ""},
      {0, kNow + kHour, kNow + kHour, "invalid-start"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.start - kNow);
    CAPTURE(c.at - kNow);
    Driver d = approved(c.start, c.end);
    auto command = with_comment<v1::ScheduleCampaign>();
    if (c.at != 0) *command.mutable_start_at() = campaign::time_of(c.at);
    const auto result = d.run(command, kAna);
    CHECK(d.type(result) == c.type);
    if (result)
      CHECK(due(d, "go-live") == (c.at != 0 ? c.at : c.start));
    else
      CHECK(result.error().pointer == "/start_at");
  }
  Driver d = approved();
  auto broken = with_comment<v1::ScheduleCampaign>();
  broken.mutable_start_at()->set_seconds(INT64_MAX);
  CHECK(d.type(d.run(broken, kAna)) == "invalid-start");
  broken.mutable_start_at()->set_seconds(kNow / 1'000 + 10);
  broken.mutable_start_at()->set_nanos(-5);
  CHECK(d.type(d.run(broken, kAna)) == "invalid-start");
  broken.mutable_start_at()->set_nanos(1);
  REQUIRE(d.run(broken, kAna));
  CHECK(due(d, "go-live") == kNow + 10'001);  // rounded up: not too early
}

TEST_CASE("by hand it goes live not before its start and not after its end") {
  Driver early = approved(kNow + kHour);
  CHECK(early.type(early.act<v1::StartCampaign>()) == "before-start");
  early.now = kNow + kHour;
  CHECK(early.act<v1::StartCampaign>()->stage() == v1::CAMPAIGN_STAGE_LIVE);
  Driver late = approved(0, kNow + kHour);
  late.now = kNow + kHour;
  CHECK(late.type(late.act<v1::StartCampaign>()) == "already-over");
  CHECK(late.type(late.schedule(kNow + 2 * kHour)) == "already-over");
  late.now = kNow + kHour - 1;
  REQUIRE(late.act<v1::StartCampaign>());
  CHECK(due(late, "end") == kNow + kHour);
}

TEST_CASE("a scheduled one may go live by hand, and its reminder is gone") {
  Driver d = approved();
  REQUIRE(d.schedule(kNow + kHour));
  const auto stale = d.reminders.at("go-live").command;
  const auto shown = d.act<v1::StartCampaign>();
  CHECK(shown->stage() == v1::CAMPAIGN_STAGE_LIVE);
  CHECK_FALSE(shown->has_scheduled_at());
  CHECK(d.reminders.empty());
  d.now = kNow + kHour;
  const auto before = d.save();
  REQUIRE(d.send(*stale, kNode));
  CHECK(d.save() == before);
}

TEST_CASE("a reminder of another schedule, a repeated one and one that nothing waits for do nothing") {
  Driver d = approved(0, kNow + 9 * kHour);
  REQUIRE(d.schedule(kNow + kHour));
  const auto old_start = d.reminders.at("go-live").command, old_end = d.reminders.at("end").command;
  auto patch = content_of(5'000);
  *patch.mutable_end() = campaign::time_of(kNow + 8 * kHour);
  REQUIRE(d.update(patch));
  const auto ignored = [&](const MessagePtr& command) {
    const auto before = d.save();
    const auto reminders = d.reminders.size();
    REQUIRE(d.send(*command, kNode));
    CHECK(d.save() == before);
    CHECK(d.reminders.size() == reminders);
  };
  d.now = kNow + kHour;
  ignored(old_start);  // a draft
  REQUIRE(d.submit());
  ignored(old_start);
  REQUIRE(d.approve(kMia));
  ignored(old_start);
  REQUIRE(d.schedule(kNow + 2 * kHour));
  ignored(old_start);  // scheduled, for another time
  d.now = kNow + 9 * kHour - 1;
  ignored(old_end);  // for another end
  d.now = kNow + 2 * kHour;
  d.fire();
  CHECK(d.stage() == v1::CAMPAIGN_STAGE_LIVE);
  ignored(d.fired.back());  // once more
  d.wait_until(kNow + 8 * kHour);
  CHECK(d.stage() == v1::CAMPAIGN_STAGE_COMPLETED);
  for (const auto& command : d.fired) ignored(command);
  ignored(old_end);
}

TEST_CASE("a reminder that comes before its time, the clock having been set back, is set again") {
  Driver d = approved(0, kNow + 2 * kHour);
  REQUIRE(d.schedule(kNow + kHour));
  for (const char* name : {"go-live", "end"}) {
    const auto timer = d.reminders.at(name);
    d.reminders.erase(name);
    REQUIRE(d.send(*timer.command, kNode));
    CHECK(d.stage() == v1::CAMPAIGN_STAGE_SCHEDULED);
    CHECK(due(d, name) == timer.due);
  }
}

TEST_CASE("late reminders, in whichever order, go live and end") {
  for (const bool end_first : {false, true}) {
    Driver d = approved(0, kNow + 2 * kHour);
    REQUIRE(d.schedule(kNow + kHour));
    const auto start = d.reminders.at("go-live").command, end = d.reminders.at("end").command;
    d.reminders.clear();
    d.now = kNow + 5 * kHour;
    REQUIRE(d.send(end_first ? *end : *start, kNode));
    REQUIRE(d.send(end_first ? *start : *end, kNode));
    CHECK(d.stage() == v1::CAMPAIGN_STAGE_COMPLETED);
    CHECK(d.state().has_live_at());
  }
}

TEST_CASE("a paused campaign comes back to where it was") {
  Driver live = approved();
  REQUIRE(live.act<v1::StartCampaign>());
  CHECK(live.act<v1::PauseCampaign>()->paused_from() == v1::CAMPAIGN_STAGE_LIVE);
  const auto resumed = live.act<v1::ResumeCampaign>();
  CHECK(resumed->stage() == v1::CAMPAIGN_STAGE_LIVE);
  CHECK(resumed->paused_from() == v1::CAMPAIGN_STAGE_UNSPECIFIED);

  Driver scheduled = approved();
  REQUIRE(scheduled.schedule(kNow + kHour));
  REQUIRE(scheduled.act<v1::PauseCampaign>());
  CHECK(scheduled.reminders.empty());
  CHECK(scheduled.act<v1::ResumeCampaign>()->stage() == v1::CAMPAIGN_STAGE_SCHEDULED);
  CHECK(due(scheduled, "go-live") == kNow + kHour);
}

TEST_CASE("a scheduled one that is paused past its time goes live when it is resumed, and not before") {
  Driver d = approved(0, kNow + 4 * kHour);
  REQUIRE(d.schedule(kNow + kHour));
  const auto reminder = d.reminders.at("go-live").command;
  REQUIRE(d.act<v1::PauseCampaign>());
  d.wait_until(kNow + 2 * kHour);
  REQUIRE(d.send(*reminder, kNode));
  CHECK(d.stage() == v1::CAMPAIGN_STAGE_PAUSED);
  const auto steps = d.state().transition_count();
  CHECK(d.act<v1::ResumeCampaign>()->stage() == v1::CAMPAIGN_STAGE_LIVE);
  REQUIRE(d.state().transition_count() == steps + 2);
  const auto& all = d.state().transitions();
  CHECK(all[all.size() - 2].to() == v1::CAMPAIGN_STAGE_SCHEDULED);
  CHECK(all[all.size() - 1].automatic());
  CHECK(due(d, "go-live") == 0);
  CHECK(due(d, "end") == kNow + 4 * kHour);
}

TEST_CASE("a paused campaign ends when its time is over, from wherever it was paused") {
  Driver live = approved(0, kNow + 2 * kHour);
  REQUIRE(live.act<v1::StartCampaign>());
  Driver scheduled = approved(0, kNow + 2 * kHour);
  REQUIRE(scheduled.schedule(kNow + kHour));
  for (auto* d : {&live, &scheduled}) {
    REQUIRE(d->act<v1::PauseCampaign>());
    d->wait_until(kNow + 2 * kHour);
    CHECK(d->stage() == v1::CAMPAIGN_STAGE_COMPLETED);
    CHECK(d->reminders.empty());
  }
  CHECK(live.state().has_live_at());
  CHECK_FALSE(scheduled.state().has_live_at());
}

TEST_CASE("an end by hand leaves nothing to be reminded of") {
  Driver d = approved(0, kNow + 2 * kHour);
  REQUIRE(d.act<v1::StartCampaign>());
  REQUIRE(d.act<v1::CompleteCampaign>());
  CHECK(d.reminders.empty());
  CHECK(d.act<v1::ArchiveCampaign>()->stage() == v1::CAMPAIGN_STAGE_ARCHIVED);
}

TEST_CASE("a state that is approved of something else does not go live by any way") {
  // No sequence of commands leads here; it is what a fault elsewhere would look like.
  Driver d = approved();
  REQUIRE(d.schedule(kNow + kHour));
  const Person& who = kAna;
  Context context;
  context.now = kNow + kHour;
  context.actor = who.actor;
  auto state = d.state();
  CHECK(campaign::approved(state));
  state.mutable_review()->mutable_approvals(0)->set_content_hash("of something else");
  CHECK_FALSE(campaign::approved(state));
  state = d.state();
  state.mutable_content()->set_name("Other");
  v1::GoLiveDue due;
  *due.mutable_scheduled_at() = state.scheduled_at();
  CHECK(Campaign::handle(state, due, context).events.empty());
  const auto by_hand = Campaign::handle(state, with_comment<v1::StartCampaign>(), context);
  CHECK(d.type(by_hand) == "not-approved");
  state.set_stage(v1::CAMPAIGN_STAGE_PAUSED);
  state.set_paused_from(v1::CAMPAIGN_STAGE_SCHEDULED);
  const auto resumed = Campaign::handle(state, with_comment<v1::ResumeCampaign>(), context);
  REQUIRE(resumed);
  CHECK(resumed->reply.stage() == v1::CAMPAIGN_STAGE_SCHEDULED);
  state.set_stage(v1::CAMPAIGN_STAGE_APPROVED);
  CHECK(d.type(Campaign::handle(state, with_comment<v1::StartCampaign>(), context)) == "not-approved");
  CHECK(d.type(Campaign::handle(state, with_comment<v1::ScheduleCampaign>(), context)) == "not-approved");
}

}  // namespace cx::test
