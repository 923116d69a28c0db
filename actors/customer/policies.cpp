#include "actors/customer/policies.hpp"

#include "cx/v1/delivery.pb.h"

namespace cx::delivery {
namespace {

constexpr const char* kKind = "delivery-policy";
constexpr const char* kId = "default";
constexpr std::size_t kRevisions = 100;

}  // namespace

void define_delivery_policies(Catalog& catalog) {
  catalog.define<v1::DeliveryPolicy>(kKind, check_policy);
}

CatalogPolicies::CatalogPolicies(Catalog& catalog)
    : catalog_(catalog),
      compiled_(catalog, {kKind}, [this](const Definitions& all) { return compile(all); }) {}

std::uint64_t CatalogPolicies::current(std::string_view tenant) const {
  const auto all = compiled_.get();
  const auto found = all->find(tenant);
  return found == all->end() ? 0 : found->second.current;
}

PolicyPtr CatalogPolicies::find(std::string_view tenant, std::uint64_t revision) const {
  const auto all = compiled_.get();
  const auto found = all->find(tenant);
  if (found == all->end()) return nullptr;
  const auto policy = found->second.revisions.find(revision);
  return policy == found->second.revisions.end() ? nullptr : policy->second;
}

Result<CatalogPolicies::Tenants> CatalogPolicies::compile(const Definitions& definitions) {
  for (auto& [name, tenant] : known_) tenant.current = 0;
  std::optional<Error> error;
  for (const auto& [key, document] : definitions) {
    if (key.id != kId) continue;
    auto& tenant = known_[key.tenant];
    if (!tenant.revisions.contains(document.revision()))
      if (auto wrong = read(key, tenant)) error = std::move(wrong);
    tenant.current = document.revision();
  }
  if (error) return *error;
  return known_;
}

// Two edits may come as one change: what lies between is read, too.
std::optional<Error> CatalogPolicies::read(const DocumentKey& key, Tenant& tenant) const {
  const auto history = catalog_.history(key, 0, kRevisions);
  if (!history) return history.error();
  for (const auto& document : *history) {
    auto& policy = tenant.revisions[document.revision()];
    if (policy || !document.has_body()) continue;
    const auto body = read_body<v1::DeliveryPolicy>(document);
    if (!body) return body.error();
    // Valid when it was stored; a zone may have left the database since, or a rule have become stricter.
    auto compiled = compile_policy(*body);
    if (compiled) policy = std::move(*compiled);
  }
  return std::nullopt;
}

}  // namespace cx::delivery
