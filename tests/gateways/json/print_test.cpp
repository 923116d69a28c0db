#include <doctest/doctest.h>
#include <thread>
#include <vector>

#include "gateways/json/codec.hpp"
#include "kinds.pb.h"

namespace {

using namespace cx;
namespace kinds = cx::test::json;

TEST_CASE("zeros are printed, what is absent is not") {
  CHECK(
      json::print(kinds::Scalars()) ==
      R"({"f_double":0,"f_float":0,"f_int32":0,"f_int64":"0","f_uint32":0,"f_uint64":"0","f_sint32":0,"f_sint64":"0",)"
      R"("f_fixed32":0,"f_fixed64":"0","f_sfixed32":0,"f_sfixed64":"0","f_bool":false,"f_string":"","f_bytes":"",)"
      R"("f_stage":"CAMPAIGN_STAGE_UNSPECIFIED","f_verb":"VERB_UNSPECIFIED"})");
  CHECK(json::print(kinds::Optionals()) == "{}");
  CHECK(json::print(kinds::Tree()) == R"({"name":"","children":[],"named":{}})");
  kinds::Optionals set;
  set.set_f_int64(0);
  CHECK(json::print(set) == R"({"f_int64":"0"})");
  kinds::Choice choice;
  CHECK(json::print(choice) == R"({"beside":""})");
  choice.set_text("");
  CHECK(json::print(choice) == R"({"text":"","beside":""})");
}

TEST_CASE("values are printed as the mapping says") {
  kinds::Optionals m;
  m.set_f_double(0.1);
  m.set_f_float(1.1F);
  m.set_f_uint64(18446744073709551615U);
  m.set_f_string("a\"\\\n\x01é");
  m.set_f_bytes("\xfb\xff");
  m.set_f_stage(kinds::CAMPAIGN_STAGE_LIVE);
  CHECK(json::print(m) ==
        R"({"f_double":0.1,"f_float":1.1,"f_uint64":"18446744073709551615","f_string":"a\"\\\u000a\u0001é",)"
        R"("f_bytes":"+/8=","f_stage":"CAMPAIGN_STAGE_LIVE"})");
  kinds::Optionals odd;
  odd.set_f_double(-std::numeric_limits<double>::infinity());
  odd.set_f_float(std::numeric_limits<float>::quiet_NaN());
  odd.set_f_stage(static_cast<kinds::CampaignStage>(99));
  CHECK(json::print(odd) == R"({"f_double":"-Infinity","f_float":"NaN","f_stage":99})");
}

