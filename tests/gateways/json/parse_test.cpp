#include <cmath>
#include <doctest/doctest.h>
#include <map>

#include "gateways/json/codec.hpp"
#include "kinds.pb.h"

namespace {

using namespace cx;
namespace kinds = cx::test::json;
using google::protobuf::Message;

template <class T>
T parsed(const std::string& text) {
  T out;
  const auto error = json::parse(text, out);
  INFO(text);
  REQUIRE_MESSAGE(!error, error->detail);
  return out;
}

struct Bad {
  const char* json;
  const char* type;
  const char* pointer;
  const char* words;  ///< that the detail contains
};

template <class T>
void refused(const std::vector<Bad>& table) {
  for (const auto& bad : table) {
    T out;
    const auto error = json::parse(bad.json, out);
    INFO(std::string(bad.json));
    REQUIRE(error);
    CAPTURE(error->detail);
    CHECK(error->code == Code::invalid_argument);
    CHECK(error->type == bad.type);
    CHECK(error->pointer == std::string(bad.pointer));
    CHECK(error->detail.find(bad.words) != std::string::npos);
  }
}

std::string nested(std::size_t depth, const std::string& open, const std::string& close,
                   const std::string& core) {
  std::string out;
  for (std::size_t i = 0; i < depth; ++i) out += open;
  out += core;
  for (std::size_t i = 0; i < depth; ++i) out += close;
  return out;
}

TEST_CASE("scalars are read as the mapping says") {
  const auto m = parsed<kinds::Scalars>(R"({
    "f_double": 1e3, "fFloat": -1.5, "f_int32": -2147483648, "f_int64": "-9223372036854775808", "fUint32": 4294967295,
    "f_uint64": 18446744073709551615, "f_sint32": 1.0, "f_sint64": 1e3, "f_fixed32": "7", "f_fixed64": "18446744073709551615",
    "f_sfixed32": -0, "f_sfixed64": 9007199254740993, "f_bool": true, "f_string": "a\u00e9\ud83d\ude00\n\u0000",
    "f_bytes": "-_8=", "f_stage": "CAMPAIGN_STAGE_DRAFT", "f_verb": 2})");
  CHECK(m.f_double() == 1000);
  CHECK(m.f_float() == -1.5F);
  CHECK(m.f_int32() == std::numeric_limits<std::int32_t>::min());
  CHECK(m.f_int64() == std::numeric_limits<std::int64_t>::min());
  CHECK(m.f_uint32() == 4294967295);
  CHECK(m.f_uint64() == std::numeric_limits<std::uint64_t>::max());
  CHECK(m.f_sint32() == 1);
  CHECK(m.f_sint64() == 1000);
  CHECK(m.f_fixed32() == 7);
  CHECK(m.f_sfixed64() == 9007199254740993);
  CHECK(m.f_bool());
  CHECK(m.f_string() == std::string("aé😀\n\0", 9));
  CHECK(m.f_bytes() == "\xfb\xff");
  CHECK(m.f_stage() == kinds::CAMPAIGN_STAGE_DRAFT);
  CHECK(m.f_verb() == kinds::PUT);
}

TEST_CASE("an enum's value goes by its name, its short name and its number") {
  for (const auto* name : {"\"CAMPAIGN_STAGE_IN_REVIEW\"", "\"in_review\"", "\"In_Review\"", "\"IN_REVIEW\"",
                           "\"campaign_stage_in_review\"", "2", "2.0"}) {
    CAPTURE(name);
    CHECK(parsed<kinds::Scalars>("{\"f_stage\":" + std::string(name) + "}").f_stage() ==
          kinds::CAMPAIGN_STAGE_IN_REVIEW);
  }
  CHECK(parsed<kinds::Scalars>(R"({"f_verb":"get"})").f_verb() == kinds::GET);
}

TEST_CASE("base64 of either alphabet, padded or not") {
  const std::map<std::string, std::string> table = {{"", ""},
                                                    {"Zg==", "f"},
                                                    {"Zg", "f"},
                                                    {"Zm8=", "fo"},
                                                    {"Zm8", "fo"},
                                                    {"Zm9v", "foo"},
                                                    {"Zm9vYg", "foob"},
                                                    {"+/+/", "\xfb\xff\xbf"},
                                                    {"-_-_", "\xfb\xff\xbf"}};
  for (const auto& [text, bytes] : table)
    CHECK(parsed<kinds::Scalars>("{\"f_bytes\":\"" + text + "\"}").f_bytes() == bytes);
  for (const std::string text :
       {"Z", "Zg=", "Zg===", "Zh", "Zm9=", "Zm9v=", "Zm9v====", "====", "=", "Z g=", "Zg==Zg=="}) {
    kinds::Scalars out;
    CAPTURE(text);
    const auto error = json::parse("{\"f_bytes\":\"" + text + "\"}", out);
    REQUIRE(error);
    CHECK(error->type == "invalid-value");
  }
}

