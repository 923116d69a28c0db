#include "actors/campaign/workflow.hpp"

#include <sstream>

#include "driver.hpp"

namespace cx::test {
namespace {

using Stage = v1::CampaignStage;

// From the requirements' stage transition matrix, with what an action leads to: written down here once more,
// so that the product's table is checked and not used.
constexpr const char* kMatrix = R"(
stage      submit    approve   reject    changes  schedule   goLive  pause   resume  complete   archive
DRAFT      IN_REVIEW -         -         -        -          -       -       -       -          -
IN_REVIEW  -         APPROVED  REJECTED  DRAFT    -          -       -       -       -          -
APPROVED   -         -         -         -        SCHEDULED  LIVE    -       -       -          -
REJECTED   IN_REVIEW -         -         -        -          -       -       -       -          -
SCHEDULED  -         -         -         -        -          LIVE    PAUSED  -       -          -
LIVE       -         -         -         -        -          -       PAUSED  -       COMPLETED  -
PAUSED     -         -         -         -        -          -       -       LIVE    COMPLETED  -
COMPLETED  -         -         -         -        -          -       -       -       -          ARCHIVED
ARCHIVED   -         -         -         -        -          -       -       -       -          -
)";

Result<v1::Campaign> take(Driver& d, const std::string& action) {
  if (action == "submit") return d.submit();
  if (action == "approve") return d.approve(kMia);
  if (action == "reject") return d.act<v1::RejectCampaign>(kMia);
  if (action == "changes") return d.act<v1::RequestCampaignChanges>(kMia);
  if (action == "schedule") return d.schedule(d.now + kHour);
  if (action == "goLive") return d.act<v1::StartCampaign>();
  if (action == "pause") return d.act<v1::PauseCampaign>();
  if (action == "resume") return d.act<v1::ResumeCampaign>();
  if (action == "complete") return d.act<v1::CompleteCampaign>();
  REQUIRE(action == "archive");
  return d.act<v1::ArchiveCampaign>();
}

/// A campaign that went a known way to `stage`.
Driver at(const std::string& stage) {
  static const std::map<std::string, std::vector<std::string>> kWays = {
      {"DRAFT", {}},
      {"IN_REVIEW", {"submit"}},
      {"APPROVED", {"submit", "approve"}},
      {"REJECTED", {"submit", "reject"}},
      {"SCHEDULED", {"submit", "approve", "schedule"}},
      {"LIVE", {"submit", "approve", "goLive"}},
      {"PAUSED", {"submit", "approve", "goLive", "pause"}},
      {"COMPLETED", {"submit", "approve", "goLive", "complete"}},
      {"ARCHIVED", {"submit", "approve", "goLive", "complete", "archive"}},
  };
  Driver d;
  REQUIRE(d.create(content_of(5'000)));
  for (const auto& action : kWays.at(stage)) REQUIRE(take(d, action));
  REQUIRE(v1::CampaignStage_Name(d.stage()) == "CAMPAIGN_STAGE_" + stage);
  return d;
}

}  // namespace

TEST_CASE("every action in every stage leads where the matrix says, or is refused and changes nothing") {
  std::istringstream lines(kMatrix);
  std::string line, word;
  std::vector<std::string> actions;
  int cases = 0, allowed = 0;
  while (std::getline(lines, line)) {
    std::istringstream row(line);
    std::string stage;
    if (!(row >> stage)) continue;
    if (stage == "stage") {
      while (row >> word) actions.push_back(word);
      continue;
    }
    std::size_t allowed_here = 0;
    for (const auto& action : actions) {
      REQUIRE(static_cast<bool>(row >> word));
      CAPTURE(stage);
      CAPTURE(action);
      Driver d = at(stage);
      const auto steps = d.state().transition_count();
      const auto result = take(d, action);
      ++cases;
      if (word == "-") {
        REQUIRE_FALSE(result);
        CHECK(result.error().code == Code::conflict);
        CHECK(result.error().type == "wrong-stage");
        CHECK(result.error().detail.find(campaign::words(d.stage())) != std::string::npos);
        CHECK(v1::CampaignStage_Name(d.stage()) == "CAMPAIGN_STAGE_" + stage);
        continue;
      }
      ++allowed;
      ++allowed_here;
      REQUIRE(result);
      CHECK(v1::CampaignStage_Name(result->stage()) == "CAMPAIGN_STAGE_" + word);
      CHECK(d.state().transition_count() > steps);
    }
    Driver d = at(stage);
    CHECK(static_cast<std::size_t>(d.run(v1::GetCampaign(), kAna)->allowed_actions_size()) == allowed_here);
  }
  CHECK(cases == 90);
  CHECK(allowed == 14);
}

TEST_CASE("a refusal names the stage and what it allows") {
  Driver d = at("LIVE");
  const auto refused = d.act<v1::ArchiveCampaign>();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail ==
        "Campaign spring-sale is live, where archive is not possible. Allowed now: pause, complete.");
  Driver archived = at("ARCHIVED");
  CHECK(archived.submit().error().detail.find("Allowed now: nothing.") != std::string::npos);
}

TEST_CASE("what was never created is not found, whatever is asked of it") {
  Driver d;
  std::vector<std::string> types = {
      d.type(d.submit()),
      d.type(d.approve(kMia)),
      d.type(d.act<v1::RejectCampaign>()),
      d.type(d.act<v1::RequestCampaignChanges>()),
      d.type(d.schedule(d.now + 1)),
      d.type(d.act<v1::StartCampaign>()),
      d.type(d.act<v1::PauseCampaign>()),
      d.type(d.act<v1::ResumeCampaign>()),
      d.type(d.act<v1::CompleteCampaign>()),
      d.type(d.act<v1::ArchiveCampaign>()),
      d.type(d.update(content_of(1))),
      d.type(d.send(v1::GetCampaign(), kAna)),
      d.type(d.send(v1::ListTransitionsRequest(), kAna)),
  };
  for (const auto& type : types) CHECK(type == "no-such-campaign");
  CHECK(d.send(v1::GetCampaign(), kAna).error().code == Code::not_found);
  CHECK(d.send(v1::GoLiveDue(), kNode));
  CHECK(d.send(v1::EndDue(), kNode));
  CHECK_FALSE(d.state().has_content());
}

TEST_CASE("it is created once, by somebody") {
  Driver d;
  CHECK(d.type(d.create(content_of(1), kNode)) == "actor-unknown");
  const auto made = d.create(content_of(1));
  REQUIRE(made);
  CHECK(made->id() == "spring-sale");
  CHECK(made->stage() == v1::CAMPAIGN_STAGE_DRAFT);
  CHECK(made->owner() == "user/ana");
  CHECK(made->created_by() == "user/ana");
  CHECK(made->allowed_actions_size() == 1);
  const auto again = d.create(content_of(2), kMia);
  CHECK(d.type(again) == "already-exists");
  CHECK(again.error().code == Code::conflict);
  CHECK(d.type(d.submit(kNode)) == "actor-unknown");
}

TEST_CASE("if_match is refused unless it is the newest ETag, and every change has another one") {
  Driver d;
  auto etag = d.create(content_of(5'000))->etag();
  std::vector<std::string> seen = {etag};
  auto submit = with_comment<v1::SubmitCampaign>();
  submit.set_if_match("no" + etag);
  const auto refused = d.run(submit, kAna);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::precondition_failed);
  CHECK(refused.error().type == "etag-mismatch");
  submit.set_if_match(etag);
  REQUIRE(d.run(submit, kAna));
  auto approve = with_comment<v1::ApproveCampaign>();
  approve.set_if_match(etag);
  CHECK(d.type(d.run(approve, kMia)) == "etag-mismatch");
  approve.set_if_match("*");
  etag = d.run(approve, kMia)->etag();
  CHECK(etag != seen.front());
  v1::UpdateCampaign update;
  update.mutable_campaign()->set_name("Other");
  update.set_if_match(seen.front());
  CHECK(d.type(d.run(update, kAna)) == "etag-mismatch");
  update.set_if_match(etag);
  CHECK(d.run(update, kAna)->etag() != etag);
}

TEST_CASE("to reject and to send back need a reason") {
  Driver d = at("IN_REVIEW");
  for (const char* comment : {"", "  \n"}) {
    const auto reject = d.run(with_comment<v1::RejectCampaign>(comment), kMia);
    CHECK(d.type(reject) == "comment-missing");
    CHECK(reject.error().pointer == "/comment");
    CHECK(d.type(d.run(with_comment<v1::RequestCampaignChanges>(comment), kMia)) == "comment-missing");
  }
  CHECK(d.stage() == v1::CAMPAIGN_STAGE_IN_REVIEW);
}

TEST_CASE(
    "transitions are recorded with from, to, action, actor, roles, time, comment and whether they followed") {
  Driver d = at("LIVE");
  v1::ListTransitionsRequest query;
  const auto reply = d.send(query, kAna);
  const auto& page = static_cast<const v1::TransitionPage&>(**reply);
  std::vector<std::string> lines;
  for (const auto& step : page.transitions()) {
    std::string line = std::to_string(step.number()) + ' ' + std::string(campaign::words(step.from())) +
                       " > " + std::string(campaign::words(step.to())) + ' ' +
                       std::string(campaign::words(step.action())) + ' ' + step.actor() +
                       (step.automatic() ? " automatic" : "");
    for (const auto& role : step.roles()) line += ' ' + role;
    lines.push_back(line);
    CHECK(campaign::ms_of(step.at()) == kNow);
    CHECK_FALSE(step.comment().empty());
  }
  CHECK(lines == std::vector<std::string>{"4 approved > live goLive user/ana marketer",
                                          "3 in review > approved approve system automatic",
                                          "2 in review > in review approve user/mia manager",
                                          "1 a draft > in review submit user/ana marketer"});
  CHECK(page.next_page_token().empty());
  CHECK(page.forgotten() == 0);
}

TEST_CASE("the last 200 transitions are kept, are paged from the newest, and memory stays bounded") {
  Driver d;
  REQUIRE(d.create(content_of(5'000)));
  auto back = with_comment<v1::RequestCampaignChanges>(std::string(2'000, 'x'));
  std::size_t most = 0;
  for (int i = 0; i < 600; ++i) {
    REQUIRE(d.submit());
    REQUIRE(d.run(back, kMia));
    if (i == 200) most = d.bytes();
  }
  CHECK(d.bytes() <= most + most / 10);
  CHECK(d.state().transitions_size() == Campaign::kTransitions);
  CHECK(d.state().transition_count() == 1'200);

  v1::ListTransitionsRequest query;
  query.set_page_size(70);
  std::uint64_t expected = 1'200;
  int pages = 0;
  for (;; ++pages) {
    const auto reply = d.send(query, kAna);
    const auto& page = static_cast<const v1::TransitionPage&>(**reply);
    CHECK(page.forgotten() == 1'000);
    for (const auto& step : page.transitions()) CHECK(step.number() == expected--);
    if (page.next_page_token().empty()) break;
    query.set_page_token(page.next_page_token());
  }
  CHECK(pages == 2);
  CHECK(expected == 1'000);
  for (const char* token : {"x", "1x", "-1", " 1", "99999999999999999999999"}) {
    query.set_page_token(token);
    CHECK(d.type(d.send(query, kAna)) == "invalid-page-token");
  }
}

TEST_CASE("what a caller's credential carries is recorded within bounds") {
  Person many{"user/many", {}};
  for (int i = 0; i < 100; ++i) many.roles.push_back("role-" + std::to_string(i));
  many.roles[0] = std::string(5'000, 'r');
  Driver d;
  REQUIRE(d.create(content_of(5'000)));
  REQUIRE(d.submit(many));
  CHECK(d.state().transitions(0).roles_size() == 16);
  CHECK(d.state().transitions(0).roles(0) == "role-1");
}

}  // namespace cx::test
