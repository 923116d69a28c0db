#pragma once

#include <string>

namespace cx::ctl {

/// What a no-bid reason code says: OpenRTB 2.6, list "No-Bid Reason Codes" (5.24 in 2.5, continued in
/// AdCOM 1.0).
inline std::string no_bid_reason(int code) {
  switch (code) {
    case 0:
      return "unknown error";
    case 1:
      return "technical error";
    case 2:
      return "invalid request";
    case 3:
      return "known web crawler";
    case 4:
      return "suspected non-human traffic";
    case 5:
      return "cloud, data centre or proxy address";
    case 6:
      return "unsupported device";
    case 7:
      return "blocked publisher or site";
    case 8:
      return "unmatched user";
    case 9:
      return "the user's daily cap is met";
    case 10:
      return "the domain's daily cap is met";
    case 11:
      return "ads.txt authorisation not available";
    case 12:
      return "ads.txt authorisation violated";
    case 13:
      return "ads.cert authentication not available";
    case 14:
      return "ads.cert authentication violated";
    case 15:
      return "not enough time for the auction";
    case 16:
      return "incomplete supply chain";
    case 17:
      return "blocked node in the supply chain";
    default:
      return code >= 500 ? "a reason of this bidder's own" : "a reason that the standard does not name";
  }
}

}  // namespace cx::ctl
