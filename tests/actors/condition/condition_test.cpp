#include <cmath>
#include <doctest/doctest.h>
#include <vector>

#include "actors/condition/time.hpp"
#include "actors/condition/value.hpp"
#include "world.hpp"

namespace cx::test {
namespace {

using condition::Condition;
using condition::Field;

bool holds(const std::string& json, const World& world) {
  const auto compiled = Condition::compile(condition_of(json), {}, "");
  REQUIRE_MESSAGE(compiled, json << ": " << (compiled ? "" : compiled.error().detail));
  return compiled->holds(world.subject());
}

const World& world() {
  static const World all(R"({
    "traits": {"plan": "gold", "age": 41, "height": 1.75, "big": 9007199254740993, "vip": true, "none": null,
               "quoted": "a \"b\" \u00e9", "born": "1985-04-12T23:20:50.52Z", "soon": "2026-03-01T01:00:00+02:00",
               "cities": ["Berlin", "Jakarta", 7], "address": {"city": "Berlin", "geo": {"lat": 52.5}},
               "a.b": "dotted", "empty": "", "zero": 0, "minus": -3, "huge": 18446744073709551615},
    "events": {"Order Completed": {"count": 2, "first": 1772236800000, "last": 1772319600000},
               "cart.updated": {"count": 1, "first": 1000, "last": 1000}},
    "event": {"name": "Cart Updated", "timestamp": "2026-02-28T23:59:59Z",
              "properties": {"cart_id": "c-7", "number": 12, "total": 19.99, "items": [{"sku": "x"}, {"sku": "y"}]},
              "context": {"timezone": "Asia/Jakarta"}},
    "memory": {"step": "one"},
    "key": "c-7"})");
  return all;
}

TEST_CASE("tests of a field") {
  const struct {
    const char* json;
    bool holds;
  } table[] = {
      // exists: null is absent
      {R"({"field": "traits.plan", "exists": true})", true},
      {R"({"field": "traits.plan", "exists": false})", false},
      {R"({"field": "traits.none", "exists": true})", false},
      {R"({"field": "traits.missing", "exists": false})", true},
      {R"({"field": "traits.empty", "exists": true})", true},
      {R"({"field": "traits.zero", "exists": true})", true},
      // equals: no coercion
      {R"({"field": "traits.plan", "equals": "gold"})", true},
      {R"({"field": "traits.plan", "equals": "Gold"})", false},
      {R"({"field": "traits.age", "equals": 41})", true},
      {R"({"field": "traits.age", "equals": "41"})", false},
      {R"({"field": "traits.vip", "equals": true})", true},
      {R"({"field": "traits.vip", "equals": 1})", false},
      {R"({"field": "traits.vip", "equals": "true"})", false},
      {R"({"field": "traits.zero", "equals": false})", false},
      {R"({"field": "traits.height", "equals": 1.75})", true},
      {R"({"field": "traits.big", "equals": 9007199254740992})", false},
      {R"({"field": "traits.quoted", "equals": "a \"b\" é"})", true},
      {R"({"field": "traits.cities", "equals": ["Berlin", "Jakarta", 7]})", true},
      {R"({"field": "traits.cities", "equals": ["Jakarta", "Berlin", 7]})", false},
      {R"({"field": "traits.address", "equals": {"geo": {"lat": 52.5}, "city": "Berlin"}})", true},
      {R"({"field": "traits.address", "equals": {"city": "Berlin"}})", false},
      {R"({"field": "traits.missing", "equals": "gold"})", false},
      {R"({"field": "traits.plan", "notEquals": "gold"})", false},
      {R"({"field": "traits.plan", "notEquals": 3})", true},
      {R"({"field": "traits.missing", "notEquals": "gold"})", true},
      // order
      {R"({"field": "traits.age", "above": 41})", false},
      {R"({"field": "traits.age", "above": 40.5})", true},
      {R"({"field": "traits.age", "atLeast": 41})", true},
      {R"({"field": "traits.age", "below": 41.5})", true},
      {R"({"field": "traits.age", "atMost": 40})", false},
      {R"({"field": "traits.age", "above": "4"})", false},
      {R"({"field": "traits.age", "atMost": "9"})", false},
      {R"({"field": "traits.big", "above": 9007199254740992})", true},
      {R"({"field": "traits.huge", "below": 18446744073709551616})", true},
      {R"({"field": "traits.huge", "atLeast": 18446744073709551616})", false},
      {R"({"field": "traits.minus", "below": -2.5})", true},
      {R"({"field": "traits.minus", "below": -3})", false},
      {R"({"field": "traits.vip", "above": 0})", false},
      {R"({"field": "traits.missing", "below": 5})", false},
      {R"({"field": "traits.plan", "above": "golc"})", true},
      {R"({"field": "traits.plan", "atMost": "gold"})", true},
      {R"({"field": "traits.born", "below": "1985-04-12T23:20:50.53Z"})", true},
      {R"({"field": "traits.born", "atLeast": "1985-04-13T00:20:50.52+01:00"})", true},
      {R"({"field": "traits.born", "above": "1985-04-12T16:20:50.52-07:00"})", false},
      {R"({"field": "traits.plan", "above": "1985-04-12T23:20:50Z"})", false},
      {R"({"field": "traits.plan", "atMost": "1985-04-12T23:20:50Z"})", false},
      {R"({"field": "traits.born", "above": "1985"})", true},
      // lists and texts
      {R"({"field": "traits.plan", "oneOf": ["silver", "gold"]})", true},
      {R"({"field": "traits.age", "oneOf": ["41", 42]})", false},
      {R"({"field": "traits.missing", "oneOf": ["silver"]})", false},
      {R"({"field": "traits.cities", "contains": "Jakarta"})", true},
      {R"({"field": "traits.cities", "contains": "Jak"})", false},
      {R"({"field": "traits.cities", "contains": 7})", true},
      {R"({"field": "traits.cities", "contains": "7"})", false},
      {R"({"field": "traits.plan", "contains": "ol"})", true},
      {R"({"field": "traits.plan", "contains": 1})", false},
      {R"({"field": "traits.age", "contains": 4})", false},
      {R"({"field": "traits.address", "contains": "city"})", false},
      {R"({"field": "traits.plan", "startsWith": "go"})", true},
      {R"({"field": "traits.plan", "startsWith": "golden"})", false},
      {R"({"field": "traits.plan", "endsWith": "ld"})", true},
      {R"({"field": "traits.age", "startsWith": "4"})", false},
      // times: now is 2026-03-01T00:00:00Z
      {R"({"field": "events.Order Completed.last", "withinLast": "3600s"})", true},
      {R"({"field": "events.Order Completed.last", "withinLast": "3599.999s"})", false},
      {R"({"field": "events.Order Completed.last", "beforeLast": "3600s"})", false},
      {R"({"field": "events.Order Completed.last", "beforeLast": "3599.999s"})", true},
      {R"({"field": "events.Order Completed.first", "beforeLast": "3600s"})", true},
      {R"({"field": "traits.soon", "withinLast": "3600s"})", true},
      {R"({"field": "traits.plan", "withinLast": "3600s"})", false},
      {R"({"field": "traits.plan", "beforeLast": "3600s"})", false},
      {R"({"field": "traits.missing", "beforeLast": "3600s"})", false},
      {R"({"field": "events.Never.last", "beforeLast": "1s"})", false},
      // counters
      {R"({"field": "events.Order Completed.count", "equals": 2})", true},
      {R"({"field": "events.Never.count", "equals": 0})", true},
      {R"({"field": "events.Never.last", "exists": false})", true},
      {R"({"field": "events.\"cart.updated\".count", "atLeast": 1})", true},
      // where fields are
      {R"({"field": "event.name", "equals": "Cart Updated"})", true},
      {R"({"field": "event.timestamp", "below": "2026-03-01T00:00:00Z"})", true},
      {R"({"field": "event.properties.items.1.sku", "equals": "y"})", true},
      {R"({"field": "event.properties.items.2.sku", "exists": false})", true},
      {R"({"field": "event.properties.items.01.sku", "exists": false})", true},
      {R"({"field": "event.properties.items.\"1\".sku", "exists": false})", true},
      {R"({"field": "event.context.timezone", "startsWith": "Asia/"})", true},
      {R"({"field": "memory.step", "equals": "one"})", true},
      {R"({"field": "traits.address.geo.lat", "above": 52})", true},
      {R"({"field": "traits.plan.deeper", "exists": false})", true},
      {R"({"field": "traits.\"a.b\"", "equals": "dotted"})", true},
      {R"({"field": "traits.a.b", "exists": false})", true},
      {R"({"field": "key", "equals": "c-7"})", true},
      // another field
      {R"({"field": "event.properties.cart_id", "equalsField": "key"})", true},
      {R"({"field": "event.properties.number", "equalsField": "key"})", false},
      {R"({"field": "traits.plan", "equalsField": "traits.plan"})", true},
      {R"({"field": "traits.missing", "equalsField": "traits.missing"})", false},
      {R"({"field": "traits.age", "equalsField": "traits.height"})", false},
      // groups
      {R"({"all": [{"field": "traits.plan", "equals": "gold"}, {"field": "traits.age", "above": 40}]})",
       true},
      {R"({"all": [{"field": "traits.plan", "equals": "gold"}, {"field": "traits.age", "above": 41}]})",
       false},
      {R"({"any": [{"field": "traits.plan", "equals": "tin"}, {"field": "traits.age", "above": 40}]})", true},
      {R"({"not": {"any": [{"field": "traits.plan", "equals": "tin"}]}})", true},
  };
  for (const auto& row : table) CHECK_MESSAGE(holds(row.json, world()) == row.holds, row.json);
}

