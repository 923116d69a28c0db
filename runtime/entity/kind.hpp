#pragma once

#include <cstdint>
#include <deque>
#include <google/protobuf/message.h>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/random.hpp"

namespace cx {

using google::protobuf::Message;
/// A message that is shared and never changes; null where there is nothing to say.
using MessagePtr = std::shared_ptr<const Message>;

/// The bytes of a message: the same ones in every run, maps included.
std::string serialize(const Message& message);

/// What a decision may know besides state and command: recorded with its events, so that it can be replayed.
struct Context {
  std::int64_t now = 0;       ///< UTC, Unix milliseconds
  std::string_view self;      ///< address of the entity
  std::string_view tenant;    ///< of the address
  std::string_view key;       ///< of the address
  std::string_view actor;     ///< who asked: an entity's address, a user; empty when unknown
  std::string_view trace;     ///< of the request; empty when it had none
  std::int64_t deadline = 0;  ///< Unix milliseconds; 0 for none
  std::uint64_t seed = 0;
  std::span<const std::string> roles = {};  ///< of who asked
  const Message* facts = nullptr;           ///< what the kind's facts() told; null for nothing

  Random random() const { return Random(seed); }
  /// The facts, if they are such; null otherwise.
  template <class Facts>
  const Facts* facts_as() const {
    return dynamic_cast<const Facts*>(facts);
  }
};

/// What a decision leads to besides events and reply. All of it is committed with the events.
struct Effects {
  struct Timer {
    std::string name;
    std::int64_t due;
    MessagePtr command;
  };
  struct Letter {
    std::string to;
    MessagePtr command;
  };
  struct Buried {
    Letter letter;
    Error why;
  };
  static constexpr std::size_t kMostLetters = 1000;  ///< that one decision may send or bury
  std::vector<Timer> reminders;
  std::vector<std::string> cancelled;
  std::vector<Letter> outbox;
  std::vector<Buried> buried;

  /// This entity gets `command` at `due` (Unix milliseconds), once; a reminder of the same name is replaced.
  template <class Command>
  void remind(std::string name, std::int64_t due, Command command) {
    reminders.push_back({std::move(name), due, std::make_shared<Command>(std::move(command))});
  }
  void cancel(std::string name) { cancelled.push_back(std::move(name)); }
  /// The entity at address `to` gets `command` once; an endpoint does at least once, with a stable id. One of
  /// the same shard gets it at once, and what it makes of it is committed together with this decision.
  template <class Command>
  void send(std::string to, Command command) {
    outbox.push_back({std::move(to), std::make_shared<Command>(std::move(command))});
  }
  /// A message that is not to be sent, and why: it is a dead letter from the start, which a person may send.
  template <class Command>
  void bury(std::string to, Command command, Error why) {
    buried.push_back({{std::move(to), std::make_shared<Command>(std::move(command))}, std::move(why)});
  }
};

/// The reply of a command that nobody waits for.
struct NoReply {};

/// What a decision leads to. `events` are applied in order before anybody sees the reply.
template <class Event, class Reply>
struct Outcome : Effects {
  std::vector<Event> events;
  Reply reply;
};

// An entity kind is a type with
//
//   static constexpr std::string_view kName;       // of addresses: "customer"
//   static constexpr std::uint32_t kSchema;        // version of State and Event; from 1, one more for each
//                                                  // change that Protobuf's own rules do not cover
//   using State, Event;                            // Protobuf messages
//   using Commands = std::tuple<...>;              // Protobuf messages
//   // One per command:
//   Outcome<Event, Reply> handle(const State&, const Command&, const Context&) const;
//   Result<Outcome<Event, Reply>> handle(...) const;       // that may refuse
//   Reply or Result<Reply> handle(...) const;              // a query: nothing is journaled
//   static void apply(State&, const Event&);
//
// and may have
//
//   State initial(std::string_view address) const; // of an entity that was never seen; by default State{}
//   static std::string_view affinity(std::string_view key);       // what its shard follows; by default key
//   // When kSchema > 1, of an older schema:
//   static Result<State> upcast_state(std::uint32_t schema, std::string_view bytes);
//   static Result<Event> upcast_event(std::uint32_t schema, std::string_view bytes);
//   // For any of its commands, what must be known of the world outside the entity to decide:
//   MessagePtr facts(const State&, const Command&, const Context&) const;
//
// handle, apply, initial and the upcasts are pure: what they return follows from their arguments alone. So
// that this holds for what the catalog says now, say, there is facts(): it is asked right before handle, may
// look at anything in memory that any thread may look at, and must be quick. What it returns is
// Context::facts and part of the decision's record, and a replay of the decision gets that instead of asking
// again. A record of its own for each decision: make them few bytes. Null for none.

/// A decision with its messages as bytes.
struct Decision {
  MessagePtr facts;  ///< that were asked for; null when there are none, or the context had them
  std::vector<std::string> events;
  MessagePtr reply;
  Effects effects;
};

/// A command that a kind takes.
struct CommandType {
  const Message* prototype;
  std::size_t index;  ///< in the kind's Commands
  bool relaxed;       ///< by the contract
  bool query;         ///< leads to no events
};

/// One entity in memory. One thread at a time.
class Entity {
 public:
  virtual ~Entity() = default;
  /// Handles and applies. An Error changes nothing. An exception leaves the state undefined.
  virtual Result<Decision> decide(const CommandType& type, const Message& command,
                                  const Context& context) = 0;
  /// Replaces the state by one that save() gave under `schema`.
  virtual std::optional<Error> load(std::uint32_t schema, std::string_view state) = 0;
  /// Applies an event of a record.
  virtual std::optional<Error> apply(std::uint32_t schema, std::string_view event) = 0;
  virtual std::string save() const = 0;
  virtual const Message& state() const = 0;
  /// Memory that it holds, roughly.
  virtual std::size_t bytes() const = 0;
};

/// An entity kind, whichever it is. Immutable; thread-safe.
class EntityKind {
 public:
  virtual ~EntityKind() = default;
  virtual std::unique_ptr<Entity> make(std::string_view address) const = 0;
  virtual std::string_view affinity(std::string_view key) const = 0;
  virtual const Message& event_prototype() const = 0;

