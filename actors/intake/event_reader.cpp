#include "actors/intake/event_reader.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include "actors/journey/address.hpp"
#include "runtime/json.hpp"
#include "runtime/uuid.hpp"

namespace cx::intake {
namespace {

using Value = StrictReader::Value;
using Type = StrictReader::Type;

constexpr std::string_view kAnonymous = "anonymous:";

/// What a call says. Absent, null and "" are the same.
struct Said {
  std::string_view type, event, name, user_id, anonymous_id, message_id, group_id, previous_id;
  std::string_view timestamp, original_timestamp, sent_at;
  std::string properties, traits, context;
};

struct TextMember {
  std::string_view name;
  std::string_view Said::*text;
  bool is_id;  // a number is taken for its text
};
constexpr std::array<TextMember, 11> kTexts{{
    {"type", &Said::type, false},
    {"event", &Said::event, false},
    {"name", &Said::name, false},
    {"userId", &Said::user_id, true},
    {"anonymousId", &Said::anonymous_id, true},
    {"messageId", &Said::message_id, true},
    {"groupId", &Said::group_id, true},
    {"previousId", &Said::previous_id, true},
    {"timestamp", &Said::timestamp, false},
    {"originalTimestamp", &Said::original_timestamp, false},
    {"sentAt", &Said::sent_at, false},
}};

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_integer(std::string_view number) {
  return number.find_first_not_of("0123456789", number.starts_with('-') ? 1 : 0) == number.npos;
}

/// Reads one event and makes a command of it.
class Reading {
 public:
  Reading(StrictReader& reader, const Batch* batch, const Received& received)
      : reader_(reader), batch_(batch), received_(received) {}

  bool read(StrictReader::Object& object) {
    return reader_.members(object, 1,
                           [this](std::string_view name, Value value) { return member(name, value); });
  }

  /// `given`: the type that the path says; unspecified when the event has to.
  bool make(v1::EventType given, Event& out) {
    out.take = std::make_shared<v1::TakeEvent>();
    auto& take = *out.take;
    return type(given, take) && who(take, out.customer) && what(take) && id(take) && when(take);
  }

 private:
  bool member(std::string_view name, Value value) {
    for (const auto& text : kTexts)
      if (text.name == name) return read_text(value, said_.*text.text, text.is_id);
    if (name == "properties") return read_object(value, said_.properties);
    if (name == "traits") return read_object(value, said_.traits);
    if (name == "context") return read_context(value);
    ignored_.clear();
    return reader_.copy(value, ignored_, 1);
  }

  bool read_text(Value& value, std::string_view& out, bool is_id) {
    Type found{};
    if (!reader_.type_of(value, found)) return false;
    switch (found) {
      case Type::null:
        return reader_.null(value);
      case Type::string:
        return reader_.text(value, out);
      case Type::number:
        if (!reader_.number(value, out)) return false;
        if (is_id && is_integer(out)) return true;
        [[fallthrough]];
      default:
        return wrong(is_id ? "This must be a string, or a whole number." : "This must be a string.");
    }
  }

  bool read_object(Value& value, std::string& out) {
    Type found{};
    if (!reader_.type_of(value, found)) return false;
    if (found == Type::null) return reader_.null(value);
    if (found != Type::object) return wrong("This must be an object.");
    return reader_.copy(value, out, 1);
  }

  /// The event's own context, and what its batch has beside that.
  bool read_context(Value& value) {
    Type found{};
    if (!reader_.type_of(value, found)) return false;
    if (found == Type::null || batch_ == nullptr || batch_->context.empty())
      return read_object(value, said_.context);
    if (found != Type::object) return wrong("This must be an object.");
    auto& out = said_.context;
    const auto& shared = batch_->context;
    std::vector<bool> own(shared.size());
    out = '{';
    const auto add = [&out](std::string_view name) {
      if (out.size() > 1) out += ',';
      append_json(out, name);
      out += ':';
    };
    const auto each = [&](std::string_view name, Value inner) {
      const auto at =
          std::lower_bound(shared.begin(), shared.end(), name,
                           [](const auto& member, std::string_view n) { return member.first < n; });
      if (at != shared.end() && at->first == name) own[static_cast<std::size_t>(at - shared.begin())] = true;
      add(name);
      return reader_.copy(inner, out, 2);
    };
    if (!reader_.members(value, 2, each)) return false;
    for (std::size_t i = 0; i < shared.size(); ++i) {
      if (own[i]) continue;
      add(shared[i].first);
      out += shared[i].second;
    }
    out += '}';
    return true;
  }

  bool wrong(std::string detail) { return reader_.fail("invalid-event", std::move(detail)); }
  bool wrong(std::string_view member, std::string detail) {
    wrong(std::move(detail));
    return reader_.within(member);
  }
  bool check(std::string_view member, std::string_view text, std::size_t most) {
    if (const auto n = characters(text); n > most)
      return wrong(member, fmt::format("{} has {} characters; send at most {}.", member, n, most));
    return !has_control(text) ||
           wrong(member, fmt::format("{} holds a control character; leave it out.", member));
  }

  bool type(v1::EventType given, v1::TakeEvent& take) {
    const auto named = event_type(said_.type);
    if (!said_.type.empty() && !named)
      return wrong("type", "type must be track, identify, page, screen, group or alias.");
    if (given != v1::EVENT_TYPE_UNSPECIFIED && named && *named != given)
      return wrong("type", fmt::format("type says {}, but this was sent as {}; correct one of them.",
                                       event_type_name(*named), event_type_name(given)));
    if (given == v1::EVENT_TYPE_UNSPECIFIED && !named)
      return wrong("type",
                   "type is missing; an event of a batch says what it is: track, identify, page, screen, "
                   "group or alias.");
    take.set_type(named ? *named : given);
    return true;
  }

