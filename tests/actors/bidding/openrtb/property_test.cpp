#include <algorithm>
#include <deque>
#include <doctest/doctest.h>
#include <random>
#include <rapidcheck.h>

#include "tests/actors/bidding/openrtb/json_writer.hpp"
#include "tests/actors/bidding/openrtb/parsed.hpp"

namespace cx::openrtb {
namespace {

int below(int end) {
  return *rc::gen::inRange(0, end);
}
bool coin() {
  return below(2) == 1;
}

/// Draws valid requests; owns the strings of the ones it drew.
class Generator {
 public:
  Request request() {
    Request out;
    out.id = identifier("r");
    for (int i = 1 + below(4); i > 0; --i) out.imps.push_back(imp(i));
    out.test = coin();
    out.at = below(4);
    out.tmax_ms = below(2000);
    for (Strings* list : {&out.cur, &out.wseat, &out.bseat, &out.bcat, &out.acat, &out.badv})
      *list = strings();
    out.inventory.kind = static_cast<Inventory::Kind>(below(4));
    if (out.inventory.kind != Inventory::Kind::none) {
      out.inventory.domain = string();
      out.inventory.cat = strings();
    }
    out.device = {below(9), string(), coin(), coin(), string(), string()};
    out.user = {string(), string()};
    out.regs = {coin(), coin()};
    return out;
  }

 private:
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }
  std::string_view string() {
    static constexpr std::string_view kPieces[] = {"a", "Z", "\"", "\\", "\n", "{",
                                                   "]", ",", "é",  "€",  "😀",  "\\u"};
    std::string out;
    for (int i = below(6); i > 0; --i) out += kPieces[below(std::size(kPieces))];
    return keep(std::move(out));
  }
  std::string_view identifier(std::string prefix) { return keep(std::move(prefix.append(string()))); }

  Strings strings() {
    Strings out;
    for (int i = below(3); i > 0; --i) out.push_back(string());
    return out;
  }
  Ints ints() {
    Ints out;
    for (int i = below(4); i > 0; --i) out.push_back(below(1000));
    return out;
  }
  std::int64_t micros() { return *rc::gen::inRange<std::int64_t>(0, coin() ? 10'000'000 : kExactMicros); }
  std::string_view currency() { return coin() ? "USD" : "EUR"; }

  /// Of a range whose upper end may be open.
  std::pair<int, int> durations() {
    const int min = below(60);
    return {min, coin() ? 0 : min + below(60)};
  }

  Imp imp(int number) {
    Imp out;
    out.id = identifier(std::to_string(number));
    const int media = 1 + below(15);
    if (media & 1) out.banner = banner();
    if (media & 2) out.video = video();
    out.audio = (media & 4) != 0;
    out.native = (media & 8) != 0;
    out.floor_micros = micros();
    out.floor_currency = currency();
    out.secure = coin();
    out.private_auction = coin();
    for (int i = below(3); i > 0; --i) out.deals.push_back({identifier("d"), micros(), currency()});
    return out;
  }

  Banner banner() {
    Banner out;
    for (int i = 1 + below(3); i > 1; --i) out.sizes.push_back({i, 1 + below(1000)});
    out.battr = ints();
    out.btype = ints();
    out.mimes = strings();
    out.pos = below(8);
    return out;
  }

  Video video() {
    Video out;
    out.mimes = strings();
    out.mimes.push_back("video/mp4");
    std::tie(out.min_duration, out.max_duration) = durations();
    out.rqddurs = ints();
    for (int i = below(3); i > 0; --i) {
      const auto [min, max] = durations();
      out.durfloors.push_back({min, max, micros()});
    }
    out.protocols = ints();
    for (int* field : {&out.w, &out.h, &out.min_bitrate, &out.max_bitrate}) *field = below(4000);
    out.linearity = below(3);
    if (coin()) out.start_delay = below(10) - 2;
    out.pos = below(8);
    out.battr = ints();
    return out;
  }

