#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>

#include "cx/v1/audit.pb.h"
#include "runtime/entity/kind.hpp"

namespace cx {

/// The audit log of a tenant, audit/<tenant>/log, as its pure core: it numbers entries and chains them. Every
/// change that anybody makes passes through it, so its state is but the end of the chain; the entries are in
/// its events, and for good in the projection (AuditArchive).
struct Audit {
  static constexpr std::string_view kName = "audit";
  static constexpr std::string_view kKey = "log";
  static constexpr std::uint32_t kSchema = 1;
  using State = v1::AuditState;
  using Event = v1::AuditAppended;
  using Commands = std::tuple<v1::AppendAudit, v1::GetAuditHead>;

  static constexpr std::size_t kMostDetails = 4'096;  ///< bytes
  static constexpr std::size_t kMostText = 512;       ///< bytes of every other text
  static constexpr int kMostRoles = 64;

  /// Never refuses: an entry that got here is about something that has happened. It is cut to its bounds
  /// instead, and without a time of its own gets that of the decision.
  static Outcome<Event, NoReply> handle(const State& state, const v1::AppendAudit& command,
                                        const Context& context);
  static v1::AuditHead handle(const State& state, const v1::GetAuditHead& query, const Context& context);
  static void apply(State& state, const Event& event);
};

}  // namespace cx
