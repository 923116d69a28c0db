#include "actors/decision/board.hpp"

#include <algorithm>

#include "actors/decision/decision.hpp"
#include "actors/decision/id.hpp"
#include "cx/v1/decision.pb.h"
#include "runtime/address.hpp"
#include "runtime/projection/unreadable.hpp"

namespace cx::decision {
namespace {

constexpr std::int64_t kForgetEvery = 600'000;  // milliseconds

}  // namespace

std::string row_key(std::string_view tenant, std::string_view id) {
  std::string key(tenant);
  key += '\0';
  key += id;
  return key;
}

RowName parse_row_key(std::string_view key) {
  const auto tenant = std::min(key.find('\0'), key.size());
  const auto rest = key.substr(std::min(tenant + 1, key.size()));
  const auto id = std::min(rest.find('\0'), rest.size());
  return {key.substr(0, tenant), rest.substr(0, id), rest.substr(std::min(id + 1, rest.size()))};
}

std::optional<Error> DecisionBoard::project(std::span<const v1::JournalRecord> records) {
  std::int64_t now = 0;
  for (const auto& record : records) {
    now = std::max(now, record.now());
    auto error = record.entity().starts_with("customer/") ? put_decisions(record) : put_outcomes(record);
    if (error) return error;
  }
  if (now < forget_at_) return std::nullopt;
  forget_at_ = now + kForgetEvery;
  return forget_before(now - kept_);
}

std::optional<Error> DecisionBoard::put_decisions(const v1::JournalRecord& record) {
  static const std::string kType = v1::RecordDecisions::descriptor()->full_name();
  if (record.command().type() != kType) return std::nullopt;
  v1::RecordDecisions made;
  if (!made.ParseFromString(record.command().bytes())) return unreadable(record);
  const auto customer = parse_address(record.entity());
  if (!customer) return customer.error();
  v1::Decision row;
  row.set_customer_id(customer->key);
  row.set_model(made.model());
  row.mutable_price()->set_currency(made.currency());
  for (int i = 0; i < made.bids_size(); ++i) {
    auto& bid = *made.mutable_bids(i);
    row.set_offer_id(std::move(*bid.mutable_offer_id()));
    row.set_campaign_id(std::move(*bid.mutable_campaign_id()));
    row.set_score(bid.score());
    row.mutable_price()->set_micros(bid.price_micros());
    row.set_candidates(bid.candidates());
    row.set_features(std::move(*bid.mutable_features()));
    auto key = row_key(customer->tenant, id_of(made.id(), static_cast<std::size_t>(i)));
    key += '\0';
    sink_.put(key, row.SerializeAsString());
  }
  return std::nullopt;
}

std::optional<Error> DecisionBoard::put_outcomes(const v1::JournalRecord& record) {
  const auto decision = parse_address(record.entity());
  if (!decision) return decision.error();
  v1::DecisionEvent event;
  for (const auto& bytes : record.events()) {
    if (!event.ParseFromString(bytes)) return unreadable(record);
    auto key = row_key(decision->tenant, decision->key);
    key += '\0';
    key += static_cast<char>(event.outcome().outcome());
    key += event.outcome().outcome_id();
    sink_.put(key, shown(event.outcome()).SerializeAsString());
  }
  return std::nullopt;
}

/// One tenant after the other: each one's oldest rows come first.
std::optional<Error> DecisionBoard::forget_before(std::int64_t unix_ms) {
  const auto first = first_id(unix_ms);
  for (std::string from;;) {
    std::string key;
    if (auto error = sink_.scan(from, [&](std::string_view found, std::string_view) {
          key = found;
          return false;
        }))
      return error;
    if (key.empty()) return std::nullopt;
    const std::string tenant(parse_row_key(key).tenant);
    const auto end = row_key(tenant, first);
    if (key < end)
      if (auto error = sink_.erase_range(row_key(tenant), end)) return error;
    from = tenant + '\1';
  }
}

}  // namespace cx::decision
