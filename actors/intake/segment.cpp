#include "actors/intake/segment.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "actors/intake/event_reader.hpp"
#include "runtime/json.hpp"
#include "runtime/raw.hpp"

namespace cx::intake {
namespace {

static_assert(kRawPadding >= simdjson::SIMDJSON_PADDING);

using Value = StrictReader::Value;
using Type = StrictReader::Type;

constexpr std::array<std::pair<std::string_view, v1::EventType>, 6> kTypes{{
    {"track", v1::EVENT_TYPE_TRACK},
    {"identify", v1::EVENT_TYPE_IDENTIFY},
    {"page", v1::EVENT_TYPE_PAGE},
    {"screen", v1::EVENT_TYPE_SCREEN},
    {"group", v1::EVENT_TYPE_GROUP},
    {"alias", v1::EVENT_TYPE_ALIAS},
}};

/// What is kept of an event beside itself: brackets, names, the time of sending.
constexpr std::size_t kWrapping = 256;

/// Reads a batch up to its events.
class BatchReader {
 public:
  BatchReader(StrictReader& reader, Batch& out) : reader_(reader), out_(out) {}

  bool read(StrictReader::Object& object) {
    bool found = false;
    const auto each = [&](std::string_view name, Value value) {
      if (name == "batch") return found = true, items(value);
      if (name == "context") return context(value);
      if (name == "sentAt") return sent_at(value);
      ignored_.clear();
      return reader_.copy(value, ignored_, 1);
    };
    return reader_.members(object, 1, each) &&
           (found || wrong("batch is missing; it is the list of events."));
  }

  /// What all of it comes to.
  bool check() {
    std::sort(out_.context.begin(), out_.context.end());
    for (const auto& [name, json] : out_.context) out_.context_bytes += name.size() + json.size() + 4;
    return out_.context_bytes * out_.items.size() <= kMaxShared ||
           reader_.fail(
               "body-too-large",
               fmt::format("The batch's context, {} bytes, is that of each of its {} events; send less "
                           "context, or fewer events.",
                           out_.context_bytes, out_.items.size()));
  }

 private:
  bool wrong(std::string detail) { return reader_.fail("invalid-batch", std::move(detail)); }

  bool items(Value& value) {
    Type found{};
    if (!reader_.type_of(value, found)) return false;
    if (found != Type::array) return wrong("This must be a list of events.");
    simdjson::ondemand::array list;
    if (const auto code = value.get_array().get(list)) return reader_.malformed(code);
    for (auto element : list) {
      Value item;
      if (const auto code = element.get(item)) return reader_.malformed(code);
      if (out_.items.size() == kMaxItems)
        return reader_.fail("body-too-large", fmt::format("A batch has at most {} events.", kMaxItems));
      if (!span(item)) return false;
    }
    return true;
  }

  /// Where an item begins and ends, by its brackets: it is read later, for itself, so that what is wrong with
  /// it is not wrong with the others.
  bool span(Value& item) {
    Type found{};
    if (!reader_.type_of(item, found)) return false;
    std::string_view bytes;
    if (found == Type::object) {
      StrictReader::Object object;
      if (const auto code = item.get_object().get(object)) return reader_.malformed(code);
      if (const auto code = object.raw_json().get(bytes)) return reader_.malformed(code);
    } else if (found == Type::array) {
      simdjson::ondemand::array array;
      if (const auto code = item.get_array().get(array)) return reader_.malformed(code);
      if (const auto code = array.raw_json().get(bytes)) return reader_.malformed(code);
    } else {
      bytes = item.raw_json_token();
      ignored_.clear();
      if (!reader_.copy(item, ignored_, 2)) return false;
    }
    out_.items.push_back(bytes.substr(0, bytes.find_last_not_of(" \t\r\n") + 1));
    return true;
  }

  bool context(Value& value) {
    Type found{};
    if (!reader_.type_of(value, found)) return false;
    if (found == Type::null) return reader_.null(value);
    if (found != Type::object) return wrong("This must be an object.");
    return reader_.members(value, 2, [this](std::string_view name, Value inner) {
      return reader_.copy(inner, out_.context.emplace_back(name, "").second, 2);
    });
  }

  bool sent_at(Value& value) {
    Type found{};
    if (!reader_.type_of(value, found)) return false;
    if (found == Type::null) return reader_.null(value);
    std::string_view text;
    if (found != Type::string || !reader_.text(value, text)) return wrong("This must be a string.");
    out_.sent_at = text;
    if (text.empty() || read_time(text)) return true;
    return reader_.fail("invalid-time",
                        "sentAt is no time; write it like 2026-01-31T08:30:00.000Z (RFC 3339).");
  }

  StrictReader& reader_;
  Batch& out_;
  std::string ignored_;
};

}  // namespace

struct Parser::Impl {
  simdjson::ondemand::parser parser;
  simdjson::ondemand::document document;
  StrictReader reader{kMaxDepth};

