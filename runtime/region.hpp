#pragma once

#include <caf/actor_cast.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/sec.hpp>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/entity.hpp"
#include "runtime/metered.hpp"

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::Memory)

namespace cx {

using sleep_atom = caf::atom_constant<caf::atom("cx-sleep")>;
using sweep_atom = caf::atom_constant<caf::atom("cx-sweep")>;

/// The actor of one awake entity of a kind. Spawned lazily by its region, which alone sends to it.
template <class Kind>
class EntityActor : public Metered<caf::event_based_actor> {
 public:
  using State = typename Kind::State;

  EntityActor(caf::actor_config& config, KindProbe& probe, const Clock& clock, std::string address,
              State state)
      : Metered(config, probe), clock_(clock), address_(std::move(address)), state_(std::move(state)) {}

 protected:
  caf::behavior make_behavior() override {
    return std::apply(
        [this](auto... command) {
          return caf::behavior{handler(command)..., [this](sleep_atom) {
                                 auto memory = Kind::sleep(state_, clock_.unix_ms());
                                 quit();
                                 return memory ? *std::move(memory) : Memory{};
                               }};
        },
        typename Kind::Commands{});
  }

 private:
  template <class Command>
  auto handler(const Command&) {
    using Reply =
        decltype(Kind::handle(state_, std::declval<const Command&>(), std::declval<const Context&>()).reply);
    using Answer = std::conditional_t<std::is_same_v<Reply, NoReply>, void, Reply>;
    return [this](const Command& command) -> caf::result<Answer> {
      try {
        auto outcome = Kind::handle(std::as_const(state_), command, Context{clock_.unix_ms(), address_});
        for (const auto& event : outcome.events) Kind::apply(state_, event);
        if constexpr (std::is_void_v<Answer>)
          return caf::unit;
        else
          return std::move(outcome.reply);
      } catch (const std::exception& e) {  // contained to this entity and this command
        probe().failures.add();
        return caf::make_error(caf::sec::runtime_error, std::string(e.what()));
      }
    };
  }

  const Clock& clock_;
  const std::string address_;
  State state_;
};

/// Routes commands to the entities of one kind on this node, wakes them on demand and puts the idle to sleep,
/// losing no message in between: what arrives for an entity that is falling asleep waits, and wakes it again.
/// Takes (address, command) for each command of the kind and answers what its `handle` says, or at once with
/// an error when the region is full or the entity has too many commands waiting. What sleeps is remembered in
/// memory only.
template <class Kind>
class Region : public Metered<caf::event_based_actor> {
 public:
  Region(caf::actor_config& config, KindProbe& own, KindProbe& entities, const Clock& clock, Kind kind,
         RegionLimits limits)
      : Metered(config, own), entities_(entities), clock_(clock), kind_(std::move(kind)), limits_(limits) {}

 protected:
  caf::behavior make_behavior() override {
    delayed_send(this, kSweepEvery, sweep_atom::value);
    return std::apply(
        [this](auto... command) {
          return caf::behavior{handler(command)..., [this](sweep_atom) {
                                 sweep();
                                 delayed_send(this, kSweepEvery, sweep_atom::value);
                               }};
        },
        typename Kind::Commands{});
  }

  // Entities live as long as somebody refers to them; a timer under way would keep us, and thus them.
  void on_exit() override { slots_.clear(); }

 private:
  static constexpr std::chrono::milliseconds kSweepEvery{250};
  static constexpr std::size_t kSweepBatch =
      2'000;  // bounds how long one sweep keeps the region from its mail

  struct Slot {
    caf::actor actor;
    bool falling_asleep = false;
    std::int64_t used = 0;
    std::list<const std::string*>::iterator order;  // position in by_use_
    std::vector<std::function<void(const caf::actor&)>> stash;
  };
  using Slots = std::unordered_map<std::string, Slot>;

