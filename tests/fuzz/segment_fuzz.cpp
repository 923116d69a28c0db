#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <simdjson.h>

#include "actors/intake/segment.hpp"
#include "runtime/raw.hpp"

namespace {

using namespace cx::intake;
namespace v1 = cx::v1;

constexpr std::int64_t kNow = 1'790'000'000'000;  // Unix milliseconds

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "Broken: %s\n", what);
  std::abort();
}

std::size_t characters(const std::string& text) {
  require(simdjson::validate_utf8(text), "texts are UTF-8");
  std::size_t n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return n;
}

void check_object(const std::string& text) {
  if (text.empty()) return;
  boost::system::error_code error;
  const auto value = boost::json::parse(text, error);
  require(!error && value.is_object(), "what is kept is a JSON object to others, too");
}

void check(const Event& event) {
  const auto& take = *event.take;
  require(!event.customer.empty() && event.customer.size() <= 120, "a customer has a key");
  require(take.type() != v1::EVENT_TYPE_UNSPECIFIED, "an event has a type");
  require(!take.user_id().empty() || !take.anonymous_id().empty(), "an event is somebody's");
  require(characters(take.user_id()) <= kMaxId && characters(take.anonymous_id()) <= kMaxId,
          "ids have a limit");
  require(characters(take.name()) <= kMaxName, "names have a limit");
  require(!take.event_id().empty() && characters(take.event_id()) <= kMaxMessageId, "messages have an id");
  require(take.at() >= 0 && take.at() <= kNow + kMaxAheadMs, "times are reasonable");
  check_object(take.properties());
  check_object(take.context());
}

/// A parser that has read other bodies comes to the same result as a new one.
std::string verdict(const cx::Result<Event>& event) {
  if (!event) {
    const auto& error = event.error();
    require(error.code == cx::Code::invalid_argument, "only the sender is to blame");
    require(!error.detail.empty() && simdjson::validate_utf8(error.pointer), "a complaint can be read");
    return error.type + ' ' + error.pointer + ' ' + error.detail;
  }
  check(*event);
  auto take = *event->take;
  if (take.event_id().size() == 36) take.clear_event_id();  // made up, perhaps
  return event->customer + take.SerializeAsString();
}

void read_batch(Parser& used, std::string& body, const Received& received) {
  auto batch = used.batch(body);
  const auto again = Parser().batch(body);
  require(static_cast<bool>(batch) == static_cast<bool>(again), "reuse changes no verdict");
  if (!batch) return;
  require(batch->items.size() <= kMaxItems, "a batch has a limit");
  for (std::size_t i = 0; i < batch->items.size() && i < 50; ++i) {
    const auto event = used.item(*batch, i, received);
    const auto told = verdict(event);
    require(told == verdict(Parser().item(*batch, i, received)), "reuse changes no event");
    v1::TakeRaw raw;
    raw.set_source(std::string(received.source));
    raw.set_received_at(received.at);
    raw.set_body(alone(*batch, i));
    const auto kept = used.raw(raw, received.random);
    if (event) require(kept && verdict(kept) == told, "an event alone says the same");
    // The batch is of `body`, which nobody has touched: the next event is there.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Parser used;
  static cx::Random random(7);
  if (size == 0) return 0;
  const auto type = static_cast<v1::EventType>(data[0] % 7);
  std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string original = body;
  const Received received{"key/k1", kNow * 1000, random};
  if (type == v1::EVENT_TYPE_UNSPECIFIED)
    read_batch(used, body, received);
  else
    require(verdict(used.call(type, body, received)) == verdict(Parser().call(type, body, received)),
            "reuse changes no event");
  require(body == original, "the body stays as it is");
  hide_write_key(body);
  require(body.size() == original.size(), "hiding a key moves nothing");
  return 0;
}