  bool who(v1::TakeEvent& take, std::string& customer) {
    const auto user = said_.user_id, anonymous = said_.anonymous_id;
    if (user.empty() && anonymous.empty())
      return wrong("Neither userId nor anonymousId says whose event this is; send one of them.");
    if (!check("userId", user, kMaxId) || !check("anonymousId", anonymous, kMaxId)) return false;
    if (user.starts_with(kAnonymous))
      return wrong("userId",
                   "userId starts with 'anonymous:', which is kept for customers without one; choose "
                   "another id.");
    if (take.type() == v1::EVENT_TYPE_ALIAS && user.empty())
      return wrong("userId", "userId is missing; an alias says who the one of previousId is.");
    take.set_user_id(std::string(user));
    take.set_anonymous_id(std::string(anonymous));
    customer = journey::customer_key(user.empty() ? std::string(kAnonymous).append(anonymous) : user);
    return true;
  }

  bool what(v1::TakeEvent& take) {
    take.set_context(batch_ != nullptr && said_.context.empty() ? to_object(batch_->context)
                                                                : std::move(said_.context));
    switch (take.type()) {
      case v1::EVENT_TYPE_TRACK:
        if (said_.event.empty()) return wrong("event", "event is missing; a track call says what happened.");
        if (!check("event", said_.event, kMaxName)) return false;
        take.set_name(std::string(said_.event));
        break;
      case v1::EVENT_TYPE_PAGE:
      case v1::EVENT_TYPE_SCREEN:
        if (!check("name", said_.name, kMaxName)) return false;
        take.set_name(std::string(said_.name));
        break;
      case v1::EVENT_TYPE_IDENTIFY:
        take.set_properties(std::move(said_.traits));
        return true;
      case v1::EVENT_TYPE_GROUP:
        if (said_.group_id.empty())
          return wrong("groupId", "groupId is missing; a group call says which group.");
        if (!check("groupId", said_.group_id, kMaxId)) return false;
        take.set_properties(related("groupId", said_.group_id));
        return true;
      default:
        if (said_.previous_id.empty())
          return wrong("previousId",
                       "previousId is missing; an alias says which id was the customer's before.");
        if (!check("previousId", said_.previous_id, kMaxId)) return false;
        take.set_properties(related("previousId", said_.previous_id));
        return true;
    }
    take.set_properties(std::move(said_.properties));
    return true;
  }

  std::string related(std::string_view member, std::string_view id) const {
    std::string out("{");
    append_json(out, member);
    out += ':';
    append_json(out, id);
    if (!said_.traits.empty()) out.append(",\"traits\":").append(said_.traits);
    return out += '}';
  }

  bool id(v1::TakeEvent& take) {
    if (!check("messageId", said_.message_id, kMaxMessageId)) return false;
    take.set_event_id(said_.message_id.empty()
                          ? uuid7(received_.at / 1000, received_.random.next(), received_.random.next())
                          : std::string(said_.message_id));
    take.set_source(std::string(received_.source));
    take.set_received_at(received_.at);
    return true;
  }

  bool time(std::string_view member, std::string_view text, std::optional<std::int64_t>& out) {
    if (text.empty()) return true;
    out = read_time(text);
    return out || wrong_time(member, "is no time; write it like 2026-01-31T08:30:00.000Z (RFC 3339)");
  }
  bool wrong_time(std::string_view member, std::string_view why) {
    reader_.fail("invalid-time", fmt::format("{} {}.", member, why));
    return reader_.within(member);
  }

  /// The sender's clock may be wrong: how long ago it says that it was counts, not when.
  bool when(v1::TakeEvent& take) {
    std::optional<std::int64_t> stamp, original, sent;
    if (!time("timestamp", said_.timestamp, stamp) ||
        !time("originalTimestamp", said_.original_timestamp, original) ||
        !time("sentAt", said_.sent_at.empty() && batch_ != nullptr ? batch_->sent_at : said_.sent_at, sent))
      return false;
    const auto now = received_.at / 1000;
    const auto told = original ? original : stamp;
    auto at = now;
    if (told && sent)
      at = now - (*sent - *told);
    else if (told)
      at = *told;
    if (at < 0) return wrong_time(original ? "originalTimestamp" : "timestamp", "is before 1970; correct it");
    take.set_at(at > now + kMaxAheadMs ? now : at);
    return true;
  }

  StrictReader& reader_;
  const Batch* const batch_;
  const Received& received_;
  Said said_;
  std::string ignored_;
};

}  // namespace

std::optional<std::int64_t> read_time(std::string_view text) {
  using google::protobuf::util::TimeUtil;
  google::protobuf::Timestamp time;
  if (text.size() > 40 || !TimeUtil::FromString(std::string(text), &time)) return std::nullopt;
  return TimeUtil::TimestampToMilliseconds(time);
}

std::string to_object(const std::vector<std::pair<std::string, std::string>>& members) {
  if (members.empty()) return {};
  std::string out("{");
  for (const auto& [name, json] : members) {
    if (out.size() > 1) out += ',';
    append_json(out, name);
    out.append(1, ':').append(json);
  }
  return out += '}';
}

bool read_event(StrictReader& reader, StrictReader::Object& object, const Batch* batch,
                const Received& received, const std::function<bool()>& rest, v1::EventType type, Event& out) {
  Reading reading(reader, batch, received);
  return reading.read(object) && rest() && reading.make(type, out);
}

}  // namespace cx::intake
