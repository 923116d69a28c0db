#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "actors/journey/address.hpp"
#include "actors/journey/board.hpp"
#include "actors/journey/instance.hpp"
#include "actors/journey/report.hpp"
#include "runtime/entity/kind_of.hpp"
#include "runtime/random.hpp"
#include "tests/actors/journey_management/world.hpp"
#include "tests/runtime/projection/log.hpp"

namespace cx::test {

/// Instances of journeys that things happen to, the log of what they do, and what is read of it.
struct Runs {
  struct Passed {
    std::uint64_t entered = 0, sent = 0, refused = 0, failed = 0;
  };

  /// Has the instance decide; whether it accepted. Time passes.
  bool send(const std::string& address, const Message& command) {
    auto& entity = entities[address];
    if (!entity) entity = kind->make(address);
    const auto where = *parse_address(address);
    Context context;
    context.now = now += 1'000;
    context.self = address;
    context.tenant = where.tenant;
    context.key = where.key;
    auto decision = entity->decide(*kind->command(command.GetDescriptor()), command, context);
    if (!decision) return false;
    if (decision->events.empty()) return true;
    const auto journey = where.tenant + '/' + std::string(journey::parse_instance(where.key)->journey);
    for (const auto& bytes : decision->events) {
      v1::InstanceEvent event;
      REQUIRE(event.ParseFromString(bytes));
      if (event.has_entered()) ++passed[journey][event.entered().step()].entered;
      if (!event.has_message()) continue;
      const auto& what = event.message().what();
      if (what == "queued" || what == "deferred") continue;
      auto& step = passed[journey][event.message().step()];
      ++(what == "sent" ? step.sent : what == "refused" ? step.refused : step.failed);
    }
    log.append(address, std::move(decision->events));
    return true;
  }
  const v1::InstanceState& state(const std::string& address) {
    return static_cast<const v1::InstanceState&>(entities.at(address)->state());
  }
  bool start(const std::string& address) {
    const auto where = *parse_address(address);
    const auto instance = *journey::parse_instance(where.key);
    const auto active = world.book->active(where.tenant, instance.journey);
    if (!active) return false;
    v1::StartRun command;
    command.set_journey(std::string(instance.journey));
    command.set_revision(active->revision());
    command.set_key(std::string(instance.key));
    command.set_run((entities.contains(address) ? state(address).run() : 0) + 1);
    return send(address, command);
  }

  void project() { log.project(*projector); }
  /// A node that starts again with the same files.
  void restart() {
    projector.reset();
    board = std::make_unique<journey::JourneyBoard>(directory.file("journeys.db"));
    projector = log.projector(*board);
  }

  std::int64_t now = 1'800'000'000'000;
  World world;
  const std::unique_ptr<EntityKind> kind = make_kind(journey::InstanceEntity{world.book.get()});
  std::map<std::string, std::unique_ptr<Entity>> entities;
  std::map<std::string, std::map<std::string, Passed>> passed;  // by tenant/journey and step
  Log log;
  TemporaryDirectory directory;
  std::unique_ptr<journey::JourneyBoard> board =
      std::make_unique<journey::JourneyBoard>(directory.file("journeys.db"));
  journey::RunLists lists{directory.file("journeys.db"), log.environment.clock()};
  std::unique_ptr<Projector> projector = log.projector(*board);
};

/// With every kind of step that makes a difference to where an instance is.
inline v1::Journey long_journey(const std::string& tag) {
  return message_of<v1::Journey>(
      R"({
    'trigger': {'event': {'name': 'Go'}},
    'exit_on': [{'name': 'Stop'}],
    'steps': [
      {'id': 'hello', 'send': {'channel': 'CHANNEL_EMAIL', 'via': 'mail', 'template': 'hello'}},
      {'id': 'look', 'wait': {'until': {'event': {'name': 'Seen'}, 'timeout': '3600s', 'on_timeout': 'ask-)" +
      tag + R"('}}},
      {'id': 'ask-)" +
      tag +
      R"(', 'decide': {'branches': [{'when': {'field': 'traits.plan', 'equals': 'gold'},
        'next': 'again'}]}},
      {'id': 'over', 'exit': {}},
      {'id': 'again', 'send': {'channel': 'CHANNEL_EMAIL', 'via': 'mail', 'template': 'hello'}},
      {'id': 'rest', 'wait': {'duration': '60s'}},
      {'id': 'end', 'exit': {}}]})");
}

}  // namespace cx::test