  /// The object that `bytes`, with kRawPadding readable bytes behind, are to be.
  bool open(std::string_view bytes, StrictReader::Object& object) {
    reader.reset();
    if (const auto code =
            parser.iterate(bytes.data(), bytes.size(), bytes.size() + kRawPadding).get(document))
      return reader.malformed(code);
    Type type{};
    if (const auto code = document.type().get(type)) return reader.malformed(code);
    if (type != Type::object) return reader.fail("malformed-json", "This is no JSON object; send one.");
    const auto code = document.get_object().get(object);
    return !code || reader.malformed(code);
  }

  bool close() {
    return document.current_location().error() == simdjson::OUT_OF_BOUNDS ||
           reader.malformed(simdjson::TAPE_ERROR);
  }

  Result<Event> event(std::string_view bytes, v1::EventType type, const Batch* batch,
                      const Received& received) {
    Event out;
    StrictReader::Object object;
    if (open(bytes, object) && read_event(
                                   reader, object, batch, received, [this] { return close(); }, type, out))
      return out;
    return reader.take_error();
  }
};

Parser::Parser() : impl_(std::make_unique<Impl>()) {}
Parser::~Parser() = default;
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;

Result<Event> Parser::call(v1::EventType type, std::string& body, const Received& received) {
  if (body.size() > kMaxEvent)
    return Error{Code::invalid_argument, "body-too-large",
                 fmt::format("The event has {} bytes; send at most {}.", body.size(), kMaxEvent), ""};
  body.reserve(body.size() + kRawPadding);
  return impl_->event(body, type, nullptr, received);
}

Result<Batch> Parser::batch(std::string& body) {
  if (body.size() > kMaxBatch)
    return Error{Code::invalid_argument, "body-too-large",
                 fmt::format("The batch has {} bytes; send at most {}.", body.size(), kMaxBatch), ""};
  body.reserve(body.size() + kRawPadding);
  Batch out;
  StrictReader::Object object;
  BatchReader batch(impl_->reader, out);
  if (impl_->open(body, object) && batch.read(object) && impl_->close() && batch.check()) return out;
  return impl_->reader.take_error();
}

Result<Event> Parser::item(const Batch& batch, std::size_t index, const Received& received) {
  const auto bytes = batch.items[index];
  const auto pointer = fmt::format("/batch/{}", index);
  const auto size = bytes.size() + batch.context_bytes;
  if (size > kMaxEvent)
    return Error{Code::invalid_argument, "event-too-large",
                 fmt::format("The event has {} bytes, the batch's context included; send at most {}.", size,
                             kMaxEvent),
                 pointer};
  auto event = impl_->event(bytes, v1::EVENT_TYPE_UNSPECIFIED, &batch, received);
  if (event) return event;
  auto error = event.error();
  error.pointer.insert(0, pointer);
  return error;
}

Result<Event> Parser::raw(const v1::TakeRaw& raw, Random& random) {
  const Received received{raw.source(), raw.received_at(), random};
  auto body = raw.body();
  if (body.size() > kMaxEvent + kWrapping)
    return Error{Code::invalid_argument, "event-too-large", "The event is larger than is kept.", ""};
  if (raw.type() != v1::EVENT_TYPE_UNSPECIFIED) return call(raw.type(), body, received);
  const auto batch = this->batch(body);
  if (!batch) return batch.error();
  if (batch->items.size() != 1)
    return Error{Code::invalid_argument, "invalid-batch", "What is kept of a batch is one event of it.",
                 "/batch"};
  return item(*batch, 0, received);
}

std::string alone(const Batch& batch, std::size_t index) {
  std::string out("{\"batch\":[");
  out.append(batch.items[index]).append("]");
  if (!batch.sent_at.empty()) {
    out += ",\"sentAt\":";
    append_json(out, batch.sent_at);
  }
  if (!batch.context.empty()) out.append(",\"context\":").append(to_object(batch.context));
  out += '}';
  if (out.size() > kMaxEvent + kWrapping) out.resize(kMaxEvent + kWrapping);
  return out;
}

void hide_write_key(std::string& body) {
  constexpr std::string_view kName = "\"writeKey\"", kSpace = " \t\r\n";
  const auto skip = [&](std::size_t at) { return std::min(body.find_first_not_of(kSpace, at), body.size()); };
  for (auto found = body.find(kName); found != body.npos; found = body.find(kName, found + 1)) {
    auto at = skip(found + kName.size());
    if (at == body.size() || body[at] != ':') continue;
    at = skip(at + 1);
    if (at == body.size() || body[at] != '"') continue;
    for (++at; at < body.size() && body[at] != '"'; ++at) {
      if (body[at] == '\\' && at + 1 < body.size()) body[at++] = '*';
      body[at] = '*';
    }
  }
}

std::optional<v1::EventType> event_type(std::string_view name) {
  for (const auto& [known, type] : kTypes)
    if (known == name) return type;
  return std::nullopt;
}

std::string_view event_type_name(v1::EventType type) {
  for (const auto& [name, known] : kTypes)
    if (known == type) return name;
  return "event";
}

}  // namespace cx::intake
