#include <google/protobuf/util/json_util.h>

#include "driver.hpp"

namespace cx::test {
namespace {

v1::ApprovalRule rule_of(const std::string& json) {
  v1::ApprovalRule rule;
  REQUIRE(google::protobuf::util::JsonStringToMessage(json, &rule).ok());
  return rule;
}

std::string missing_roles(const Result<v1::Campaign>& shown) {
  REQUIRE(shown);
  std::string roles;
  for (const auto& one : shown->missing())
    roles += (roles.empty() ? "" : " ") + one.role() + ':' + std::to_string(one.needed() - one.given());
  return roles;
}

}  // namespace

TEST_CASE("the seeded rules are valid, and ask for what the requirements' table says") {
  for (const auto& rule : campaign::seeded_rules()) CHECK_FALSE(campaign::validate_rule(rule));
  const struct {
    std::int64_t budget;
    std::vector<v1::Channel> channels;
    const char* missing;  // "" when it is approved at once
  } cases[] = {
      {0, {v1::CHANNEL_EMAIL}, ""},
      {999, {v1::CHANNEL_EMAIL, v1::CHANNEL_PUSH, v1::CHANNEL_WEBHOOK}, ""},
      {1'000, {v1::CHANNEL_EMAIL}, "manager:1"},
      {49'999, {v1::CHANNEL_DISPLAY}, "manager:1"},
      {50'000, {v1::CHANNEL_DISPLAY}, "manager:1 director:2"},
      {999, {v1::CHANNEL_SMS}, "compliance:2"},
      {5'000, {v1::CHANNEL_EMAIL, v1::CHANNEL_WHATSAPP}, "manager:1 compliance:2"},
      {60'000, {v1::CHANNEL_SMS}, "manager:1 director:2 compliance:2"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.budget);
    Driver d;
    REQUIRE(d.create(content_of(c.budget, c.channels)));
    const auto shown = d.submit();
    CHECK(missing_roles(shown) == c.missing);
    CHECK((shown->stage() == v1::CAMPAIGN_STAGE_APPROVED) == std::string(c.missing).empty());
  }
}

TEST_CASE("just below the threshold is below it, by the micro") {
  auto content = content_of(1'000);
  content.mutable_budget()->set_micros(1'000 * kMicros - 1);
  Driver d;
  REQUIRE(d.create(content));
  CHECK(d.submit()->stage() == v1::CAMPAIGN_STAGE_APPROVED);
}

TEST_CASE("a budget in another currency is never approved by itself, and no bound leaves it out") {
  auto content = content_of(1);
  content.mutable_budget()->set_currency("EUR");
  Driver d;
  REQUIRE(d.create(content));
  CHECK(missing_roles(d.submit()) == "manager:1 director:2");
}

TEST_CASE("a rule applies by channel and by [min_budget, max_budget)") {
  const struct {
    const char* rule;
    std::int64_t budget;
    bool applies;
  } cases[] = {
      {R"({})", 5, true},
      {R"({"channels": ["CHANNEL_EMAIL"]})", 5, true},
      {R"({"channels": ["CHANNEL_SMS", "CHANNEL_EMAIL"]})", 5, true},
      {R"({"channels": ["CHANNEL_SMS", "CHANNEL_PUSH"]})", 5, false},
      {R"({"min_budget": {"micros": "5000000", "currency": "USD"}})", 4, false},
      {R"({"min_budget": {"micros": "5000000", "currency": "USD"}})", 5, true},
      {R"({"max_budget": {"micros": "5000000", "currency": "USD"}})", 4, true},
      {R"({"max_budget": {"micros": "5000000", "currency": "USD"}})", 5, false},
      {R"({"min_budget": {"micros": "9000000", "currency": "EUR"}})", 4, true},
      {R"({"max_budget": {"micros": "1000000", "currency": "EUR"}})", 4, true},
      {R"({"channels": ["CHANNEL_SMS"], "max_budget": {"micros": "9000000", "currency": "USD"}})", 4, false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.rule);
    CAPTURE(c.budget);
    CHECK(campaign::applies(rule_of(c.rule), content_of(c.budget)) == c.applies);
  }
}

TEST_CASE("what is wrong with a rule is said with a pointer") {
  const std::string good = R"("name": "R", "role": "manager", "min_approvals": 1)";
  CHECK_FALSE(campaign::validate_rule(rule_of('{' + good + '}')));
  const struct {
    std::string json;
    const char* pointer;
  } cases[] = {
      {R"({"role": "manager", "min_approvals": 1})", "/name"},
      {R"({"name": " ", "role": "manager", "min_approvals": 1})", "/name"},
      {R"({"name": "R", "min_approvals": 1})", "/role"},
      {R"({"name": "R", "role": "Big Boss", "min_approvals": 1})", "/role"},
      {R"({"name": "R", "role": "manager"})", "/min_approvals"},
      {R"({"name": "R", "role": "manager", "min_approvals": 11})", "/min_approvals"},
      {'{' + good + R"(, "auto_approve_below": {"micros": "1"}})", "/auto_approve_below/currency"},
      {'{' + good + R"(, "min_budget": {"micros": "-1", "currency": "USD"}})", "/min_budget/micros"},
      {'{' + good + R"(, "max_budget": {"micros": "1", "currency": "usd"}})", "/max_budget/currency"},
      {'{' + good +
           R"(, "min_budget": {"micros": "5", "currency": "USD"}, "max_budget": {"micros": "5", "currency": "USD"}})",
       "/max_budget/micros"},
      {'{' + good +
           R"(, "min_budget": {"micros": "5", "currency": "USD"}, "max_budget": {"micros": "6", "currency": "EUR"}})",
       "/max_budget/currency"},
      {'{' + good + R"(, "channels": ["CHANNEL_SMS", "CHANNEL_SMS"]})", "/channels/1"},
      {'{' + good + R"(, "channels": [0]})", "/channels/0"},
      {'{' + good + R"(, "channels": ["CHANNEL_SMS", 77]})", "/channels/1"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.json);
    const auto error = campaign::validate_rule(rule_of(c.json));
    REQUIRE(error);
    CHECK(error->code == Code::invalid_argument);
    CHECK(error->pointer == c.pointer);
  }
}

TEST_CASE("a tenant's own rules replace the seeded ones; none that applies is no approval to wait for") {
  Driver d;
  REQUIRE(d.create(content_of(60'000)));
  const auto sms = rule_of(
      R"({"id": "s", "name": "S", "role": "legal", "min_approvals": 1, "channels": ["CHANNEL_SMS"]})");
  CHECK(d.submit(kAna, {sms})->stage() == v1::CAMPAIGN_STAGE_APPROVED);
  CHECK(d.state().review().rules().empty());
}

TEST_CASE("rules that do not hold stop a submission instead of letting it through") {
  Driver d;
  REQUIRE(d.create(content_of(60'000)));
  const auto good = rule_of(R"({"id": "a", "name": "A", "role": "manager", "min_approvals": 1})");
  auto broken = good;
  broken.set_id("b");
  broken.set_min_approvals(0);
  CHECK(d.type(d.submit(kAna, {good, broken})) == "invalid-rules");
  CHECK(d.type(d.submit(kAna, {good, good})) == "invalid-rules");
  std::vector<v1::ApprovalRule> many(101, good);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].set_id("r" + std::to_string(i));
  CHECK(d.type(d.submit(kAna, many)) == "invalid-rules");
  many.pop_back();
  CHECK(d.submit(kAna, many));
}

TEST_CASE("what is missing is said in words") {
  Driver d;
  REQUIRE(d.create(content_of(60'000)));
  auto shown = d.submit();
  REQUIRE(shown->missing_size() == 2);
  CHECK(shown->missing(0).text() == "Standard Campaign: 1 approval by manager.");
  CHECK(shown->missing(1).text() == "High Budget Campaign: 2 approvals by director.");
  shown = d.approve(kDan);
  CHECK(shown->missing(1).text() == "High Budget Campaign: 1 more approval by director.");
  auto careful = rule_of(
      R"({"id": "c", "name": "Careful", "role": "legal", "min_approvals": 1, "creative_review": true, "legal_review": true})");
  Driver other;
  REQUIRE(other.create(content_of(1)));
  CHECK(other.submit(kAna, {careful})->missing(0).text() ==
        "Careful: 1 approval by legal, after a creative and a legal review.");
}

}  // namespace cx::test
