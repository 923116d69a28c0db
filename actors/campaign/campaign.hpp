#pragma once

#include <cstdint>
#include <string_view>
#include <tuple>

#include "cx/v1/campaign.pb.h"
#include "runtime/entity/kind.hpp"

namespace cx {

/// The campaign entity, as its pure core. Commands are the requests of the service; who asks and with which
/// roles is the context's. Errors, in the order that they are looked for:
/// - invalid_argument "comment-missing", "invalid-campaign", "invalid-money", "invalid-channel",
///   "invalid-mask", "invalid-page-token", with a pointer;
/// - not_found "no-such-campaign" for everything but Create, of which conflict "already-exists";
/// - precondition_failed "etag-mismatch": if_match is neither empty, nor "*", nor the ETag;
/// - permission_denied "actor-unknown": who changes something has to be known;
/// - conflict "wrong-stage", which names the stage and what it allows;
/// - of Submit: conflict "incomplete-campaign", "invalid-rules" (a stored rule does not hold by today's
/// checks);
/// - of Approve: conflict "content-changed", "already-approved", permission_denied "role-missing",
///   "own-submission", invalid_argument "review-missing";
/// - of GoLive and Schedule: conflict "not-approved", "before-start", "already-over", invalid_argument
///   "invalid-start".
/// Rejecting and sending back need no role of a rule: whoever may approve at all may stop a campaign.
struct Campaign {
  static constexpr std::string_view kName = "campaign";
  static constexpr std::uint32_t kSchema = 1;
  static constexpr int kTransitions = 200;  ///< kept in the state
  using State = v1::CampaignState;
  using Event = v1::CampaignEvent;
  using Commands =
      std::tuple<v1::CreateCampaign, v1::GetCampaign, v1::UpdateCampaign, v1::ListTransitionsRequest,
                 v1::SubmitCampaign, v1::ApproveCampaign, v1::RejectCampaign, v1::RequestCampaignChanges,
                 v1::ScheduleCampaign, v1::StartCampaign, v1::PauseCampaign, v1::ResumeCampaign,
                 v1::CompleteCampaign, v1::ArchiveCampaign, v1::GoLiveDue, v1::EndDue>;
  using Changed = Result<Outcome<Event, v1::Campaign>>;

  static Changed handle(const State& state, const v1::CreateCampaign& command, const Context& context);
  static Changed handle(const State& state, const v1::UpdateCampaign& command, const Context& context);
  static Changed handle(const State& state, const v1::SubmitCampaign& command, const Context& context);
  static Changed handle(const State& state, const v1::ApproveCampaign& command, const Context& context);
  static Changed handle(const State& state, const v1::RejectCampaign& command, const Context& context);
  static Changed handle(const State& state, const v1::RequestCampaignChanges& command,
                        const Context& context);
  static Changed handle(const State& state, const v1::ScheduleCampaign& command, const Context& context);
  static Changed handle(const State& state, const v1::StartCampaign& command, const Context& context);
  static Changed handle(const State& state, const v1::PauseCampaign& command, const Context& context);
  static Changed handle(const State& state, const v1::ResumeCampaign& command, const Context& context);
  static Changed handle(const State& state, const v1::CompleteCampaign& command, const Context& context);
  static Changed handle(const State& state, const v1::ArchiveCampaign& command, const Context& context);

  static Outcome<Event, NoReply> handle(const State& state, const v1::GoLiveDue& due, const Context& context);
  static Outcome<Event, NoReply> handle(const State& state, const v1::EndDue& due, const Context& context);

  static Result<v1::Campaign> handle(const State& state, const v1::GetCampaign& query,
                                     const Context& context);
  static Result<v1::TransitionPage> handle(const State& state, const v1::ListTransitionsRequest& query,
                                           const Context& context);

  static void apply(State& state, const Event& event);
};

}  // namespace cx
