#include "actors/campaign/submission.hpp"

#include <stdexcept>

#include "actors/campaign/rules.hpp"
#include "cx/v1/campaign.pb.h"
#include "runtime/on_executor.hpp"

namespace cx {
namespace {

constexpr const char* kSubmit = "cx.v1.Campaigns.Submit";
constexpr const char* kKind = "approval-rule";

/// `request` with the tenant's rules.
Result<std::shared_ptr<const google::protobuf::Message>> with_rules(
    const Catalog& catalog, const std::string& tenant, const google::protobuf::Message& request) {
  const auto documents = catalog.list(kKind, tenant, "", campaign::kMostRules + 1);
  if (!documents) return documents.error();
  if (documents->size() > campaign::kMostRules)
    return Error{Code::conflict, "too-many-rules",
                 "The tenant has more than " + std::to_string(campaign::kMostRules) +
                     " approval rules; remove some before anything is submitted.",
                 ""};
  auto submission = std::make_shared<v1::SubmitCampaign>(static_cast<const v1::SubmitCampaign&>(request));
  submission->clear_rules();
  for (const auto& document : *documents) {
    auto rule = read_body<v1::ApprovalRule>(document);
    if (!rule) return rule.error();
    rule->set_id(document.id());
    *submission->add_rules() = std::move(*rule);
  }
  if (documents->empty())
    for (auto& rule : campaign::seeded_rules()) *submission->add_rules() = std::move(rule);
  return std::shared_ptr<const google::protobuf::Message>(std::move(submission));
}

}  // namespace

void define_approval_rules(Catalog& catalog) {
  catalog.define<v1::ApprovalRule>(kKind, campaign::validate_rule);
}

void add_rules_to_submissions(Services& services, const Catalog& catalog, Executor& executor) {
  const auto* serve = services.unary(kSubmit);
  if (serve == nullptr) throw std::logic_error("nothing serves submissions");
  services.add(kSubmit,
               on_executor(executor, [serve = *serve, &catalog](const CallContext& call, const auto& request,
                                                                const Services::Respond& respond) {
                 auto complete = with_rules(catalog, call.caller->tenant, *request);
                 if (!complete) return respond(complete.error());
                 serve(call, std::move(*complete), respond);
               }));
}

}  // namespace cx
