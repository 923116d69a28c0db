#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cx/v1/campaign.pb.h"
#include "runtime/environment/executor.hpp"
#include "runtime/projection/sqlite_reader.hpp"
#include "runtime/services.hpp"

namespace cx {

/// What is asked of the file that a CampaignBoard fills, each within one tenant. Thread-safe; blocks. Errors
/// of all: those of SqliteReader, and invalid_argument "invalid-page-token"; `deadline` as there. A page ends
/// early rather than be larger than some 3 MB.
class CampaignLists {
 public:
  /// The clock outlives the lists.
  CampaignLists(std::string path, const Clock& clock) : reader_(std::move(path), clock) {}

  /// The last changed first. One that changes while its list is read moves to the front, and so to pages that
  /// were read before; all others are on one page each.
  Result<v1::CampaignPage> list(const std::string& tenant, const v1::ListCampaigns& request,
                                std::int64_t deadline) const;
  /// To the millisecond. invalid_argument "invalid-time", "invalid-time-range".
  Result<v1::CampaignPage> calendar(const std::string& tenant, const v1::ListCalendar& request,
                                    std::int64_t deadline) const;
  /// What `approver`, who has `roles`, could approve now. A page may be empty and not be the last: it is over
  /// once some thousands of campaigns were looked at.
  Result<v1::CampaignPage> pending(const std::string& tenant, const std::string& approver,
                                   std::span<const std::string> roles,
                                   const v1::ListPendingApprovalsRequest& request,
                                   std::int64_t deadline) const;

 private:
  struct Query;
  Result<v1::CampaignPage> page(const Query& query, std::int64_t deadline) const;

  SqliteReader reader_;
};

/// The roles that a user of a tenant has; nothing when there is no such user. Called on threads of the
/// executor.
using RolesOf = std::function<std::optional<std::vector<std::string>>(const std::string& tenant,
                                                                      const std::string& actor)>;

/// Serves those methods of cx.v1.Campaigns that are about many campaigns (List, Calendar,
/// ListPendingApprovals) from `lists` on threads of `executor`; both outlive the services. For the caller the
/// caller's own roles count; for others those that `roles_of` says.
void add_campaign_lists(Services& services, const CampaignLists& lists, Executor& executor, RolesOf roles_of);

}  // namespace cx
