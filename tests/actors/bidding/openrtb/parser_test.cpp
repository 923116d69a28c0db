#include <doctest/doctest.h>
#include <limits>

#include "runtime/raw.hpp"
#include "tests/actors/bidding/openrtb/parsed.hpp"

namespace cx::openrtb {
namespace {

constexpr auto kMaxMicros = std::numeric_limits<std::int64_t>::max();

TEST_CASE("every field that bidding uses is read") {
  const Parsed parsed(R"({
    "id": "request-1", "test": 1, "at": 1, "tmax": 120, "cur": ["USD", "EUR"],
    "wseat": ["a"], "bseat": ["b", "c"], "bcat": ["IAB25"], "acat": ["IAB1"], "badv": ["x.com"],
    "imp": [
      {"id": "1", "bidfloor": 0.5, "bidfloorcur": "EUR", "secure": 1,
       "banner": {"format": [{"w": 300, "h": 250}, {"wratio": 16, "hratio": 9, "wmin": 100}, {"w": 320}],
                  "w": 728, "h": 90, "battr": [1, 3], "btype": [4], "mimes": ["image/png"], "pos": 7},
       "pmp": {"private_auction": 1, "deals": [{"id": "d1", "bidfloor": 2, "bidfloorcur": "GBP"}, {"id": "d2"}]}},
      {"id": "2",
       "video": {"mimes": ["video/mp4", "video/webm"], "minduration": 5, "maxduration": 30, "rqddurs": [15, 30],
                 "durfloors": [{"mindur": 1, "maxdur": 15, "bidfloor": 1.25}, {"mindur": 16, "bidfloor": 3}],
                 "protocols": [2, 3], "w": 640, "h": 480, "minbitrate": 300, "maxbitrate": 1500, "linearity": 1,
                 "startdelay": -1, "pos": 1, "battr": [9]}},
      {"id": "3", "audio": {"mimes": ["audio/mp4"]}, "native": {"request": "{}"}}],
    "app": {"bundle": "com.example", "cat": ["IAB9"]},
    "device": {"devicetype": 4, "ifa": "ifa-1", "lmt": 1, "dnt": 0, "language": "en", "geo": {"country": "USA"}},
    "user": {"id": "u", "buyeruid": "b", "geo": {"country": "CAN"}},
    "regs": {"coppa": 1, "gdpr": 0}})");
  REQUIRE_FALSE(parsed.error);

  Request expected;
  expected.id = "request-1";
  expected.test = true;
  expected.at = 1;
  expected.tmax_ms = 120;
  expected.cur = {"USD", "EUR"};
  expected.wseat = {"a"};
  expected.bseat = {"b", "c"};
  expected.bcat = {"IAB25"};
  expected.acat = {"IAB1"};
  expected.badv = {"x.com"};
  Imp banner, video, rest;
  banner.id = "1";
  banner.banner = Banner{{{300, 250}, {728, 90}}, {1, 3}, {4}, {"image/png"}, 7};
  banner.floor_micros = 500'000;
  banner.floor_currency = "EUR";
  banner.secure = true;
  banner.private_auction = true;
  banner.deals = {{"d1", 2'000'000, "GBP"}, {"d2", 0, "USD"}};
  video.id = "2";
  video.video = Video{.mimes = {"video/mp4", "video/webm"},
                      .min_duration = 5,
                      .max_duration = 30,
                      .rqddurs = {15, 30},
                      .durfloors = {{1, 15, 1'250'000}, {16, 0, 3'000'000}},
                      .protocols = {2, 3},
                      .delivery = {},
                      .w = 640,
                      .h = 480,
                      .min_bitrate = 300,
                      .max_bitrate = 1500,
                      .linearity = 1,
                      .start_delay = -1,
                      .pos = 1,
                      .battr = {9}};
  rest.id = "3";
  rest.audio = true;
  rest.native = true;
  expected.imps = {banner, video, rest};
  expected.inventory = {Inventory::Kind::app, "com.example", {"IAB9"}};
  expected.device = {4, "ifa-1", true, false, "en", "USA"};
  expected.user = {"u", "b"};
  expected.regs = {true, false};
  CHECK(parsed.request == expected);
}

TEST_CASE("what is absent or null has its default") {
  for (const char* body :
       {R"({"id":"r","imp":[{"id":"1","banner":{}}]})",
        R"({"id":"r","imp":[{"id":"1","banner":{"w":null,"format":null},"video":null,"audio":null,
                              "native":null,"bidfloor":null,"bidfloorcur":null,"secure":null,"pmp":null}],"at":null,
                              "tmax":null,"cur":null,"site":null,"device":null,"user":null,"regs":null})"}) {
    const Parsed parsed(body);
    REQUIRE_FALSE(parsed.error);
    Request expected;
    expected.id = "r";
    expected.imps.resize(1);
    expected.imps[0].id = "1";
    expected.imps[0].banner.emplace();
    CHECK(parsed.request == expected);
  }
}

