#include "actors/bidding/decide.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/address.hpp"

namespace cx::bidding {
namespace {

using openrtb::Imp;
using openrtb::Request;
using openrtb::Video;

template <class List, class T>
bool contains(const List& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

constexpr int kXhtmlBannerAd = 2;  // banner type of our markup, AdCOM "Creative Subtypes"
constexpr int kNonLinear = 2;
constexpr int kVast2 = 2;
constexpr int kVast3 = 3;
constexpr int kProgressive = 2;

bool banner_wanted(const Imp& imp) {
  return imp.banner && !imp.banner->sizes.empty() && !contains(imp.banner->btype, kXhtmlBannerAd);
}

bool video_wanted(const Imp& imp) {
  if (!imp.video || imp.video->linearity == kNonLinear || vast_version(*imp.video) == 0) return false;
  return imp.video->delivery.empty() || contains(imp.video->delivery, kProgressive);
}

bool mime_accepted(const openrtb::Strings& accepted, std::string_view mime) {
  return accepted.empty() || contains(accepted, mime) ||
         (mime == "image/jpeg" && contains(accepted, "image/jpg"));
}

bool video_fits(const Video& video, const v1::Offer& offer) {
  const auto seconds = static_cast<int>(offer.duration_seconds());
  const auto bitrate = static_cast<int>(offer.bitrate_kbps());
  if (!mime_accepted(video.mimes, offer.mime())) return false;
  if (seconds < video.min_duration || (video.max_duration > 0 && seconds > video.max_duration)) return false;
  if (!video.rqddurs.empty() && !contains(video.rqddurs, seconds)) return false;
  return bitrate >= video.min_bitrate && (video.max_bitrate == 0 || bitrate <= video.max_bitrate);
}

bool suits(const Imp& imp, const v1::Offer& offer) {
  if (offer.media() == v1::MEDIA_TYPE_VIDEO) return video_fits(*imp.video, offer);
  return mime_accepted(imp.banner->mimes, offer.mime());
}

// A duration floor that applies replaces the impression's (2.6 implementation guide, section 7.11).
std::int64_t floor_of(const Imp& imp, const v1::Offer& offer) {
  if (offer.media() == v1::MEDIA_TYPE_VIDEO && imp.video) {
    const auto seconds = static_cast<int>(offer.duration_seconds());
    for (const auto& floor : imp.video->durfloors)
      if (seconds >= floor.min_duration && (floor.max_duration == 0 || seconds <= floor.max_duration))
        return floor.floor_micros;
  }
  return imp.floor_micros;
}

// Value of a thousand impressions: probability times the value of a click. The probability leaves floating
// point here, as parts in a billion, so that money never is one.
std::int64_t thousand_impressions(float probability, std::int64_t click_value_micros, std::int64_t percent) {
  const auto billionths = static_cast<std::int64_t>(std::llround(static_cast<double>(probability) * 1e9));
  return convert_down(billionths * percent, 100'000'000,
                      click_value_micros);  // 10^9 parts, 10^2 percent, over 10^3
}

// Devices whose owner opted out send this instead of an advertising id.
bool is_zero_id(std::string_view ifa) {
  return ifa.find_first_not_of("0-") == ifa.npos;
}

float unit(double value, double most) {
  return static_cast<float>(std::clamp(value / most, 0.0, 1.0));
}

}  // namespace

std::optional<Currency> choose_currency(const Request& request, const Currencies& currencies) {
  if (request.cur.empty()) return Currency{"USD", *currencies.rate("USD")};
  for (const auto code : request.cur)
    if (const auto rate = currencies.rate(code)) return Currency{code, *rate};
  return std::nullopt;
}

int vast_version(const Video& video) {
  if (video.protocols.empty() || contains(video.protocols, kVast3)) return 3;
  return contains(video.protocols, kVast2) ? 2 : 0;
}

bool seat_allowed(const Request& request, std::string_view seat) {
  return (request.wseat.empty() || contains(request.wseat, seat)) && !contains(request.bseat, seat);
}

std::string customer_key(const Request& request) {
  if (!request.user.buyeruid.empty()) return key_from(request.user.buyeruid);
  if (!request.user.id.empty()) return key_from(request.user.id);
  if (!is_zero_id(request.device.ifa) && !request.device.lmt)
    return key_from("ifa:" + std::string(request.device.ifa));
  return {};
}

bool may_personalise(const Request& request) {
  return !request.regs.coppa && !request.regs.gdpr && !request.device.lmt && !request.device.dnt;
}

std::vector<std::size_t> biddable_imps(const Request& request, const Rules& rules, std::size_t limit) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < request.imps.size() && out.size() < limit; ++i) {
    const Imp& imp = request.imps[i];
    if (imp.private_auction || !(banner_wanted(imp) || video_wanted(imp))) continue;
    if (rules.currencies.rate(imp.floor_currency)) out.push_back(i);
  }
  return out;
}

