#include <doctest/doctest.h>
#include <vector>

#include "tests/actors/bidding/openrtb/parsed.hpp"

namespace cx::openrtb {
namespace {

struct Case {
  std::string body;
  std::string pointer;
  std::string detail;  ///< a part of it
};

void check_refused(const std::vector<Case>& cases) {
  for (const auto& [body, pointer, detail] : cases) {
    CAPTURE(body);
    const Parsed parsed(body);
    REQUIRE(parsed.error);
    CHECK(parsed.error->code == Code::invalid_argument);
    CHECK(parsed.error->type == "invalid-bid-request");
    CHECK(parsed.error->pointer == pointer);
    CHECK_MESSAGE(parsed.error->detail.find(detail) != std::string::npos, parsed.error->detail);
  }
}

std::string many_imps(int count) {
  std::string body = R"({"id":"r","imp":[)";
  for (int i = 0; i < count; ++i) {
    body.append(i == 0 ? "" : ",").append(R"({"id":")").append(std::to_string(i)).append(R"(","banner":{}})");
  }
  return body + "]}";
}

/// The outermost of `depth` levels is the request.
std::string nested(int depth) {
  return with_top(R"("ext":)" + std::string(depth - 1, '[') + "0" + std::string(depth - 1, ']'));
}

TEST_CASE("a body that is not one JSON object is refused") {
  check_refused({
      {"", "", "empty"},
      {" \n", "", "empty"},
      {"[]", "", "The body is empty; it must be an object"},
      {"[1]", "", "The body is an array; it must be an object"},
      {"7", "", "The body is 7"},
      {"null", "", "The body is null"},
      {"nonsense", "", "not JSON"},
      {"{", "", "truncated"},
      {R"({"id":"r","imp":[{"id":"1")", "", "truncated"},
      {R"({"id":"r","im)", "", "inside a string"},
      {R"({"id":"r" "imp":[]})", "", "missing or misplaced"},
      {R"({"id":"r",})", "", "missing or misplaced"},
      {R"({"id":"}")", "", "truncated"},
      {"{}]", "", "ends at byte 2"},
      {with_imp(R"("banner":{})") + " {}", "", "ends at byte 41"},
      {R"({"a":"\"}"} x)", "", "ends at byte 11"},
      {"{\"a\":\"\xff\"}", "", "UTF-8"},
      {"{\"a\":\"\n\"}", "", "control character"},
      {R"({"a":"\q"})", "", "escape"},
      {R"({"a":"\ud800"})", "", "escape"},
      {R"({"a":tru})", "", "bare word"},
      {R"({"a":nul})", "", "bare word"},
      {R"({"a":falsy})", "", "bare word"},
      {R"({"a":01})", "", "number is malformed"},
      {R"({"a":1.})", "", "number is malformed"},
      {R"({"a":-})", "", "number is malformed"},
      {R"({"a":1e999,"b":1e})", "", "number is malformed"},
      {R"({"a":1e999,"b":00000000000000000000000})", "", "number is malformed"},
      {nested(65), "", "64 deep"},
      {std::string(100'000, '['), "", ""},
  });
  CHECK_FALSE(Parsed(nested(64)).error);
}

TEST_CASE("a request needs an id") {
  check_refused({
      {"{}", "/id", "id is missing; it must be a non-empty string."},
      {R"({"id":"","imp":[{"id":"1","banner":{}}]})", "/id", "empty"},
      {R"({"id":null,"imp":[{"id":"1","banner":{}}]})", "/id", "missing"},
      {R"({"id":5,"imp":[{"id":"1","banner":{}}]})", "/id", "is 5"},
  });
}

TEST_CASE("a request needs 1 to 100 impressions with ids of their own") {
  const std::string one = R"("banner":{})";
  check_refused({
      {R"({"id":"r"})", "/imp", "missing"},
      {R"({"id":"r","imp":null})", "/imp", "missing"},
      {R"({"id":"r","imp":{}})", "/imp", "is an object"},
      {R"({"id":"r","imp":[]})", "/imp", "empty"},
      {many_imps(101), "/imp", "101 impressions"},
      {R"({"id":"r","imp":[null]})", "/imp/0", "imp[0] is null; it must be an object."},
      {R"({"id":"r","imp":[{"id":"1","banner":{}},[]]})", "/imp/1", ""},
      {R"({"id":"r","imp":[{"banner":{}}]})", "/imp/0/id", "missing"},
      {R"({"id":"r","imp":[{"id":"","banner":{}}]})", "/imp/0/id", "empty"},
      {R"({"id":"r","imp":[{"id":1,"banner":{}}]})", "/imp/0/id", "is 1"},
      {R"({"id":"r","imp":[{"id":"1","banner":{}},{"id":"2","banner":{}},{"id":"1","banner":{}}]})",
       "/imp/2/id", "imp[2].id is that of imp[0], too"},
  });
  const Parsed hundred(many_imps(100));
  REQUIRE_FALSE(hundred.error);
  CHECK(hundred.request.imps.size() == 100);
  CHECK(hundred.request.imps.back().id == "99");
}

TEST_CASE("an impression needs a sound medium") {
  check_refused({
      {R"({"id":"r","imp":[{"id":"1"}]})", "/imp/0", "banner, video, audio or native"},
      {with_imp(R"("banner":null)"), "/imp/0", "add at least one"},
      {with_imp(R"("banner":[])"), "/imp/0/banner", "it must be an object"},
      {with_imp(R"("video":"x")"), "/imp/0/video", "a string"},
      {with_imp(R"("video":{})"), "/imp/0/video/mimes", "missing"},
      {with_imp(R"("video":{"mimes":[]})"), "/imp/0/video/mimes", "empty"},
      {with_imp(R"("video":{"mimes":"video/mp4"})"), "/imp/0/video/mimes", "an array"},
      {with_imp(R"("video":{"mimes":[1]})"), "/imp/0/video/mimes/0", "a string"},
      {with_imp(R"("video":{"mimes":["a",null]})"), "/imp/0/video/mimes/1", "null"},
      {with_imp(R"("audio":1)"), "/imp/0/audio", "object"},
      {with_imp(R"("audio":{})"), "/imp/0/audio/mimes", "missing"},
      {with_imp(R"("audio":{"mimes":[]})"), "/imp/0/audio/mimes", "empty"},
      {with_imp(R"("native":true)"), "/imp/0/native", "is true"},
      {with_imp(R"("native":{})"), "/imp/0/native/request", "missing"},
      {with_imp(R"("native":{"request":""})"), "/imp/0/native/request", "empty"},
      {with_imp(R"("native":{"request":{"assets":[]}})"), "/imp/0/native/request", "an object"},
      {with_imp(R"("banner":{},"video":{})"), "/imp/0/video/mimes", "missing"},
  });
}

TEST_CASE("sizes, counts and prices must not be negative") {
  const auto refused = [](const std::string& pointer, const std::string& body,
                          const std::string& shown = "-1") {
    check_refused({{body, pointer, "is " + shown + "; it must be 0 or more."}});
  };
  for (const std::string key : {"w", "h", "wmin", "hmin", "wmax", "hmax"}) {
    refused("/imp/0/banner/" + key, with_imp(R"("banner":{")" + key + R"(":-1})"));
  }
  for (const std::string key : {"w", "h", "wratio", "hratio", "wmin"}) {
    refused("/imp/0/banner/format/1/" + key, with_imp(R"("banner":{"format":[{},{")" + key + R"(":-1}]})"));
  }
  for (const std::string key : {"w", "h", "minduration", "maxduration", "minbitrate", "maxbitrate",
                                "sequence", "maxseq", "poddur", "skipmin", "skipafter", "mincpmpersec"}) {
    refused("/imp/0/video/" + key, with_video('"' + key + "\":-1"));
  }
  for (const std::string key : {"minduration", "maxduration", "minbitrate", "maxbitrate", "sequence",
                                "maxseq", "poddur", "mincpmpersec"}) {
    refused("/imp/0/audio/" + key, with_imp(R"("audio":{"mimes":["audio/mp4"],")" + key + R"(":-1})"));
  }
  for (const std::string key : {"w", "h", "ppi"}) {
    refused("/device/" + key, with_top(R"("device":{")" + key + R"(":-1})"));
  }
  refused("/imp/0/video/rqddurs/1", with_video(R"("rqddurs":[15,-1])"));
  for (const std::string key : {"mindur", "maxdur", "bidfloor"}) {
    refused("/imp/0/video/durfloors/0/" + key, with_video(R"("durfloors":[{")" + key + R"(":-1}])"));
  }
  refused("/tmax", with_top(R"("tmax":-1)"));
  refused("/imp/0/bidfloor", with_imp(R"("banner":{},"bidfloor":-0.01)"), "-0.01");
  refused("/imp/0/pmp/deals/0/bidfloor",
          with_imp(R"("banner":{},"pmp":{"deals":[{"id":"d","bidfloor":-1}]})"));
  refused("/tmax", with_top(R"("tmax":-99999999999999999999)"), "-1e+99");
}

TEST_CASE("durations must not contradict each other") {
  const std::string swapped = R"("mimes":["a"],"minduration":30,"maxduration":15)";
  check_refused({
      {with_imp(R"("video":{)" + swapped + "}"), "/imp/0/video/minduration", "maxduration is 15"},
      {with_imp(R"("audio":{)" + swapped + "}"), "/imp/0/audio/minduration", "maxduration is 15"},
      {with_video(R"("durfloors":[{"mindur":9,"maxdur":8}])"), "/imp/0/video/durfloors/0/mindur",
       "maxdur is 8"},
  });
  CHECK_FALSE(Parsed(with_video(R"("minduration":15,"maxduration":15)")).error);
  CHECK_FALSE(Parsed(with_video(R"("minduration":15)")).error);
}

TEST_CASE("deals need ids") {
  const auto deals = [](const std::string& deal) {
    return with_imp(R"("banner":{},"pmp":{"deals":)" + deal + "}");
  };
  check_refused({
      {deals("[{}]"), "/imp/0/pmp/deals/0/id", "missing"},
      {deals(R"([{"id":"a"},{"id":""}])"), "/imp/0/pmp/deals/1/id", "empty"},
      {deals("[null]"), "/imp/0/pmp/deals/0", "null"},
      {deals("{}"), "/imp/0/pmp/deals", "array"},
      {with_imp(R"("banner":{},"pmp":[])"), "/imp/0/pmp", "object"},
  });
  CHECK_FALSE(Parsed(deals("[]")).error);
  CHECK_FALSE(Parsed(deals("null")).error);
}

TEST_CASE("regulations are 0 or 1") {
  for (const std::string key : {"gdpr", "coppa"}) {
    for (const std::string value : {"2", "-1", "1e999", "true", R"("1")", "0.5"}) {
      CAPTURE(value);
      check_refused({{with_top(R"("regs":{")" + key + "\":" + value + "}"), "/regs/" + key, "it must be"}});
    }
    for (const std::string value : {"0", "1", "1.0", "null"}) {
      CHECK_FALSE(Parsed(with_top(R"("regs":{")" + key + "\":" + value + "}")).error);
    }
  }
}

TEST_CASE("only one of site, app and dooh is offered") {
  check_refused({
      {with_top(R"("site":{},"app":{})"), "/app", "More than one"},
      {with_top(R"("site":{},"dooh":{})"), "/dooh", "More than one"},
      {with_top(R"("app":{},"dooh":{})"), "/app", "More than one"},
  });
  CHECK_FALSE(Parsed(with_top(R"("site":{},"app":null,"dooh":null)")).error);
}

TEST_CASE("fields that are read have their type") {
  check_refused({
      {with_imp(R"("banner":{"w":"320"})"), "/imp/0/banner/w", "a string; it must be an integer"},
      {with_imp(R"("banner":{"w":320.5})"), "/imp/0/banner/w", "320.5; it must be an integer"},
      {with_imp(R"("banner":{"battr":3})"), "/imp/0/banner/battr", "array"},
      {with_imp(R"("banner":{"battr":[1,"2"]})"), "/imp/0/banner/battr/1", "integer"},
      {with_imp(R"("banner":{"btype":[null]})"), "/imp/0/banner/btype/0", "null"},
      {with_imp(R"("banner":{"format":{}})"), "/imp/0/banner/format", "array"},
      {with_imp(R"("banner":{"format":[null]})"), "/imp/0/banner/format/0", "object"},
      {with_imp(R"("banner":{},"bidfloor":"1")"), "/imp/0/bidfloor", "number"},
      {with_imp(R"("banner":{},"bidfloorcur":1)"), "/imp/0/bidfloorcur", "string"},
      {with_imp(R"("banner":{},"secure":true)"), "/imp/0/secure", "integer"},
      {with_video(R"("startdelay":"0")"), "/imp/0/video/startdelay", "integer"},
      {with_video(R"("durfloors":[1])"), "/imp/0/video/durfloors/0", "object"},
      {with_top(R"("test":true)"), "/test", "integer"},
      {with_top(R"("cur":"USD")"), "/cur", "array"},
      {with_top(R"("wseat":[1])"), "/wseat/0", "string"},
      {with_top(R"("site":[])"), "/site", "object"},
      {with_top(R"("site":{"domain":1})"), "/site/domain", "string"},
      {with_top(R"("app":{"bundle":1})"), "/app/bundle", "string"},
      {with_top(R"("app":{"cat":[1]})"), "/app/cat/0", "string"},
      {with_top(R"("device":[])"), "/device", "object"},
      {with_top(R"("device":{"geo":{"country":1}})"), "/device/geo/country", "string"},
      {with_top(R"("user":{"geo":1})"), "/user/geo", "object"},
      {with_top(R"("user":{"id":1})"), "/user/id", "string"},
      {with_top(R"("regs":[])"), "/regs", "object"},
  });
}

}  // namespace
}  // namespace cx::openrtb
