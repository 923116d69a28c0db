#pragma once

#include <array>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runtime/entity/kind.hpp"

namespace cx {

// What lies behind make_kind: the one place that knows a kind's types.
namespace detail {

template <class T>
struct OutcomeOf {
  static constexpr bool is_outcome = false;
};
template <class Event, class Reply>
struct OutcomeOf<Outcome<Event, Reply>> {
  static constexpr bool is_outcome = true;
};

template <class T>
struct Unwrapped {
  using Type = T;
  static Result<T> lift(T value) { return value; }
};
template <class T>
struct Unwrapped<Result<T>> {
  using Type = T;
  static Result<T> lift(Result<T> value) { return value; }
};

template <class Reply>
MessagePtr shared(Reply reply) {
  if constexpr (std::is_same_v<Reply, NoReply>)
    return nullptr;
  else
    return std::make_shared<Reply>(std::move(reply));
}

template <class K>
class KindOf final : public EntityKind {
 public:
  using State = typename K::State;
  using Event = typename K::Event;
  using Commands = typename K::Commands;

  explicit KindOf(K kind) : EntityKind(std::string(K::kName), K::kSchema), kind_(std::move(kind)) {
    static_assert(K::kSchema >= 1);
    std::apply([this](const auto&... command) { (declare(command), ...); }, Commands{});
  }

  std::unique_ptr<Entity> make(std::string_view address) const override {
    return std::make_unique<Instance>(*this, initial(address));
  }
  std::string_view affinity(std::string_view key) const override {
    if constexpr (requires { K::affinity(key); })
      return K::affinity(key);
    else
      return key;
  }
  const Message& event_prototype() const override { return Event::default_instance(); }

 private:
  template <class Command>
  using Returned = decltype(std::declval<const K&>().handle(
      std::declval<const State&>(), std::declval<const Command&>(), std::declval<const Context&>()));
  template <class Command>
  static constexpr bool is_query = !OutcomeOf<typename Unwrapped<Returned<Command>>::Type>::is_outcome;

  template <class Command>
  void declare(const Command&) {
    add(Command::default_instance(), is_query<Command>);
  }

  State initial(std::string_view address) const {
    if constexpr (requires { kind_.initial(address); })
      return kind_.initial(address);
    else
      return State{};
  }

  static Error unreadable(std::string_view what, std::uint32_t schema) {
    return {Code::internal, "corrupt",
            "A stored " + std::string(what) + " of kind " + std::string(K::kName) + ", schema " +
                std::to_string(schema) + ", cannot be read by this build, which knows schemas up to " +
                std::to_string(K::kSchema) +
                ". Run the newer build that wrote it, or restore the data from a backup.",
            ""};
  }

  static Result<State> read_state(std::uint32_t schema, std::string_view bytes) {
    if (schema == K::kSchema) {
      State state;
      if (state.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return state;
    } else if constexpr (requires { K::upcast_state(schema, bytes); }) {
      if (schema < K::kSchema) return K::upcast_state(schema, bytes);
    }
    return unreadable("state", schema);
  }
  static Result<Event> read_event(std::uint32_t schema, std::string_view bytes) {
    if (schema == K::kSchema) {
      Event event;
      if (event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return event;
    } else if constexpr (requires { K::upcast_event(schema, bytes); }) {
      if (schema < K::kSchema) return K::upcast_event(schema, bytes);
    }
    return unreadable("event", schema);
  }

  static Error too_many_letters(std::string_view address, std::size_t n) {
    return {Code::internal, "handler-failed",
            std::string(address) + " was about to send or bury " + std::to_string(n) +
                " messages in one decision; the most is " + std::to_string(Effects::kMostLetters) +
                ". Send them in several.",
            ""};
  }

  class Instance final : public Entity {
   public:
    Instance(const KindOf& kind, State state) : kind_(kind), state_(std::move(state)) {}

    Result<Decision> decide(const CommandType& type, const Message& command,
                            const Context& context) override {
      return kDecide[type.index](*this, command, context);
    }
    std::optional<Error> load(std::uint32_t schema, std::string_view state) override {
      auto read = read_state(schema, state);
      if (!read) return read.error();
      state_ = std::move(*read);
      return std::nullopt;
    }
    std::optional<Error> apply(std::uint32_t schema, std::string_view bytes) override {
      const auto event = read_event(schema, bytes);
      if (!event) return event.error();
      K::apply(state_, *event);
      return std::nullopt;
    }
    std::string save() const override { return serialize(state_); }
    const Message& state() const override { return state_; }
    std::size_t bytes() const override { return sizeof(*this) - sizeof(State) + state_.SpaceUsedLong(); }

   private:
    template <class Command>
    static Result<Decision> decide_one(Instance& self, const Message& message, const Context& context) {
      using Wrapped = Unwrapped<Returned<Command>>;
      const auto& command = static_cast<const Command&>(message);
      Decision decision;
      auto result = self.handle<Wrapped>(command, context, decision.facts);
      if (!result) return result.error();
      if constexpr (is_query<Command>) {
        decision.reply = shared(std::move(*result));
      } else {
        if (const auto n = result->outbox.size() + result->buried.size(); n > Effects::kMostLetters)
          return too_many_letters(context.self, n);
        decision.events.reserve(result->events.size());
        for (const auto& event : result->events) decision.events.push_back(serialize(event));
        for (const auto& event : result->events) K::apply(self.state_, event);
        decision.reply = shared(std::move(result->reply));
        decision.effects = static_cast<Effects&&>(*result);
      }
      return decision;
    }

    // What a handler throws is contained to its command: nothing has been applied yet.
    template <class Wrapped, class Command>
    Result<typename Wrapped::Type> handle(const Command& command, const Context& context,
                                          MessagePtr& facts) const {
      const auto& kind = kind_.kind_;
      try {
        if constexpr (requires { MessagePtr(kind.facts(state_, command, context)); }) {
          if (context.facts == nullptr) facts = kind.facts(state_, command, context);
          if (facts) {
            auto informed = context;
            informed.facts = facts.get();
            return Wrapped::lift(kind.handle(state_, command, informed));
          }
        }
        return Wrapped::lift(kind.handle(state_, command, context));
      } catch (const std::exception& e) {
        return Error{Code::internal, "handler-failed",
                     command.GetTypeName() + " failed at " + std::string(context.self) + ": " + e.what(), ""};
      }
    }

    using Decide = Result<Decision> (*)(Instance&, const Message&, const Context&);
    template <class... Command>
    static constexpr auto table(const std::tuple<Command...>*) {
      return std::array<Decide, sizeof...(Command)>{&decide_one<Command>...};
    }
    static constexpr auto kDecide = table(static_cast<const Commands*>(nullptr));

    const KindOf& kind_;
    State state_;
  };

  const K kind_;
};

}  // namespace detail

template <class K>
std::unique_ptr<EntityKind> make_kind(K kind) {
  return std::make_unique<detail::KindOf<K>>(std::move(kind));
}

}  // namespace cx
