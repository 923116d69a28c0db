#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cx/v1/event.pb.h"
#include "runtime/error.hpp"
#include "runtime/random.hpp"

// The bodies of Segment's HTTP tracking API
// (segment.com/docs/connections/sources/catalog/libraries/server/http-api), and what they tell. Pure.
namespace cx::intake {

inline constexpr std::size_t kMaxEvent = 32'768;   ///< bytes of one event, with what its batch says for all
inline constexpr std::size_t kMaxBatch = 512'000;  ///< bytes of a batch
inline constexpr std::size_t kMaxItems = 2'500;    ///< events of a batch
inline constexpr std::size_t kMaxShared = 2'048'000;  ///< bytes of a batch's context, times its events
inline constexpr std::size_t kMaxMessageId = 100;     ///< characters, as those that follow
inline constexpr std::size_t kMaxName = 200;
inline constexpr std::size_t kMaxId = 255;
inline constexpr int kMaxDepth = 20;  ///< objects and lists inside one another, the event included
inline constexpr std::int64_t kMaxAheadMs = 86'400'000;  ///< an event later than that happens when it arrives

/// An event, and the key of the customer entity that it is of.
struct Event {
  std::shared_ptr<v1::TakeEvent> take;
  std::string customer;
};

/// How an event came.
struct Received {
  std::string_view source;  ///< "key/3f9c2a71"
  std::int64_t at;          ///< Unix microseconds
  Random& random;           ///< for the id of a message that has none
};

/// A batch whose events are still to be read.
struct Batch {
  std::vector<std::string_view> items;                       ///< as they came: views into the body
  std::string sent_at;                                       ///< a time, or empty
  std::vector<std::pair<std::string, std::string>> context;  ///< members by name: name and JSON
  std::size_t context_bytes = 0;
};

/// Reads calls. Errors are invalid_argument: "malformed-json" and "body-too-large", of which no event is
/// known to be kept, and what an event can be wrong by: "invalid-event", "event-too-large",
/// "duplicate-field", "too-deep", "invalid-time"; `pointer` leads into the body. Not thread-safe: one per
/// agent. A body has kRawPadding spare bytes of capacity, or gets them.
class Parser {
 public:
  Parser();
  ~Parser();
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;

  /// A single call of this type.
  Result<Event> call(v1::EventType type, std::string& body, const Received& received);

  /// A batch. What is wrong with it as a whole is also "invalid-batch".
  Result<Batch> batch(std::string& body);
  /// Its event at `index`, of any type. `batch` is of a body that is still there.
  Result<Event> item(const Batch& batch, std::size_t index, const Received& received);

  /// What a TakeRaw holds.
  Result<Event> raw(const v1::TakeRaw& raw, Random& random);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The event at `index` of a batch as a batch of its own, for TakeRaw; what is too large is cut.
std::string alone(const Batch& batch, std::size_t index);

/// Overwrites what stands behind "writeKey" in a body: a secret, which nobody keeps.
void hide_write_key(std::string& body);

/// "track"; none for what is no type.
std::optional<v1::EventType> event_type(std::string_view name);
std::string_view event_type_name(v1::EventType type);

}  // namespace cx::intake
