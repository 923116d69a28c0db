#include "actors/bidding/openrtb/read_request.hpp"

#include "actors/bidding/openrtb/reader.hpp"

namespace cx::openrtb {
namespace {

template <class... T>
constexpr auto keys(T... names) {
  return std::array<std::string_view, sizeof...(T)>{names...};
}

// What is read of each object; the rest is tolerated, whatever it is.
constexpr auto kRequest = keys("id", "imp", "test", "at", "tmax", "cur", "wseat", "bseat", "bcat", "acat",
                               "badv", "site", "app", "dooh", "device", "user", "regs");
constexpr auto kImp =
    keys("id", "banner", "video", "audio", "native", "bidfloor", "bidfloorcur", "secure", "pmp");
constexpr auto kBanner =
    keys("format", "w", "h", "battr", "btype", "mimes", "pos", "wmin", "hmin", "wmax", "hmax");
constexpr auto kFormat = keys("w", "h", "wratio", "hratio", "wmin");
constexpr auto kVideo =
    keys("mimes", "minduration", "maxduration", "rqddurs", "durfloors", "protocols", "delivery", "w", "h",
         "minbitrate", "maxbitrate", "linearity", "startdelay", "pos", "battr", "sequence", "maxseq",
         "poddur", "skipmin", "skipafter", "mincpmpersec");
constexpr auto kAudio = keys("mimes", "minduration", "maxduration", "rqddurs", "durfloors", "minbitrate",
                             "maxbitrate", "sequence", "maxseq", "poddur", "mincpmpersec");
constexpr auto kDurationFloor = keys("mindur", "maxdur", "bidfloor");
constexpr auto kNative = keys("request");
constexpr auto kPmp = keys("private_auction", "deals");
constexpr auto kDeal = keys("id", "bidfloor", "bidfloorcur");
constexpr auto kSite = keys("domain", "cat");  // of dooh, too
constexpr auto kApp = keys("bundle", "cat");
constexpr auto kDevice = keys("devicetype", "ifa", "lmt", "dnt", "language", "geo", "w", "h", "ppi");
constexpr auto kUser = keys("id", "buyeruid", "geo");
constexpr auto kGeo = keys("country");
constexpr auto kRegs = keys("coppa", "gdpr", "ext");
constexpr auto kRegsExt = keys("gdpr");

class RequestReader : public Reader {
 public:
  bool request(const Value& at, Request& out) {
    Object<kRequest> o;
    return open(at, o) && identifier(o["id"], out.id) && imps(o["imp"], out.imps) &&
           flag(o["test"], out.test) && integer(o["at"], out.at, kAny, 2) && count(o["tmax"], out.tmax_ms) &&
           texts(o["cur"], out.cur) && texts(o["wseat"], out.wseat) && texts(o["bseat"], out.bseat) &&
           texts(o["bcat"], out.bcat) && texts(o["acat"], out.acat) && texts(o["badv"], out.badv) &&
           inventory(o, out.inventory) && device(o["device"], out.device) &&
           user(o["user"], out.user, out.device.country) && regs(o["regs"], out.regs);
  }

 private:
  bool imps(const Value& at, std::vector<Imp>& out) {
    simdjson::dom::array array;
    const bool good = !at.absent() && !at.element->get(array);
    if (!good || array.size() == 0) return refuse(at, "an array of impressions, at least one");
    if (array.size() > kMaxImps) {
      return refuse(at.path, "imp holds " + std::to_string(array.size()) + " impressions; send at most " +
                                 std::to_string(kMaxImps) + " per request.");
    }
    out.resize(array.size());
    std::size_t done = 0;
    return each(at,
                [&](const Value& item) { return imp(item, out[done]) && unique(item.path, out, done++); });
  }

  bool unique(const Path& path, const std::vector<Imp>& imps, std::size_t last) {
    for (std::size_t i = 0; i < last; ++i) {
      if (imps[i].id != imps[last].id) continue;
      const Path id(path, "id");
      return refuse(id, id.dotted() + " is that of imp[" + std::to_string(i) +
                            "], too; give every impression an id of its own.");
    }
    return true;
  }

  bool imp(const Value& at, Imp& out) {
    Object<kImp> o;
    return open(at, o) && identifier(o["id"], out.id) && media(o, out) &&
           micros(o["bidfloor"], out.floor_micros) && currency(o["bidfloorcur"], out.floor_currency) &&
           flag(o["secure"], out.secure) && pmp(o["pmp"], out);
  }