TEST_CASE("what nobody reads is tolerated") {
  for (const char* members :
       {R"("ext":7)", R"("ext":[{"a":[[]]}])", R"("regs":{"ext":"malformed"})",
        R"("site":{"content":{"keywords":["a"]},"privacypolicy":true})",
        R"("user":{"eids":[{"source":"s","uids":[]}],"yob":"x"})", R"("device":{"ppi":"high","w":{}})",
        R"("wseat":["a"],"bseat":["b"])", R"("source":5,"unknown":{"imp":[]})",
        R"("ext":123456789012345678901234567890)", R"("ext":[-1e999,"1e999\"",1E+400])"}) {
    CAPTURE(members);
    CHECK_FALSE(Parsed(with_top(members)).error);
  }
}

TEST_CASE("the last of duplicate keys counts, even when an earlier one is unsound") {
  const Parsed parsed(
      R"({"id":5,"imp":[],"id":"r","imp":[{"id":"1","id":"2","banner":{"w":-1},"banner":{}}]})");
  REQUIRE_FALSE(parsed.error);
  CHECK(parsed.request.id == "r");
  CHECK(parsed.request.imps[0].id == "2");
  CHECK(Parsed(R"({"id":"r","imp":[{"id":"1","banner":{}}],"imp":[]})").error->pointer == "/imp");
  CHECK(Parsed(R"({"id":"r","id":null,"imp":[{"id":"1","banner":{}}]})").error->pointer == "/id");
}

TEST_CASE("floors are exact, rounded up and clamped") {
  const std::pair<const char*, std::int64_t> cases[] = {
      {"0", 0},
      {"-0.0", 0},
      {"0.03", 30'000},
      {"0.07", 70'000},
      {"1.1", 1'100'000},
      {"8.41", 8'410'000},
      {"0.0000001", 1},
      {"1e-300", 1},
      {"0.0000011", 2},
      {"12.3456789", 12'345'679},
      {"123456789.123456", 123'456'789'123'456},
      {"9223372036854", 9'223'372'036'854'000'000},
      {"9223372036855", kMaxMicros},
      {"18446744073709551615", kMaxMicros},
      {"1e308", kMaxMicros},
      {"1e999", kMaxMicros},
      {"99999999999999999999999", kMaxMicros},
  };
  for (const auto& [text, micros] : cases) {
    CAPTURE(text);
    const Parsed parsed(with_imp(R"("banner":{},"bidfloor":)" + std::string(text)));
    REQUIRE_FALSE(parsed.error);
    CHECK(parsed.request.imps[0].floor_micros == micros);
  }
}

TEST_CASE("integers may be written with a fraction of zero, and are clamped") {
  const Parsed parsed(with_imp(R"("banner":{"w":160.0,"h":6e2,"format":[{"w":99999999999,"h":1e999}]})"));
  REQUIRE_FALSE(parsed.error);
  constexpr int kMax = std::numeric_limits<int>::max();
  CHECK(parsed.request.imps[0].banner->sizes == std::vector<Size>{{kMax, kMax}, {160, 600}});
}

TEST_CASE("w and h join the formats once; sizes without both sides do not count") {
  const Parsed parsed(with_imp(
      R"("banner":{"w":300,"h":250,"format":[{"w":300,"h":250},{"w":0,"h":9},{"h":9},{"w":320,"h":50}]})"));
  REQUIRE_FALSE(parsed.error);
  CHECK(parsed.request.imps[0].banner->sizes == std::vector<Size>{{300, 250}, {320, 50}});
}

TEST_CASE("an absent start delay is not a pre-roll") {
  CHECK_FALSE(Parsed(with_video(R"("w":1)")).request.imps[0].video->start_delay);
  CHECK(Parsed(with_video(R"("startdelay":0)")).request.imps[0].video->start_delay == 0);
}

TEST_CASE("an empty currency is the default one") {
  CHECK(Parsed(with_imp(R"("banner":{},"bidfloorcur":"")")).request.imps[0].floor_currency == "USD");
}

TEST_CASE("regs.ext.gdpr protects unless it says no") {
  const auto gdpr = [](const std::string& regs) {
    const Parsed parsed(with_top(R"("regs":)" + regs));
    REQUIRE_FALSE(parsed.error);
    return parsed.request.regs.gdpr;
  };
  for (const char* no : {R"({})", R"({"ext":{}})", R"({"ext":{"gdpr":0}})", R"({"ext":{"gdpr":null}})",
                         R"({"ext":{"gdpr":false}})", R"({"ext":[]})", R"({"gdpr":0})"}) {
    CAPTURE(no);
    CHECK_FALSE(gdpr(no));
  }
  for (const char* yes : {R"({"ext":{"gdpr":1}})", R"({"ext":{"gdpr":2}})", R"({"ext":{"gdpr":"1"}})",
                          R"({"ext":{"gdpr":true}})", R"({"gdpr":1})", R"({"gdpr":1,"ext":{"gdpr":0}})"}) {
    CAPTURE(yes);
    CHECK(gdpr(yes));
  }
}

TEST_CASE("the place of an impression") {
  const auto inventory = [](const std::string& members) {
    const Parsed parsed(with_top(members));
    REQUIRE_FALSE(parsed.error);
    return parsed.request.inventory == Inventory{parsed.request.inventory.kind, "d", {"c"}}
               ? parsed.request.inventory.kind
               : Inventory::Kind::none;
  };
  CHECK(inventory(R"("site":{"domain":"d","cat":["c"]})") == Inventory::Kind::site);
  CHECK(inventory(R"("app":{"bundle":"d","domain":"no","cat":["c"]})") == Inventory::Kind::app);
  CHECK(inventory(R"("dooh":{"domain":"d","cat":["c"]})") == Inventory::Kind::dooh);
}

TEST_CASE("the user's country stands in for the device's") {
  const auto country = [](const std::string& members) {
    const Parsed parsed(with_top(members));
    return std::string(parsed.request.device.country);
  };
  CHECK(country(R"("device":{"geo":{"country":"USA"}},"user":{"geo":{"country":"CAN"}})") == "USA");
  CHECK(country(R"("device":{"geo":{}},"user":{"geo":{"country":"CAN"}})") == "CAN");
  CHECK(country(R"("user":{"geo":{"country":"CAN"}})") == "CAN");
}

TEST_CASE("escaped strings are decoded") {
  const Parsed parsed(R"({"id":"\u0041\n\ud83d\ude00","imp":[{"id":"\"","b\u0061nner":{}}]})");
  REQUIRE_FALSE(parsed.error);
  CHECK(parsed.request.id == "A\n\xf0\x9f\x98\x80");
  CHECK(parsed.request.imps[0].id == "\"");
}

