// Submission, approval and what stops it.
#include <algorithm>
#include <set>

#include "actors/campaign/change.hpp"
#include "actors/campaign/content.hpp"
#include "actors/campaign/rules.hpp"
#include "actors/campaign/timing.hpp"

namespace cx {
namespace {

using namespace campaign;

/// Of the rules that came with the command those that apply; the seeded ones when none came.
Result<std::vector<v1::ApprovalRule>> applying(const v1::SubmitCampaign& command,
                                               const v1::CampaignContent& content) {
  std::vector<v1::ApprovalRule> rules(command.rules().begin(), command.rules().end());
  if (rules.empty()) rules = seeded_rules();
  const auto broken = [](const std::string& why) {
    return Error{
        Code::conflict, "invalid-rules",
        "The tenant's approval rules cannot be applied: " + why + " Correct the rules and submit again.", ""};
  };
  if (rules.size() > kMostRules) return broken("there are more than 100.");
  std::set<std::string> ids;
  for (const auto& rule : rules) {
    if (const auto error = validate_rule(rule)) return broken("\"" + rule.id() + "\": " + error->detail);
    if (!ids.insert(rule.id()).second) return broken("\"" + rule.id() + "\" is there twice.");
  }
  std::erase_if(rules, [&](const auto& rule) { return !applies(rule, content); });
  return rules;
}

/// Approves what has become approved: nobody has to ask for it.
void approve_when_met(Change& change, const std::string& why) {
  if (approved(change.now()))
    change.add(change.system_step(v1::CAMPAIGN_ACTION_APPROVE, v1::CAMPAIGN_STAGE_APPROVED, why));
}

template <class Command>
Campaign::Changed stop(const Campaign::State& state, const Command& command, Action action,
                       const Context& context) {
  if (command.comment().find_first_not_of(" \t\r\n") == std::string::npos)
    return Error{Code::invalid_argument, "comment-missing",
                 "Say in a comment why, so that whoever submitted it can do better.", "/comment"};
  if (auto error = refuse(state, action, command.if_match(), context)) return *error;
  Change change(state, context);
  change.add(change.step(action, find_step(state.stage(), action)->to, command.comment()));
  return std::move(change).finish();
}

}  // namespace

Campaign::Changed Campaign::handle(const State& state, const v1::SubmitCampaign& command,
                                   const Context& context) {
  if (auto error = refuse(state, v1::CAMPAIGN_ACTION_SUBMIT, command.if_match(), context)) return *error;
  if (auto error = check_ready(state.content(), context.now)) return *error;
  auto rules = applying(command, state.content());
  if (!rules) return rules.error();
  Change change(state, context);
  auto step = change.step(v1::CAMPAIGN_ACTION_SUBMIT, v1::CAMPAIGN_STAGE_IN_REVIEW, command.comment());
  auto& review = *step.mutable_moved()->mutable_review();
  review.set_submitted_by(std::string(context.actor));
  *review.mutable_submitted_at() = time_of(context.now);
  review.set_content_hash(content_hash(state.content()));
  for (auto& rule : *rules) *review.add_rules() = std::move(rule);
  change.add(std::move(step));
  approve_when_met(change, change.now().review().rules().empty()
                               ? "No approval rule applies."
                               : "No rule asks for an approval of this budget.");
  return std::move(change).finish();
}

Campaign::Changed Campaign::handle(const State& state, const v1::ApproveCampaign& command,
                                   const Context& context) {
  if (auto error = refuse(state, v1::CAMPAIGN_ACTION_APPROVE, command.if_match(), context)) return *error;
  const auto& hash = state.review().content_hash();
  if (!command.content_hash().empty() && command.content_hash() != hash)
    return Error{Code::conflict, "content-changed",
                 "What is in review is no longer what you looked at: its content_hash is " + hash +
                     ". Look at it again.",
                 ""};
  const auto counts = rules_for(state, context.actor, context.roles);
  if (!counts) return counts.error();
  for (const auto* rule : *counts) {
    const bool creative = rule->creative_review() && !command.creative_reviewed();
    if (creative || (rule->legal_review() && !command.legal_reviewed()))
      return Error{Code::invalid_argument, "review-missing",
                   '"' + rule->name() + "\" asks for a " + (creative ? "creative" : "legal") +
                       " review. Approve with " + (creative ? "creative_reviewed" : "legal_reviewed") +
                       " once it is done.",
                   creative ? "/creative_reviewed" : "/legal_reviewed"};
  }
  Change change(state, context);
  auto step = change.step(v1::CAMPAIGN_ACTION_APPROVE, v1::CAMPAIGN_STAGE_IN_REVIEW, command.comment());
  auto& approval = *step.mutable_moved()->mutable_approval();
  approval.set_actor(std::string(context.actor));
  for (const auto* rule : *counts) {
    approval.add_rules(rule->id());
    if (std::find(approval.roles().begin(), approval.roles().end(), rule->role()) == approval.roles().end())
      approval.add_roles(rule->role());
  }
  *approval.mutable_at() = time_of(context.now);
  approval.set_comment(command.comment());
  approval.set_creative_reviewed(command.creative_reviewed());
  approval.set_legal_reviewed(command.legal_reviewed());
  approval.set_content_hash(hash);
  change.add(std::move(step));
  approve_when_met(change, "Every rule is met.");
  return std::move(change).finish();
}

Campaign::Changed Campaign::handle(const State& state, const v1::RejectCampaign& command,
                                   const Context& context) {
  return stop(state, command, v1::CAMPAIGN_ACTION_REJECT, context);
}

Campaign::Changed Campaign::handle(const State& state, const v1::RequestCampaignChanges& command,
                                   const Context& context) {
  return stop(state, command, v1::CAMPAIGN_ACTION_REQUEST_CHANGES, context);
}

}  // namespace cx