TEST_CASE("a key compares as the text that it was made into") {
  const World numbers(
      R"({"event": {"properties": {"id": 42, "price": 100.0, "flag": true, "list": [1]}}, "key": "42"})");
  CHECK(holds(R"({"field": "event.properties.id", "equalsField": "key"})", numbers));
  CHECK(holds(R"({"field": "key", "equalsField": "event.properties.id"})", numbers));
  CHECK(!holds(R"({"field": "event.properties.list", "equalsField": "key"})", numbers));
  const auto text = [&](const char* name) { return Field::parse(name, {}, "")->text_of(numbers.subject()); };
  CHECK(text("event.properties.id") == "42");
  CHECK(text("event.properties.price") == "100");
  CHECK(text("event.properties.flag") == "true");
  CHECK(!text("event.properties.list"));
  CHECK(!text("event.properties.missing"));
}

TEST_CASE("what is null in a subject has no fields") {
  const condition::Subject nothing;
  for (const char* json :
       {R"({"field": "traits.x", "exists": false})", R"({"field": "events.x.count", "exists": false})",
        R"({"field": "event.name", "exists": false})", R"({"field": "memory.x", "exists": false})",
        R"({"field": "key", "exists": false})"})
    CHECK_MESSAGE(Condition::compile(condition_of(json), {}, "")->holds(nothing), json);
  CHECK(Condition().holds(nothing));
}

