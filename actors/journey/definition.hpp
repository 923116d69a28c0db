#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/condition/condition.hpp"
#include "cx/v1/journey.pb.h"

namespace cx::journey {

/// Everything that is wrong with a definition; none when it is valid. Types: invalid-trigger, invalid-key,
/// invalid-event, invalid-condition, invalid-field, no-steps, too-many-steps, invalid-step, invalid-name,
/// duplicate-step, reserved-name, unknown-step, meaningless-next, missing-exit, unreachable-step,
/// cycle-without-wait, no-weight, invalid-duration, missing-channel, missing-template, too-large. Pure.
std::vector<v1::JourneyProblem> problems_of(const v1::Journey& journey);

/// A revision of a journey, checked and made ready. Immutable; thread-safe.
class Definition {
 public:
  /// invalid_argument with the first of problems_of().
  static Result<std::shared_ptr<const Definition>> compile(const v1::Journey& journey);

  const v1::Journey& journey() const;
  const std::string& purpose() const;  ///< "marketing" where it names none

  /// Name of the event that starts it; empty for one that is triggered by API.
  const std::string& trigger_event() const;
  struct Start {
    bool starts = false;
    std::string key;     ///< as it was told, not yet instance_key(); empty where the definition has none
    std::string reason;  ///< why not: "condition", "key"
  };
  /// Whether the trigger's conditions hold, and the key. `subject.key` is what an API call gave. A key has 1
  /// to 300 bytes.
  Start start(const condition::Subject& subject) const;
  v1::Trigger::ReEntry re_entry() const;

  /// Whether an instance wants to hear of events of this name.
  bool listens(std::string_view event) const;
  /// Which branch of a decision step holds, from 0; -1: none. Of an unknown step: -1.
  struct Branch {
    int index = -1;
    std::string reason;  ///< in words, without personal data
  };
  Branch branch(std::string_view step, const condition::Subject& subject) const;

  struct Parts;  ///< see parts.hpp
  const Parts& parts() const { return *parts_; }

  ~Definition();

 private:
  explicit Definition(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};
using DefinitionPtr = std::shared_ptr<const Definition>;

}  // namespace cx::journey
