#include "actors/intake/intake.hpp"

#include <string>

#include "actors/intake/segment.hpp"

namespace cx {

Outcome<Intake::Event, v1::RawTaken> Intake::handle(const State&, const v1::TakeRaw& command,
                                                    const Context& context) {
  Outcome<Event, v1::RawTaken> out;
  auto random = context.random();
  const auto event = intake::Parser().raw(command, random);
  out.events.emplace_back().set_buried(!event);
  if (event) {
    out.send(std::string("customer/").append(context.tenant).append("/").append(event->customer),
             *event->take);
    return out;
  }
  auto why = event.error();
  if (!why.pointer.empty()) why.detail += " See " + why.pointer + ".";
  out.reply.set_reason(why.type);
  out.reply.set_detail(why.detail);
  out.bury(std::string(context.self), command, std::move(why));
  return out;
}

void Intake::apply(State& state, const Event& event) {
  if (event.buried())
    state.set_buried(state.buried() + 1);
  else
    state.set_taken(state.taken() + 1);
}

}  // namespace cx