TEST_CASE("floats round to the nearest, overflow is refused, underflow is zero") {
  CHECK(parsed<kinds::Scalars>(R"({"f_double":1e-400})").f_double() == 0);
  CHECK(parsed<kinds::Scalars>(R"({"f_double":-0.000e999999999999999999999})").f_double() == 0);
  CHECK(parsed<kinds::Scalars>(R"({"f_float":1e-60})").f_float() == 0);
  CHECK(parsed<kinds::Scalars>(R"({"f_float":3.4028234663852886e38})").f_float() ==
        std::numeric_limits<float>::max());
  CHECK(parsed<kinds::Scalars>(R"({"f_double":123456789012345678901234567890})").f_double() ==
        123456789012345678901234567890.0);
  CHECK(parsed<kinds::Scalars>(R"({"f_double":"1.5"})").f_double() == 1.5);
  CHECK(std::isnan(parsed<kinds::Scalars>(R"({"f_double":"NaN"})").f_double()));
  CHECK(parsed<kinds::Scalars>(R"({"f_float":"-Infinity"})").f_float() ==
        -std::numeric_limits<float>::infinity());
}

TEST_CASE("well-known types have their own shapes") {
  const auto m = parsed<kinds::Known>(R"({
    "time": "2026-01-31T10:00:20.021+01:30", "duration": "-1.000000001s", "mask": "aB,c.dEf,g_h",
    "any": {"value": "3s", "@type": "type.googleapis.com/google.protobuf.Duration"},
    "object": {"a": [1, null, {"b": "c"}]}, "value": null, "list": [true, []], "empty": {}, "null": null,
    "w_double": "NaN", "w_int64": "5", "w_uint32": 7, "w_bool": false, "w_string": "", "w_bytes": "Zg==",
    "values": [null, 1]})");
  CHECK(m.time().seconds() == 1769848220);
  CHECK(m.time().nanos() == 21'000'000);
  CHECK(m.duration().seconds() == -1);
  CHECK(m.duration().nanos() == -1);
  REQUIRE(m.mask().paths_size() == 3);
  CHECK(m.mask().paths(0) == "a_b");
  CHECK(m.mask().paths(1) == "c.d_ef");
  CHECK(m.mask().paths(2) == "g_h");
  google::protobuf::Duration held;
  CHECK(m.any().UnpackTo(&held));
  CHECK(held.seconds() == 3);
  CHECK(m.object().fields().at("a").list_value().values(2).struct_value().fields().at("b").string_value() ==
        "c");
  CHECK(m.value().kind_case() == google::protobuf::Value::kNullValue);
  CHECK(m.list().values(1).has_list_value());
  CHECK(m.has_empty());
  CHECK(std::isnan(m.w_double().value()));
  CHECK(m.w_int64().value() == 5);
  CHECK(m.has_w_bool());
  CHECK(m.values(0).kind_case() == google::protobuf::Value::kNullValue);
}

TEST_CASE("an Any's type may stand anywhere in it, and Any holds Any") {
  const auto m = parsed<kinds::Known>(R"({"anys": [
    {"f_int32": 5, "@type": "type.googleapis.com/cx.test.json.Scalars", "f_string": "x\ny"},
    {"@type": "a/google.protobuf.Any", "value": {"@type": "b/google.protobuf.Empty"}},
    {"@type": "a/cx.test.json.Known", "any": {"name": "n\n", "@type": "b/cx.test.json.Tree", "left": {"name": "m"}}},
    {}]})");
  kinds::Scalars scalars;
  REQUIRE(m.anys(0).UnpackTo(&scalars));
  CHECK(scalars.f_int32() == 5);
  CHECK(scalars.f_string() == "x\ny");
  google::protobuf::Any any;
  REQUIRE(m.anys(1).UnpackTo(&any));
  CHECK(any.type_url() == "b/google.protobuf.Empty");
  kinds::Known known;
  kinds::Tree tree;
  REQUIRE(m.anys(2).UnpackTo(&known));
  REQUIRE(known.any().UnpackTo(&tree));
  CHECK(tree.left().name() == "m");
  CHECK(m.anys(3).type_url().empty());
}

