#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "tools/campaignctl/failure.hpp"

namespace cx::ctl {

/// As parse_duration (text.hpp), and whole days of up to a hundred years: "7d".
std::optional<std::chrono::milliseconds> parse_span(std::string_view text);

/// Which way a time leads that is written as a span without a sign.
enum class Sense { ago, from_now };

/// A time as a node takes it, RFC 3339 in UTC or with an offset, from what people write: the same,
/// "2026-11-21" for its midnight in UTC, "now", or a span as 15m, 2h or 7d: that long ago or from now, as
/// `sense` says; +2h is always from now and -2h always ago. Empty stays empty. `what` names it in the
/// failure:
/// "--since", "TIME".
Outcome<std::string> time_of(const std::string& what, const std::string& text, Sense sense,
                             std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

}  // namespace cx::ctl
