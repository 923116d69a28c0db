#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "actors/customer/customer.hpp"
#include "actors/journey/book.hpp"
#include "actors/journey/instance.hpp"

namespace cx::journey {

/// Customers and their journeys in memory and virtual time: the real entities, with letters, reminders and
/// channels made of nothing. A message that is handed to a channel passes the gate once more, as it would
/// before it leaves, and counts as sent at once. One thread; deterministic.
class Sandbox {
 public:
  /// What is referred to outlives it. `policies` may be null: no policy.
  Sandbox(const Book& book, const delivery::Policies* policies, std::string tenant, std::int64_t now);

  std::int64_t now() const { return now_; }
  const std::string& tenant() const { return tenant_; }

  /// Lets time pass: whatever is due until then happens at its time.
  std::optional<Error> advance(std::int64_t to);
  /// When the next reminder is due; none when nothing will ever happen by itself.
  std::optional<std::int64_t> next_due() const;
  /// Gives a command to customer/<tenant>/<key> or journey/<tenant>/<key>, and lets happen what follows at
  /// once. The error is of this command, or of any that it leads to.
  std::optional<Error> tell(const std::string& address, MessagePtr command);
  template <class Command>
  std::optional<Error> tell(const std::string& address, Command command) {
    return tell(address, MessagePtr(std::make_shared<Command>(std::move(command))));
  }
  /// Changes a customer without a decision.
  void apply(const std::string& customer, const v1::CustomerEvent& event);

  // By key; null for what never was.
  const v1::CustomerState* customer(const std::string& key) const;
  const v1::InstanceState* instance(const std::string& key) const;
  const std::unordered_map<std::string, v1::InstanceState>& instances() const { return instances_; }

  /// Are told of every event of an entity, by its key, after it.
  std::function<void(const std::string& key, const v1::CustomerEvent& event)> on_customer;
  std::function<void(const std::string& key, const v1::InstanceEvent& event)> on_instance;
  /// Is told of every message that leaves.
  std::function<void(const std::string& customer, const v1::RequestMessage& request)> on_sent;

 private:
  struct Letter {
    std::string from, to;
    MessagePtr command;
  };
  std::optional<Error> drain();
  std::optional<Error> deliver(const Letter& letter);
  std::optional<Error> dispatch(const std::string& key, const v1::DispatchMessage& message);
  template <class Kind, class Tell>
  std::optional<Error> decide(const Kind& kind, typename Kind::State& state, const Letter& letter,
                              const std::string& key, const Tell& told);
  Context context(const std::string& self, const std::string& key) const;

  const std::string tenant_;
  std::int64_t now_;
  const Customer customer_kind_;
  const InstanceEntity instance_kind_;
  std::unordered_map<std::string, v1::CustomerState> customers_;
  std::unordered_map<std::string, v1::InstanceState> instances_;
  std::deque<Letter> letters_;
  // Reminders by the entity's address and their name, and in the order in which they are due.
  using Name = std::pair<std::string, std::string>;
  struct Timer {
    std::int64_t due;
    std::uint64_t number;
    MessagePtr command;
  };
  std::map<Name, Timer> timers_;
  std::map<std::pair<std::int64_t, std::uint64_t>, Name> due_;
  std::uint64_t number_ = 0;
};

}  // namespace cx::journey