TEST_CASE("a trait that is no JSON is absent") {
  World broken("{}");
  auto& trait = *broken.person.add_traits();
  trait.set_name("x");
  for (const char* json : {"", "{", "-inf", "nan", "1e999", "\"abc", "tru", "[1,", "01"}) {
    trait.set_json(json);
    const auto value = Field::parse("traits.x", {}, "")->of(broken.subject());
    if (std::string(json) == "01") continue;  // a number to us, whatever wrote it
    CHECK_MESSAGE((!value || value->is_double()), json);
  }
}

std::string nested(int depth) {
  std::string json = R"({"field": "key", "exists": true})";
  for (int i = 1; i < depth; ++i) json = R"({"not": )" + json + "}";
  return json;
}

std::string wide(int n) {
  std::string json;
  for (int i = 0; i < n; ++i)
    json += (i == 0 ? "" : ", ") + std::string(R"({"field": "key", "exists": true})");
  return R"({"all": [)" + json + "]}";
}

TEST_CASE("what is wrong with a condition is said where it is") {
  const struct {
    std::string json;
    const char *type, *pointer;
  } table[] = {
      {"{}", "invalid-condition", "/when"},
      {R"({"all": []})", "invalid-condition", "/when"},
      {R"({"equals": 3})", "invalid-condition", "/when"},
      {R"({"field": "key"})", "invalid-condition", "/when"},
      {R"({"field": "key", "equals": 3, "above": 4})", "invalid-condition", "/when"},
      {R"({"field": "key", "equals": 3, "not": {"field": "key", "exists": true}})", "invalid-condition",
       "/when"},
      {R"({"all": [{"field": "key", "exists": true}, {"any": [{"field": "key"}]}]})", "invalid-condition",
       "/when/all/1/any/0"},
      {R"({"not": {"field": "what.x", "exists": true}})", "invalid-field", "/when/not/field"},
      {R"({"field": "key", "equals": null})", "invalid-condition", "/when/equals"},
      {R"({"field": "key", "above": true})", "invalid-condition", "/when/above"},
      {R"({"field": "key", "above": [1]})", "invalid-condition", "/when/above"},
      {R"({"field": "key", "oneOf": []})", "invalid-condition", "/when/one_of"},
      {R"({"field": "key", "oneOf": [1, null]})", "invalid-condition", "/when/one_of/1"},
      {R"({"field": "key", "startsWith": ""})", "invalid-condition", "/when/starts_with"},
      {R"({"field": "key", "withinLast": "0s"})", "invalid-condition", "/when/within_last"},
      {R"({"field": "key", "beforeLast": "-5s"})", "invalid-condition", "/when/before_last"},
      {R"({"field": "key", "equalsField": "nothing"})", "invalid-field", "/when/equals_field"},
      {R"({"field": "traits", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "traits.", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "traits..a", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": ".traits.a", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "traits.\"a", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "traits.\"a\"b", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "traits.a\"b\"", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "traits.a\u0000", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "event", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "event.properties", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "event.name.x", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "events.x", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "events.x.sum", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "events.cart.updated.count", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "key.x", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "\"key\"", "exists": true})", "invalid-field", "/when/field"},
      {R"({"field": "traits.)" + std::string(300, 'x') + R"(", "exists": true})", "invalid-field",
       "/when/field"},
      {nested(21), "invalid-condition",
       "/when/not/not/not/not/not/not/not/not/not/not/not/not/not/not/not/not/not/not/not/not"},
      {wide(500), "invalid-condition", "/when/all/499"},
  };
  for (const auto& row : table) {
    const auto compiled = Condition::compile(condition_of(row.json), {}, "/when");
    REQUIRE_MESSAGE(!compiled, row.json.substr(0, 200));
    CHECK(compiled.error().code == Code::invalid_argument);
    CHECK_MESSAGE(compiled.error().type == row.type, row.json.substr(0, 200));
    CHECK_MESSAGE(compiled.error().pointer == row.pointer, row.json.substr(0, 200));
    CHECK(compiled.error().detail.size() > 20);
  }
  CHECK(Condition::compile(condition_of(nested(20)), {}, ""));
  CHECK(Condition::compile(condition_of(wide(499)), {}, ""));
  v1::Condition odd;
  odd.set_field("key");
  odd.mutable_equals()->set_number_value(std::nan(""));
  CHECK(Condition::compile(odd, {}, "").error().pointer == "/equals");
  odd.mutable_equals()->clear_kind();
  CHECK(Condition::compile(odd, {}, "").error().pointer == "/equals");
}

