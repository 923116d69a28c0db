#include "actors/bidding/decide.hpp"

#include <doctest/doctest.h>
#include <set>

#include "actors/bidding/openrtb/parser.hpp"
#include "actors/bidding/response.hpp"
#include "runtime/raw.hpp"

namespace cx::bidding {
namespace {

/// A parsed request and what its views point to.
struct Parsed {
  explicit Parsed(std::string json) : body(std::move(json)) {
    const auto error = parser.parse(body, document, request);
    if (error) FAIL(error->detail);
  }
  std::string body;
  openrtb::Parser parser;
  openrtb::Document document;
  openrtb::Request request;
};

std::string banner(const std::string& imp_extra = "", const std::string& request_extra = "") {
  return R"({"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250})" + imp_extra + "}]" + request_extra + "}";
}

Rules rules() {
  Rules r;
  r.seat = "us";
  r.currencies = *Currencies::from({{"EUR", "0.5"}, {"JPY", "100"}});
  return r;
}

v1::Offer make_offer(const std::string& id, std::int64_t click_value) {
  v1::Offer offer;
  offer.set_id(id);
  offer.set_media(v1::MEDIA_TYPE_BANNER);
  offer.set_width(300);
  offer.set_height(250);
  offer.set_mime("image/jpeg");
  offer.set_category("IAB3-1");
  offer.set_domain("brand.example");
  offer.set_click_value_micros(click_value);
  return offer;
}

v1::Offer make_video(std::uint32_t seconds, std::uint32_t bitrate) {
  auto offer = make_offer("v" + std::to_string(seconds), 100'000);
  offer.set_media(v1::MEDIA_TYPE_VIDEO);
  offer.set_mime("video/mp4");
  offer.set_duration_seconds(seconds);
  offer.set_bitrate_kbps(bitrate);
  return offer;
}

std::size_t candidates(const std::string& json, const Catalog& catalog) {
  const Parsed p(json);
  if (biddable_imps(p.request, rules(), 100).empty()) return 0;
  return find_candidates(p.request, p.request.imps[0], catalog, {}, 100).size();
}

}  // namespace

TEST_CASE("the first currency that we can price is answered in") {
  const auto r = rules();
  CHECK(choose_currency(Parsed(banner()).request, r.currencies)->code == "USD");
  CHECK(choose_currency(Parsed(banner("", R"(,"cur":["XYZ","EUR","USD"])")).request, r.currencies)->code ==
        "EUR");
  CHECK_FALSE(choose_currency(Parsed(banner("", R"(,"cur":["XYZ"])")).request, r.currencies));
}

TEST_CASE("seat lists are honoured, both together too") {
  const auto allowed = [](const char* extra) {
    return seat_allowed(Parsed(banner("", extra)).request, "us");
  };
  CHECK(allowed(""));
  CHECK(allowed(R"(,"wseat":["them","us"])"));
  CHECK_FALSE(allowed(R"(,"wseat":["them"])"));
  CHECK(allowed(R"(,"bseat":["them"])"));
  CHECK_FALSE(allowed(R"(,"bseat":["us"])"));
  CHECK_FALSE(allowed(R"(,"wseat":["us"],"bseat":["us"])"));
}

TEST_CASE("the customer is the buyer's id, the exchange's id or the device's, in that order") {
  const auto key = [](const char* extra) { return customer_key(Parsed(banner("", extra)).request); };
  CHECK(key("") == "");
  CHECK(key(R"(,"user":{"id":"u","buyeruid":"b"},"device":{"ifa":"d"})") == "b");
  CHECK(key(R"(,"user":{"id":"u"},"device":{"ifa":"d"})") == "u");
  CHECK(key(R"(,"device":{"ifa":"d"})") == "ifa:d");
  CHECK(key(R"(,"device":{"ifa":"d","lmt":1})") == "");
}

