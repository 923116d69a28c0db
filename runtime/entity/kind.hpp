#pragma once

#include <cstdint>
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

  Random random() const { return Random(seed); }
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
  static constexpr std::size_t kMostLetters = 1000;  ///< that one decision may send
  std::vector<Timer> reminders;
  std::vector<std::string> cancelled;
  std::vector<Letter> outbox;

  /// This entity gets `command` at `due` (Unix milliseconds), once; a reminder of the same name is replaced.
  template <class Command>
  void remind(std::string name, std::int64_t due, Command command) {
    reminders.push_back({std::move(name), due, std::make_shared<Command>(std::move(command))});
  }
  void cancel(std::string name) { cancelled.push_back(std::move(name)); }
  /// The entity at address `to` gets `command`, at least once and with a stable id, by which it drops
  /// repeats.
  template <class Command>
  void send(std::string to, Command command) {
    outbox.push_back({std::move(to), std::make_shared<Command>(std::move(command))});
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
//   change
//                                                  // that Protobuf's own rules do not cover
//   using State, Event;                            // Protobuf messages
//   using Commands = std::tuple<...>;              // Protobuf messages
//   Outcome<Event, Reply> handle(const State&, const Command&, const Context&) const;   // one per command;
//   or Result<Outcome<Event, Reply>> handle(...) const;  // that may refuse; or Reply or Result<Reply>
//   handle(...) const;      // a query: nothing is journaled static void apply(State&, const Event&);
//
// and may have
//
//   State initial(std::string_view address) const; // of an entity that was never seen; by default State{}
//   static std::string_view affinity(std::string_view key);       // what its shard follows; by default the
//   key static Result<State> upcast_state(std::uint32_t schema, std::string_view bytes);    // of an older
//   schema static Result<Event> upcast_event(std::uint32_t schema, std::string_view bytes);    // when
//   kSchema > 1
//
// handle, apply, initial and the upcasts are pure: what they return follows from their arguments alone.

/// A decision with its messages as bytes.
struct Decision {
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

/// The kinds that a node hosts, by name. Filled before anything uses it.
class Kinds {
 public:
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
};

/// The kind `K` as an EntityKind: runtime/entity/kind_of.hpp.
template <class K>
std::unique_ptr<EntityKind> make_kind(K kind);

}  // namespace cx
