#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/bidding/catalog.hpp"
#include "actors/bidding/money.hpp"
#include "actors/bidding/openrtb/request.hpp"
#include "cx/v1/customer.pb.h"

namespace cx::bidding {

/// No-bid reason codes, OpenRTB 2.6 section 5.24 (AdCOM "No-Bid Reason Codes").
enum class Nbr {
  unknown = 0,
  technical_error = 1,
  daily_reader_cap = 9,
  insufficient_auction_time = 15,
};

/// What bidding is allowed to do, from the node's configuration.
struct Rules {
  std::string seat;
  Currencies currencies;
  v1::FrequencyCap cap;
  std::size_t candidates = 32;  ///< scored for one impression
  bool bid_anonymous = true;
  std::int64_t default_tmax_ms = 120;
  std::int64_t margin_ms = 10;
};

/// An impression that we may bid on, and what is worth scoring for it.
struct Opportunity {
  std::size_t imp;                  ///< index into Request::imps
  std::vector<std::uint32_t> rows;  ///< candidates, catalogue rows
  std::string features = {};        ///< packed, for the record; empty where there is none
};

/// A bid that was decided on.
struct Choice {
  std::size_t imp;
  std::uint32_t row;
  std::int64_t price_micros;  ///< CPM in the response's currency
  float score = 0;            ///< click probability that it was priced by
};

/// The currency to answer in and its rate per dollar: the first of the request's that we can price; USD when
/// it names none. Nothing when it names only others.
struct Currency {
  std::string_view code;
  std::int64_t rate;
};
std::optional<Currency> choose_currency(const openrtb::Request& request, const Currencies& currencies);

/// The VAST version to answer with, 2 or 3; 0 when the player takes neither.
int vast_version(const openrtb::Video& video);

/// Whether the request lets our seat bid (wseat, bseat).
bool seat_allowed(const openrtb::Request& request, std::string_view seat);

/// The identifier to cap frequency by, as an address key: buyeruid, else the exchange's user id, else the
/// device's advertising id. Empty when the request names nobody.
std::string customer_key(const openrtb::Request& request);

/// Whether the profile may be used: not for a child (COPPA), not when tracking is limited (lmt, dnt), and not
/// where the GDPR applies, because consent strings are not read yet. Frequency capping needs no profile and
/// always happens.
bool may_personalise(const openrtb::Request& request);

/// Impressions we can serve: banner or video in a form that some offer has, outside of private auctions.
/// Indices into request.imps.
std::vector<std::size_t> biddable_imps(const openrtb::Request& request, const Rules& rules,
                                       std::size_t limit);

/// The most valuable offers that suit the impression.
std::vector<std::uint32_t> find_candidates(const openrtb::Request& request, const openrtb::Imp& imp,
                                           const Catalog& catalog, std::span<const std::uint32_t> segments,
                                           std::size_t limit);

/// What the context ranges of the feature vector say.
struct FeatureContext {
  std::int64_t now, last_seen;  ///< Unix milliseconds; last_seen 0 for never
  std::uint32_t used_hour, cap_hour;
  int devicetype;  ///< AdCOM device type, 0 to 8
  int position;    ///< AdCOM placement position, 0 to 7
};

/// The 256 features of FR-RTB's table: [0,64) interests, [64,128) segments, [128,136) loyalty, [136,140)
/// context. `profile` is null when it may not be used. All values in [-1, 1].
std::array<float, 256> make_features(const v1::Profile* profile, const FeatureContext& context);

/// Features as decisions keep them: round(127 x) as a signed byte each, without the zeros at the end.
std::string pack_features(std::span<const float> features);

/// Ranking multiplier of a loyalty tier, in percent (FR-RTB-007).
std::int64_t tier_percent(v1::LoyaltyTier tier);

/// Prices and picks: at most one offer an impression, none twice in a response, none below its floor, and at
/// most `granted` in all, the dearest first. `scores[i][j]` is the click probability of
/// opportunities[i].rows[j].
std::vector<Choice> choose(const openrtb::Request& request, const std::vector<Opportunity>& opportunities,
                           const std::vector<std::span<const float>>& scores, const Catalog& catalog,
                           const Rules& rules, const Currency& currency, std::int64_t tier,
                           std::size_t granted);

}  // namespace cx::bidding
