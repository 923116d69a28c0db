#include "actors/journey/instance.hpp"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include "actors/journey/address.hpp"
#include "actors/journey/walk.hpp"

namespace cx::journey {
namespace {

using google::protobuf::util::TimeUtil;
using Out = InstanceEntity::Out;

v1::JourneyStage stage_of(const Context& context) {
  const auto* facts = context.facts_as<v1::InstanceFacts>();
  return facts == nullptr ? v1::JOURNEY_STAGE_ACTIVE : facts->stage();
}

bool is_paused(const Context& context) {
  return stage_of(context) == v1::JOURNEY_STAGE_PAUSED;
}

Result<DefinitionPtr> find(const Book* book, const Context& context, const std::string& journey,
                           std::uint64_t revision) {
  auto definition = book == nullptr ? nullptr : book->find(context.tenant, journey, revision);
  if (definition) return definition;
  return Error{Code::unavailable, "journey-not-loaded",
               "This node does not have revision " + std::to_string(revision) + " of the journey " + journey +
                   " yet. Try again in a moment.",
               ""};
}

MessagePtr facts_of(const Book* book, const Context& context, const std::string& journey) {
  if (book == nullptr) return nullptr;
  auto facts = std::make_shared<v1::InstanceFacts>();
  facts->set_stage(book->stage(context.tenant, journey));
  return facts;
}

/// Ends what is running because the journey is no more.
bool archived(Walk& walk, const Context& context) {
  if (stage_of(context) != v1::JOURNEY_STAGE_ARCHIVED) return false;
  walk.end(v1::RUN_STATUS_EXITED, "archived");
  return true;
}

/// A command without what the state has anyway.
v1::ParkedCommand parked(const v1::StartRun& command) {
  v1::ParkedCommand out;
  out.mutable_start()->set_run(command.run());
  out.mutable_start()->set_caused_at(command.caused_at());
  return out;
}

}  // namespace

bool is_running(const v1::InstanceState& state) {
  return state.status() == v1::RUN_STATUS_ACTIVE || state.status() == v1::RUN_STATUS_WAITING ||
         state.status() == v1::RUN_STATUS_PAUSED;
}

std::string_view InstanceEntity::affinity(std::string_view key) {
  const auto parsed = parse_instance(key);
  return parsed ? parsed->customer : key;
}

Result<Out> InstanceEntity::handle(const State& state, const v1::StartRun& command,
                                   const Context& context) const {
  if (command.run() <= state.run()) return Out{};  // a repeat
  const auto definition = find(book, context, command.journey(), command.revision());
  if (!definition) return definition.error();
  Walk walk(**definition, state, context);
  if (is_running(state)) walk.replaced();
  walk.begin(command);
  walk.caused_at(command.caused_at());
  if (archived(walk, context)) return walk.finish();
  if (is_paused(context))
    walk.park(parked(command));
  else
    walk.go(0);
  return walk.finish();
}

Result<Out> InstanceEntity::handle(const State& state, const v1::RunEvent& command,
                                   const Context& context) const {
  if (!is_running(state)) return Out{};
  const auto definition = find(book, context, state.journey(), state.revision());
  if (!definition) return definition.error();
  Walk walk(**definition, state, context);
  if (archived(walk, context)) return walk.finish();
  walk.caused_at(command.caused_at());
  if (walk.leaves(command)) {
    walk.end(v1::RUN_STATUS_EXITED, "event " + command.name());
  } else if (state.status() == v1::RUN_STATUS_WAITING && walk.awaits(command)) {
    if (is_paused(context)) {
      v1::ParkedCommand parked;
      *parked.mutable_event() = command;
      walk.park(std::move(parked));
    } else {
      walk.happened(command);
    }
  }
  return walk.finish();
}

Result<Out> InstanceEntity::handle(const State& state, const v1::WakeRun& command,
                                   const Context& context) const {
  if (state.status() != v1::RUN_STATUS_WAITING || command.visit() != state.visit()) return Out{};
  const auto definition = find(book, context, state.journey(), state.revision());
  if (!definition) return definition.error();
  Walk walk(**definition, state, context);
  if (archived(walk, context)) return walk.finish();
  if (is_paused(context)) {
    v1::ParkedCommand parked;
    *parked.mutable_wake() = command;
    walk.park(std::move(parked));
  } else {
    walk.woken();
  }
  return walk.finish();
}

Result<Out> InstanceEntity::handle(const State& state, const v1::StepDecided& command,
                                   const Context& context) const {
  if (state.status() != v1::RUN_STATUS_ACTIVE || command.visit() != state.visit()) return Out{};
  const auto definition = find(book, context, state.journey(), state.revision());
  if (!definition) return definition.error();
  Walk walk(**definition, state, context);
  if (archived(walk, context)) return walk.finish();
  walk.caused_at(command.caused_at());
  if (is_paused(context)) {
    v1::ParkedCommand parked;
    *parked.mutable_decided() = command;
    walk.park(std::move(parked));
  } else {
    walk.decided(command);
  }
  return walk.finish();
}

Result<Out> InstanceEntity::handle(const State& state, const v1::ReconsiderRun&,
                                   const Context& context) const {
  if (!is_running(state) || is_paused(context)) return Out{};
  const bool is_archived = stage_of(context) == v1::JOURNEY_STAGE_ARCHIVED;
  if (!is_archived && state.status() != v1::RUN_STATUS_PAUSED) return Out{};
  const auto definition = find(book, context, state.journey(), state.revision());
  if (!definition) return definition.error();
  Walk walk(**definition, state, context);
  if (archived(walk, context)) return walk.finish();
  walk.unpark();
  const auto& parked = state.parked();
  switch (parked.command_case()) {
    case v1::ParkedCommand::kStart:
      walk.caused_at(parked.start().caused_at());
      walk.go(0);
      break;
    case v1::ParkedCommand::kEvent:
      walk.caused_at(parked.event().caused_at());
      walk.happened(parked.event());
      break;
    case v1::ParkedCommand::kDecided:
      walk.caused_at(parked.decided().caused_at());
      walk.decided(parked.decided());
      break;
    case v1::ParkedCommand::kWake:
    case v1::ParkedCommand::COMMAND_NOT_SET:
      walk.woken();
      break;
  }
  return walk.finish();
}

Out InstanceEntity::handle(const State& state, const v1::MessageUpdate& command, const Context& context) {
  Out out;
  if (state.run() == 0) return out;
  auto& message = *out.events.emplace_back().mutable_message();
  message.set_step(command.step());
  message.set_what(command.what());
  message.set_rule(command.rule());
  message.set_detail(command.detail());
  message.set_at(context.now);
  return out;
}

Result<v1::JourneyPath> InstanceEntity::handle(const State& state, const v1::GetRun&,
                                               const Context& context) const {
  const auto self = parse_instance(context.key);
  if (state.run() == 0 || !self)
    return Error{Code::not_found, "no-such-run",
                 "This customer was never in the journey" +
                     (self && !self->key.empty() ? " with this key" : std::string()) + ".",
                 ""};
  v1::JourneyPath out;
  out.set_journey(state.journey());
  out.set_customer_id(std::string(self->customer));
  out.set_key(state.key());
  out.set_revision(state.revision());
  out.set_run(state.run());
  out.set_status(state.status());
  out.set_step(state.step());
  *out.mutable_started_at() = TimeUtil::MillisecondsToTimestamp(state.started());
  if (state.until() != 0) *out.mutable_until() = TimeUtil::MillisecondsToTimestamp(state.until());
  if (state.status() == v1::RUN_STATUS_WAITING)
    if (const auto definition = find(book, context, state.journey(), state.revision()))
      if (const auto* step = (*definition)->parts().step(state.step()))
        out.set_event(step->rule->wait().until().event().name());
  for (const auto& note : state.path()) {
    auto& entry = *out.add_entries();
    *entry.mutable_at() = TimeUtil::MillisecondsToTimestamp(note.at());
    entry.set_step(note.step());
    entry.set_what(note.what());
    entry.set_reason(note.reason());
  }
  if (!state.memory().empty())
    (void)google::protobuf::util::JsonStringToMessage(state.memory(), out.mutable_memory());
  return out;
}

MessagePtr InstanceEntity::facts(const State&, const v1::StartRun& command, const Context& context) const {
  return facts_of(book, context, command.journey());
}
MessagePtr InstanceEntity::facts(const State& state, const v1::RunEvent&, const Context& context) const {
  return facts_of(book, context, state.journey());
}
MessagePtr InstanceEntity::facts(const State& state, const v1::WakeRun&, const Context& context) const {
  return facts_of(book, context, state.journey());
}
MessagePtr InstanceEntity::facts(const State& state, const v1::StepDecided&, const Context& context) const {
  return facts_of(book, context, state.journey());
}
MessagePtr InstanceEntity::facts(const State& state, const v1::ReconsiderRun&, const Context& context) const {
  return facts_of(book, context, state.journey());
}

}  // namespace cx::journey
