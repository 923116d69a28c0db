#pragma once

#include <string>

#include "runtime/projection/projection.hpp"
#include "runtime/projection/sqlite_sink.hpp"

namespace cx {

/// The entries of all audit logs as rows of an SQLite file (<data>/projections/audit.db), where AuditReader
/// finds them. They stay when the journal forgets them, through a rebuild and through new versions too: the
/// file is part of what a backup has to hold.
class AuditArchive final : public Projection {
 public:
  explicit AuditArchive(std::string path);

  const std::string& name() const override { return name_; }
  std::uint32_t version() const override { return 1; }
  Sink& sink() override { return sink_; }
  std::span<const std::string> kinds() const override { return {&kind_, 1}; }
  std::optional<Error> project(std::span<const v1::JournalRecord> records) override;

 private:
  const std::string name_ = "audit", kind_ = "audit";
  SqliteSink sink_;
};

}  // namespace cx
