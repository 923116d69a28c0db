#pragma once

#include <google/protobuf/util/json_util.h>
#include <map>
#include <stdexcept>
#include <string>

#include "actors/journey/book.hpp"

namespace cx::test {

inline v1::Journey journey_of(const std::string& json) {
  v1::Journey out;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &out);
  if (!status.ok()) throw std::runtime_error(status.ToString() + " in " + json);
  return out;
}

/// A catalog of journeys in memory: every revision, and which of them customers start with.
struct FakeBook final : journey::Book {
  struct Entry {
    std::map<std::uint64_t, journey::DefinitionPtr> revisions;
    v1::JourneyStage stage = v1::JOURNEY_STAGE_ACTIVE;
    std::uint64_t active = 0;
  };
  std::map<std::string, Entry, std::less<>> journeys;

  /// Adds the next revision, which is the active one from now on.
  void add(const std::string& id, v1::Journey definition) {
    auto& entry = journeys[id];
    definition.set_id(id);
    definition.set_revision(++entry.active);
    auto compiled = journey::Definition::compile(definition);
    if (!compiled) throw std::runtime_error(compiled.error().pointer + ": " + compiled.error().detail);
    entry.revisions[entry.active] = *compiled;
  }
  void add(const std::string& id, const std::string& json) { add(id, journey_of(json)); }

  journey::DefinitionPtr find(std::string_view, std::string_view id, std::uint64_t revision) const override {
    const auto at = journeys.find(id);
    if (at == journeys.end()) return nullptr;
    const auto found = at->second.revisions.find(revision);
    return found == at->second.revisions.end() ? nullptr : found->second;
  }
  std::vector<v1::JourneyRevision> started_by(std::string_view, std::string_view event) const override {
    std::vector<v1::JourneyRevision> out;
    for (const auto& [id, entry] : journeys) {
      if (entry.stage != v1::JOURNEY_STAGE_ACTIVE ||
          entry.revisions.at(entry.active)->trigger_event() != event)
        continue;
      auto& one = out.emplace_back();
      one.set_journey(id);
      one.set_revision(entry.active);
    }
    return out;
  }
  std::optional<v1::JourneyRevision> active(std::string_view, std::string_view id) const override {
    const auto at = journeys.find(id);
    if (at == journeys.end() || at->second.stage != v1::JOURNEY_STAGE_ACTIVE) return std::nullopt;
    v1::JourneyRevision out;
    out.set_journey(std::string(id));
    out.set_revision(at->second.active);
    return out;
  }
  v1::JourneyStage stage(std::string_view, std::string_view id) const override {
    const auto at = journeys.find(id);
    return at == journeys.end() ? v1::JOURNEY_STAGE_DRAFT : at->second.stage;
  }
};

}  // namespace cx::test
