#include "actors/campaign/board.hpp"

#include "actors/campaign/campaign.hpp"
#include "actors/campaign/timing.hpp"
#include "actors/campaign/view.hpp"
#include "runtime/address.hpp"
#include "runtime/entity/kind_of.hpp"

namespace cx {
namespace {

using sqlite::Value;

// Times are Unix milliseconds; `channels` has bit n for channel n; `sequence` is that of the last record in
// the state. `tenant` is in the index of words so that a search need not look at what other tenants have.
constexpr const char* kSchema = R"(
CREATE TABLE campaigns (
  number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, id TEXT NOT NULL, sequence INTEGER NOT NULL,
  stage INTEGER NOT NULL, owner TEXT NOT NULL, channels INTEGER NOT NULL, updated INTEGER NOT NULL,
  starts INTEGER, ends INTEGER, submitted INTEGER, state BLOB NOT NULL);
CREATE UNIQUE INDEX campaigns_key ON campaigns (tenant, id);
CREATE INDEX campaigns_updated ON campaigns (tenant, updated, id);
CREATE INDEX campaigns_owner ON campaigns (tenant, owner, updated, id);
CREATE INDEX campaigns_starts ON campaigns (tenant, starts, id) WHERE starts IS NOT NULL;
CREATE INDEX campaigns_submitted ON campaigns (tenant, submitted, id) WHERE submitted IS NOT NULL;
CREATE VIRTUAL TABLE words USING fts5(
  tenant, id, name, description, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');
)";

Error unreadable(const std::string& address) {
  return {
      Code::internal, "corrupt",
      "The stored state of " + address + " in campaigns.db cannot be read. Rebuild the projection campaigns.",
      ""};
}

const google::protobuf::Timestamp* starts(const v1::CampaignState& state) {
  if (state.content().has_start()) return &state.content().start();
  if (state.has_live_at()) return &state.live_at();
  return state.has_scheduled_at() ? &state.scheduled_at() : nullptr;
}

const google::protobuf::Timestamp* ends(const v1::CampaignState& state) {
  if (state.content().has_end()) return &state.content().end();
  return state.has_completed_at() ? &state.completed_at() : nullptr;
}

Value ms_or_null(const google::protobuf::Timestamp* time) {
  if (time == nullptr) return nullptr;
  return campaign::ms_of(*time);
}

}  // namespace

CampaignBoard::CampaignBoard(std::string path)
    : kind_(make_kind(Campaign{})), sink_(std::move(path), kSchema) {}

std::optional<Error> CampaignBoard::project(std::span<const v1::JournalRecord> records) {
  for (const auto& record : records)
    if (record.events_size() > 0)
      if (auto error = fold(record)) return error;
  return std::nullopt;
}

std::optional<Error> CampaignBoard::project_base(const v1::Snapshot& base) {
  if (!base.entity().starts_with("campaign/")) return std::nullopt;
  const auto entity = kind_->make(base.entity());
  if (auto error = entity->load(base.schema(), base.state())) return error;
  return store(base.entity(), base.sequence(), static_cast<const v1::CampaignState&>(entity->state()));
}

std::optional<Error> CampaignBoard::fold(const v1::JournalRecord& record) {
  const auto address = parse_address(record.entity());
  if (!address) return address.error();
  const auto entity = kind_->make(record.entity());
  std::optional<Error> error;
  bool known = false;
  auto failed = sink_.run("SELECT sequence, state FROM campaigns WHERE tenant = ?1 AND id = ?2",
                          {std::string_view(address->tenant), std::string_view(address->key)},
                          [&](const sqlite::Row& row) {
                            known = static_cast<std::uint64_t>(row.integer(0)) >= record.sequence();
                            if (entity->load(Campaign::kSchema, row.blob(1)))
                              error = unreadable(record.entity());
                          });
  if (failed || error) return failed ? failed : error;
  if (known) return std::nullopt;
  for (const auto& event : record.events())
    if (auto wrong = entity->apply(record.schema(), event)) return wrong;
  return store(record.entity(), record.sequence(), static_cast<const v1::CampaignState&>(entity->state()));
}

std::optional<Error> CampaignBoard::store(const std::string& address, std::uint64_t sequence,
                                          v1::CampaignState state) {
  if (!state.has_content())
    return std::nullopt;  // of a campaign that was never created there is nothing to show
  const auto where = parse_address(address);
  if (!where) return where.error();
  state.clear_transitions();  // which no list shows; their number is kept
  const auto stored = serialize(state);
  const auto shown = campaign::view(state);
  std::int64_t channels = 0;
  for (const auto channel : state.content().channels())
    if (channel >= 0 && channel < 63) channels |= std::int64_t{1} << channel;
  const bool waits = state.stage() == v1::CAMPAIGN_STAGE_IN_REVIEW && state.has_review();

  const Value tenant = std::string_view(where->tenant), id = std::string_view(where->key);
  if (auto error = sink_.run(
          "INSERT INTO campaigns (tenant, id, sequence, stage, owner, channels, updated, starts, ends, "
          "submitted, state)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
          " ON CONFLICT (tenant, id) DO UPDATE SET sequence = ?3, stage = ?4, owner = ?5, channels = ?6,"
          " updated = ?7, starts = ?8, ends = ?9, submitted = ?10, state = ?11",
          {tenant, id, static_cast<std::int64_t>(sequence), std::int64_t{state.stage()},
           std::string_view(shown.owner()), channels, campaign::ms_of(state.updated_at()),
           ms_or_null(starts(state)), ms_or_null(ends(state)),
           ms_or_null(waits ? &state.review().submitted_at() : nullptr), sqlite::Blob{stored}}))
    return error;
  if (auto error = sink_.run(
          "DELETE FROM words WHERE rowid = (SELECT number FROM campaigns WHERE tenant = ?1 AND id = ?2)",
          {tenant, id}))
    return error;
  return sink_.run(
      "INSERT INTO words (rowid, tenant, id, name, description)"
      " SELECT number, ?1, ?2, ?3, ?4 FROM campaigns WHERE tenant = ?1 AND id = ?2",
      {tenant, id, std::string_view(state.content().name()),
       std::string_view(state.content().description())});
}

}  // namespace cx