  std::deque<std::string> kept_;
};

/// Shuffles the members of all objects and adds some that the specification does not know.
void disturb(Json& json, std::mt19937& random) {
  static const char* const kStrangers[] = {
      "7", "null", R"("}\"")", R"([{"id":[]}])", R"({"imp":null,"w":-1})", "1e999"};
  for (Json& item : json.items) disturb(item, random);
  for (auto& [key, value] : json.members) disturb(value, random);
  if (json.kind != Json::Kind::object) return;
  for (const char* key : {"ext", "x-unknown", "Id", "imp "}) {
    if (random() % 2 != 0) continue;
    Json stranger{Json::Kind::scalar, kStrangers[random() % std::size(kStrangers)], {}, {}};
    json.members.emplace_back(key, std::move(stranger));
  }
  std::shuffle(json.members.begin(), json.members.end(), random);
}

void mutate(std::string& text, std::mt19937& random) {
  for (auto count = 1 + random() % 3; count > 0 && !text.empty(); --count) {
    const auto at = random() % text.size();
    // Half of the new bytes come from the text itself, so that many mutants are JSON still.
    const char byte = random() % 2 == 0 ? text[random() % text.size()] : static_cast<char>(random());
    switch (random() % 4) {
      case 0:
        text[at] = byte;
        break;
      case 1:
        text.insert(at, 1, byte);
        break;
      case 2:
        text.erase(at, 1);
        break;
      default:
        text.insert(at, text.substr(random() % text.size(), random() % 16));
        break;
    }
  }
}

/// Floors that a decimal cannot carry through a double exactly become equal.
void limit_floors(Request& request) {
  const auto limit = [](std::int64_t& micros) { micros = std::min(micros, kExactMicros); };
  for (Imp& imp : request.imps) {
    limit(imp.floor_micros);
    for (Deal& deal : imp.deals) limit(deal.floor_micros);
    if (!imp.video) continue;
    for (DurationFloor& floor : imp.video->durfloors) limit(floor.floor_micros);
  }
}

TEST_CASE("a written request parses to itself") {
  CHECK(rc::check([] {
    Generator generator;
    const Request request = generator.request();
    const Parsed parsed(to_json(request).text());
    RC_ASSERT_FALSE(parsed.error);
    RC_ASSERT(parsed.request == request);
  }));
}

TEST_CASE("the order of keys and unknown fields make no difference") {
  CHECK(rc::check([](std::uint32_t seed) {
    Generator generator;
    const Request request = generator.request();
    std::mt19937 random(seed);
    Json json = to_json(request);
    disturb(json, random);
    const Parsed parsed(json.text());
    if (parsed.error) RC_FAIL(parsed.error->detail);
    RC_ASSERT(parsed.request == request);
  }));
}

TEST_CASE("a truncated request is refused") {
  CHECK(rc::check([] {
    Generator generator;
    const std::string text = to_json(generator.request()).text();
    Parser parser;
    Document document;
    Request request;
    for (std::size_t size = 0; size < text.size(); ++size) {
      std::string body = text.substr(0, size);
      const auto error = parser.parse(body, document, request);
      RC_ASSERT(error);
      RC_ASSERT(error->pointer.empty());
    }
  }));
}

TEST_CASE("a mutant is refused, or accepted and then stable") {
  int accepted = 0;
  CHECK(rc::check([&](std::uint32_t seed) {
    Generator generator;
    const std::string text = to_json(generator.request()).text();
    std::mt19937 random(seed);
    for (int round = 0; round < 50; ++round) {
      std::string mutant = text;
      mutate(mutant, random);
      Parsed first(mutant);
      if (first.error) {
        RC_ASSERT_FALSE(first.error->detail.empty());
        continue;
      }
      ++accepted;
      limit_floors(first.request);
      const Parsed second(to_json(first.request).text());
      if (second.error) RC_FAIL(second.error->detail);
      RC_ASSERT(second.request == first.request);
    }
  }));
  CHECK(accepted > 100);  // else the test has lost its bite
}

}  // namespace
}  // namespace cx::openrtb
