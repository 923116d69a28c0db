#include "actors/customer/outcome.hpp"

#include <doctest/doctest.h>

#include "actors/decision/id.hpp"
#include "tests/actors/customer/driver.hpp"

namespace cx::test {
namespace {

const std::string kId = decision::id_of(uuid7(kNow - kHour, 1, 2), 0);

v1::TakeEvent call(const std::string& name, const std::string& rest = "", const std::string& id = kId) {
  auto out = track(name, "m-1");
  out.set_properties(R"({"decision_id":")" + id + '"' + rest + "}");
  return out;
}

}  // namespace

TEST_CASE("a track call with a decision's id and one of Segment's names is reported to the decision, once") {
  Driver d;
  CHECK(d.take(call("Promotion Clicked")));
  CHECK(!d.take(call("Promotion Clicked")));
  const auto letters = d.taken<v1::ReportOutcome>();
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].first == "decision/acme/" + kId);
  CHECK(letters[0].second.outcome() == v1::OUTCOME_CLICK);
  CHECK(letters[0].second.decision_id() == kId);
  CHECK(letters[0].second.at().seconds() == kNow / 1'000);
  CHECK(letters[0].second.outcome_id().empty());

  for (const auto& [name, outcome] : {std::pair{"Promotion Viewed", v1::OUTCOME_IMPRESSION},
                                      {"Email Opened", v1::OUTCOME_OPEN},
                                      {"Promotion Dismissed", v1::OUTCOME_DISMISS},
                                      {"Order Completed", v1::OUTCOME_CONVERSION},
                                      {"Product Viewed", v1::OUTCOME_UNSPECIFIED}}) {
    const auto report = outcome_of(call(name), kNow);
    CHECK((report ? report->outcome() : v1::OUTCOME_UNSPECIFIED) == outcome);
  }
}

TEST_CASE("an order is a conversion of its own, worth its revenue") {
  auto order =
      outcome_of(call("Order Completed", R"(,"order_id":"o-1","revenue":25.50,"currency":"EUR")"), kNow);
  REQUIRE(order);
  CHECK(order->outcome_id() == "o-1");
  CHECK(order->value().micros() == 25'500'000);
  CHECK(order->value().currency() == "EUR");
  order = outcome_of(call("Order Completed", R"(,"revenue":25,"currency":"euros")"), kNow);
  CHECK(order->outcome_id() == "m-1");
  CHECK(!order->has_value());
  CHECK(!outcome_of(call("Order Completed", R"(,"revenue":-1,"currency":"EUR")"), kNow)->has_value());
}

TEST_CASE("what the decision would refuse is just an event") {
  Driver d;
  CHECK(d.take(call("Promotion Clicked", "", "nonsense")));
  auto clicked = call("Promotion Clicked", "", decision::id_of(uuid7(kNow + kHour, 1, 2), 0));
  clicked.set_event_id("m-2");
  CHECK(d.take(clicked));
  clicked = call("Promotion Clicked");
  clicked.set_event_id("m-3");
  clicked.set_at(kNow - kDay);
  CHECK(d.take(clicked));
  auto page = call("Promotion Clicked");
  page.set_event_id("m-4");
  page.set_type(v1::EVENT_TYPE_PAGE);
  CHECK(d.take(page));
  auto text = track("Promotion Clicked", "m-5");
  text.set_properties(R"({"decision_id":7,"x":"decision_id"})");
  CHECK(d.take(text));
  CHECK(d.taken<v1::ReportOutcome>().empty());
}

TEST_CASE("an event from the future has just happened") {
  auto clicked = call("Promotion Clicked");
  clicked.set_at(kNow + kDay);
  CHECK(outcome_of(clicked, kNow)->at().seconds() == kNow / 1'000);
}

TEST_CASE("decimals become millionths without a floating point number in between") {
  struct Case {
    const char* text;
    std::optional<std::int64_t> micros;
  };
  for (const auto& [text, micros] : {Case{"0", 0},
                                     {"0.1", 100'000},
                                     {"25.50", 25'500'000},
                                     {"0.0000019", 1},
                                     {"1.", 1'000'000},
                                     {"999999999999.999999", 999'999'999'999'999'999},
                                     {"1000000000000", {}},
                                     {"", {}},
                                     {".5", {}},
                                     {"-1", {}},
                                     {"1e3", {}},
                                     {"1.5e3", {}},
                                     {"1,5", {}},
                                     {"\"1\"", {}},
                                     {"null", {}}}) {
    CAPTURE(text);
    CHECK(micros_of(text) == micros);
  }
}

}  // namespace cx::test
