#include "actors/customer/policies.hpp"

#include <doctest/doctest.h>

#include "runtime/catalog/rocks_store.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/queued_executor.hpp"

namespace cx::test {
namespace {

struct Fixture {
  Fixture() {
    auto opened = RocksDocumentStore::open("/data/catalog", environment.files());
    REQUIRE(opened);
    store = std::move(*opened);
    catalog = std::make_unique<Catalog>(*store, environment.clock(), executor);
    delivery::define_delivery_policies(*catalog);
  }
  void put(const std::string& tenant, std::uint32_t limit) {
    v1::DeliveryPolicy policy;
    auto& cap = *policy.add_caps();
    cap.set_limit(limit);
    cap.set_per(v1::MessageCap::PER_DAY);
    REQUIRE(catalog->put({"delivery-policy", tenant, "default"}, policy, {}, "ann"));
  }

  FaultEnvironment environment;
  QueuedExecutor executor;
  std::unique_ptr<RocksDocumentStore> store;
  std::unique_ptr<Catalog> catalog;
};

std::int64_t limit(const delivery::Policies& policies, const std::string& tenant, std::uint64_t revision) {
  const auto policy = policies.find(tenant, revision);
  return policy ? std::int64_t{policy->caps.at(0).limit()} : -1;
}

}  // namespace

TEST_CASE("the newest revision of a tenant's policy holds, and older ones can be found") {
  Fixture f;
  f.put("acme", 1);
  f.put("acme", 2);
  const delivery::CatalogPolicies policies(*f.catalog);
  CHECK(policies.current("acme") == 2);
  CHECK(policies.current("bolt") == 0);
  CHECK(limit(policies, "acme", 1) == 1);
  CHECK(limit(policies, "acme", 2) == 2);
  CHECK(limit(policies, "acme", 3) == -1);
  CHECK_FALSE(policies.find("acme", 0));
  const auto held = policies.find("acme", 2);
  f.put("acme", 3);
  f.put("acme", 4);  // both come as one change
  f.put("bolt", 9);
  f.executor.run();
  CHECK(policies.current("acme") == 4);
  for (std::uint64_t revision = 1; revision <= 4; ++revision)
    CHECK(limit(policies, "acme", revision) == static_cast<std::int64_t>(revision));
  CHECK(policies.find("acme", 2) == held);  // compiled once
  CHECK(limit(policies, "bolt", 1) == 9);

  REQUIRE(f.catalog->remove({"delivery-policy", "acme", "default"}, {}, "ann"));
  f.executor.run();
  CHECK(policies.current("acme") == 0);
  CHECK(limit(policies, "acme", 4) == 4);
  CHECK(policies.current("bolt") == 1);
  CHECK_FALSE(policies.status().error);

  const delivery::CatalogPolicies restarted(*f.catalog);
  CHECK(restarted.current("bolt") == 1);
  CHECK(restarted.current("acme") == 0);
}

TEST_CASE("a policy that cannot work is not stored") {
  Fixture f;
  v1::DeliveryPolicy policy;
  policy.set_time_zone("Mars/Olympus");
  const auto put = f.catalog->put({"delivery-policy", "acme", "default"}, policy, {}, "ann");
  REQUIRE_FALSE(put);
  CHECK(put.error().pointer == "/time_zone");
}

}  // namespace cx::test
