#include "actors/campaign/rules.hpp"

#include <algorithm>

#include "actors/campaign/content.hpp"
#include "runtime/address.hpp"

namespace cx::campaign {
namespace {

constexpr std::int64_t kMicros = 1'000'000;
constexpr unsigned kMostApprovals = 10;

v1::ApprovalRule seeded(const char* id, const char* name, const char* role, unsigned approvals) {
  v1::ApprovalRule rule;
  rule.set_id(id);
  rule.set_name(name);
  rule.set_role(role);
  rule.set_min_approvals(approvals);
  return rule;
}

void set_dollars(v1::Money& money, std::int64_t dollars) {
  money.set_micros(dollars * kMicros);
  money.set_currency("USD");
}

Error invalid(std::string detail, const char* pointer) {
  return {Code::invalid_argument, "invalid-rule", std::move(detail), pointer};
}

bool comparable(const v1::CampaignContent& content, const v1::Money& bound) {
  return content.has_budget() && content.budget().currency() == bound.currency();
}

/// What cannot be compared is not below anything: the rule stands.
bool met_at_once(const v1::ApprovalRule& rule, const v1::CampaignContent& content) {
  return rule.has_auto_approve_below() && comparable(content, rule.auto_approve_below()) &&
         content.budget().micros() < rule.auto_approve_below().micros();
}

/// Approvals of something else do not count.
unsigned given(const v1::ApprovalRule& rule, const v1::CampaignReview& review) {
  unsigned n = 0;
  for (const auto& approval : review.approvals())
    if (approval.content_hash() == review.content_hash() &&
        std::find(approval.rules().begin(), approval.rules().end(), rule.id()) != approval.rules().end())
      ++n;
  return n;
}

std::string describe(const v1::MissingApproval& missing) {
  const auto left = missing.needed() - missing.given();
  std::string text = missing.rule_name() + ": " + std::to_string(left) +
                     (missing.given() > 0 ? " more" : "") + (left == 1 ? " approval" : " approvals") +
                     " by " + missing.role();
  if (missing.creative_review() && missing.legal_review())
    text += ", after a creative and a legal review";
  else if (missing.creative_review())
    text += ", after a creative review";
  else if (missing.legal_review())
    text += ", after a legal review";
  return text + '.';
}

}  // namespace

std::vector<v1::ApprovalRule> seeded_rules() {
  std::vector<v1::ApprovalRule> rules = {seeded("standard", "Standard Campaign", "manager", 1),
                                         seeded("high-budget", "High Budget Campaign", "director", 2),
                                         seeded("regulated-channel", "Regulated Channel", "compliance", 2)};
  set_dollars(*rules[0].mutable_auto_approve_below(), 1'000);
  set_dollars(*rules[1].mutable_min_budget(), 50'000);
  rules[2].add_channels(v1::CHANNEL_SMS);
  rules[2].add_channels(v1::CHANNEL_WHATSAPP);
  return rules;
}

std::optional<Error> validate_rule(const v1::ApprovalRule& rule) {
  if (rule.name().find_first_not_of(" \t\r\n") == std::string::npos)
    return invalid("A rule needs a name that people know it by.", "/name");
  if (!is_name(rule.role()))
    return invalid("The role has to be one of the tenant's: 1 to 63 of a-z, 0-9 and '-'.", "/role");
  if (rule.min_approvals() < 1 || rule.min_approvals() > kMostApprovals)
    return invalid("A rule asks for 1 to 10 approvals, not " + std::to_string(rule.min_approvals()) +
                       ". Use auto_approve_below for campaigns that need none.",
                   "/min_approvals");
  if (rule.has_auto_approve_below())
    if (auto error = check_money(rule.auto_approve_below(), "/auto_approve_below")) return error;
  if (rule.has_min_budget())
    if (auto error = check_money(rule.min_budget(), "/min_budget")) return error;
  if (rule.has_max_budget())
    if (auto error = check_money(rule.max_budget(), "/max_budget")) return error;
  if (rule.has_min_budget() && rule.has_max_budget()) {
    if (rule.min_budget().currency() != rule.max_budget().currency())
      return invalid("Both bounds of the budget have to be in one currency.", "/max_budget/currency");
    if (rule.min_budget().micros() >= rule.max_budget().micros())
      return invalid("max_budget has to be above min_budget, else the rule applies to nothing.",
                     "/max_budget/micros");
  }
  return check_channels(rule.channels(), "/channels");
}

bool applies(const v1::ApprovalRule& rule, const v1::CampaignContent& content) {
  const auto& channels = content.channels();
  const bool reached = rule.channels().empty() ||
                       std::any_of(rule.channels().begin(), rule.channels().end(), [&](int channel) {
                         return std::find(channels.begin(), channels.end(), channel) != channels.end();
                       });
  if (!reached) return false;
  if (rule.has_min_budget() && comparable(content, rule.min_budget()) &&
      content.budget().micros() < rule.min_budget().micros())
    return false;
  return !(rule.has_max_budget() && comparable(content, rule.max_budget()) &&
           content.budget().micros() >= rule.max_budget().micros());
}

bool is_met(const v1::ApprovalRule& rule, const v1::CampaignContent& content,
            const v1::CampaignReview& review) {
  return met_at_once(rule, content) || given(rule, review) >= rule.min_approvals();
}

std::vector<v1::MissingApproval> missing(const v1::CampaignContent& content,
                                         const v1::CampaignReview& review) {
  std::vector<v1::MissingApproval> all;
  for (const auto& rule : review.rules()) {
    if (is_met(rule, content, review)) continue;
    auto& one = all.emplace_back();
    one.set_rule_id(rule.id());
    one.set_rule_name(rule.name());
    one.set_role(rule.role());
    one.set_needed(rule.min_approvals());
    one.set_given(given(rule, review));
    one.set_creative_review(rule.creative_review());
    one.set_legal_review(rule.legal_review());
    one.set_allow_own(rule.allow_own());
    one.set_text(describe(one));
  }
  return all;
}

bool approved(const v1::CampaignState& state) {
  const auto& review = state.review();
  return state.has_review() && review.content_hash() == content_hash(state.content()) &&
         std::all_of(review.rules().begin(), review.rules().end(),
                     [&](const auto& rule) { return is_met(rule, state.content(), review); });
}

Result<std::vector<const v1::ApprovalRule*>> rules_for(const v1::CampaignState& state, std::string_view actor,
                                                       std::span<const std::string> roles) {
  const auto& review = state.review();
  for (const auto& approval : review.approvals())
    if (approval.actor() == actor)
      return Error{Code::conflict, "already-approved",
                   "You have approved this campaign already. It waits for somebody else.", ""};
  const bool own = review.submitted_by() == actor;
  bool has_role = false;
  std::string wanted;
  std::vector<const v1::ApprovalRule*> counts;
  for (const auto& rule : review.rules()) {
    if (is_met(rule, state.content(), review)) continue;
    wanted += (wanted.empty() ? "" : ", ") + rule.role() + " (" + rule.name() + ")";
    if (std::find(roles.begin(), roles.end(), rule.role()) == roles.end()) continue;
    has_role = true;
    if (!own || rule.allow_own()) counts.push_back(&rule);
  }
  if (!has_role)
    return Error{Code::permission_denied, "role-missing",
                 "The campaign waits for an approval by " + wanted +
                     ", and you do not have that role. Ask somebody who "
                     "does.",
                 ""};
  if (counts.empty())
    return Error{Code::permission_denied, "own-submission",
                 "You submitted this campaign, and its rules want somebody else's approval. Ask a colleague.",
                 ""};
  return counts;
}

}  // namespace cx::campaign