TEST_CASE("a document may be a well-known type of its own") {
  CHECK(parsed<google::protobuf::Timestamp>("\"1970-01-01T00:00:01Z\"").seconds() == 1);
  CHECK(parsed<google::protobuf::Int64Value>(" 7 ").value() == 7);
  CHECK(parsed<google::protobuf::ListValue>("[1,2]").values_size() == 2);
  CHECK(parsed<google::protobuf::Value>("null").kind_case() == google::protobuf::Value::kNullValue);
}

TEST_CASE("null is absent, and so is an empty body") {
  const auto m = parsed<kinds::Everything>(
      R"({"scalars": null, "optionals": {"f_int32": null, "f_bool": false}, "lists": {"f_int32": null}, "maps": null,
          "choice": {"text": null, "number": "1"}})");
  CHECK(!m.has_scalars());
  CHECK(!m.optionals().has_f_int32());
  CHECK(m.optionals().has_f_bool());
  CHECK(m.choice().number() == 1);
  for (const auto* empty : {"", " \t\r\n", "{}", " { } "})
    CHECK(parsed<kinds::Everything>(empty).ByteSizeLong() == 0);
  kinds::Scalars used;
  used.set_f_int32(1);
  CHECK(!json::parse("{}", used));
  CHECK(used.f_int32() == 0);
}

TEST_CASE("what the node alone sets is unknown or ignored") {
  const auto m = parsed<kinds::Ruled>(
      R"({"title": "t", "created_by": {"any": ["thing", 1e999]}, "stats": {"unknown": 1}, "inner": {"seenAt": null}})");
  CHECK(m.created_by().empty());
  CHECK(!m.has_stats());
  refused<kinds::Ruled>({
      {R"({"tenant": "x"})", "unknown-field", "/tenant", "Ruled has no such field"},
      {R"({"inners": {"a/b": {"shard": "x"}}})", "unknown-field", "/inners/a~1b/shard",
       "/inners/a~1b/shard is unknown"},
      {R"({"created_by": [1,})", "malformed-json", "/created_by/1", "misplaced"},
      {R"({"created_by": [1, trueish]})", "malformed-json", "/created_by/1", ""},
      {R"({"created_by": "\x"})", "malformed-json", "/created_by", "escape"},
      {R"({"payload": {"@type": "x/cx.test.json.Inner", "shard": "1"}})", "unknown-field", "/payload/shard",
       ""},
  });
}

