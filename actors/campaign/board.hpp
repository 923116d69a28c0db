#pragma once

#include <memory>
#include <string>

#include "cx/v1/campaign.pb.h"
#include "runtime/entity/kind.hpp"
#include "runtime/projection/projection.hpp"
#include "runtime/projection/sqlite_sink.hpp"

namespace cx {

/// All campaigns as rows of an SQLite file (<data>/projections/campaigns.db), where CampaignLists finds them.
/// A row holds the campaign's state beside what it is found by, and Campaign::apply carries it from event to
/// event: what an event does is told in one place.
class CampaignBoard final : public Projection {
 public:
  explicit CampaignBoard(std::string path);

  const std::string& name() const override { return name_; }
  std::uint32_t version() const override { return 1; }
  Sink& sink() override { return sink_; }
  std::span<const std::string> kinds() const override { return {&kind_->name(), 1}; }
  std::optional<Error> project(std::span<const v1::JournalRecord> records) override;
  bool uses_bases() const override { return true; }
  std::optional<Error> project_base(const v1::Snapshot& base) override;

 private:
  std::optional<Error> fold(const v1::JournalRecord& record);
  std::optional<Error> store(const std::string& address, std::uint64_t sequence, v1::CampaignState state);

  const std::string name_ = "campaigns";
  const std::unique_ptr<EntityKind> kind_;
  SqliteSink sink_;
};

}  // namespace cx
