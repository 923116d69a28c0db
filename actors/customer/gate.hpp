#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "actors/customer/policy.hpp"
#include "cx/v1/customer.pb.h"

// The delivery gate: may a message reach a person now? Pure. The rules, in this order: suppression, consent,
// quiet hours (which do not hold for transactional messages), caps. The first that says no is the one that is
// named.

namespace cx::delivery {

/// What the gate has to know of a message.
struct Asked {
  v1::Channel channel = v1::CHANNEL_UNSPECIFIED;
  std::string_view purpose;
  bool transactional = false;
  std::string_view id;  ///< what the message itself has reserved is not held against it
};

struct Verdict {
  enum class What { go, refuse, defer };
  What what = What::go;
  std::string_view rule = {};  ///< "suppression", "consent", "quiet-hours", "cap"; empty for go
  std::string detail = {};     ///< the rule with its numbers, in words
  std::int64_t until = 0;      ///< of defer: when it may pass, Unix milliseconds
};

/// The zone that quiet hours and calendar caps of a person go by, and where it is from: the trait "timezone"
/// ("customer"), the zone of the last events ("geo"), the policy ("tenant"), or else UTC ("default"). Names
/// that are no zones are passed over.
struct ZoneChoice {
  Zone zone;
  std::string_view basis;
};
ZoneChoice zone_of(const v1::Person& person, const Policy* policy);

/// `policy` may be null: there are no caps or quiet hours then.
Verdict judge(const Policy* policy, const v1::Person& person, const Asked& asked, std::int64_t now);

/// The first moment from `now` on, Unix milliseconds, that no quiet time of the channel holds; none within a
/// week. A clock that is put forward over the end of a quiet time ends it; a time that comes twice is quiet
/// both times.
std::optional<std::int64_t> quiet_until(const Policy& policy, v1::Channel channel, const Zone& zone,
                                        std::int64_t now);

/// How many messages count towards a cap at `now`, but for the one called `except`. Sliding: those of the
/// last 60 minutes, 24 hours, 7 or 30 days, a message being out of it when exactly that time has passed.
/// Calendar: those of the same hour, day, week or month on the clock of the zone, both hours of a repeated
/// one. What is later than `now` (the clock was set back) counts.
std::uint32_t counted(const v1::MessageCap& cap, const v1::Person& person, const Zone& zone, std::int64_t now,
                      std::string_view except = {});

}  // namespace cx::delivery
