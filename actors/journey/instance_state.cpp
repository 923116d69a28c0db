// How an instance's state follows from its events, and its path with it.
#include "actors/journey/instance.hpp"
#include "actors/journey/walk.hpp"

namespace cx::journey {
namespace {

using State = v1::InstanceState;

void note(State& state, std::int64_t at, std::string_view step, std::string_view what,
          std::string_view reason) {
  auto& path = *state.mutable_path();
  if (path.size() >= InstanceEntity::kMostNotes)
    path.DeleteSubrange(0, path.size() - InstanceEntity::kMostNotes + 1);
  auto& note = *path.Add();
  note.set_at(at);
  note.set_step(std::string(step));
  note.set_what(std::string(what));
  note.set_reason(std::string(reason));
  state.set_changed(at);
}

void begin(State& state, const v1::RunBegun& begun) {
  state.set_journey(begun.journey());
  state.set_revision(begun.revision());
  state.set_customer(begun.customer());
  state.set_key(begun.key());
  state.set_run(begun.run());
  state.set_status(v1::RUN_STATUS_ACTIVE);
  state.clear_step();
  state.set_started(begun.at());
  state.set_event(begun.event());
  state.clear_memory();
  state.clear_until();
  state.clear_parked();
  note(state, begun.at(), "", "started", begun.reason());
}

void park(State& state, const v1::RunParked& parked) {
  state.clear_until();
  if (parked.has_command()) {
    state.set_status(v1::RUN_STATUS_PAUSED);
    *state.mutable_parked() = parked.command();
  } else {
    state.set_status(v1::RUN_STATUS_ACTIVE);
    state.clear_parked();
  }
  note(state, parked.at(), state.step(), parked.has_command() ? "paused" : "resumed", "");
}

void end(State& state, const v1::RunEnded& ended) {
  state.set_status(ended.status());
  state.clear_until();
  state.clear_parked();
  // What it knew is of no use any more; the path keeps what happened.
  state.clear_event();
  note(state, ended.at(), state.step(), ended.status() == v1::RUN_STATUS_COMPLETED ? "completed" : "exited",
       ended.reason());
}

void note_message(State& state, const v1::MessageNoted& message) {
  auto reason = message.what();
  if (!message.rule().empty()) reason += " by " + message.rule();
  if (!message.detail().empty()) reason += ": " + message.detail();
  note(state, message.at(), message.step(), "message", reason);
}

}  // namespace

void InstanceEntity::apply(State& state, const Event& event) {
  switch (event.event_case()) {
    case Event::kBegun:
      return begin(state, event.begun());
    case Event::kEntered:
      state.set_status(v1::RUN_STATUS_ACTIVE);
      state.set_step(event.entered().step());
      state.set_visit(event.entered().visit());
      state.clear_until();
      return note(state, event.entered().at(), state.step(), "entered", "");
    case Event::kWaits:
      state.set_status(v1::RUN_STATUS_WAITING);
      state.set_until(event.waits().until());
      return note(state, event.waits().at(), state.step(), "waiting", event.waits().reason());
    case Event::kRemembered: {
      const auto& fact = event.remembered();
      if (auto memory = remembered(state.memory(), fact.name(), fact.json()))
        state.set_memory(std::move(*memory));
      return note(state, fact.at(), fact.step(), "remembered", fact.name());
    }
    case Event::kParked:
      return park(state, event.parked());
    case Event::kNoted:
      return note(state, event.noted().at(), event.noted().step(), event.noted().what(),
                  event.noted().reason());
    case Event::kEnded:
      return end(state, event.ended());
    case Event::kMessage:
      return note_message(state, event.message());
    case Event::EVENT_NOT_SET:
      break;
  }
}

}  // namespace cx::journey
