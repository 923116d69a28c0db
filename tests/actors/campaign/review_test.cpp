#include "actors/campaign/content.hpp"
#include "driver.hpp"

namespace cx::test {
namespace {

v1::ApprovalRule rule(const char* id, const char* role, unsigned approvals) {
  v1::ApprovalRule r;
  r.set_id(id);
  r.set_name(id);
  r.set_role(role);
  r.set_min_approvals(approvals);
  return r;
}

Driver in_review(std::int64_t budget, std::vector<v1::ApprovalRule> rules = {},
                 std::vector<v1::Channel> channels = {v1::CHANNEL_EMAIL}) {
  Driver d;
  REQUIRE(d.create(content_of(budget, channels)));
  REQUIRE(d.submit(kAna, rules));
  REQUIRE(d.stage() == v1::CAMPAIGN_STAGE_IN_REVIEW);
  return d;
}

v1::CampaignContent named(const char* name) {
  v1::CampaignContent patch;
  patch.set_name(name);
  return patch;
}

}  // namespace

TEST_CASE("several rules have to be met, all of them, in any order") {
  const std::vector<v1::Channel> sms = {v1::CHANNEL_SMS};
  Driver d = in_review(60'000, {}, sms);
  for (const auto* who : {&kCy, &kDan, &kMia, &kCat}) {
    REQUIRE(d.approve(*who));
    CHECK(d.stage() == v1::CAMPAIGN_STAGE_IN_REVIEW);
  }
  const auto last = d.approve(kDee);
  CHECK(last->stage() == v1::CAMPAIGN_STAGE_APPROVED);
  CHECK(last->missing().empty());
  CHECK(last->approvals_size() == 5);
}

TEST_CASE("an approval counts for every rule whose role the approver has") {
  Driver d = in_review(60'000);
  const auto first = d.approve(kDee);  // director and manager
  REQUIRE(first->approvals_size() == 1);
  CHECK(first->approvals(0).rules_size() == 2);
  CHECK(first->missing_size() == 1);
  CHECK(d.approve(kDan)->stage() == v1::CAMPAIGN_STAGE_APPROVED);
}

TEST_CASE("a role that no rule waits for approves nothing") {
  Driver d = in_review(60'000);
  auto refused = d.approve(kCy);
  CHECK(d.type(refused) == "role-missing");
  CHECK(refused.error().code == Code::permission_denied);
  CHECK(refused.error().detail.find("manager (Standard Campaign), director (High Budget Campaign)") !=
        std::string::npos);
  REQUIRE(d.approve(kMia));
  refused = d.approve(kMax);  // the manager's rule is met
  CHECK(d.type(refused) == "role-missing");
  CHECK(d.type(d.approve({"user/none", {}})) == "role-missing");
}

TEST_CASE("nobody approves twice, not with another role either") {
  Driver d = in_review(60'000);
  REQUIRE(d.approve(kDan));
  CHECK(d.type(d.approve(kDan)) == "already-approved");
  CHECK(d.type(d.approve({kDan.actor, {"manager", "director"}})) == "already-approved");
  CHECK(d.stage() == v1::CAMPAIGN_STAGE_IN_REVIEW);
}

TEST_CASE("two who approve at once both count, and the third comes too late") {
  Driver d = in_review(5'000, {rule("two", "manager", 2)});
  const Person third{"user/third", {"manager"}};
  CHECK(d.approve(kMia)->stage() == v1::CAMPAIGN_STAGE_IN_REVIEW);
  CHECK(d.approve(kMax)->stage() == v1::CAMPAIGN_STAGE_APPROVED);
  CHECK(d.type(d.approve(third)) == "wrong-stage");
  CHECK(d.state().review().approvals_size() == 2);
}

TEST_CASE("nobody approves their own submission, unless the rule allows it") {
  Driver d;
  REQUIRE(d.create(content_of(5'000), kAna));
  REQUIRE(d.submit(kMia));
  const auto refused = d.approve(kMia);
  CHECK(d.type(refused) == "own-submission");
  CHECK(refused.error().code == Code::permission_denied);
  CHECK(d.approve(kMax)->stage() == v1::CAMPAIGN_STAGE_APPROVED);

  auto own = rule("own", "manager", 1), strict = rule("strict", "director", 1);
  own.set_allow_own(true);
  Driver mixed;
  REQUIRE(mixed.create(content_of(5'000), kAna));
  REQUIRE(mixed.submit(kDee, {own, strict}));
  const auto first = mixed.approve(kDee);
  REQUIRE(first);
  CHECK(first->approvals(0).rules_size() == 1);  // for the rule that allows it only
  CHECK(first->stage() == v1::CAMPAIGN_STAGE_IN_REVIEW);
  CHECK(mixed.approve(kDan)->stage() == v1::CAMPAIGN_STAGE_APPROVED);
}

TEST_CASE("a rule that asks for a review wants the approver to say that there was one") {
  auto creative = rule("creative", "manager", 1), legal = rule("legal", "compliance", 1);
  creative.set_creative_review(true);
  legal.set_legal_review(true);
  Driver d = in_review(5'000, {creative, legal});
  auto refused = d.approve(kMia);
  CHECK(d.type(refused) == "review-missing");
  CHECK(refused.error().pointer == "/creative_reviewed");
  CHECK(d.type(d.approve(kMia, false, true)) == "review-missing");
  REQUIRE(d.approve(kMia, true, false));
  refused = d.approve(kCy, true, false);
  CHECK(refused.error().pointer == "/legal_reviewed");
  CHECK(d.approve(kCy, false, true)->stage() == v1::CAMPAIGN_STAGE_APPROVED);
  CHECK(d.state().review().approvals(0).creative_reviewed());
}

TEST_CASE("one rejection is enough, whatever was approved before, and a resubmission starts again") {
  Driver d = in_review(60'000);
  REQUIRE(d.approve(kDee));
  const auto rejected = d.act<v1::RejectCampaign>(kCy);
  CHECK(rejected->stage() == v1::CAMPAIGN_STAGE_REJECTED);
  CHECK(rejected->approvals().empty());
  const auto again = d.submit(kMia);
  CHECK(again->stage() == v1::CAMPAIGN_STAGE_IN_REVIEW);
  CHECK(again->missing_size() == 2);
  CHECK(again->submitted_by() == "user/mia");
  CHECK(d.type(d.approve(kMia)) == "own-submission");  // of this submission
  REQUIRE(d.approve(kDee));                            // who approved the last one
  CHECK(d.approve(kDan)->stage() == v1::CAMPAIGN_STAGE_APPROVED);
}

TEST_CASE("changes that are asked for make it a draft, and approvals are gone") {
  Driver d = in_review(60'000);
  REQUIRE(d.approve(kDee));
  CHECK(d.act<v1::RequestCampaignChanges>(kMia)->stage() == v1::CAMPAIGN_STAGE_DRAFT);
  CHECK_FALSE(d.state().has_review());
  REQUIRE(d.submit());
  CHECK(d.state().review().approvals().empty());
}

TEST_CASE("rules count as they are when it is submitted") {
  Driver d = in_review(5'000, {rule("one", "manager", 1)});
  REQUIRE(d.act<v1::RequestCampaignChanges>(kMia));
  REQUIRE(d.submit(kAna, {rule("other", "director", 1)}));
  CHECK(d.type(d.approve(kMia)) == "role-missing");
  CHECK(d.approve(kDan)->stage() == v1::CAMPAIGN_STAGE_APPROVED);
}

TEST_CASE("an edit after approvals voids them, in every stage before going live") {
  const auto reopened = [](Driver& d) {
    const auto edited = d.update(named("Other"));
    REQUIRE(edited);
    CHECK(edited->stage() == v1::CAMPAIGN_STAGE_DRAFT);
    CHECK(edited->approvals().empty());
    CHECK_FALSE(edited->has_scheduled_at());
    CHECK(d.reminders.empty());
    const auto& step = *d.state().transitions().rbegin();
    CHECK(step.action() == v1::CAMPAIGN_ACTION_EDIT);
    CHECK(step.actor() == "user/ana");
    CHECK(step.automatic());
    CHECK(d.type(d.act<v1::StartCampaign>()) == "wrong-stage");
  };
  Driver reviewed = in_review(60'000);
  REQUIRE(reviewed.approve(kDee));
  reopened(reviewed);
  REQUIRE(reviewed.submit());
  REQUIRE(reviewed.approve(kDan));
  CHECK(reviewed.stage() ==
        v1::CAMPAIGN_STAGE_IN_REVIEW);  // the first director's approval is of something else

  Driver approved = in_review(5'000);
  REQUIRE(approved.approve(kMia));
  reopened(approved);
  Driver scheduled = in_review(5'000);
  REQUIRE(scheduled.approve(kMia));
  REQUIRE(scheduled.schedule(kNow + kHour));
  reopened(scheduled);
  Driver paused = in_review(5'000);
  REQUIRE(paused.approve(kMia));
  REQUIRE(paused.schedule(kNow + kHour));
  REQUIRE(paused.act<v1::PauseCampaign>());
  reopened(paused);
}

TEST_CASE("what is or was live cannot be edited, but for owner and labels; what is archived not at all") {
  Driver d = in_review(5'000);
  REQUIRE(d.approve(kMia));
  REQUIRE(d.act<v1::StartCampaign>());
  v1::CampaignContent labels;
  (*labels.mutable_labels())["team"] = "emea";
  labels.set_owner("user/mia");
  const auto frozen = [&](bool labelled) {
    const auto refused = d.update(named("Other"));
    CHECK(d.type(refused) == "wrong-stage");
    CHECK(refused.error().code == Code::conflict);
    (*labels.mutable_labels())["n"] = std::to_string(d.state().version());
    CHECK(static_cast<bool>(d.update(labels)) == labelled);
    CHECK(d.state().content().name() == "Spring sale");
  };
  frozen(true);
  REQUIRE(d.act<v1::PauseCampaign>());
  frozen(true);
  REQUIRE(d.act<v1::CompleteCampaign>());
  frozen(true);
  REQUIRE(d.act<v1::ArchiveCampaign>());
  frozen(false);
  CHECK(d.run(v1::GetCampaign(), kAna)->owner() == "user/mia");
}

TEST_CASE(
    "drafts and rejected campaigns are edited freely; owner and labels void no approval; no change is none") {
  Driver d;
  REQUIRE(d.create(content_of(60'000)));
  CHECK(d.update(named("A"))->stage() == v1::CAMPAIGN_STAGE_DRAFT);
  REQUIRE(d.submit());
  REQUIRE(d.approve(kDee));
  v1::CampaignContent labels;
  (*labels.mutable_labels())["team"] = "emea";
  const auto labelled = d.update(labels);
  CHECK(labelled->stage() == v1::CAMPAIGN_STAGE_IN_REVIEW);
  CHECK(labelled->approvals_size() == 1);
  const auto version = d.state().version();
  CHECK(d.update(named("A"))->stage() == v1::CAMPAIGN_STAGE_IN_REVIEW);
  CHECK(d.state().version() == version);
  REQUIRE(d.act<v1::RejectCampaign>(kMia));
  CHECK(d.update(named("B"))->stage() == v1::CAMPAIGN_STAGE_REJECTED);
}

TEST_CASE("who approves may say what they looked at, and does not approve anything else") {
  Driver d = in_review(60'000);
  auto command = with_comment<v1::ApproveCampaign>();
  command.set_content_hash(d.run(v1::GetCampaign(), kMia)->content_hash());
  REQUIRE(d.update(named("Other")));
  REQUIRE(d.submit());
  CHECK(d.type(d.run(command, kMia)) == "content-changed");
  command.set_content_hash(d.run(v1::GetCampaign(), kMia)->content_hash());
  CHECK(d.run(command, kMia));
}

TEST_CASE("a submission needs a channel, a budget and an end that is not past") {
  v1::CampaignContent bare;
  bare.set_name("Bare");
  Driver d;
  REQUIRE(d.create(bare));
  const auto refused = d.submit();
  CHECK(d.type(refused) == "incomplete-campaign");
  CHECK(refused.error().detail.find("channel") != std::string::npos);
  CHECK(refused.error().detail.find("budget") != std::string::npos);
  auto content = content_of(0);
  *content.mutable_end() = campaign::time_of(kNow);
  REQUIRE(d.update(content));
  CHECK(d.submit().error().detail.find("end is past") != std::string::npos);
  *content.mutable_end() = campaign::time_of(kNow + 1);
  REQUIRE(d.update(content));
  CHECK(d.submit());
}

}  // namespace cx::test
