#pragma once

// The inside of a Definition, for actors/journey/*.cpp only.

#include <functional>
#include <map>
#include <set>

#include "actors/journey/definition.hpp"

namespace cx::journey {

// What a condition of a part may ask for.
condition::Roots trigger_roots(const v1::Trigger& trigger);
condition::Roots key_roots(const v1::Trigger& trigger);
inline constexpr condition::Roots kListeningRoots{false, true, true, true};  ///< until, exit_on
inline constexpr condition::Roots kDecisionRoots{true, true, true, true};
inline constexpr condition::Roots kFieldRoots{false, true, true, true};  ///< remember, wait at

/// A step with the places of others in the list instead of their ids; -1 for nowhere.
struct ReadyStep {
  struct Way {
    condition::Condition when;
    int to = -1;
  };
  struct Share {
    std::uint64_t below = 0;  ///< of the sum of all weights, this share ends before
    int to = -1;
  };
  const v1::Step* rule = nullptr;  ///< of Parts::journey
  int next = -1;
  std::optional<condition::Field> field;  ///< of remember, and of a wait for a time
  std::string value;                      ///< of remember: JSON
  condition::Condition where;             ///< of a wait for an event
  int on_timeout = -1;
  std::vector<Way> branches;
  std::vector<Share> shares;
};

struct Definition::Parts {
  struct Exit {
    std::string event;
    condition::Condition where;
  };
  v1::Journey journey;
  std::string purpose;
  condition::Condition trigger_where;
  std::optional<condition::Field> key;
  std::vector<ReadyStep> steps;
  std::map<std::string, int, std::less<>> by_id;
  std::vector<Exit> exits;
  std::set<std::string, std::less<>> listens;

  /// By id; null for none.
  const ReadyStep* step(std::string_view id) const;
};

/// Where step `i` may lead, by the places of the steps in the list; ids that nothing has are left out.
std::vector<int> leads_to(const v1::Journey& journey, const std::map<std::string, int, std::less<>>& by_id,
                          int i);
/// Whether a step goes on by itself, to `next` or what follows it.
bool goes_on(const v1::Step& step);
/// Problems of the graph that the steps are: unreachable-step, cycle-without-wait, missing-exit.
void check_graph(const v1::Journey& journey, const std::map<std::string, int, std::less<>>& by_id,
                 std::vector<v1::JourneyProblem>& problems);

}  // namespace cx::journey
