#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "actors/bidding/decide.hpp"

namespace cx::bidding {

/// The bid response document (OpenRTB 2.6 section 4.2). `id` is our id of this decision; a bid's id is that
/// and its position. FR-RTB-004's names are OpenRTB's here: offer_id is adid, bid_price is price,
/// creative_url is iurl (of a video: the media file within adm).
std::string write_response(const openrtb::Request& request, const std::vector<Choice>& choices,
                           const Catalog& catalog, const Rules& rules, const Currency& currency,
                           std::string_view id);

/// Appends `micros` as a JSON number in units: 1234500 is 1.2345.
void append_units(std::string& out, std::int64_t micros);

}  // namespace cx::bidding
