#pragma once

#include <boost/json.hpp>
#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "actors/condition/time.hpp"
#include "actors/journey/address.hpp"
#include "actors/journey/sandbox.hpp"
#include "journeys.hpp"

namespace cx::test {

constexpr std::int64_t kSecond = 1000, kHour = 3'600'000, kDay = 24 * kHour;

/// Journeys under virtual time: what is sent, as "customer step template at+hours", and what is asked of it.
struct Drive {
  FakeBook book;
  const std::int64_t start = 1'772'323'200'000;  // 2026-03-01T00:00:00Z
  journey::Sandbox sandbox{book, nullptr, "acme", start};
  std::vector<std::string> sent;
  std::vector<std::string> ids;  ///< of the messages

  Drive() {
    sandbox.on_sent = [this](const std::string& customer, const v1::RequestMessage& request) {
      sent.push_back(customer + " " + request.step() + " +" + hours(sandbox.now() - start));
      ids.push_back(request.message_id());
    };
  }

  static std::string hours(std::int64_t ms) {
    std::string out = std::to_string(ms / kHour);
    if (ms % kHour != 0) out += ":" + std::to_string(ms % kHour / 60'000);
    return out;
  }

  void consent(const std::string& customer, v1::Channel channel = v1::CHANNEL_EMAIL, bool granted = true) {
    v1::SetCustomerConsent command;
    command.set_customer_id(customer);
    command.set_purpose("marketing");
    command.set_channel(channel);
    command.set_granted(granted);
    tell("customer/acme/" + customer, command);
  }

  void track(const std::string& customer, const std::string& name, const std::string& properties = "{}") {
    v1::TakeEvent event;
    event.set_type(v1::EVENT_TYPE_TRACK);
    event.set_name(name);
    event.set_event_id("e" + std::to_string(++events_));
    event.set_at(sandbox.now());
    event.set_received_at(sandbox.now() * 1000);
    event.set_properties(properties);
    event.set_user_id(customer);
    tell("customer/acme/" + customer, event);
  }
  void identify(const std::string& customer, const std::string& traits) {
    v1::TakeEvent event;
    event.set_type(v1::EVENT_TYPE_IDENTIFY);
    event.set_event_id("e" + std::to_string(++events_));
    event.set_at(sandbox.now());
    event.set_properties(traits);
    tell("customer/acme/" + customer, event);
  }
  template <class Command>
  void tell(const std::string& address, const Command& command) {
    const auto error = sandbox.tell(address, command);
    CHECK_MESSAGE(!error, (error ? error->type + ": " + error->detail : ""));
  }
  void advance(std::int64_t ms) {
    const auto error = sandbox.advance(sandbox.now() + ms);
    CHECK_MESSAGE(!error, (error ? error->type + ": " + error->detail : ""));
  }

  /// What the reconciler does after a stage has changed.
  void reconsider() {
    std::vector<std::string> all;
    for (const auto& [key, state] : sandbox.instances()) all.push_back(key);
    for (const auto& key : all) tell("journey/acme/" + key, v1::ReconsiderRun());
  }
  void stage(const std::string& journey, v1::JourneyStage stage) {
    book.journeys.at(journey).stage = stage;
    reconsider();
  }

  const v1::InstanceState& instance(const std::string& key) const {
    const auto* state = sandbox.instance(key);
    REQUIRE_MESSAGE(state != nullptr, key);
    return *state;
  }
  /// "step what(reason)" of each note of the path, from the `from`th on.
  std::string path(const std::string& key, int from = 0) const {
    std::string out;
    const auto& state = instance(key);
    for (int i = from; i < state.path_size(); ++i) {
      const auto& note = state.path(i);
      out += (out.empty() ? "" : "; ") + note.step() + " " + note.what() +
             (note.reason().empty() ? "" : "(" + note.reason() + ")");
    }
    return out;
  }

 private:
  int events_ = 0;
};

using Lines = std::vector<std::string>;

}  // namespace cx::test