  bool media(const Object<kImp>& imp, Imp& out) {
    out.audio = !imp["audio"].absent();
    out.native = !imp["native"].absent();
    const auto read = [this](const Value& at, auto& medium, auto reader) {
      if (at.absent()) {
        medium.reset();
        return true;
      }
      if (!medium) medium.emplace();
      return (this->*reader)(at, *medium);
    };
    if (!read(imp["banner"], out.banner, &RequestReader::banner) ||
        !read(imp["video"], out.video, &RequestReader::video) || (out.audio && !audio(imp["audio"])) ||
        (out.native && !native(imp["native"]))) {
      return false;
    }
    return out.banner || out.video || out.audio || out.native ||
           refuse(imp.path(),
                  imp.path().dotted() + " offers no banner, video, audio or native; add at least one.");
  }

  bool banner(const Value& at, Banner& out) {
    Object<kBanner> o;
    Size size;
    out.sizes.clear();
    return open(at, o) && each(o["format"], [&](const Value& item) { return format(item, out.sizes); }) &&
           count(o["w"], size.w) && count(o["h"], size.h) && add_once(size, out.sizes) &&
           integers(o["battr"], out.battr) && integers(o["btype"], out.btype) &&
           texts(o["mimes"], out.mimes) && integer(o["pos"], out.pos) && not_negative(o["wmin"]) &&
           not_negative(o["hmin"]) && not_negative(o["wmax"]) && not_negative(o["hmax"]);
  }

  bool format(const Value& at, std::vector<Size>& out) {
    Object<kFormat> o;
    Size size;
    return open(at, o) && count(o["w"], size.w) && count(o["h"], size.h) && not_negative(o["wratio"]) &&
           not_negative(o["hratio"]) && not_negative(o["wmin"]) && add(size, out);
  }

  /// Ratios and half sizes stay outside.
  static bool add(Size size, std::vector<Size>& out) {
    if (size.w > 0 && size.h > 0) out.push_back(size);
    return true;
  }
  static bool add_once(Size size, std::vector<Size>& out) {
    return std::find(out.begin(), out.end(), size) != out.end() || add(size, out);
  }

  bool video(const Value& at, Video& out) {
    Object<kVideo> o;
    return open(at, o) && mimes(o["mimes"], out.mimes) &&
           durations(o["minduration"], o["maxduration"], out.min_duration, out.max_duration) &&
           integers(o["rqddurs"], out.rqddurs, 0) && durfloors(o["durfloors"], out.durfloors) &&
           integers(o["protocols"], out.protocols) && integers(o["delivery"], out.delivery) &&
           count(o["w"], out.w) && count(o["h"], out.h) && count(o["minbitrate"], out.min_bitrate) &&
           count(o["maxbitrate"], out.max_bitrate) && integer(o["linearity"], out.linearity) &&
           start_delay(o["startdelay"], out.start_delay) && integer(o["pos"], out.pos) &&
           integers(o["battr"], out.battr) && not_negative(o["sequence"]) && not_negative(o["maxseq"]) &&
           not_negative(o["poddur"]) && not_negative(o["skipmin"]) && not_negative(o["skipafter"]) &&
           not_negative(o["mincpmpersec"]);
  }

  bool audio(const Value& at) {
    Object<kAudio> o;
    Strings types;
    Ints required;
    std::vector<DurationFloor> floors;
    int min = 0, max = 0;
    return open(at, o) && mimes(o["mimes"], types) &&
           durations(o["minduration"], o["maxduration"], min, max) && integers(o["rqddurs"], required, 0) &&
           durfloors(o["durfloors"], floors) && not_negative(o["minbitrate"]) &&
           not_negative(o["maxbitrate"]) && not_negative(o["sequence"]) && not_negative(o["maxseq"]) &&
           not_negative(o["poddur"]) && not_negative(o["mincpmpersec"]);
  }

  bool native(const Value& at) {
    Object<kNative> o;
    std::string_view markup;
    return open(at, o) && identifier(o["request"], markup);
  }

  bool mimes(const Value& at, Strings& out) {
    return texts(at, out) && (!out.empty() || refuse(at, "an array of content types, at least one"));
  }

  /// `longest` 0 stands for no upper bound.
  bool durations(const Value& shortest, const Value& longest, int& min, int& max) {
    if (!count(shortest, min) || !count(longest, max)) return false;
    return max == 0 || min <= max ||
           refuse(shortest.path, shortest.path.dotted() + " is " + std::to_string(min) + ", but " +
                                     longest.path.dotted() + " is " + std::to_string(max) +
                                     "; swap or correct them.");
  }

