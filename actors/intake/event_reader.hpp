#pragma once

// Internal to this folder: includes simdjson.

#include <functional>

#include "actors/intake/segment.hpp"
#include "actors/intake/strict_json.hpp"

namespace cx::intake {

/// Reads one event off an object that was opened, and makes a command of it. `batch`: which it is of; null
/// for none. `rest` sees to what follows the object. `type`: what the path says; unspecified when the event
/// has to. False after setting the reader's error.
bool read_event(StrictReader& reader, StrictReader::Object& object, const Batch* batch,
                const Received& received, const std::function<bool()>& rest, v1::EventType type, Event& out);

/// RFC 3339, as Unix milliseconds.
std::optional<std::int64_t> read_time(std::string_view text);

/// JSON of an object with these members; empty without any.
std::string to_object(const std::vector<std::pair<std::string, std::string>>& members);

}  // namespace cx::intake
