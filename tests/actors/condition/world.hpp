#pragma once

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <google/protobuf/util/json_util.h>
#include <map>
#include <string>

#include "actors/condition/condition.hpp"

namespace cx::test {

/// Something to ask conditions of, written as one JSON object: {"traits": {...}, "events": {"Order
/// Completed":
/// {"count": 2, "first": ms, "last": ms}}, "event": {...}, "memory": {...}, "key": "..."}.
struct World {
  explicit World(const std::string& json) {
    const auto all = boost::json::parse(json).as_object();
    const auto object = [&](const char* name) {
      const auto* value = all.if_contains(name);
      return value == nullptr ? boost::json::object() : value->as_object();
    };
    event = object("event");
    memory = object("memory");
    if (const auto* value = all.if_contains("key")) key = value->as_string().c_str();
    std::map<std::string, std::string> traits;
    for (const auto& [name, value] : object("traits")) traits[name] = boost::json::serialize(value);
    for (const auto& [name, text] : traits) {
      auto& trait = *person.add_traits();
      trait.set_name(name);
      trait.set_json(text);
    }
    std::map<std::string, boost::json::object> counts;
    for (const auto& [name, value] : object("events")) counts[name] = value.as_object();
    for (const auto& [name, value] : counts) {
      auto& count = *person.add_events();
      count.set_name(name);
      count.set_count(value.at("count").to_number<std::uint64_t>());
      count.set_first(value.at("first").to_number<std::int64_t>());
      count.set_last(value.at("last").to_number<std::int64_t>());
    }
  }

  condition::Subject subject() const { return {&person, &event, &memory, key, now}; }

  v1::Person person;
  boost::json::object event, memory;
  std::string key;
  std::int64_t now = 1'772'323'200'000;  // 2026-03-01T00:00:00Z
};

inline v1::Condition condition_of(const std::string& json) {
  v1::Condition out;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &out);
  if (!status.ok()) throw std::runtime_error(status.ToString() + " in " + json);
  return out;
}

}  // namespace cx::test