  bool durfloors(const Value& at, std::vector<DurationFloor>& out) {
    out.clear();
    return each(at, [&](const Value& item) {
      Object<kDurationFloor> o;
      auto& floor = out.emplace_back();
      return open(item, o) && durations(o["mindur"], o["maxdur"], floor.min_duration, floor.max_duration) &&
             micros(o["bidfloor"], floor.floor_micros);
    });
  }

  bool start_delay(const Value& at, std::optional<int>& out) {
    out.reset();
    return at.absent() || integer(at, out.emplace());
  }

  bool pmp(const Value& at, Imp& out) {
    out.private_auction = false;
    out.deals.clear();
    if (at.absent()) return true;
    Object<kPmp> o;
    return open(at, o) && flag(o["private_auction"], out.private_auction) &&
           each(o["deals"], [&](const Value& item) { return deal(item, out.deals.emplace_back()); });
  }

  bool deal(const Value& at, Deal& out) {
    Object<kDeal> o;
    return open(at, o) && identifier(o["id"], out.id) && micros(o["bidfloor"], out.floor_micros) &&
           currency(o["bidfloorcur"], out.floor_currency);
  }

  bool currency(const Value& at, std::string_view& out) {
    constexpr std::string_view kDefault = "USD";
    if (!text(at, out, kDefault)) return false;
    if (out.empty()) out = kDefault;
    return true;
  }

  bool inventory(const Object<kRequest>& o, Inventory& out) {
    using Kind = Inventory::Kind;
    const auto site = o["site"], app = o["app"], dooh = o["dooh"];
    const auto present = [](const Value& value) { return value.absent() ? 0 : 1; };
    if (present(site) + present(app) + present(dooh) > 1) {
      return refuse(app.absent() ? dooh.path : app.path,
                    "More than one of site, app and dooh is present; send only the one that is offered.");
    }
    out.kind = !site.absent()   ? Kind::site
               : !app.absent()  ? Kind::app
               : !dooh.absent() ? Kind::dooh
                                : Kind::none;
    switch (out.kind) {
      case Kind::site:
        return place<kSite>(site, "domain", out);
      case Kind::dooh:
        return place<kSite>(dooh, "domain", out);
      case Kind::app:
        return place<kApp>(app, "bundle", out);
      case Kind::none:
        out.domain = {};
        out.cat.clear();
        return true;
    }
    return true;
  }

  template <const auto& Keys>
  bool place(const Value& at, typename Object<Keys>::Name name, Inventory& out) {
    Object<Keys> o;
    return open(at, o) && text(o[name], out.domain) && texts(o["cat"], out.cat);
  }

  bool device(const Value& at, Device& out) {
    out = {};
    if (at.absent()) return true;
    Object<kDevice> o;
    return open(at, o) && integer(o["devicetype"], out.devicetype) && text(o["ifa"], out.ifa) &&
           flag(o["lmt"], out.lmt) && flag(o["dnt"], out.dnt) && text(o["language"], out.language) &&
           country(o["geo"], out.country) && not_negative(o["w"]) && not_negative(o["h"]) &&
           not_negative(o["ppi"]);
  }

  bool user(const Value& at, User& out, std::string_view& device_country) {
    out = {};
    if (at.absent()) return true;
    Object<kUser> o;
    return open(at, o) && text(o["id"], out.id) && text(o["buyeruid"], out.buyeruid) &&
           country(o["geo"], device_country);
  }

  /// Keeps a country that is known already.
  bool country(const Value& at, std::string_view& out) {
    if (at.absent()) return true;
    Object<kGeo> o;
    std::string_view found;
    if (!open(at, o) || !text(o["country"], found)) return false;
    if (out.empty()) out = found;
    return true;
  }

  bool regs(const Value& at, Regs& out) {
    out = {};
    if (at.absent()) return true;
    Object<kRegs> o;
    if (!open(at, o) || !binary(o["coppa"], out.coppa) || !binary(o["gdpr"], out.gdpr)) return false;
    if (!o["ext"].absent() && o["ext"].element->is_object()) {
      Object<kRegsExt> ext;
      out.gdpr |= open(o["ext"], ext) && applies(ext["gdpr"]);
    }
    return true;
  }

  /// An extension can be anything; whatever does not say no protects the user.
  static bool applies(const Value& at) {
    double number = 0;
    bool boolean = false;
    if (at.absent()) return false;
    if (!at.element->get(number)) return number != 0;
    return at.element->get(boolean) || boolean;
  }
};

}  // namespace

std::optional<Error> read_request(simdjson::dom::element root, Request& out) {
  RequestReader reader;
  reader.request(Value{Path(), root}, out);
  return reader.take_error();
}

}  // namespace cx::openrtb
