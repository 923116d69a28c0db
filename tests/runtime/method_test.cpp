#include "runtime/method.hpp"

#include <doctest/doctest.h>
#include <map>

#include "cx/v1/operations.pb.h"
#include "cx/v1/permission.pb.h"
#include "runtime/access/permission.hpp"
#include "shelves.pb.h"

namespace cx {
namespace {

const Method& find(const std::vector<Method>& all, const std::string& name) {
  for (const auto& method : all)
    if (method.name == name) return method;
  FAIL("no method " << name);
  return all.front();
}

}  // namespace

TEST_CASE("there are 20 permissions over 11 types of resource, and each has a name") {
  std::map<std::string, int> types;
  for (std::size_t i = 1; i < Permissions().size(); ++i) {
    if (!all_permissions().test(i)) continue;
    const auto name = permission_name(i);
    CHECK(permission_number(name) == i);
    ++types[name.substr(0, name.find('.'))];
  }
  CHECK(all_permissions().count() == 20);
  CHECK(types.size() == 11);
  CHECK(permission_name(v1::PERMISSION_CAMPAIGN_APPROVE) == "campaign.approve");
  CHECK(system_permissions().count() == 2);
  for (const auto* wrong : {"", "campaign", "campaign.fly", "CAMPAIGN.READ", "campaign.read.", "unspecified"})
    CHECK_FALSE(permission_number(wrong));
}

TEST_CASE("the contract's methods are what their options say, and no two share a route") {
  Services table;
  const auto all = methods_of(contract_services(), table);
  CHECK(all.size() > 20);
  const auto& replay = find(all, "cx.v1.Operations.ReplayDeadLetter");
  CHECK(replay.verb == "POST");
  CHECK(replay.effect == v1::EFFECT_CHANGES);
  CHECK(permission_name(replay.permission) == "system.write");
  CHECK(find(all, "cx.v1.Bidding.Bid").is_raw);
  const auto& approve = find(all, "cx.v1.Campaigns.Approve");
  CHECK(approve.path == "/v1/campaigns/{campaign_id}:approve");
  CHECK(approve.target == "campaign/{tenant}/{campaign_id}");
  REQUIRE(approve.if_match != nullptr);
  CHECK(approve.if_match->name() == "if_match");
  REQUIRE(approve.etag != nullptr);
  CHECK(approve.unary == nullptr);
}

TEST_CASE("names are filled in from a request, the tenant never") {
  test::PutThings request;
  request.set_shelf_id("a/../b");
  request.set_count(7);
  CHECK(*expand("shelf/{tenant}/{shelf_id}", request, "acme") == "shelf/acme/a/../b");
  CHECK(*expand("{count}", request, "acme") == "7");
  CHECK(*expand("plain", request, "acme") == "plain");
  request.clear_shelf_id();
  const auto missing = expand("shelf/{tenant}/{shelf_id}", request, "acme");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().pointer == "/shelf_id");
  CHECK_THROWS(expand("{nothing}", request, "acme"));
}

}  // namespace cx