TEST_CASE("parsing leaves the body alone and reallocates it only for want of padding") {
  const std::string text = with_top(R"("ext":1e999)");
  std::string body = text;
  body.reserve(body.size() + kRawPadding);
  const char* before = body.data();
  Document document;
  Request request;
  CHECK_FALSE(Parser().parse(body, document, request));
  CHECK(body == text);
  CHECK(body.data() == before);
  body.shrink_to_fit();
  CHECK_FALSE(Parser().parse(body, document, request));
  CHECK(body == text);
}

TEST_CASE("a request outlives its body, its parser and a move of its document") {
  std::string body = with_top(R"("user":{"id":"u"})");
  Request request;
  Document kept;
  {
    Document document;
    Parser parser;
    REQUIRE_FALSE(parser.parse(body, document, request));
    kept = std::move(document);
  }
  body.assign(body.size(), 'x');
  CHECK(request.id == "r");
  CHECK(request.user.id == "u");
}

TEST_CASE("nothing of the last request shines through") {
  Parser parser;
  Document document;
  Request request;
  std::string full =
      R"({"id":"r","imp":[{"id":"1","banner":{"w":1,"h":1,"battr":[1],"pos":3},"bidfloor":1,"secure":1,
    "video":{"mimes":["a"],"startdelay":0,"rqddurs":[1],"durfloors":[{}]},"audio":{"mimes":["a"]},
    "native":{"request":"{}"},"pmp":{"private_auction":1,"deals":[{"id":"d"}]}},{"id":"2","banner":{}}],
    "test":1,"tmax":1,"at":1,"cur":["EUR"],"wseat":["a"],"app":{"bundle":"b","cat":["c"]},
    "device":{"ifa":"i","dnt":1,"geo":{"country":"USA"}},"user":{"id":"u"},"regs":{"coppa":1,"gdpr":1}})";
  std::string broken = R"({"id":"r","imp":[{"id":"1","banner":{"w":1,"h":1,"battr":["x"]}}]})";
  std::string plain = R"({"id":"r","imp":[{"id":"1","banner":{}}]})";
  REQUIRE_FALSE(parser.parse(full, document, request));
  REQUIRE(parser.parse(broken, document, request));
  REQUIRE_FALSE(parser.parse(plain, document, request));
  CHECK(request == Parsed(plain).request);
}

}  // namespace
}  // namespace cx::openrtb