std::vector<std::uint32_t> find_candidates(const Request& request, const Imp& imp, const Catalog& catalog,
                                           std::span<const std::uint32_t> segments, std::size_t limit) {
  std::vector<std::pair<int, int>> sizes;
  if (banner_wanted(imp))
    for (const auto& size : imp.banner->sizes) sizes.emplace_back(size.w, size.h);
  const OfferQuery query{.banner_sizes = sizes,
                         .video = video_wanted(imp),
                         .segments = segments,
                         .blocked_categories = request.bcat,
                         .allowed_categories = request.acat,
                         .blocked_domains = request.badv};
  std::vector<std::uint32_t> rows;
  rows.reserve(limit);
  catalog.match(query, [&](std::uint32_t row) {
    if (suits(imp, catalog.offer(row))) rows.push_back(row);
    return rows.size() < limit;
  });
  return rows;
}

std::array<float, 256> make_features(const v1::Profile* profile, const FeatureContext& context) {
  std::array<float, 256> x{};
  if (profile != nullptr) {
    const auto& interests = profile->interests();
    for (std::size_t i = 0; i < std::min<std::size_t>(interests.size(), 64); ++i)
      x[i] = static_cast<float>(static_cast<signed char>(interests[i])) / 127.0F;
    for (const auto segment : profile->segments())
      if (segment < 64) x[64 + segment] = 1;
    const auto& loyalty = profile->loyalty();
    x[128] = unit(loyalty.tier(), v1::LOYALTY_TIER_RESERVE);
    x[129] = unit(loyalty.balance(), 10'000);
    x[130] = unit(loyalty.qualifying(), 2'500);  // progress to the highest tier
    x[131] = unit(loyalty.earn_rate_percent(), 200);
    constexpr double kDay = 86'400'000;
    if (context.last_seen > 0)
      x[136] = static_cast<float>(
          std::exp(-std::max(0.0, static_cast<double>(context.now - context.last_seen)) / kDay));
  }
  x[137] = context.cap_hour == 0 ? 0 : unit(context.used_hour, context.cap_hour);
  x[138] = unit(context.devicetype, 8);
  x[139] = unit(context.position, 7);
  return x;
}

std::string pack_features(std::span<const float> features) {
  std::array<char, 256> bytes{};
  const auto n = std::min(features.size(), bytes.size());
  std::size_t size = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float scaled = features[i] * 127.0F;
    bytes[i] = static_cast<char>(static_cast<int>(scaled + (scaled < 0 ? -0.5F : 0.5F)));
    if (bytes[i] != 0) size = i + 1;
  }
  return {bytes.data(), size};
}

std::int64_t tier_percent(v1::LoyaltyTier tier) {
  switch (tier) {
    case v1::LOYALTY_TIER_SILVER:
      return 105;
    case v1::LOYALTY_TIER_GOLD:
      return 110;
    case v1::LOYALTY_TIER_RESERVE:
      return 120;
    default:
      return 100;
  }
}

std::vector<Choice> choose(const Request& request, const std::vector<Opportunity>& opportunities,
                           const std::vector<std::span<const float>>& scores, const Catalog& catalog,
                           const Rules& rules, const Currency& currency, std::int64_t tier,
                           std::size_t granted) {
  const auto dollar = *rules.currencies.rate("USD");
  std::vector<Choice> chosen;
  for (std::size_t i = 0; i < opportunities.size(); ++i) {
    const auto imp_index = opportunities[i].imp;
    const auto& rows = opportunities[i].rows;
    const Imp& imp = request.imps[imp_index];
    const auto floor_rate = rules.currencies.rate(imp.floor_currency);
    if (!floor_rate) continue;
    std::optional<Choice> best;
    for (std::size_t j = 0; j < rows.size() && j < scores[i].size(); ++j) {
      const auto& offer = catalog.offer(rows[j]);
      const auto value = thousand_impressions(scores[i][j], offer.click_value_micros(), tier);
      const auto price = convert_down(value, dollar, currency.rate);
      const auto floor = convert_up(floor_of(imp, offer), *floor_rate, currency.rate);
      const bool taken =
          std::any_of(chosen.begin(), chosen.end(), [&](const Choice& c) { return c.row == rows[j]; });
      if (price <= 0 || price < floor || taken || (best && best->price_micros >= price)) continue;
      best = Choice{imp_index, rows[j], price, scores[i][j]};
    }
    if (best) chosen.push_back(*best);
  }
  std::stable_sort(chosen.begin(), chosen.end(),
                   [](const Choice& a, const Choice& b) { return a.price_micros > b.price_micros; });
  if (chosen.size() > granted) chosen.resize(granted);
  return chosen;
}

}  // namespace cx::bidding