  template <class Command>
  auto handler(const Command&) {
    return [this](const std::string& address, Command& command) {
      auto promise = make_response_promise();
      Slot* slot = awake(address);
      if (slot == nullptr) return promise.deliver(caf::make_error(caf::sec::runtime_error, "region full"));
      if (!slot->falling_asleep) {
        promise.delegate(slot->actor, std::move(command));
      } else if (slot->stash.size() < limits_.max_stash) {
        slot->stash.push_back([promise, command = std::move(command)](const caf::actor& to) mutable {
          promise.delegate(to, std::move(command));
        });
      } else {
        promise.deliver(caf::make_error(caf::sec::runtime_error, "entity overloaded"));
      }
    };
  }

  /// The slot of an entity, woken if need be; null when there is no room for one more.
  Slot* awake(const std::string& address) {
    const auto now = clock_.unix_ms();
    auto found = slots_.find(address);
    if (found != slots_.end()) {
      by_use_.splice(by_use_.end(), by_use_, found->second.order);
      found->second.used = now;
      return &found->second;
    }
    const auto memory = asleep_.find(address);
    if (memory == asleep_.end() &&
        slots_.size() + asleep_.size() >= limits_.max_resident + limits_.max_asleep)
      return nullptr;
    found = slots_.try_emplace(address).first;
    Slot& slot = found->second;
    slot.actor = wake(address, memory == asleep_.end() ? nullptr : &memory->second.bytes);
    slot.used = now;
    slot.order = by_use_.insert(by_use_.end(), &found->first);
    if (memory != asleep_.end()) {
      asleep_.erase(memory);
      entities_.asleep.add(-1);
    }
    if (slots_.size() > limits_.max_resident) put_to_sleep(slots_.find(*by_use_.front()));
    return &slot;
  }

  caf::actor wake(const std::string& address, const std::string* memory) {
    using Entity = EntityActor<Kind>;
    return caf::actor_cast<caf::actor>(this->template spawn<Entity, caf::lazy_init>(
        entities_, clock_, address, kind_.wake(address, memory)));
  }

  void put_to_sleep(typename Slots::iterator slot) {
    if (slot->second.falling_asleep) return;
    slot->second.falling_asleep = true;
    by_use_.splice(by_use_.end(), by_use_, slot->second.order);  // the next in line is somebody else
    request(slot->second.actor, caf::infinite, sleep_atom::value)
        .then([this, address = slot->first](Memory& memory) { fell_asleep(address, std::move(memory)); },
              [this, address = slot->first](const caf::error&) { fell_asleep(address, Memory{}); });
  }

  void fell_asleep(const std::string& address, Memory memory) {
    const auto slot = slots_.find(address);
    if (auto stash = std::move(slot->second.stash); !stash.empty()) {
      slot->second.actor = wake(address, memory.bytes.empty() ? nullptr : &memory.bytes);
      slot->second.falling_asleep = false;
      for (auto& deliver : stash) deliver(slot->second.actor);
      return;
    }
    by_use_.erase(slot->second.order);
    slots_.erase(slot);
    if (memory.bytes.empty()) return;
    to_forget_.emplace_back(memory.forget_at, address);
    if (asleep_.insert_or_assign(address, std::move(memory)).second) entities_.asleep.add();
  }

  void sweep() {
    const auto now = clock_.unix_ms();
    for (std::size_t n = 0; n < kSweepBatch && !by_use_.empty(); ++n) {
      const auto oldest = slots_.find(*by_use_.front());
      if (oldest->second.falling_asleep || now - oldest->second.used < limits_.idle_ms) break;
      put_to_sleep(oldest);
    }
    // Entities fall asleep roughly in the order in which they are forgotten; one that woke up since has
    // another date.
    for (std::size_t n = 0; n < kSweepBatch && !to_forget_.empty() && to_forget_.front().first <= now; ++n) {
      const auto memory = asleep_.find(to_forget_.front().second);
      if (memory != asleep_.end() && memory->second.forget_at <= now) {
        asleep_.erase(memory);
        entities_.asleep.add(-1);
      }
      to_forget_.pop_front();
    }
  }

  KindProbe& entities_;
  const Clock& clock_;
  Kind kind_;
  const RegionLimits limits_;
  Slots slots_;
  std::list<const std::string*> by_use_;  // longest unused first
  std::unordered_map<std::string, Memory> asleep_;
  std::deque<std::pair<std::int64_t, std::string>> to_forget_;
};

}  // namespace cx
