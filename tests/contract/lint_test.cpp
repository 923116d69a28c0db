#include "tests/contract/lint.hpp"

#include <algorithm>
#include <doctest/doctest.h>

#include "tests/contract/sources.hpp"

namespace cx::test {

TEST_CASE("The contract is complete and in one style") {
  const Contract contract(messages_folder());
  for (const auto& finding : lint(contract.files())) FAIL_CHECK(finding);
}

TEST_CASE("The lint finds what is missing") {
  const std::string good = R"(
    // Things.
    service Things {
      option (noun) = "things";
      // Lists things.
      rpc List(ListThings) returns (ThingPage) {
        option (route) = { get: "/v1/things" };
        option (permission) = "campaign.read";
      }
      // Removes a thing.
      rpc Remove(RemoveThing) returns (RemoveThingReply) {
        option (route) = { delete: "/v1/things/{thing_id}" };
        option (permission) = "campaign.write";
        option (effect) = EFFECT_DESTROYS;
        option (audit) = "thing/{thing_id}";
      }
    }
    // What it is made of.
    enum Stuff { STUFF_UNSPECIFIED = 0; STUFF_WOOD = 1; }
    // A thing.
    message Thing {
      // Kilograms.
      int32 weight = 2;
      Stuff stuff = 1;
    }
    message ListThings {
      int32 page_size = 1 [(range) = {min: 0, max: 1000}];
      string page_token = 2 [(max_length) = 64];
    }
    message ThingPage {
      repeated Thing things = 1;
      string next_page_token = 2;
    }
    message RemoveThing {
      string thing_id = 1;
    }
    message RemoveThingReply {}
  )";
  CHECK(lint(Contract(good).files()).empty());

  struct Case {
    std::string from, to, finding;
  };
  const Case cases[] = {
      {"// Things.", "", "cx.v1.Things: has no comment"},
      {"// Lists things.", "", "cx.v1.Things.List: has no comment"},
      {"// Lists things.", "// Lists things", "cx.v1.Things.List: its comment is no sentence"},
      {"// Kilograms.", "", "cx.v1.Thing.weight: has no comment"},
      {"// A thing.", "", "cx.v1.Thing: has no comment"},
      {"// What it is made of.", "", "cx.v1.Stuff: has no comment"},
      {"STUFF_WOOD", "WOOD", "cx.v1.WOOD: does not start with STUFF_"},
      {"STUFF_UNSPECIFIED", "STUFF_IRON", "cx.v1.STUFF_IRON: is what an absent value is, and has no comment"},
      {"option (noun) = \"things\";", "", "cx.v1.Things: has no noun, or not one like 'api-keys'"},
      {"option (permission) = \"campaign.read\";", "", "cx.v1.Things.List: has no permission"},
      {"campaign.read", "campaign.look",
       "cx.v1.Things.List: has a permission that there is not: campaign.look"},
      {"option (route) = { get: \"/v1/things\" };", "", "cx.v1.Things.List: has no route, or several"},
      {"{ get: \"/v1/things\" }", "{ get: \"/v1/things\" put: \"/v1/a\" }",
       "cx.v1.Things.List: has no route, or several"},
      {"\"/v1/things\"", "\"/things\"", "cx.v1.Things.List: its route does not start with /v1/"},
      {"\"/v1/things\"", "\"/v1/Things\"",
       "cx.v1.Things.List: its route is not like /v1/api-keys/{key_id}:rotate"},
      {"option (audit) = \"thing/{thing_id}\";", "",
       "cx.v1.Things.Remove: changes something, and does not say what the audit log is to name"},
      {"EFFECT_DESTROYS", "EFFECT_CHANGES",
       "cx.v1.Things.Remove: is a DELETE and does not say that it destroys"},
      {"delete: \"/v1/things/{thing_id}\"", "get: \"/v1/things/{thing_id}\"",
       "cx.v1.Things.Remove: is a GET and changes something"},
      {"string page_token = 2 [(max_length) = 64];", "",
       "cx.v1.Things.List: is a list without page_size, page_token or next_page_token"},
      {"max: 1000", "max: 999", "cx.v1.ListThings.page_size: is not between 0 and 1000"},
      {"string thing_id = 1;", "string thing_id = 1; string Other = 2;",
       "cx.v1.RemoveThing.Other: is no name like_this"},
  };
  for (const auto& [from, to, finding] : cases) {
    CAPTURE(finding);
    auto text = good;
    REQUIRE(text.find(from) != text.npos);
    text.replace(text.find(from), from.size(), to);
    const auto found = lint(Contract(text).files());
    CHECK(std::find(found.begin(), found.end(), finding) != found.end());
  }
}

}  // namespace cx::test