TEST_CASE("fields that a place does not know are refused") {
  const struct {
    const char* field;
    condition::Roots allowed;
  } table[] = {{"traits.x", {false, true, true, true}},
               {"events.x.count", {false, true, true, true}},
               {"event.name", {true, false, true, true}},
               {"memory.x", {true, true, false, true}},
               {"key", {true, true, true, false}}};
  for (const auto& row : table) {
    const auto field = Field::parse(row.field, row.allowed, "/key");
    REQUIRE_MESSAGE(!field, row.field);
    CHECK(field.error().type == "invalid-field");
    CHECK(field.error().pointer == "/key");
    CHECK(Field::parse(row.field, {}, ""));
  }
}

TEST_CASE("a summary has the fields but no values") {
  const auto summary = [](const std::string& json) {
    return Condition::compile(condition_of(json), {}, "")->summary();
  };
  CHECK(summary(R"({"field": "traits.plan", "equals": "secret"})") == "traits.plan equals");
  CHECK(summary(R"({"field": "traits.plan", "exists": false})") == "traits.plan does not exist");
  CHECK(
      summary(R"({"all": [{"field": "traits.a", "above": 1}, {"not": {"field": "key", "exists": true}}]})") ==
      "all of (traits.a is above, not (key exists))");
  CHECK(summary(R"({"field": "event.properties.id", "equalsField": "key"})") ==
        "event.properties.id equals key");
  CHECK(summary(wide(100)).size() <= 120);
  CHECK(Condition().summary().empty());
}