TEST_CASE("a profile is used only where nothing forbids it") {
  const auto may = [](const char* extra) { return may_personalise(Parsed(banner("", extra)).request); };
  CHECK(may(""));
  CHECK(may(R"(,"regs":{"gdpr":0,"coppa":0},"device":{"lmt":0,"dnt":0})"));
  CHECK_FALSE(may(R"(,"regs":{"coppa":1})"));
  CHECK_FALSE(may(R"(,"regs":{"gdpr":1})"));
  CHECK_FALSE(may(R"(,"regs":{"ext":{"gdpr":1}})"));
  CHECK_FALSE(may(R"(,"device":{"lmt":1})"));
  CHECK_FALSE(may(R"(,"device":{"dnt":1})"));
}

TEST_CASE("impressions that we cannot serve are left out") {
  const auto biddable = [](const std::string& imp) {
    return biddable_imps(Parsed(R"({"id":"r","imp":[{"id":"1",)" + imp + "}]}").request, rules(), 100)
               .size() == 1;
  };
  CHECK(biddable(R"("banner":{"w":300,"h":250})"));
  CHECK_FALSE(biddable(R"("banner":{})"));
  CHECK_FALSE(biddable(R"("banner":{"w":300,"h":250,"btype":[2]})"));
  CHECK(biddable(R"("banner":{"w":300,"h":250,"btype":[3,4]})"));
  CHECK_FALSE(biddable(R"("native":{"request":"{}"})"));
  CHECK_FALSE(biddable(R"("audio":{"mimes":["audio/mp4"]})"));
  CHECK(biddable(R"("video":{"mimes":["video/mp4"]})"));
  CHECK(biddable(R"("video":{"mimes":["video/mp4"],"protocols":[3]})"));
  CHECK_FALSE(biddable(R"("video":{"mimes":["video/mp4"],"protocols":[5,6]})"));
  CHECK_FALSE(biddable(R"("video":{"mimes":["video/mp4"],"linearity":2})"));
  CHECK_FALSE(biddable(R"("banner":{"w":300,"h":250},"bidfloor":1,"bidfloorcur":"XYZ")"));
  CHECK(biddable(R"("banner":{"w":300,"h":250},"bidfloor":1,"bidfloorcur":"JPY")"));
  CHECK_FALSE(biddable(R"("banner":{"w":300,"h":250},"pmp":{"private_auction":1,"deals":[{"id":"d"}]})"));
  CHECK(biddable(R"("banner":{"w":300,"h":250},"pmp":{"private_auction":0,"deals":[{"id":"d"}]})"));
}

TEST_CASE("candidates suit the impression") {
  const Catalog banners({make_offer("a", 100'000)});
  CHECK(candidates(banner(), banners) == 1);
  CHECK(candidates(banner("", R"(,"bcat":["IAB3"])"), banners) == 0);
  CHECK(candidates(banner("", R"(,"bcat":["IAB3-2"])"), banners) == 1);
  CHECK(candidates(banner("", R"(,"acat":["IAB4"])"), banners) == 0);
  CHECK(candidates(banner("", R"(,"acat":["IAB3"])"), banners) == 1);
  CHECK(candidates(banner("", R"(,"badv":["brand.example"])"), banners) == 0);
  const auto with_mimes = [](const char* mimes) {
    return std::string(R"({"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250,"mimes":)") + mimes + "}}]}";
  };
  CHECK(candidates(with_mimes(R"(["image/png"])"), banners) == 0);
  CHECK(candidates(with_mimes(R"(["image/jpg"])"), banners) == 1);

  const Catalog videos({make_video(10, 1'000), make_video(30, 2'000)});
  const auto video = [&](const std::string& extra) {
    return candidates(R"({"id":"r","imp":[{"id":"1","video":{"mimes":["video/mp4"])" + extra + "}}]}",
                      videos);
  };
  CHECK(video("") == 2);
  CHECK(video(R"(,"minduration":11)") == 1);
  CHECK(video(R"(,"maxduration":10)") == 1);
  CHECK(video(R"(,"rqddurs":[30])") == 1);
  CHECK(video(R"(,"maxbitrate":1500)") == 1);
  CHECK(video(R"(,"minbitrate":3000)") == 0);
}

