#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cx/v1/campaign.pb.h"
#include "runtime/error.hpp"

namespace cx::campaign {

inline constexpr int kMostRules = 100;  ///< that a tenant may have

/// What a tenant goes by that has stored no rule:
/// - "standard": one manager, unless the budget is below 1,000 USD. For every campaign;
/// - "high-budget": two directors, from 50,000 USD on;
/// - "regulated-channel": two of compliance, for SMS and WhatsApp. They reach a telephone number, which needs
///   consent in writing in most countries (TCPA in the USA, the ePrivacy directive in the EU); push does not.
/// A budget in another currency needs the approvals of the first and the second whatever its amount.
std::vector<v1::ApprovalRule> seeded_rules();

/// What is wrong with a rule: invalid_argument "invalid-rule", "invalid-money" or "invalid-channel", pointing
/// into the rule.
std::optional<Error> validate_rule(const v1::ApprovalRule& rule);

/// Whether a campaign of this content has to meet `rule`.
bool applies(const v1::ApprovalRule& rule, const v1::CampaignContent& content);

/// Whether `rule` is met: at once by the budget, or by enough approvals of what was submitted.
bool is_met(const v1::ApprovalRule& rule, const v1::CampaignContent& content,
            const v1::CampaignReview& review);

/// The rules of the review that are not met, with how far they are.
std::vector<v1::MissingApproval> missing(const v1::CampaignContent& content,
                                         const v1::CampaignReview& review);

/// Whether what `state` holds may go live: it was submitted just as it is, and every rule is met.
bool approved(const v1::CampaignState& state);

/// The rules that an approval by `actor` would count for, at least one: those not met yet whose role it has.
/// conflict "already-approved"; permission_denied "role-missing" and "own-submission". Of a campaign in
/// review; what it points to belongs to `state`.
Result<std::vector<const v1::ApprovalRule*>> rules_for(const v1::CampaignState& state, std::string_view actor,
                                                       std::span<const std::string> roles);

}  // namespace cx::campaign
