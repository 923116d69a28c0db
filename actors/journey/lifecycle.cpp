#include "actors/journey/lifecycle.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <span>

#include "actors/journey/address.hpp"
#include "cx/v1/delivery.pb.h"
#include "runtime/on_executor.hpp"

namespace cx::journey {
namespace {

constexpr int kAttempts = 16;  // of a change that others overtake
constexpr std::size_t kPage = 1'000;

constexpr auto kDraft = v1::JOURNEY_STAGE_DRAFT, kActive = v1::JOURNEY_STAGE_ACTIVE,
               kPaused = v1::JOURNEY_STAGE_PAUSED, kCompleted = v1::JOURNEY_STAGE_COMPLETED,
               kArchived = v1::JOURNEY_STAGE_ARCHIVED;

struct Transition {
  Verb verb;
  std::string_view name, done;
  std::vector<v1::JourneyStage> from;
  v1::JourneyStage to;
};
const Transition kTransitions[] = {
    {Verb::activate, "activate", "activated", {kDraft, kActive}, kActive},
    {Verb::pause, "pause", "paused", {kActive}, kPaused},
    {Verb::resume, "resume", "resumed", {kPaused}, kActive},
    {Verb::complete, "complete", "completed", {kActive, kPaused}, kCompleted},
    {Verb::archive, "archive", "archived", {kDraft, kActive, kPaused, kCompleted, kArchived}, kArchived},
};

const Transition& transition_of(Verb verb) {
  return *std::find_if(std::begin(kTransitions), std::end(kTransitions),
                       [&](const auto& t) { return t.verb == verb; });
}

bool allows(const Transition& transition, v1::JourneyStage stage) {
  return std::find(transition.from.begin(), transition.from.end(), stage) != transition.from.end();
}

std::string_view name_of(v1::JourneyStage stage) {
  switch (stage) {
    case kActive:
      return "active";
    case kPaused:
      return "paused";
    case kCompleted:
      return "completed";
    case kArchived:
      return "archived";
    default:
      return "a draft";
  }
}

Error wrong_stage(const std::string& id, v1::JourneyStage stage, const Transition& wanted) {
  std::string allowed;
  for (const auto& transition : kTransitions)
    if (allows(transition, stage) && transition.to != stage)
      allowed += (allowed.empty() ? "" : ", ") + std::string(transition.name);
  return {Code::conflict, "wrong-stage",
          fmt::format("Journey {} is {} and cannot be {}. {}", id, name_of(stage), wanted.done,
                      allowed.empty() ? "Nothing leads on from there; store its definition as a new journey."
                                      : "What can be done now: " + allowed + "."),
          ""};
}

Error no_such_journey(const std::string& id) {
  return {Code::not_found, "no-such-journey",
          "There is no journey " + id + ". List what there is, or store a definition by that id.", "/id"};
}

v1::Channel channel_of(const v1::ChannelAccount& account) {
  if (account.has_sendgrid()) return v1::CHANNEL_EMAIL;
  return account.has_webhook() ? v1::CHANNEL_WEBHOOK : v1::CHANNEL_UNSPECIFIED;
}
v1::Channel channel_of(const v1::MessageTemplate& one) {
  if (one.has_email()) return v1::CHANNEL_EMAIL;
  return one.has_webhook() ? v1::CHANNEL_WEBHOOK : v1::CHANNEL_UNSPECIFIED;
}

/// The channel of what a step refers to; `noun` is both the kind of the documents and what people call them.
template <class Body>
std::optional<Error> check_reference(const Catalog& catalog, const std::string& tenant, const v1::Step& step,
                                     const std::string& noun, const std::string& id) {
  const auto document = catalog.get({noun, tenant, id});
  if (!document) {
    if (document.error().code != Code::not_found) return document.error();
    return Error{
        Code::conflict, "no-such-" + noun,
        fmt::format("Step {} sends with the {} {}, which there is not. Store it first.", step.id(), noun, id),
        ""};
  }
  const auto body = read_body<Body>(*document);
  if (!body) return body.error();
  const auto channel = channel_of(*body);
  if (channel == step.send().channel()) return std::nullopt;
  return Error{
      Code::conflict, "wrong-" + noun,
      fmt::format("Step {} sends by {}, and the {} {} is for {}. Name another one, or another channel.",
                  step.id(), v1::Channel_Name(step.send().channel()), noun, id, v1::Channel_Name(channel)),
      ""};
}

}  // namespace

// Where a journey stands, and the ETag of the document that says so; empty where there is none.
struct Lifecycle::Stored {
  v1::JourneyStatus status;
  std::string etag;
};

Result<Lifecycle::Stored> Lifecycle::read(const std::string& tenant, const std::string& id) const {
  const auto document = catalog_.get({kStatusKind, tenant, id});
  if (document) {
    auto status = status_of(*document);
    if (!status) return status.error();
    return Stored{std::move(*status), document->etag()};
  }
  if (document.error().code != Code::not_found) return document.error();
  const auto journey = catalog_.get({kJourneyKind, tenant, id});
  if (!journey) return journey.error().code == Code::not_found ? no_such_journey(id) : journey.error();
  Stored draft;
  draft.status.set_id(id);
  return draft;
}

Result<v1::JourneyStatus> Lifecycle::status(const std::string& tenant, const std::string& id) const {
  auto stored = read(tenant, id);
  if (!stored) return stored.error();
  return std::move(stored->status);
}

Result<v1::Journey> Lifecycle::definition(const std::string& tenant, const std::string& id,
                                          std::uint64_t revision) const {
  const DocumentKey key{kJourneyKind, tenant, id};
  const auto document = revision == 0 ? catalog_.get(key) : catalog_.get(key, revision);
  if (!document) {
    auto error = document.error();
    if (error.type == "no-such-revision") error.pointer = "/revision";
    return error.type == "no-such-document" ? no_such_journey(id) : error;
  }
  auto journey = read_body<v1::Journey>(*document);
  if (!journey) return journey.error();
  journey->set_id(id);
  journey->set_revision(document->revision());
  return journey;
}

Result<v1::JourneyStatus> Lifecycle::activate(const std::string& tenant, const std::string& id,
                                              std::uint64_t revision, const std::string& actor) {
  const auto stored = read(tenant, id);
  if (!stored) return stored.error();
  if (const auto stage = stored->status.stage(); !allows(transition_of(Verb::activate), stage))
    return wrong_stage(id, stage, transition_of(Verb::activate));
  const auto journey = definition(tenant, id, revision);
  if (!journey) return journey.error();
  // It was valid when it was stored, by the rules of then.
  if (const auto compiled = Definition::compile(*journey); !compiled) {
    auto error = compiled.error();
    error.detail =
        fmt::format("Revision {} of journey {} is not valid: {}", journey->revision(), id, error.detail);
    error.pointer.clear();  // it leads into the definition, which the request does not have
    return error;
  }
  if (auto error = check_senders(tenant, *journey)) return *std::move(error);
  return move(Verb::activate, tenant, id, journey->revision(), actor);
}

Result<v1::JourneyStatus> Lifecycle::change(Verb verb, const std::string& tenant, const std::string& id,
                                            const std::string& actor) {
  return move(verb, tenant, id, 0, actor);
}

// `revision`: that it gets; 0: keeps the one that it has.
Result<v1::JourneyStatus> Lifecycle::move(Verb verb, const std::string& tenant, const std::string& id,
                                          std::uint64_t revision, const std::string& actor) {
  const auto& transition = transition_of(verb);
  const std::lock_guard lock(changing_);
  for (int attempt = 1;; ++attempt) {
    const auto before = read(tenant, id);
    if (!before) return before.error();
    const auto stage = before->status.stage();
    if (!allows(transition, stage)) return wrong_stage(id, stage, transition);
    if (stage == transition.to && (revision == 0 || revision == before->status.revision()))
      return before->status;
    if (transition.to == kActive && stage != kActive)
      if (auto error = check_room(tenant)) return *std::move(error);
    v1::JourneyStatus next;
    next.set_stage(transition.to);
    next.set_revision(revision == 0 ? before->status.revision() : revision);
    const auto stored = catalog_.put({kStatusKind, tenant, id}, next, before->etag, actor);
    if (stored) {
      const bool followed = book_.settle(stored->change());
      if (!followed || (transition.to == kActive && !book_.find(tenant, id, next.revision())))
        return Error{
            Code::unavailable, "not-in-effect",
            fmt::format("Journey {} is {} from now on, but this node does not act on it yet. Look at "
                        "its status in a moment.",
                        id, name_of(transition.to)),
            ""};
      return status_of(*stored);
    }
    const auto code = stored.error().code;
    const bool overtaken =
        code == Code::conflict || code == Code::precondition_failed || code == Code::not_found;
    if (!overtaken || attempt == kAttempts) return stored.error();
  }
}

std::optional<Error> Lifecycle::check_room(const std::string& tenant) const {
  std::size_t active = 0;
  std::string after;
  for (;;) {
    const auto page = catalog_.list(kStatusKind, tenant, after, kPage);
    if (!page) return page.error();
    for (const auto& document : *page) {
      const auto status = status_of(document);
      if (!status) return status.error();
      if (status->stage() == kActive) ++active;
    }
    if (page->size() < kPage) break;
    after = page->back().id();
  }
  if (active < kMostActive) return std::nullopt;
  return Error{
      Code::conflict, "too-many-journeys",
      fmt::format("{} journeys are active, which is the most. Pause, complete or archive one.", active), ""};
}

std::optional<Error> Lifecycle::check_senders(const std::string& tenant, const v1::Journey& journey) const {
  for (const auto& step : journey.steps()) {
    if (!step.has_send()) continue;
    const auto& send = step.send();
    if (auto error = check_reference<v1::ChannelAccount>(catalog_, tenant, step, "channel", send.via()))
      return error;
    if (auto error =
            check_reference<v1::MessageTemplate>(catalog_, tenant, step, "template", send.template_()))
      return error;
  }
  return std::nullopt;
}

void add_lifecycle(Services& services, Lifecycle& lifecycle, Executor& executor, AskEntity ask) {
  services.add("cx.v1.Journeys.Validate",
               read_on<v1::ValidateJourney>(
                   executor, [](const CallContext&, const auto& request) -> Result<v1::JourneyProblems> {
                     v1::JourneyProblems out;
                     for (auto& problem : problems_of(request.journey()))
                       *out.add_problems() = std::move(problem);
                     return out;
                   }));
  services.add(
      "cx.v1.Journeys.Activate",
      read_on<v1::ActivateJourney>(executor, [&lifecycle](const CallContext& call, const auto& request) {
        return lifecycle.activate(call.caller->tenant, request.id(), request.revision(), call.caller->actor);
      }));
  for (const auto& [name, verb] :
       {std::pair("Pause", Verb::pause), std::pair("Resume", Verb::resume),
        std::pair("Complete", Verb::complete), std::pair("Archive", Verb::archive)})
    services.add(std::string("cx.v1.Journeys.") + name,
                 read_on<v1::ChangeJourney>(
                     executor, [&lifecycle, verb = verb](const CallContext& call, const auto& request) {
                       return lifecycle.change(verb, call.caller->tenant, request.id(), call.caller->actor);
                     }));
  services.add("cx.v1.Journeys.Path",
               Services::Unary([ask = std::move(ask)](const CallContext& call, const auto& request,
                                                      const Services::Respond& respond) {
                 const auto& of = static_cast<const v1::GetJourneyPath&>(*request);
                 const auto key = of.key().empty() ? std::string() : instance_key(of.key());
                 const auto to = "journey/" + call.caller->tenant + "/" +
                                 instance_name(of.id(), key, customer_key(of.customer_id()));
                 ask(call, to, std::make_shared<v1::GetRun>(), respond);
               }));
}

}  // namespace cx::journey
