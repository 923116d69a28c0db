#pragma once

#include <map>
#include <string>
#include <string_view>

#include "actors/customer/policy.hpp"
#include "runtime/catalog/compiled.hpp"

namespace cx::delivery {

/// Makes a kind of documents, "delivery-policy".
void define_delivery_policies(Catalog& catalog);

/// The delivery policies of all tenants as the catalog has them. A revision that was current is known from
/// then on, and of those before the node started the newest 100: decisions that were made by them can be
/// replayed.
class CatalogPolicies final : public Policies {
 public:
  /// Reads what there is before it returns, so it may block. The catalog outlives it.
  explicit CatalogPolicies(Catalog& catalog);

  std::uint64_t current(std::string_view tenant) const override;
  PolicyPtr find(std::string_view tenant, std::uint64_t revision) const override;
  CompiledStatus status() const { return compiled_.status(); }

 private:
  struct Tenant {
    std::uint64_t current = 0;
    std::map<std::uint64_t, PolicyPtr> revisions;
  };
  using Tenants = std::map<std::string, Tenant, std::less<>>;
  Result<Tenants> compile(const Definitions& definitions);
  std::optional<Error> read(const DocumentKey& key, Tenant& tenant) const;

  const Catalog& catalog_;
  Tenants known_;  // by compile() alone
  Compiled<Tenants> compiled_;
};

}  // namespace cx::delivery
