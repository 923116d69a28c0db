#pragma once

#include <cstdint>
#include <string_view>
#include <tuple>

#include "cx/v1/event.pb.h"
#include "runtime/entity/kind.hpp"

namespace cx {

/// The intake entity, intake/<tenant>/<0..15>, as its pure core: where events go that could not be taken as
/// they came. What is invalid it buries, with the reason and the bytes; replaying that dead letter gives the
/// event another try.
struct Intake {
  static constexpr std::string_view kName = "intake";
  static constexpr std::uint32_t kSchema = 1;
  static constexpr std::uint64_t kSpread = 16;  ///< entities a tenant
  using State = v1::IntakeState;
  using Event = v1::IntakeEvent;
  using Commands = std::tuple<v1::TakeRaw>;

  static Outcome<Event, v1::RawTaken> handle(const State& state, const v1::TakeRaw& command,
                                             const Context& context);
  static void apply(State& state, const Event& event);
};

}  // namespace cx
