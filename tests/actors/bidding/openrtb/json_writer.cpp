#include "tests/actors/bidding/openrtb/json_writer.hpp"

#include <array>
#include <cstdio>

namespace cx::openrtb {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escape;
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escape.data();
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

Json scalar(std::string text) {
  return {Json::Kind::scalar, std::move(text), {}, {}};
}
Json json(std::string_view text) {
  return scalar(quoted(text));
}
Json json(std::int64_t number) {
  return scalar(std::to_string(number));
}
Json json(int number) {
  return json(std::int64_t{number});
}
Json json(bool flag) {
  return scalar(flag ? "1" : "0");
}

Json price(std::int64_t micros) {
  std::string fraction = std::to_string(micros % 1'000'000);
  fraction.insert(0, 6 - fraction.size(), '0');
  return scalar(std::to_string(micros / 1'000'000).append(".").append(fraction));
}

template <class T>
Json json(const std::vector<T>& list);  // of any of the types below

Json object(std::vector<std::pair<std::string, Json>> members) {
  return {Json::Kind::object, {}, {}, std::move(members)};
}

Json json(const Size& size) {
  return object({{"w", json(size.w)}, {"h", json(size.h)}});
}

Json json(const DurationFloor& floor) {
  return object({{"mindur", json(floor.min_duration)},
                 {"maxdur", json(floor.max_duration)},
                 {"bidfloor", price(floor.floor_micros)}});
}

Json json(const Deal& deal) {
  return object({{"id", json(deal.id)},
                 {"bidfloor", price(deal.floor_micros)},
                 {"bidfloorcur", json(deal.floor_currency)}});
}

Json json(const Banner& banner) {
  return object({{"format", json(banner.sizes)},
                 {"battr", json(banner.battr)},
                 {"btype", json(banner.btype)},
                 {"mimes", json(banner.mimes)},
                 {"pos", json(banner.pos)}});
}

Json json(const Video& video) {
  Json out = object({{"mimes", json(video.mimes)},
                     {"minduration", json(video.min_duration)},
                     {"maxduration", json(video.max_duration)},
                     {"rqddurs", json(video.rqddurs)},
                     {"durfloors", json(video.durfloors)},
                     {"protocols", json(video.protocols)},
                     {"w", json(video.w)},
                     {"h", json(video.h)},
                     {"minbitrate", json(video.min_bitrate)},
                     {"maxbitrate", json(video.max_bitrate)},
                     {"linearity", json(video.linearity)},
                     {"pos", json(video.pos)},
                     {"battr", json(video.battr)}});
  if (video.start_delay) out.members.emplace_back("startdelay", json(*video.start_delay));
  return out;
}

Json json(const Imp& imp) {
  Json out =
      object({{"id", json(imp.id)},
              {"bidfloor", price(imp.floor_micros)},
              {"bidfloorcur", json(imp.floor_currency)},
              {"secure", json(imp.secure)},
              {"pmp", object({{"private_auction", json(imp.private_auction)}, {"deals", json(imp.deals)}})}});
  if (imp.banner) out.members.emplace_back("banner", json(*imp.banner));
  if (imp.video) out.members.emplace_back("video", json(*imp.video));
  if (imp.audio) out.members.emplace_back("audio", object({{"mimes", json(Strings{"audio/mp4"})}}));
  if (imp.native) out.members.emplace_back("native", object({{"request", json(std::string_view("{}"))}}));
  return out;
}

template <class T>
Json json(const std::vector<T>& list) {
  Json out{Json::Kind::array, {}, {}, {}};
  for (const auto& item : list) out.items.push_back(json(item));
  return out;
}

}  // namespace

std::string Json::text() const {
  if (kind == Kind::scalar) return scalar;
  std::string out;
  for (const Json& item : items) out.append(",").append(item.text());
  for (const auto& [key, value] : members)
    out.append(",").append(quoted(key)).append(":").append(value.text());
  if (out.empty()) out.push_back(' ');
  out.front() = kind == Kind::array ? '[' : '{';
  return out.append(1, kind == Kind::array ? ']' : '}');
}

Json to_json(const Request& request) {
  const Device& device = request.device;
  Json out =
      object({{"id", json(request.id)},
              {"imp", json(request.imps)},
              {"test", json(request.test)},
              {"at", json(request.at)},
              {"tmax", json(request.tmax_ms)},
              {"cur", json(request.cur)},
              {"wseat", json(request.wseat)},
              {"bseat", json(request.bseat)},
              {"bcat", json(request.bcat)},
              {"acat", json(request.acat)},
              {"badv", json(request.badv)},
              {"device", object({{"devicetype", json(device.devicetype)},
                                 {"ifa", json(device.ifa)},
                                 {"lmt", json(device.lmt)},
                                 {"dnt", json(device.dnt)},
                                 {"language", json(device.language)},
                                 {"geo", object({{"country", json(device.country)}})}})},
              {"user", object({{"id", json(request.user.id)}, {"buyeruid", json(request.user.buyeruid)}})},
              {"regs", object({{"coppa", json(request.regs.coppa)}, {"gdpr", json(request.regs.gdpr)}})}});
  using Kind = Inventory::Kind;
  const Inventory& place = request.inventory;
  if (place.kind != Kind::none) {
    const char* key = place.kind == Kind::site ? "site" : place.kind == Kind::app ? "app" : "dooh";
    const char* name = place.kind == Kind::app ? "bundle" : "domain";
    out.members.emplace_back(key, object({{name, json(place.domain)}, {"cat", json(place.cat)}}));
  }
  return out;
}

}  // namespace cx::openrtb
