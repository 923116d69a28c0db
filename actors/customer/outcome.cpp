#include "actors/customer/outcome.hpp"

#include <algorithm>
#include <array>
#include <google/protobuf/util/time_util.h>
#include <string>
#include <utility>

#include "actors/customer/decide.hpp"
#include "actors/customer/json.hpp"
#include "actors/decision/id.hpp"

namespace cx {
namespace {

constexpr std::size_t kMostId = 100;  // bytes, as ReportOutcome has it

v1::Outcome kind_of(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, v1::Outcome>, 5> kNames = {{
      {"Promotion Viewed", v1::OUTCOME_IMPRESSION},
      {"Promotion Clicked", v1::OUTCOME_CLICK},
      {"Email Opened", v1::OUTCOME_OPEN},
      {"Promotion Dismissed", v1::OUTCOME_DISMISS},
      {"Order Completed", v1::OUTCOME_CONVERSION},
  }};
  for (const auto& [known, outcome] : kNames)
    if (known == name) return outcome;
  return v1::OUTCOME_UNSPECIFIED;
}

bool is_currency(std::string_view text) {
  return text.size() == 3 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

std::optional<std::int64_t> micros_of(std::string_view number) {
  constexpr int kMostDigits = 12, kDecimals = 6;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::int64_t out = 0;
  std::size_t at = 0;
  for (; at < number.size() && is_digit(number[at]); ++at) {
    if (at == kMostDigits) return std::nullopt;
    out = out * 10 + (number[at] - '0');
  }
  if (at == 0) return std::nullopt;
  const bool point = at < number.size() && number[at] == '.';
  if (point) ++at;
  for (int i = 0; i < kDecimals; ++i) {
    const bool more = point && at < number.size() && is_digit(number[at]);
    out = out * 10 + (more ? number[at++] - '0' : 0);
  }
  while (point && at < number.size() && is_digit(number[at])) ++at;
  if (at != number.size()) return std::nullopt;
  return out;
}

std::optional<v1::ReportOutcome> outcome_of(const v1::TakeEvent& event, std::int64_t now) {
  if (event.type() != v1::EVENT_TYPE_TRACK) return std::nullopt;
  const auto outcome = kind_of(event.name());
  if (outcome == v1::OUTCOME_UNSPECIFIED || event.properties().find("decision_id") == std::string::npos)
    return std::nullopt;

  std::string id, revenue, currency, order;  // as JSON
  members_of(event.properties(), [&](std::string_view name, std::string value) {
    for (const auto& [wanted, kept] : {std::pair<std::string_view, std::string*>{"decision_id", &id},
                                       {"revenue", &revenue},
                                       {"currency", &currency},
                                       {"order_id", &order}})
      if (name == wanted) *kept = std::move(value);
  });
  v1::ReportOutcome report;
  report.set_decision_id(text_of_json(id));
  const auto decided = decision::decided_at(report.decision_id());
  const auto at = std::min(event.at(), now);
  if (!decided || at < *decided - decision::kSkew) return std::nullopt;
  report.set_outcome(outcome);
  *report.mutable_at() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(at);
  if (outcome != v1::OUTCOME_CONVERSION) return report;
  order = text_of_json(order);
  report.set_outcome_id(cut(order.empty() ? event.event_id() : order, kMostId));
  currency = text_of_json(currency);
  if (const auto micros = micros_of(revenue); micros && is_currency(currency)) {
    report.mutable_value()->set_micros(*micros);
    report.mutable_value()->set_currency(currency);
  }
  return report;
}

}  // namespace cx