TEST_CASE("every complaint points to its cause") {
  refused<kinds::Everything>({
      {R"({"scalar": {}})", "unknown-field", "/scalar", "did you mean scalars?"},
      {R"({"scalars": {"f_int23": 1}})", "unknown-field", "/scalars/f_int23", "did you mean f_int32?"},
      {R"({"scalars": {"fInt23": 1}})", "unknown-field", "/scalars/fInt23", "did you mean f_int32?"},
      {R"({"nothing": {}})", "unknown-field", "/nothing",
       "its fields are scalars, optionals, lists, maps, choice, known, tree, odd_name_2."},
      {R"({"": 1})", "unknown-field", "/", "its fields are"},
      {R"({"a/b~c": 1})", "unknown-field", "/a~1b~0c", ""},
      {R"({"custom/~name": 1})", "wrong-type", "/custom~1~0name", "must be a string, but is a number."},
      {R"({"scalars": []})", "wrong-type", "/scalars", "must be an object, but is a list."},
      {R"({"scalars": "x"})", "wrong-type", "/scalars", "must be an object, but is a string."},
      {R"([])", "wrong-type", "", "The document must be an object, but is a list."},
      {R"(null)", "wrong-type", "", "The document must be an object, but is null."},
      {R"("x")", "wrong-type", "", "The document must be an object, but is a string."},
      {R"({"lists": {"f_int32": 1}})", "wrong-type", "/lists/f_int32", "must be a list, but is a number."},
      {R"({"lists": {"f_int32": [1, "a"]}})", "wrong-type", "/lists/f_int32/1", "but is \"a\"."},
      {R"({"lists": {"f_int32": [null]}})", "wrong-type", "/lists/f_int32/0", "but is null."},
      {R"({"lists": {"f_scalars": [{}, null]}})", "wrong-type", "/lists/f_scalars/1",
       "must be an object, but is null."},
      {R"({"lists": {"f_times": ["1970-01-01T00:00:00Z", "x"]}})", "invalid-value", "/lists/f_times/1",
       "a time like"},
      {R"({"maps": {"by_string": {"k": null}}})", "wrong-type", "/maps/by_string/k", "but is null."},
      {R"({"maps": {"by_string": []}})", "wrong-type", "/maps/by_string",
       "must be an object, but is a list."},
      {R"({"maps": {"by_int32": {"x": 1}}})", "invalid-value", "/maps/by_int32/x",
       "has a key that must be a whole number"},
      {R"({"maps": {"by_int32": {"1.0": 1}}})", "invalid-value", "/maps/by_int32/1.0", "plain digits"},
      {R"({"maps": {"by_int32": {"-0": 1}}})", "invalid-value", "/maps/by_int32/-0", "plain digits"},
      {R"({"maps": {"by_uint32": {"4294967296": ""}}})", "out-of-range", "/maps/by_uint32/4294967296",
       "from 0 to 4294967295"},
      {R"({"maps": {"by_bool": {"True": 1}}})", "invalid-value", "/maps/by_bool/True", "true or false"},
      {R"({"maps": {"by_string": {"a": "", "a": ""}}})", "duplicate-field", "/maps/by_string/a", "twice"},
      {R"({"maps": {"by_string": {"a": "", "\u0061": ""}}})", "duplicate-field", "/maps/by_string/a",
       "twice"},
      {R"({"scalars": {"f_int32": 1, "fInt32": 1}})", "duplicate-field", "/scalars/fInt32", "twice"},
      {R"({"scalars": null, "scalars": {}})", "duplicate-field", "/scalars", "twice"},
      {R"({"scalars": {"f_int32": 2147483648}})", "out-of-range", "/scalars/f_int32", "but is 2147483648."},
      {R"({"scalars": {"f_int32": 1.5}})", "invalid-value", "/scalars/f_int32", "must be a whole number"},
      {R"({"scalars": {"f_int64": 1e-999}})", "invalid-value", "/scalars/f_int64", ""},
      {R"({"scalars": {"f_int64": 1e300}})", "out-of-range", "/scalars/f_int64", ""},
      {R"({"scalars": {"f_int64": 9007199254740993.0}})", "invalid-value", "/scalars/f_int64", ""},
      {R"({"scalars": {"f_int64": "9223372036854775808"}})", "out-of-range", "/scalars/f_int64",
       "9223372036854775808\""},
      {R"({"scalars": {"f_uint64": -1}})", "out-of-range", "/scalars/f_uint64",
       "from 0 to 18446744073709551615"},
      {R"({"scalars": {"f_uint64": 99999999999999999999999}})", "out-of-range", "/scalars/f_uint64", ""},
      {R"({"scalars": {"f_int32": true}})", "wrong-type", "/scalars/f_int32", "but is true or false."},
      {R"({"scalars": {"f_int32": " 1"}})", "wrong-type", "/scalars/f_int32", "but is \" 1\"."},
      {R"({"scalars": {"f_int32": "01"}})", "wrong-type", "/scalars/f_int32", ""},
      {R"({"scalars": {"f_int32": {}}})", "wrong-type", "/scalars/f_int32", "but is an object."},
      {R"({"scalars": {"f_bool": "true"}})", "wrong-type", "/scalars/f_bool",
       "must be true or false, but is a string."},
      {R"({"scalars": {"f_bool": 1}})", "wrong-type", "/scalars/f_bool", "but is a number."},
      {R"({"scalars": {"f_string": 1}})", "wrong-type", "/scalars/f_string",
       "must be a string, but is a number."},
      {R"({"scalars": {"f_bytes": "%"}})", "invalid-value", "/scalars/f_bytes", "must be a string of base64"},
      {R"({"scalars": {"f_double": 1e400}})", "out-of-range", "/scalars/f_double", "must be a number"},
      {R"({"scalars": {"f_float": -3.5e38}})", "out-of-range", "/scalars/f_float", "must be a number"},
      {R"({"scalars": {"f_double": "inf"}})", "wrong-type", "/scalars/f_double", "\"Infinity\""},
      {R"({"scalars": {"f_stage": "drat"}})", "invalid-value", "/scalars/f_stage",
       "must be one of CAMPAIGN_STAGE_UNSPECIFIED, CAMPAIGN_STAGE_DRAFT, CAMPAIGN_STAGE_IN_REVIEW, "
       "CAMPAIGN_STAGE_LIVE"},
      {R"({"scalars": {"f_stage": 3}})", "invalid-value", "/scalars/f_stage", "but is 3."},
      {R"({"scalars": {"f_stage": "1"}})", "invalid-value", "/scalars/f_stage", "but is \"1\"."},
      {R"({"scalars": {"f_stage": true}})", "wrong-type", "/scalars/f_stage", ""},
      {R"({"choice": {"text": "a", "number": 1}})", "oneof-conflict", "/choice/number",
       "/choice/number and text exclude"},
      {R"({"choice": {"scalars": {}, "nothing": {}}})", "oneof-conflict", "/choice/nothing", ""},
      {R"({"choice": {"nothing": {"x": 1}}})", "unknown-field", "/choice/nothing/x", "it has none."},
      {R"({"known": {"time": 5}})", "wrong-type", "/known/time", "but is a number."},
      {R"({"known": {"time": "2026-02-30T00:00:00Z"}})", "out-of-range", "/known/time", "2026-02-30"},
      {R"({"known": {"time": "2026-01-01T24:00:00Z"}})", "out-of-range", "/known/time", ""},
      {R"({"known": {"time": "0001-01-01T00:00:00+00:01"}})", "out-of-range", "/known/time", ""},
      {R"({"known": {"time": "0000-01-01T00:00:00Z"}})", "out-of-range", "/known/time", ""},
      {R"({"known": {"time": "2026-01-01 00:00:00Z"}})", "invalid-value", "/known/time", ""},
      {R"({"known": {"time": "2026-01-01T00:00:00"}})", "invalid-value", "/known/time", ""},
      {R"({"known": {"time": "2026-01-01T00:00:00.Z"}})", "invalid-value", "/known/time", ""},
      {R"({"known": {"time": "2026-01-01T00:00:00.1234567890Z"}})", "invalid-value", "/known/time", ""},
      {R"({"known": {"time": "2026-01-01T00:00:00Zx"}})", "invalid-value", "/known/time", ""},
      {R"({"known": {"duration": "1"}})", "invalid-value", "/known/duration", "a duration in seconds"},
      {R"({"known": {"duration": "315576000000.1s"}})", "out-of-range", "/known/duration", ""},
      {R"({"known": {"duration": "99999999999999999999s"}})", "out-of-range", "/known/duration", ""},
      {R"({"known": {"duration": "1.s"}})", "invalid-value", "/known/duration", ""},
      {R"({"known": {"mask": "a,,b"}})", "invalid-value", "/known/mask", "names of fields"},
      {R"({"known": {"mask": "a,"}})", "invalid-value", "/known/mask", ""},
      {R"({"known": {"mask": "a.b c"}})", "invalid-value", "/known/mask", ""},
      {R"({"known": {"mask": "Ab"}})", "invalid-value", "/known/mask", ""},
      {R"({"known": {"mask": "a_B"}})", "invalid-value", "/known/mask", ""},
      {R"({"known": {"mask": ["a"]}})", "wrong-type", "/known/mask", "but is a list."},
      {R"({"known": {"any": {"a": 1}}})", "unknown-type", "/known/any/@type", "has no \"@type\""},
      {R"({"known": {"any": {"@type": "Nothing"}}})", "unknown-type", "/known/any/@type",
       "\"Nothing\", which is no type"},
      {R"({"known": {"any": {"@type": "a/b.Nothing"}}})", "unknown-type", "/known/any/@type", ""},
      {R"({"known": {"any": {"@type": 1}}})", "wrong-type", "/known/any/@type", "must be a string"},
      {R"({"known": {"any": {"@type": "a/cx.test.json.Tree", "nam": ""}}})", "unknown-field",
       "/known/any/nam", "did you mean name?"},
      {R"({"known": {"any": {"@type": "a/cx.test.json.Tree", "@type": "a/cx.test.json.Tree"}}})",
       "duplicate-field", "/known/any/@type", ""},
      {R"({"known": {"any": {"@type": "a/cx.test.json.Tree", "\u0040type": "x"}}})", "duplicate-field",
       "/known/any/@type", ""},
      {R"({"known": {"any": {"@type": "a/google.protobuf.Duration", "seconds": 1}}})", "unknown-field",
       "/known/any/seconds", "\"value\""},
      {R"({"known": {"any": {"@type": "a/google.protobuf.Duration"}}})", "wrong-type", "/known/any",
       "has no \"value\""},
      {R"({"known": {"object": [1]}})", "wrong-type", "/known/object", "must be an object"},
      {R"({"known": {"object": {"a": {"b": 1e999}}}})", "out-of-range", "/known/object/a/b", ""},
      {R"({"known": {"object": {"a": 1, "a": 2}}})", "duplicate-field", "/known/object/a", ""},
      {R"({"known": {"list": {}}})", "wrong-type", "/known/list", "must be a list"},
      {R"({"known": {"w_int32": "x"}})", "wrong-type", "/known/w_int32", ""},
      {R"({"known": {"w_string": {"value": ""}}})", "wrong-type", "/known/w_string", "must be a string"},
      {R"({"tree": {"children": [{}, {"children": [{"nam": 1}]}]}})", "unknown-field",
       "/tree/children/1/children/0/nam", "did you mean name?"},
  });
}

