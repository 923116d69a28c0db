#pragma once

#include <string>
#include <tuple>

#include "runtime/entity/kind.hpp"
#include "shelves.pb.h"

namespace cx::test {

/// All that a new kind of entity takes besides its messages and its service: shelf/<tenant>/<id>.
struct ShelfKind {
  static constexpr std::string_view kName = "shelf";
  static constexpr std::uint32_t kSchema = 1;
  using State = ShelfState;
  using Event = ThingsPut;
  using Commands = std::tuple<PutThings, GetShelf>;

  static Shelf show(const State& state, const Context& context) {
    Shelf shelf;
    shelf.set_id(std::string(context.key));
    shelf.set_things(state.things());
    shelf.set_last_actor(state.last_actor());
    shelf.set_witness(state.witness());
    return shelf;
  }
  static Result<Outcome<Event, Shelf>> handle(const State& state, const PutThings& command,
                                              const Context& context) {
    if (state.things() + command.count() > 100)
      return Error{Code::conflict, "shelf-full", "A shelf holds 100 things; take another shelf.", "/count"};
    Outcome<Event, Shelf> out;
    auto& event = out.events.emplace_back();
    event.set_count(command.count());
    event.set_actor(std::string(context.actor));
    event.set_witness(command.witness());
    State after = state;
    apply(after, event);
    out.reply = show(after, context);
    return out;
  }
  static Shelf handle(const State& state, const GetShelf&, const Context& context) {
    return show(state, context);
  }
  static void apply(State& state, const Event& event) {
    state.set_things(state.things() + event.count());
    state.set_last_actor(event.actor());
    state.set_witness(event.witness());
  }
};

}  // namespace cx::test