TEST_CASE("times as RFC 3339 writes them") {
  const struct {
    const char* text;
    bool good;
    std::int64_t seconds;
    std::int32_t nanos;
  } table[] = {
      {"1970-01-01T00:00:00Z", true, 0, 0},
      {"2026-03-01T00:00:00Z", true, 1'772'323'200, 0},
      {"2026-03-01t07:30:00.5+07:30", true, 1'772'323'200, 500'000'000},
      {"1985-04-12T23:20:50.52Z", true, 482'196'050, 520'000'000},
      {"1996-12-19T16:39:57-08:00", true, 851'042'397, 0},
      {"1990-12-31T23:59:60Z", true, 662'688'000, 0},
      {"1990-12-31T15:59:60-08:00", true, 662'688'000, 0},
      {"1937-01-01T12:00:27.87+00:20", true, -1'041'337'173, 870'000'000},
      {"0001-01-01T00:00:00Z", true, -62'135'596'800, 0},
      {"2024-02-29T00:00:00z", true, 1'709'164'800, 0},
      {"2026-03-01T00:00:00.1234567891Z", true, 1'772'323'200, 123'456'789},
      {"2025-02-29T00:00:00Z", false, 0, 0},
      {"2026-13-01T00:00:00Z", false, 0, 0},
      {"2026-03-01T24:00:00Z", false, 0, 0},
      {"2026-03-01T00:60:00Z", false, 0, 0},
      {"2026-03-01T00:00:61Z", false, 0, 0},
      {"2026-03-01", false, 0, 0},
      {"2026-03-01T00:00:00", false, 0, 0},
      {"2026-03-01 00:00:00Z", false, 0, 0},
      {"2026-03-01T00:00:00.Z", false, 0, 0},
      {"2026-03-01T00:00:00+0700", false, 0, 0},
      {"2026-03-01T00:00:00+24:00", false, 0, 0},
      {"2026-03-01T00:00:00Zx", false, 0, 0},
      {"0000-01-01T00:00:00Z", false, 0, 0},
      {"-001-01-01T00:00:00Z", false, 0, 0},
      {"", false, 0, 0},
  };
  for (const auto& row : table) {
    const auto time = condition::parse_time(row.text);
    REQUIRE_MESSAGE(time.has_value() == row.good, row.text);
    if (!row.good) continue;
    CHECK_MESSAGE(time->seconds == row.seconds, row.text);
    CHECK_MESSAGE(time->nanos == row.nanos, row.text);
  }
  CHECK(condition::time_text(1'772'323'200'000) == "2026-03-01T00:00:00Z");
  CHECK(condition::time_text(1'772'323'200'050) == "2026-03-01T00:00:00.050Z");
  CHECK(condition::time_text(-1) == "1969-12-31T23:59:59.999Z");
  CHECK(condition::Instant::of_ms(-1).unix_ms() == -1);
}

TEST_CASE("numbers compare exactly, whatever they are") {
  using condition::Number;
  const std::vector<Number> ascending = {
      Number::of(-1e300),
      Number::of(-0x1p63 * 1.5),
      Number::of(INT64_MIN),
      Number::of(INT64_MIN + 1),
      Number::of(-0x1p62),
      Number::of(-3.5),
      Number::of(std::int64_t{-3}),
      Number::of(-0.5),
      Number::of(std::int64_t{0}),
      Number::of(0.5),
      Number::of(std::int64_t{1}),
      Number::of(0x1p53),
      Number::of((std::int64_t{1} << 53) + 1),
      Number::of(0x1p53 + 2),
      Number::of(INT64_MAX),
      Number::of(0x1p63),
      Number::of((std::uint64_t{1} << 63) + 1),
      Number::of(UINT64_MAX),
      Number::of(0x1p64),
      Number::of(1e300),
  };
  for (std::size_t i = 0; i < ascending.size(); ++i)
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      const auto order = compare(ascending[i], ascending[j]);
      CHECK_MESSAGE(((order < 0) == (i < j) && (order == 0) == (i == j)), i << " " << j);
    }
  CHECK(compare(Number::of(-0.0), Number::of(std::int64_t{0})) == 0);
  CHECK(compare(Number::of(0x1p53), Number::of(std::int64_t{1} << 53)) == 0);
  CHECK(compare(Number::of(-0x1p63), Number::of(INT64_MIN)) == 0);
  CHECK(compare(Number::of(std::nan("")), Number::of(std::int64_t{1})) == std::partial_ordering::unordered);
}

}  // namespace
}  // namespace cx::test