  const std::string& name() const { return name_; }
  std::uint32_t schema() const { return schema_; }
  /// Whether a projection follows it: its commits are announced (Committer::on_followed).
  bool followed() const { return followed_; }
  /// Null for a message that is no command of this kind.
  const CommandType* command(const google::protobuf::Descriptor* type) const;
  const CommandType* command(const std::string& full_name) const;

 protected:
  EntityKind(std::string name, std::uint32_t schema) : name_(std::move(name)), schema_(schema) {}
  /// Reads off the contract whether it is relaxed.
  void add(const Message& prototype, bool query);

 private:
  friend class Kinds;
  const std::string name_;
  const std::uint32_t schema_;
  bool followed_ = false;
  std::unordered_map<const google::protobuf::Descriptor*, CommandType> commands_;
};

/// Something that is no entity, but may be sent messages: an actor of this node that talks to the outside.
/// See Entities::connect.
struct Endpoint {
  std::string name;                      ///< of addresses, as a kind's
  std::vector<const Message*> commands;  ///< prototypes of those that it takes

  /// Null for a message that it does not take.
  const Message* command(std::string_view full_name) const;
};

/// The kinds that a node hosts, and its endpoints, by name. Filled before anything uses it.
class Kinds {
 public:
  /// `name` is no kind's. `commands` are prototypes that live as long as the process.
  void add_endpoint(std::string name, std::vector<const Message*> commands) {
    endpoints_.push_back({std::move(name), std::move(commands)});
  }
  const Endpoint* find_endpoint(std::string_view name) const {
    for (const auto& endpoint : endpoints_)
      if (endpoint.name == name) return &endpoint;
    return nullptr;
  }
  void add(std::unique_ptr<EntityKind> kind) { kinds_.push_back(std::move(kind)); }
  /// Some projection reads the records of this kind, if there is one.
  void follow(std::string_view name) {
    for (const auto& kind : kinds_)
      if (kind->name() == name) kind->followed_ = true;
  }
  const EntityKind* find(std::string_view name) const {
    for (const auto& kind : kinds_)
      if (kind->name() == name) return kind.get();
    return nullptr;
  }
  std::span<const std::unique_ptr<EntityKind>> all() const { return kinds_; }

 private:
  std::vector<std::unique_ptr<EntityKind>> kinds_;
  std::deque<Endpoint> endpoints_;  // who holds one keeps it
};

/// The kind `K` as an EntityKind: runtime/entity/kind_of.hpp.
template <class K>
std::unique_ptr<EntityKind> make_kind(K kind);

}  // namespace cx