TEST_CASE("what is not JSON is refused") {
  refused<kinds::Everything>({
      {"{", "malformed-json", "", ""},
      {"}", "malformed-json", "", ""},
      {"{} {}", "malformed-json", "", ""},
      {"{},{}", "malformed-json", "", ""},
      {"{}],[{}", "malformed-json", "", ""},
      {"{}]", "malformed-json", "", ""},
      {"[{}", "wrong-type", "", ""},
      {"{}x", "malformed-json", "", ""},
      {"x", "malformed-json", "", ""},
      {",", "malformed-json", "", ""},
      {"{\"scalars\"}", "malformed-json", "", ""},
      {"{\"scalars\":}", "malformed-json", "/scalars", ""},
      {"{\"scalars\":{},}", "malformed-json", "", ""},
      {"{\"scalars\":{} \"lists\":{}}", "malformed-json", "", ""},
      {"{scalars:{}}", "malformed-json", "", ""},
      {"{'scalars':{}}", "malformed-json", "", ""},
      {"{\"scalars\":{\"f_int32\":01}}", "malformed-json", "/scalars/f_int32", "a number is malformed"},
      {"{\"scalars\":{\"f_int32\":+1}}", "malformed-json", "/scalars/f_int32", ""},
      {"{\"scalars\":{\"f_int32\":1.}}", "malformed-json", "/scalars/f_int32", "a number is malformed"},
      {"{\"scalars\":{\"f_int32\":1a}}", "malformed-json", "/scalars/f_int32", "a number is malformed"},
      {"{\"scalars\":{\"f_int32\":-}}", "malformed-json", "/scalars/f_int32", "a number is malformed"},
      {"{\"scalars\":{\"f_double\":NaN}}", "malformed-json", "/scalars/f_double", ""},
      {"{\"scalars\":{\"f_bool\":truth}}", "malformed-json", "/scalars/f_bool", ""},
      {"{\"scalars\":nul}", "malformed-json", "/scalars", ""},
      {"{\"scalars\":{\"f_string\":\"a", "malformed-json", "", "truncated"},
      {"{\"scalars\":{\"f_string\":\"\n\"}}", "malformed-json", "", "raw control character"},
      {"{\"scalars\":{\"f_string\":\"\\q\"}}", "malformed-json", "/scalars/f_string", "invalid escape"},
      {"{\"scalars\":{\"f_string\":\"\\ud800\"}}", "malformed-json", "/scalars/f_string", "invalid escape"},
      {"{\"scalars\":{\"f_string\":\"\\udc00\"}}", "malformed-json", "/scalars/f_string", "invalid escape"},
      {"{\"scalars\":{\"f_string\":\"\xff\"}}", "malformed-json", "", "not valid UTF-8"},
      {"{\"scalars\":{\"f_string\":\"\xed\xa0\x80\"}}", "malformed-json", "", "not valid UTF-8"},
      {"\xef\xbb\xbf{}", "malformed-json", "", ""},
      {"{\"lists\":{\"f_int32\":[1 2]}}", "malformed-json", "/lists/f_int32/1", ""},
      {"{\"lists\":{\"f_int32\":[1,]}}", "malformed-json", "/lists/f_int32/1", ""},
      {"{\"lists\":{\"f_int32\":[1}}", "malformed-json", "/lists/f_int32/1", ""},
      {"{} // comment", "malformed-json", "", ""},
  });
}

