#include <rapidcheck.h>
#include <set>

#include "driver.hpp"

namespace cx::test {
namespace {

// The oracle: what people did, written down from outside, and what the rules make of it, thought through once
// more. It knows nothing of the entity's state but its stage.
struct Look {  // what an approver sees
  std::string name;
  std::int64_t dollars = 0;
  bool sms = false;
  bool operator==(const Look&) const = default;
};
struct Given {
  Person who;
  bool creative, legal;
  Look look;
};
struct Asked {
  std::string role;
  unsigned approvals;
  std::int64_t free_below;  // dollars
  bool sms_only, creative, legal, own;
};

struct Oracle {
  Look look;
  std::vector<Asked> asked;  // at the last submission
  Look submitted;
  std::string submitter;
  std::vector<Given> given;  // since

  bool may_be_live() const {
    if (!(look == submitted)) return false;
    for (const auto& rule : asked) {
      if (rule.sms_only && !look.sms) continue;
      if (look.dollars < rule.free_below) continue;
      std::set<std::string> people;
      for (const auto& g : given) {
        const auto& roles = g.who.roles;
        if (std::find(roles.begin(), roles.end(), rule.role) == roles.end()) continue;
        if (g.who.actor == submitter && !rule.own) continue;
        if ((rule.creative && !g.creative) || (rule.legal && !g.legal)) continue;
        if (g.look == look) people.insert(g.who.actor);
      }
      if (people.size() < rule.approvals) return false;
    }
    return true;
  }
};

std::vector<v1::ApprovalRule> rules_of(const std::vector<Asked>& asked) {
  std::vector<v1::ApprovalRule> rules;
  for (const auto& a : asked) {
    auto& rule = rules.emplace_back();
    rule.set_id("r" + std::to_string(rules.size()));
    rule.set_name(rule.id());
    rule.set_role(a.role);
    rule.set_min_approvals(a.approvals);
    if (a.free_below > 0) *rule.mutable_auto_approve_below() = dollars(a.free_below);
    if (a.sms_only) rule.add_channels(v1::CHANNEL_SMS);
    rule.set_creative_review(a.creative);
    rule.set_legal_review(a.legal);
    rule.set_allow_own(a.own);
  }
  return rules;
}

rc::Gen<std::vector<Asked>> some_rules() {
  const auto one = rc::gen::exec([] {
    return Asked{*rc::gen::element<std::string>("manager", "director"),
                 *rc::gen::inRange(1u, 3u),
                 *rc::gen::element<std::int64_t>(0, 0, 1'000),
                 *rc::gen::weightedElement<bool>({{3, false}, {1, true}}),
                 *rc::gen::weightedElement<bool>({{4, false}, {1, true}}),
                 *rc::gen::weightedElement<bool>({{4, false}, {1, true}}),
                 *rc::gen::weightedElement<bool>({{3, false}, {1, true}})};
  });
  return rc::gen::mapcat(rc::gen::inRange(1, 4), [one](int n) {
    return rc::gen::container<std::vector<Asked>>(static_cast<std::size_t>(n), one);
  });
}

Person somebody() {
  static const std::vector<Person> kPeople = {
      {"user/a", {"manager"}},  {"user/b", {"manager", "director"}},
      {"user/c", {"director"}}, {"user/d", {"director", "other"}},
      {"user/e", {"other"}},
  };
  return kPeople[*rc::gen::inRange<std::size_t>(0, kPeople.size())];
}

v1::CampaignContent content_for(const Look& look) {
  auto content = content_of(look.dollars, {v1::CHANNEL_EMAIL});
  content.set_name(look.name);
  if (look.sms) content.add_channels(v1::CHANNEL_SMS);
  return content;
}

/// Operations as they are numbered below; the more often, the likelier.
std::vector<int> useful(v1::CampaignStage stage) {
  switch (stage) {
    case v1::CAMPAIGN_STAGE_DRAFT:
    case v1::CAMPAIGN_STAGE_REJECTED:
      return {0, 0, 0, 10};
    case v1::CAMPAIGN_STAGE_IN_REVIEW:
      return {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 10, 11};
    case v1::CAMPAIGN_STAGE_APPROVED:
      return {4, 4, 5, 10, 11};
    case v1::CAMPAIGN_STAGE_SCHEDULED:
      return {5, 6, 6, 10, 12, 12};
    case v1::CAMPAIGN_STAGE_LIVE:
      return {6, 8, 10, 11, 12};
    default:
      return {7, 7, 7, 8, 10, 12};
  }
}

}  // namespace

TEST_CASE("property: nothing goes live without the approvals that the rules ask for on what is live") {
  int lives = 0, refused_edits = 0;
  const bool held = rc::check([&] {
    Driver d;
    Oracle oracle;
    oracle.look = {"n0", 5'000, false};
    auto content = content_for(oracle.look);
    if (*rc::gen::arbitrary<bool>()) *content.mutable_end() = campaign::time_of(kNow + 40 * kHour);
    RC_ASSERT(static_cast<bool>(d.create(content)));
    const auto was_live = [](v1::CampaignStage stage, v1::CampaignStage paused_from) {
      return stage == v1::CAMPAIGN_STAGE_LIVE ||
             (stage == v1::CAMPAIGN_STAGE_PAUSED && paused_from == v1::CAMPAIGN_STAGE_LIVE);
    };
    const int steps = *rc::gen::inRange(20, 120);
    for (int i = 0; i < steps; ++i) {
      const auto stage = d.stage();
      const bool live_before = was_live(stage, d.state().paused_from());
      const auto who = somebody();
      // Mostly what the stage has a use for, else hardly anything would get far.
      const int op = *rc::gen::weightedOneOf<int>(
          {{2, rc::gen::elementOf(useful(stage))}, {1, rc::gen::inRange(0, 14)}});
      switch (op) {
        case 0: {
          const auto asked = *some_rules();
          if (d.submit(who, rules_of(asked))) {
            oracle.asked = asked;
            oracle.submitted = oracle.look;
            oracle.submitter = who.actor;
            oracle.given.clear();
            // Not more than is asked for, either.
            RC_ASSERT((d.stage() == v1::CAMPAIGN_STAGE_APPROVED) == oracle.may_be_live());
          }
          break;
        }
        case 1: {
          const bool creative = *rc::gen::arbitrary<bool>(), legal = *rc::gen::arbitrary<bool>();
          if (d.approve(who, creative, legal)) {
            for (const auto& g : oracle.given) RC_ASSERT(g.who.actor != who.actor);
            oracle.given.push_back({who, creative, legal, oracle.look});
            RC_ASSERT((d.stage() == v1::CAMPAIGN_STAGE_APPROVED) == oracle.may_be_live());
          }
          break;
        }
        case 2:
          (void)d.act<v1::RejectCampaign>(who);
          break;
        case 3:
          (void)d.act<v1::RequestCampaignChanges>(who);
          break;
        case 4:
          (void)d.schedule(d.now + *rc::gen::inRange<std::int64_t>(1, 6) * kHour, who);
          break;
        case 5:
          (void)d.act<v1::StartCampaign>(who);
          break;
        case 6:
          (void)d.act<v1::PauseCampaign>(who);
          break;
        case 7:
          (void)d.act<v1::ResumeCampaign>(who);
          break;
        case 8:
          (void)d.act<v1::CompleteCampaign>(who);
          break;
        case 9:
          (void)d.act<v1::ArchiveCampaign>(who);
          break;
        case 10: {
          const Look look{"n" + std::to_string(*rc::gen::inRange(0, 2)),
                          *rc::gen::element<std::int64_t>(500, 5'000), *rc::gen::arbitrary<bool>()};
          auto patch = content_for(look);
          if (d.update(patch, {"name", "budget", "channels"}, who)) {
            RC_ASSERT((!live_before || look == oracle.look));
            oracle.look = look;
          } else {
            ++refused_edits;
          }
          break;
        }
        case 11: {
          v1::CampaignContent labels;
          (*labels.mutable_labels())["k"] = std::to_string(i);
          (void)d.update(labels, {}, who);
          RC_ASSERT((d.stage() == stage));
          break;
        }
        case 12:
          d.wait_until(d.now + *rc::gen::inRange<std::int64_t>(0, 5) * kHour);
          break;
        default:  // one that has fired comes again
          if (!d.fired.empty())
            RC_ASSERT(
                static_cast<bool>(d.send(*d.fired[static_cast<std::size_t>(i) % d.fired.size()], kNode)));
      }
      if (d.stage() == v1::CAMPAIGN_STAGE_LIVE) {
        lives += live_before ? 0 : 1;
        RC_ASSERT(oracle.may_be_live());
      }
      RC_ASSERT(d.state().transitions_size() <= Campaign::kTransitions);
    }
  });
  CHECK(held);
  CHECK(lives > 50);  // else it shows nothing
  CHECK(refused_edits > 0);
}

}  // namespace cx::test