TEST_CASE("a segment's offers are for that segment") {
  auto targeted = make_offer("t", 100'000);
  targeted.set_segment(7);
  const Catalog catalog({targeted, make_offer("a", 50'000)});
  const Parsed p(banner());
  const std::vector<std::uint32_t> in{7}, out{8};
  CHECK(find_candidates(p.request, p.request.imps[0], catalog, in, 9).size() == 2);
  CHECK(find_candidates(p.request, p.request.imps[0], catalog, out, 9).size() == 1);
  CHECK(find_candidates(p.request, p.request.imps[0], catalog, in, 1).size() == 1);
}

TEST_CASE("features stand where FR-RTB's table puts them") {
  v1::Profile profile;
  profile.set_interests(std::string{'\x7f', '\x81'} + std::string(62, '\0'));
  profile.add_segments(0);
  profile.add_segments(63);
  profile.mutable_loyalty()->set_tier(v1::LOYALTY_TIER_RESERVE);
  profile.mutable_loyalty()->set_qualifying(1'250);
  constexpr std::int64_t kDay = 86'400'000;
  const FeatureContext context{10 * kDay, 9 * kDay, 5, 10, 4, 7};
  const auto x = make_features(&profile, context);
  CHECK(x[0] == 1.0F);
  CHECK(x[1] == -1.0F);
  CHECK(x[64] == 1.0F);
  CHECK(x[65] == 0.0F);
  CHECK(x[127] == 1.0F);
  CHECK(x[128] == 1.0F);
  CHECK(x[130] == 0.5F);
  CHECK(x[136] == doctest::Approx(0.367879));
  CHECK(x[137] == 0.5F);
  CHECK(x[138] == 0.5F);
  CHECK(x[139] == 1.0F);
  for (std::size_t i = 140; i < 256; ++i) CHECK(x[i] == 0.0F);
  const auto anonymous = make_features(nullptr, context);
  for (std::size_t i = 0; i < 137; ++i) CHECK(anonymous[i] == 0.0F);
  CHECK(anonymous[138] == 0.5F);
}

TEST_CASE("the price is probability times click value, never below the floor") {
  const Catalog catalog({make_offer("dear", 200'000), make_offer("cheap", 100'000)});
  const auto price = [&](const std::string& json, std::vector<float> p, const char* cur = "USD",
                         std::int64_t tier = 100) {
    const Parsed parsed(json);
    const auto r = rules();
    const Currency currency{cur, *r.currencies.rate(cur)};
    const auto choices = choose(parsed.request, {{0, {0, 1}}}, {p}, catalog, r, currency, tier, 1);
    return choices.empty() ? -1 : choices[0].price_micros;
  };
  CHECK(price(banner(), {0.01F, 0.01F}) == 2'000'000);              // 0.01 x 0.20 x 1000 = 2.00
  CHECK(price(banner(), {0.001F, 0.01F}) == 1'000'000);             // the cheap one is likelier
  CHECK(price(banner(), {0.01F, 0.01F}, "EUR") == 1'000'000);       // half a euro a dollar
  CHECK(price(banner(), {0.01F, 0.01F}, "USD", 120) == 2'400'000);  // Reserve tier
  CHECK(price(banner(R"(,"bidfloor":2)"), {0.01F, 0.01F}) == 2'000'000);
  CHECK(price(banner(R"(,"bidfloor":2.000001)"), {0.01F, 0.01F}) == -1);
  CHECK(price(banner(R"(,"bidfloor":1,"bidfloorcur":"EUR")"), {0.01F, 0.01F}) == 2'000'000);
  CHECK(price(banner(R"(,"bidfloor":1.01,"bidfloorcur":"EUR")"), {0.01F, 0.01F}) == -1);
  CHECK(price(banner(R"(,"bidfloor":1e300)"), {0.9F, 0.9F}) == -1);
  CHECK(price(banner(), {0.0F, 0.0F}) == -1);
}

TEST_CASE("a duration floor replaces the impression's") {
  const Catalog catalog({make_video(10, 1'000)});
  const auto bids = [&](const std::string& floors) {
    const Parsed p(R"({"id":"r","imp":[{"id":"1","bidfloor":5,"video":{"mimes":["video/mp4"],"durfloors":)" +
                   floors + "}}]}");
    const std::vector<float> scores{0.01F};  // worth 1.00
    const auto r = rules();
    return choose(p.request, {{0, {0}}}, {scores}, catalog, r, {"USD", 1'000'000}, 100, 1).size();
  };
  CHECK(bids("[]") == 0);
  CHECK(bids(R"([{"mindur":1,"maxdur":15,"bidfloor":1}])") == 1);
  CHECK(bids(R"([{"mindur":1,"maxdur":15,"bidfloor":1.1}])") == 0);
  CHECK(bids(R"([{"mindur":11,"maxdur":15,"bidfloor":1}])") == 0);
}

TEST_CASE("features are packed to a signed byte each, without the zeros at the end") {
  CHECK(pack_features(std::array<float, 256>{}) == "");
  const std::vector<float> some{1, -1, 0, 0.5F, -0.5F, 0.001F, 0.004F, 0};
  CHECK(pack_features(some) == std::string("\x7f\x81\x00\x40\xc0\x00\x01", 7));
  CHECK(pack_features(std::vector<float>(256, 1)).size() == 256);
  for (int i = -127; i <= 127; ++i)
    if (const std::vector<float> one{static_cast<float>(i) / 127.0F, 1}; true)
      CHECK(static_cast<signed char>(pack_features(one)[0]) == i);
}

TEST_CASE("several impressions: no offer twice, and no more bids than granted, the dearest first") {
  const Catalog catalog({make_offer("a", 300'000), make_offer("b", 200'000), make_offer("c", 100'000)});
  std::string json = R"({"id":"r","imp":[)";
  for (int i = 0; i < 4; ++i)
    json += (i ? "," : "") + (R"({"id":")" + std::to_string(i) + R"(","banner":{"w":300,"h":250}})");
  const Parsed p(json + "]}");
  const std::vector<float> same{0.01F, 0.01F, 0.01F};
  std::vector<Opportunity> all;
  for (std::size_t i = 0; i < 4; ++i) all.push_back({i, {0, 1, 2}});
  const auto run = [&](std::size_t granted) {
    return choose(p.request, all, {same, same, same, same}, catalog, rules(), {"USD", 1'000'000}, 100,
                  granted);
  };
  const auto choices = run(4);
  REQUIRE(choices.size() == 3);
  std::set<std::uint32_t> rows;
  for (const auto& choice : choices) rows.insert(choice.row);
  CHECK(rows.size() == 3);
  const auto two = run(2);
  REQUIRE(two.size() == 2);
  CHECK(two[0].price_micros == 3'000'000);
  CHECK(two[1].price_micros == 2'000'000);
}

TEST_CASE("a response is JSON whatever the ids contain") {
  const Catalog catalog({make_offer("a", 300'000)});
  const Parsed p(R"({"id":"q\"\\\u0001\u20ac","imp":[{"id":"</x>\n","banner":{"w":300,"h":250}}]})");
  auto text = write_response(p.request, {{0, 0, 1'500'000}}, catalog, rules(), {"USD", 1'000'000}, "d1");
  CHECK(text.find(R"("id":"q\"\\\u0001)") != std::string::npos);
  CHECK(text.find(R"("impid":"</x>\u000a","price":1.5,"adid":"a")") != std::string::npos);
  CHECK(text.find(R"("cur":"USD","seatbid":[{"seat":"us")") != std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '{') == std::count(text.begin(), text.end(), '}'));
}

}  // namespace cx::bidding
