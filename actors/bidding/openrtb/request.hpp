#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

/// The part of an OpenRTB 2.6 bid request that bidding uses. Section numbers are those of the specification.
///
/// Views point into the Document that the request was parsed into and live as long as its content does.
/// Prices are micros (millionths of the currency unit) per thousand impressions, rounded up. Durations are
/// seconds. An absent enumeration is 0 unless stated otherwise; values outside of the specification's lists
/// are passed on as they came.
namespace cx::openrtb {

using Strings = std::vector<std::string_view>;
using Ints = std::vector<int>;

inline constexpr std::size_t kMaxImps = 100;  ///< ours: the specification has no limit

struct Size {
  int w = 0;
  int h = 0;
  bool operator==(const Size&) const = default;
};

/// 3.2.6
struct Banner {
  std::vector<Size>
      sizes;      ///< pixels, both sides positive, those of `format` first; empty: no fixed size was named
  Ints battr;     ///< blocked creative attributes
  Ints btype;     ///< blocked banner types
  Strings mimes;  ///< allowed ones; empty: all
  int pos = 0;
  bool operator==(const Banner&) const = default;
};

/// 3.2.8: a floor for creatives whose duration lies in [min_duration, max_duration].
struct DurationFloor {
  int min_duration = 0;
  int max_duration = 0;  ///< 0: no upper bound
  std::int64_t floor_micros = 0;
  bool operator==(const DurationFloor&) const = default;
};

/// 3.2.7
struct Video {
  Strings mimes;  ///< allowed ones, never empty
  int min_duration = 0;
  int max_duration = 0;  ///< 0: no upper bound
  Ints rqddurs;          ///< the only acceptable durations; empty: all in [min_duration, max_duration]
  std::vector<DurationFloor> durfloors;
  Ints protocols;  ///< supported ones; empty: unknown
  Ints delivery;   ///< supported ones: 1 streaming, 2 progressive, 3 download; empty: all
  int w = 0;       ///< pixels, 0: unknown
  int h = 0;
  int min_bitrate = 0;             ///< kbit/s
  int max_bitrate = 0;             ///< kbit/s, 0: no upper bound
  int linearity = 0;               ///< 0: both kinds
  std::optional<int> start_delay;  ///< seconds; 0 pre-roll, -1 mid-roll, -2 post-roll
  int pos = 0;
  Ints battr;
  bool operator==(const Video&) const = default;
};

/// 3.2.12
struct Deal {
  std::string_view id;
  std::int64_t floor_micros = 0;
  std::string_view floor_currency = "USD";
  bool operator==(const Deal&) const = default;
};

/// 3.2.4. At least one of banner, video, audio and native is there.
struct Imp {
  std::string_view id;  ///< unique in its request
  std::optional<Banner> banner;
  std::optional<Video> video;
  bool audio = false;
  bool native = false;
  std::int64_t floor_micros = 0;  ///< 0: none
  std::string_view floor_currency = "USD";
  bool secure = false;
  bool private_auction = false;  ///< only bids for one of `deals` are wanted
  std::vector<Deal> deals;
  bool operator==(const Imp&) const = default;
};

/// 3.2.13 to 3.2.15: where the advertisement would be shown.
struct Inventory {
  enum class Kind { none, site, app, dooh };
  Kind kind = Kind::none;
  std::string_view domain;  ///< an app's bundle; may be empty
  Strings cat;
  bool operator==(const Inventory&) const = default;
};

/// 3.2.18
struct Device {
  int devicetype = 0;
  std::string_view ifa;
  bool lmt = false;
  bool dnt = false;
  std::string_view language;
  std::string_view country;  ///< ISO 3166-1 alpha-3: device.geo.country, else user.geo.country
  bool operator==(const Device&) const = default;
};

/// 3.2.20
struct User {
  std::string_view id;
  std::string_view buyeruid;
  bool operator==(const User&) const = default;
};

/// 3.2.3
struct Regs {
  bool coppa = false;
  bool gdpr = false;  ///< regs.gdpr, or regs.ext.gdpr of OpenRTB 2.5, says that the GDPR applies
  bool operator==(const Regs&) const = default;
};

/// 3.2.1
struct Request {
  std::string_view id;
  std::vector<Imp> imps;  ///< 1 to kMaxImps
  bool test = false;
  int at = 2;                ///< 1 first price, 2 second price plus
  std::int64_t tmax_ms = 0;  ///< 0: absent
  Strings cur;               ///< acceptable currencies; empty: not said
  Strings wseat;             ///< the only seats that may bid; empty: all
  Strings bseat;             ///< seats that may not bid
  Strings bcat;              ///< blocked categories
  Strings acat;              ///< the only acceptable categories; empty: all
  Strings badv;              ///< blocked advertiser domains
  Inventory inventory;
  Device device;
  User user;
  Regs regs;
  bool operator==(const Request&) const = default;
};

}  // namespace cx::openrtb