TEST_CASE("nesting ends at 64 levels, wherever it happens") {
  kinds::Tree tree;
  CHECK(!json::parse(nested(63, R"({"left":)", "}", "{}"), tree));
  auto error = json::parse(nested(64, R"({"left":)", "}", "{}"), tree);
  REQUIRE(error);
  CHECK(error->type == "too-deep");
  google::protobuf::Value value;
  CHECK(!json::parse(nested(64, "[", "]", "1"), value));
  for (const std::size_t depth : {65, 1000, 100'000}) {
    CHECK(json::parse(nested(depth, "[", "]", "1"), value)->type == "too-deep");
    CHECK(json::parse(nested(depth, "[", "", ""), value)->type == "too-deep");
    CHECK(json::parse(nested(depth, R"({"":)", "}", "1"), value)->type == "too-deep");
    kinds::Ruled ruled;
    CHECK(json::parse(R"({"created_by":)" + nested(depth, "[", "]", "") + "}", ruled)->type == "too-deep");
    google::protobuf::Any any;
    CHECK(json::parse(nested(depth, R"({"@type":"a/google.protobuf.Any","value":)", "}", "{}"), any)->type ==
          "too-deep");
  }
}

TEST_CASE("a long name is cut in the answer, between characters") {
  std::string name;
  for (int i = 0; i < 100'000; ++i) name += "é";
  kinds::Tree tree;
  const auto error = json::parse("{\"" + name + "\":1}", tree);
  REQUIRE(error);
  CHECK(error->pointer.size() == 101);
  CHECK(error->detail.size() < 500);
}

TEST_CASE("a list longer than allowed is refused while it is read") {
  refused<kinds::Ruled>({
      {R"({"tags": ["a", "b", "c", "d"]})", "too-many-items", "/tags", "more than 3 items"},
      {R"({"inners": {"a": {}, "b": {}, "c": {}}})", "too-many-items", "/inners", "more than 2 items"},
  });
}

TEST_CASE("secrets and personal data are not repeated in complaints") {
  for (const auto* text : {R"({"token": "s3cr3t%"})", R"({"pin": "s3cr3t"})", R"({"pin": "12345678901"})"}) {
    kinds::Ruled out;
    const auto error = json::parse(text, out);
    REQUIRE(error);
    CHECK(error->detail.find("s3cr3t") == std::string::npos);
    CHECK(error->detail.find("12345678901") == std::string::npos);
  }
}

TEST_CASE("the paths of a patch are its leaves") {
  struct Row {
    const char* json;
    std::vector<std::string> paths;
  };
  const std::vector<Row> table = {
      {"{}", {}},
      {R"({"title": "x"})", {"title"}},
      {R"({"title": null, "atTime": "1970-01-01T00:00:00Z"})", {"title", "at_time"}},
      {R"({"inner": {"title": "x", "inner": {"title": "y"}}, "title": ""})",
       {"inner.title", "inner.inner.title", "title"}},
      {R"({"inner": {}})", {"inner"}},
      {R"({"inner": null})", {"inner"}},
      {R"({"inner": {"etag": "x"}})", {}},
      {R"({"etag": "x", "inner": {"etag": "y", "inner": {}}})", {"inner.inner"}},
      {R"({"list": [{"title": "x"}], "map": {"a": {"inner": {"title": "x"}}}})", {"list", "map"}},
      {R"({"object": {"a": {"b": 1}}})", {"object"}},
  };
  for (const auto& row : table) {
    kinds::Patch out;
    std::vector<std::string> present;
    CAPTURE(row.json);
    CHECK(!json::parse(row.json, out, {.present = &present}));
    CHECK(present == row.paths);
  }
}

TEST_CASE("parameters set fields by their path") {
  kinds::Everything m;
  const std::vector<std::pair<const char*, const char*>> table = {{"scalars.f_int64", "-5"},
                                                                  {"scalars.fUint32", "7"},
                                                                  {"scalars.f_bool", "true"},
                                                                  {"scalars.f_string", "a b"},
                                                                  {"scalars.f_bytes", "Zg"},
                                                                  {"scalars.f_stage", "draft"},
                                                                  {"scalars.f_verb", "2"},
                                                                  {"scalars.f_double", "1e3"},
                                                                  {"scalars.f_float", "NaN"},
                                                                  {"lists.f_int32", "1"},
                                                                  {"lists.f_int32", "2"},
                                                                  {"lists.f_times", "1970-01-01T00:00:01Z"},
                                                                  {"known.time", "1970-01-01T00:00:02Z"},
                                                                  {"known.duration", "3s"},
                                                                  {"known.mask", "aB,c"},
                                                                  {"known.w_int64", "9"},
                                                                  {"known.w_string", ""},
                                                                  {"optionals.f_scalars.f_int32", "1"},
                                                                  {"choice.number", "1"},
                                                                  {"choice.number", "2"},
                                                                  {"known.mask", "d"}};
  for (const auto& [path, text] : table) {
    const auto error = json::set_field(m, path, text);
    CAPTURE(path);
    REQUIRE_MESSAGE(!error, error->detail);
  }
  CHECK(m.scalars().f_int64() == -5);
  CHECK(m.scalars().f_uint32() == 7);
  CHECK(m.scalars().f_bool());
  CHECK(m.scalars().f_string() == "a b");
  CHECK(m.scalars().f_bytes() == "f");
  CHECK(m.scalars().f_stage() == kinds::CAMPAIGN_STAGE_DRAFT);
  CHECK(m.scalars().f_verb() == kinds::PUT);
  CHECK(m.lists().f_int32_size() == 2);
  CHECK(m.lists().f_times(0).seconds() == 1);
  CHECK(m.known().time().seconds() == 2);
  CHECK(m.known().duration().seconds() == 3);
  REQUIRE(m.known().mask().paths_size() == 1);
  CHECK(m.known().mask().paths(0) == "d");
  CHECK(m.known().w_int64().value() == 9);
  CHECK(m.known().has_w_string());
  CHECK(m.optionals().f_scalars().f_int32() == 1);
  CHECK(m.choice().number() == 2);
}

TEST_CASE("a parameter that does not fit is named") {
  struct Row {
    std::string path, text, type, pointer, words;
  };
  const std::vector<Row> table = {
      {"scalar.f_int32", "1", "unknown-field", "/scalar",
       "\"scalar.f_int32\" is unknown: Everything has no field \"scalar\"; did you mean scalars?"},
      {"scalars.f_int23", "1", "unknown-field", "/scalars/f_int23", "did you mean f_int32?"},
      {"scalars.f_int32.x", "1", "unknown-field", "/scalars/f_int32", "holds no fields"},
      {"lists.f_scalars.f_int32", "1", "unknown-field", "/lists/f_scalars", "holds no fields"},
      {"known.time.seconds", "1", "unknown-field", "/known/time", "holds no fields"},
      {"", "1", "unknown-field", "/", ""},
      {".", "1", "unknown-field", "/", ""},
      {"scalars.", "1", "unknown-field", "/scalars/", ""},
      {"scalars", "1", "wrong-type", "/scalars", "not a single value"},
      {"maps.by_string", "1", "wrong-type", "/maps/by_string", "not a single value"},
      {"known.object", "{}", "wrong-type", "/known/object", "not a single value"},
      {"scalars.f_int32", "", "invalid-value", "/scalars/f_int32",
       "The parameter \"scalars.f_int32\" must be a whole number from -2147483648"},
      {"scalars.f_int32", "x", "invalid-value", "/scalars/f_int32", "but is \"x\"."},
      {"scalars.f_int32", "2147483648", "out-of-range", "/scalars/f_int32", ""},
      {"scalars.f_bool", "1", "invalid-value", "/scalars/f_bool", "true or false"},
      {"scalars.f_stage", "gone", "invalid-value", "/scalars/f_stage", "one of CAMPAIGN_STAGE_UNSPECIFIED"},
      {"known.time", "yesterday", "invalid-value", "/known/time", "a time like"},
      {"scalars.f_string", "\xff", "invalid-value", "/scalars.f_string", "UTF-8"},
      {"\xff", "", "unknown-field", "", "UTF-8"},
  };
  for (const auto& row : table) {
    kinds::Everything m;
    const auto error = json::set_field(m, row.path, row.text);
    CAPTURE(row.path);
    REQUIRE(error);
    CAPTURE(error->detail);
    CHECK(error->type == row.type);
    CHECK(error->pointer == row.pointer);
    CHECK(error->detail.find(row.words) != std::string::npos);
  }
  kinds::Everything m;
  CHECK(!json::set_field(m, "choice.text", "a"));
  CHECK(json::set_field(m, "choice.number", "1")->type == "oneof-conflict");
  kinds::Ruled ruled;
  CHECK(json::set_field(ruled, "tenant", "x")->type == "unknown-field");
  CHECK(!json::set_field(ruled, "created_by", "x"));
  CHECK(ruled.created_by().empty());
  std::string deep = "left";
  for (int i = 0; i < 100'000; ++i) deep += ".left";
  kinds::Tree tree;
  CHECK(json::set_field(tree, deep, "x")->type == "unknown-field");
}

}  // namespace
