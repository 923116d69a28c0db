#include "tools/campaignd/describe.hpp"

#include <doctest/doctest.h>
#include <google/protobuf/util/json_util.h>
#include <limits>

#include "cx/v1/customer.pb.h"
#include "runtime/entity/kind_of.hpp"
#include "runtime/entity/route.hpp"

namespace cx {
namespace {

/// A made-up kind that borrows messages of the contract.
struct Tally {
  static constexpr std::string_view kName = "tally";
  static constexpr std::uint32_t kSchema = 2;
  using State = v1::FrequencyCap;
  using Event = v1::ImpressionsReserved;
  using Commands = std::tuple<v1::ReserveImpressions>;
  Outcome<Event, NoReply> handle(const State&, const v1::ReserveImpressions&, const Context&) const {
    return {};
  }
  static void apply(State&, const Event&) {}
};

std::string json(const google::protobuf::Message& message) {
  std::string text;
  REQUIRE(google::protobuf::util::MessageToJsonString(message, &text).ok());
  return text;
}

v1::TypedBytes typed(const std::string& type, const std::string& bytes) {
  v1::TypedBytes made;
  made.set_type(type);
  made.set_bytes(bytes);
  return made;
}

struct Fixture {
  Fixture() { kinds.add(make_kind(Tally{})); }
  Request entity() { return *route(kinds, "tally/demo/x"); }
  Kinds kinds;
};

}  // namespace

TEST_CASE("times are RFC 3339, in whatever form they are asked") {
  CHECK(to_rfc3339(0) == "1970-01-01T00:00:00.000Z");
  CHECK(to_rfc3339(1'795'255'200'123) == "2026-11-21T10:00:00.123Z");
  CHECK(to_rfc3339(-1) == "1969-12-31T23:59:59.999Z");
  CHECK(to_rfc3339(std::numeric_limits<std::int64_t>::max()) == "9999-12-31T23:59:59.999Z");
  CHECK(to_rfc3339(std::numeric_limits<std::int64_t>::min()) == "0001-01-01T00:00:00.000Z");
  for (const auto* text : {"2026-11-21T10:00:00.123Z", "2026-11-21T11:00:00.123+01:00"})
    CHECK(*from_rfc3339(text, "at") == 1'795'255'200'123);
  for (const auto* wrong : {"", "yesterday", "2026-11-21", "2026-11-21T10:00:00", "2026-13-21T10:00:00Z"}) {
    const auto time = from_rfc3339(wrong, "since");
    REQUIRE_FALSE(time);
    CHECK(time.error().code == Code::invalid_argument);
    CHECK(time.error().pointer == "/since");
  }
}

TEST_CASE("a message that cannot be read is shown as bytes, and the rest is shown all the same") {
  v1::FrequencyCap cap;
  cap.set_per_hour(3);
  CHECK(json(describe(typed("cx.v1.FrequencyCap", cap.SerializeAsString()))) ==
        R"({"@type":"type.googleapis.com/cx.v1.FrequencyCap","perHour":3})");
  CHECK(json(describe(typed("cx.v1.Gone", "abc"))) ==
        R"({"@type":"type.googleapis.com/cx.v1.TypedBytes","type":"cx.v1.Gone","bytes":"YWJj"})");
  CHECK(json(describe(typed("cx.v1.FrequencyCap", "\xff"))).find("cx.v1.TypedBytes") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "an entity is shown with its state and reminders") {
  v1::FrequencyCap state;
  state.set_per_day(9);
  v1::Snapshot snapshot;
  snapshot.set_sequence(7);
  snapshot.set_schema(2);
  snapshot.set_state(state.SerializeAsString());
  auto& reminder = *snapshot.add_reminders();
  reminder.set_name("wake");
  reminder.set_due(1'000);
  const auto reply = describe(entity(), snapshot);
  REQUIRE(reply);
  CHECK(reply->address() == "tally/demo/x");
  CHECK(reply->kind() == "tally");
  CHECK(reply->shard() == entity().shard);
  CHECK(reply->sequence() == 7);
  CHECK(reply->schema() == 2);
  CHECK(reply->reminders(0).due() == "1970-01-01T00:00:01.000Z");
  CHECK(json(reply->state()) == R"({"@type":"type.googleapis.com/cx.v1.FrequencyCap","perDay":9})");

  snapshot.set_schema(3);
  CHECK(describe(entity(), snapshot).error().type == "corrupt");
}

TEST_CASE_FIXTURE(Fixture, "a record is shown whole; events of another schema as they were written") {
  v1::JournalRecord record;
  record.set_sequence(4);
  record.set_epoch(2);
  record.set_now(1'000);
  record.set_actor("user/ann");
  record.set_schema(2);
  *record.mutable_command() = typed("cx.v1.ReserveImpressions", "");
  v1::ImpressionsReserved event;
  event.set_count(5);
  record.add_events(event.SerializeAsString());
  auto& reminder = *record.add_reminders();
  reminder.set_name("wake");
  *reminder.mutable_command() = typed("cx.v1.ReserveImpressions", "");
  record.add_cleared("old");
  auto& letter = *record.add_outbox();
  letter.set_to("tally/demo/y");
  *letter.mutable_command() = typed("cx.v1.ReserveImpressions", "");
  const auto& kind = *kinds.find("tally");
  auto shown = describe(kind, record);
  CHECK(shown.sequence() == 4);
  CHECK(shown.epoch() == 2);
  CHECK(shown.at() == "1970-01-01T00:00:01.000Z");
  CHECK(shown.actor() == "user/ann");
  CHECK(json(shown.events(0)).find("\"count\":5") != std::string::npos);
  CHECK(shown.reminders_set(0).name() == "wake");
  CHECK(shown.reminders_cleared(0) == "old");
  CHECK(shown.outbox(0).to() == "tally/demo/y");
  CHECK(json(shown).find("cx.v1.ReserveImpressions") != std::string::npos);

  record.set_schema(1);
  record.clear_command();
  shown = describe(kind, record);
  CHECK(json(shown.events(0)).find("cx.v1.TypedBytes") != std::string::npos);
  CHECK_FALSE(shown.has_command());
}

TEST_CASE("a dead letter is shown with where it was to go and why it did not") {
  v1::DeadLetter letter;
  letter.set_id("17-4711-0");
  letter.set_from("tally/demo/x");
  letter.mutable_message()->set_to("taly/demo/y");
  *letter.mutable_message()->mutable_command() = typed("cx.v1.ReserveImpressions", "");
  letter.set_reason("unknown-kind");
  letter.set_attempts(3);
  const auto shown = describe(letter);
  CHECK(shown.id() == "17-4711-0");
  CHECK(shown.to() == "taly/demo/y");
  CHECK(shown.reason() == "unknown-kind");
  CHECK(shown.attempts() == 3);
  CHECK(shown.last_at() == "1970-01-01T00:00:00.000Z");
}

}  // namespace cx
