#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/customer/policy.hpp"
#include "actors/journey/definition.hpp"
#include "cx/v1/customer.pb.h"
#include "cx/v1/event.pb.h"

namespace cx::journey {

struct SimulationOptions {
  /// Whether customers have consented to what the journey sends: all of them, none, or as take() is told.
  enum class Consent { all, none, recorded } consent = Consent::all;
  delivery::PolicyPtr policy;  ///< null: neither caps nor quiet hours
  /// How far it goes, Unix milliseconds; 0: 366 days after the last event.
  std::int64_t until = 0;
};

/// What would have become of a message.
struct SimulatedMessage {
  std::int64_t at = 0;  ///< Unix milliseconds
  std::string customer;
  const v1::Step* step = nullptr;  ///< of the definition: channel, account, template
  std::string outcome;             ///< "sent", "refused", "deferred"
  std::string rule, detail;        ///< of the gate, where it is not "sent"
};

struct SimulatedStep {
  std::string step;
  std::uint64_t entered = 0, there = 0, sent = 0, refused = 0, deferred = 0;
};

struct SimulationReport {
  std::uint64_t events = 0, duplicates = 0, customers = 0;
  std::uint64_t started = 0, completed = 0, exited = 0;  ///< runs; those that are neither are still under way
  std::int64_t until = 0;
  std::vector<SimulatedStep> steps;  ///< in the definition's order
};

/// What a definition would have done with what happened: the real entities in virtual time, over a recorded
/// history. Nothing is sent. One thread.
class Simulation {
 public:
  using OnMessage = std::function<void(const SimulatedMessage&)>;
  /// invalid_argument of problems_of(), or "not-triggered-by-event": no history starts what is triggered by
  /// API.
  static Result<std::unique_ptr<Simulation>> make(v1::Journey journey, SimulationOptions options,
                                                  OnMessage on_message);
  ~Simulation();

  // In the order of their times; what comes late happens at the time of the one before it.

  std::optional<Error> take(const std::string& customer, v1::TakeEvent event);
  std::optional<Error> take(const std::string& customer, const v1::Consent& consent);
  /// Lets the rest happen.
  Result<SimulationReport> finish();

 private:
  struct State;
  explicit Simulation(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cx::journey
