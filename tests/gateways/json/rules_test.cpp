#include "gateways/json/rules.hpp"

#include <doctest/doctest.h>

#include "gateways/json/codec.hpp"
#include "kinds.pb.h"

namespace {

using namespace cx;
namespace kinds = cx::test::json;

template <class T>
std::optional<Error> check(const std::string& text) {
  T message;
  const auto error = json::parse(text, message);
  REQUIRE_MESSAGE(!error, error->detail);
  return json::validate(message);
}

TEST_CASE("what keeps to the rules passes") {
  for (
      const auto* text : {
          R"({"title": "t"})",
          R"({"title": "ééééé", "percent": 100, "priority": 10, "level": "low", "tags": ["a", "b-1"], "name": "x"})",
          R"({"title": "t", "inner": {"code": "c", "amount": 1000, "again": {"title": "t"}}})",
          R"({"title": "t", "payload": {"@type": "a/cx.test.json.Inner", "code": "c"}, "token": "Zm9vYg=="})",
          R"({"title": "t", "share": 0.5, "hours": [0, 23]})",
      }) {
    const auto error = check<kinds::Ruled>(text);
    CHECK_MESSAGE(!error, error->detail);
  }
  CHECK(!check<kinds::Required>(
      R"({"number": 0, "inner": {"code": "c"}, "items": [""], "stage": 1, "agreed": true, "plain": 1})"));
  CHECK(!check<kinds::Everything>("{}"));
}

TEST_CASE("what breaks a rule is named") {
  struct Row {
    const char* json;
    const char* type;
    const char* pointer;
    const char* detail;
  };
  const std::vector<Row> table = {
      {"{}", "required-field", "/title", "/title is required: give it a value."},
      {R"({"title": ""})", "required-field", "/title", "/title is required: give it a value."},
      {R"({"title": "éééééé"})", "too-long", "/title", "/title has 6 characters; send at most 5."},
      {R"({"title": "t", "name": "A b"})", "invalid-value", "/name",
       "/name is \"A b\", but must be a name: 1 to 63 of a-z, 0-9 and '-'."},
      {R"({"title": "t", "percent": 101})", "out-of-range", "/percent",
       "/percent is 101, but must be from 0 to 100."},
      {R"({"title": "t", "priority": 0})", "out-of-range", "/priority",
       "/priority is 0, but must be from 1 to 10."},
      {R"({"title": "t", "priority": -9223372036854775808})", "out-of-range", "/priority",
       "/priority is -9223372036854775808, but must be from 1 to 10."},
      {R"({"title": "t", "level": "mid"})", "invalid-value", "/level",
       "/level is \"mid\", but must be one of low, high."},
      {R"({"title": "t", "tags": ["a", ""]})", "invalid-value", "/tags/1",
       "/tags/1 is \"\", but must be a name: 1 to 63 of a-z, 0-9 and '-'."},
      {R"({"title": "t", "inners": {"a/b": {"code": "c"}, "x": {}}})", "required-field", "/inners/x/code",
       "/inners/x/code is required: give it a value."},
      {R"({"title": "t", "inner": {"code": "c", "amount": -1}})", "out-of-range", "/inner/amount",
       "/inner/amount is -1, but must be from 0 to 1000."},
      {R"({"title": "t", "list": [{"code": "c"}, {}]})", "required-field", "/list/1/code",
       "/list/1/code is required: give it a value."},
      {R"({"title": "t", "inner": {"code": "c", "again": {}}})", "required-field", "/inner/again/title",
       "/inner/again/title is required: give it a value."},
      {R"({"title": "t", "token": "Zm9vYmE="})", "too-long", "/token", "/token has 5 bytes; send at most 4."},
      {R"({"title": "t", "payload": {"@type": "a/cx.test.json.Inner"}})", "required-field", "/payload/code",
       "/payload/code is required: give it a value."},
      {R"({"title": "t", "share": 1.5})", "out-of-range", "/share",
       "/share is 1.500000, but must be from 0 to 1."},
      {R"({"title": "t", "share": "NaN"})", "out-of-range", "/share",
       "/share is nan, but must be from 0 to 1."},
      {R"({"title": "t", "hours": [0, 24]})", "out-of-range", "/hours/1",
       "/hours/1 is 24, but must be from 0 to 23."},
      {R"({"title": "t", "pin": 10000})", "out-of-range", "/pin", "/pin must be from 0 to 9999."},
  };
  for (const auto& row : table) {
    CAPTURE(row.json);
    const auto error = check<kinds::Ruled>(row.json);
    REQUIRE(error);
    CHECK(error->code == Code::invalid_argument);
    CHECK(error->type == row.type);
    CHECK(error->pointer == row.pointer);
    CHECK(error->detail == row.detail);
  }
}

TEST_CASE("every kind of field can be required") {
  const std::vector<std::pair<const char*, const char*>> table = {
      {"{}", "/number"},
      {R"({"number": 0})", "/inner"},
      {R"({"number": 0, "inner": {}})", "/inner/code"},
      {R"({"number": 0, "inner": {"code": "c"}})", "/items"},
      {R"({"number": 0, "inner": {"code": "c"}, "items": ["x"]})", "/stage"},
      {R"({"number": 0, "inner": {"code": "c"}, "items": ["x"], "stage": 1})", "/agreed"},
      {R"({"number": 0, "inner": {"code": "c"}, "items": ["x"], "stage": 1, "agreed": true})", "/plain"},
  };
  for (const auto& [text, pointer] : table) {
    const auto error = check<kinds::Required>(text);
    REQUIRE(error);
    CHECK(error->type == "required-field");
    CHECK(error->pointer == pointer);
  }
}

TEST_CASE("lists in binary have the same limits") {
  kinds::Ruled m;
  m.set_title("t");
  for (int i = 0; i < 4; ++i) m.add_tags("a");
  const auto error = json::validate(m);
  REQUIRE(error);
  CHECK(error->type == "too-many-items");
  CHECK(error->detail == "/tags has 4 items; send at most 3.");
}

TEST_CASE("an Any that cannot be read is refused") {
  kinds::Ruled m;
  m.set_title("t");
  m.mutable_payload()->set_type_url("a/b.Unknown");
  CHECK(json::validate(m)->type == "invalid-value");
  m.mutable_payload()->set_type_url("a/cx.test.json.Inner");
  m.mutable_payload()->set_value("\xff");
  CHECK(json::validate(m)->pointer == "/payload");
}

TEST_CASE("an Any nested without end is refused, and cleared") {
  google::protobuf::Any any;
  for (int i = 0; i < 2'000; ++i) {
    google::protobuf::Any outer;
    outer.PackFrom(any);
    any = outer;
  }
  CHECK(json::validate(any)->type == "too-deep");
  json::clear_internal(any);
  CHECK(!json::validate(any));
}

TEST_CASE("ids that are empty are made up") {
  kinds::Ruled m;
  m.mutable_inner();
  m.add_list()->set_id("mine");
  m.add_list();
  (*m.mutable_inners())["x"];
  int count = 0;
  json::fill(m, [&] { return "id-" + std::to_string(++count); });
  CHECK(m.id() == "id-1");
  CHECK(m.inners().at("x").id() == "id-2");
  CHECK(m.inner().id() == "id-3");
  CHECK(m.list(0).id() == "mine");
  CHECK(m.list(1).id() == "id-4");
  CHECK(count == 4);
}

TEST_CASE("what callers may not send is cleared everywhere") {
  kinds::Ruled m;
  m.set_tenant("x");
  m.set_title("t");
  m.set_created_by("x");
  m.mutable_stats()->set_code("x");
  m.mutable_inner()->set_shard("x");
  m.mutable_inner()->set_seen_at("x");
  (*m.mutable_inners())["k"].set_shard("x");
  m.add_list()->set_shard("x");
  kinds::Inner inner;
  inner.set_shard("x");
  inner.set_code("c");
  m.mutable_payload()->PackFrom(inner);
  json::clear_internal(m);
  CHECK(m.tenant().empty());
  CHECK(m.title() == "t");
  CHECK(m.created_by() == "x");
  CHECK(m.inner().shard().empty());
  CHECK(m.inner().seen_at() == "x");
  CHECK(m.inners().at("k").shard().empty());
  CHECK(m.list(0).shard().empty());
  REQUIRE(m.payload().UnpackTo(&inner));
  CHECK(inner.shard().empty());
  CHECK(inner.code() == "c");
  json::clear_output_only(m);
  CHECK(m.created_by().empty());
  CHECK(!m.has_stats());
  CHECK(m.inner().seen_at().empty());
}

}  // namespace