TEST_CASE("times and durations") {
  struct Row {
    std::int64_t seconds;
    std::int32_t nanos;
    const char* time;
    const char* duration;
  };
  const std::vector<Row> table = {
      {0, 0, "\"1970-01-01T00:00:00Z\"", "\"0s\""},
      {0, 500'000'000, "\"1970-01-01T00:00:00.500Z\"", "\"0.500s\""},
      {1, 1'000, "\"1970-01-01T00:00:01.000001Z\"", "\"1.000001s\""},
      {-1, 1, "\"1969-12-31T23:59:59.000000001Z\"", "null"},
      {-1, -1, "null", "\"-1.000000001s\""},
      {0, -1, "null", "\"-0.000000001s\""},
      {253'402'300'799, 999'999'999, "\"9999-12-31T23:59:59.999999999Z\"", "\"253402300799.999999999s\""},
      {253'402'300'800, 0, "null", "\"253402300800s\""},
      {-62'135'596'800, 0, "\"0001-01-01T00:00:00Z\"", "\"-62135596800s\""},
      {std::numeric_limits<std::int64_t>::min(), 0, "null", "null"},
      {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int32_t>::max(), "null", "null"},
  };
  for (const auto& row : table) {
    google::protobuf::Timestamp time;
    time.set_seconds(row.seconds);
    time.set_nanos(row.nanos);
    CHECK(json::print(time) == row.time);
    google::protobuf::Duration duration;
    duration.set_seconds(row.seconds);
    duration.set_nanos(row.nanos);
    CHECK(json::print(duration) == row.duration);
  }
}

TEST_CASE("masks in camel case where the way back leads to the same") {
  google::protobuf::FieldMask mask;
  for (const auto* path : {"a_b.c_d", "x", "a__b", "a_1", "_a", "aB", "a_"}) mask.add_paths(path);
  CHECK(json::print(mask) == R"("aB.cD,x,a__b,a_1,_a,aB,a_")");
}

TEST_CASE("maps by ascending key") {
  kinds::Maps m;
  for (const auto* key : {"b", "a", "c\""}) (*m.mutable_by_string())[key] = key;
  (*m.mutable_by_bool())[true] = kinds::CAMPAIGN_STAGE_DRAFT;
  (*m.mutable_by_int64())[-5] = 0.5;
  CHECK(
      json::print(m) ==
      R"({"by_string":{"a":"a","b":"b","c\"":"c\""},"by_int32":{},"by_int64":{"-5":0.5},)"
      R"("by_uint32":{},"by_uint64":{},"by_bool":{"true":"CAMPAIGN_STAGE_DRAFT"},"messages":{},"times":{}})");
}

TEST_CASE("an Any shows what it holds, or its bytes") {
  google::protobuf::Any any;
  CHECK(json::print(any) == "{}");
  kinds::Choice choice;
  choice.set_text("x");
  any.PackFrom(choice);
  CHECK(json::print(any) == R"({"@type":"type.googleapis.com/cx.test.json.Choice","text":"x","beside":""})");
  google::protobuf::Duration duration;
  duration.set_seconds(1);
  any.PackFrom(duration);
  CHECK(json::print(any) == R"({"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"})");
  any.set_type_url("a/b.Unknown");
  any.set_value("f");
  CHECK(json::print(any) == R"({"@type":"a/b.Unknown","value":"Zg=="})");
  any.set_type_url("a/cx.test.json.Choice");
  CHECK(json::print(any) == R"({"@type":"a/cx.test.json.Choice","value":"Zg=="})");
}

TEST_CASE("an Any nested without end is printed up to a depth") {
  google::protobuf::Any any;
  for (int i = 0; i < 2'000; ++i) {
    google::protobuf::Any outer;
    outer.PackFrom(any);
    any = outer;
  }
  CHECK(json::print(any).ends_with("}"));
}

TEST_CASE("internal fields are never shown, secret and personal ones are masked on request") {
  kinds::Ruled m;
  m.set_tenant("TENANT");
  m.set_created_by("ann");
  m.set_password("PASSWORD");
  m.set_email("EMAIL");
  m.set_token("TOKEN");
  m.set_pin(4711);
  m.mutable_inner()->set_shard("SHARD");
  kinds::Inner inner;
  inner.set_shard("SHARD");
  inner.mutable_again()->set_password("PASSWORD");
  m.mutable_payload()->PackFrom(inner);
  const auto has = [](const std::string& text, const char* word) {
    return text.find(word) != std::string::npos;
  };
  const auto open = json::print(m), masked = json::print(m, {.mask = true});
  for (const auto* word : {"tenant", "TENANT", "shard", "SHARD"}) {
    CHECK(!has(open, word));
    CHECK(!has(masked, word));
  }
  for (const auto* word : {"PASSWORD", "EMAIL", "4711", "VE9LRU4="}) {
    CHECK(has(open, word));
    CHECK(!has(masked, word));
  }
  CHECK(has(masked, R"("created_by":"ann","password":"***","email":"***","token":"***")"));
  CHECK(has(masked, R"("pin":"***")"));
}

TEST_CASE("threads may meet a type for the first time together") {
  kinds::Everything m;
  m.mutable_tree()->set_name("x");
  std::vector<std::string> texts(8);
  {
    std::vector<std::jthread> threads;
    for (auto& text : texts) threads.emplace_back([&] { text = json::print(m); });
  }
  for (const auto& text : texts) CHECK(text == texts[0]);
}

TEST_CASE("printing appends") {
  std::string out = "data: ";
  json::print(kinds::Optionals(), out);
  CHECK(out == "data: {}");
}

}  // namespace
