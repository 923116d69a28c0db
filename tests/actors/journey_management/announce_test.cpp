#include "actors/journey/announce.hpp"

#include <doctest/doctest.h>

#include "cx/v1/journey.pb.h"

namespace cx::test {

TEST_CASE("others are told what a record adds to a run's path") {
  v1::JournalRecord record;
  record.set_entity("journey/acme/welcome:c-1");
  const auto add = [&](const v1::InstanceEvent& event) { record.add_events(event.SerializeAsString()); };
  v1::InstanceEvent event;
  event.mutable_begun()->set_at(1'000);
  event.mutable_begun()->set_reason("event Go");
  add(event);
  event.mutable_entered()->set_step("first");
  event.mutable_entered()->set_at(1'001);
  add(event);
  event.mutable_noted()->set_what("Sent & gone");
  event.mutable_noted()->set_step("first");
  event.mutable_noted()->set_at(1'002);
  add(event);
  event.mutable_ended()->set_status(v1::RUN_STATUS_COMPLETED);
  event.mutable_ended()->set_at(1'003);
  add(event);
  const auto said = journey::announce_run(record);
  REQUIRE(said);
  std::string all;
  for (const auto& one : *said) {
    const auto& entry = static_cast<const v1::PathEntry&>(*one.body);
    CHECK(entry.at().nanos() == (one.at - 1'000) * 1'000'000);
    all += std::to_string(one.index) + ' ' + one.type + " [" + entry.step() + "] " + entry.what() + ' ' +
           entry.reason() + '\n';
  }
  CHECK(all ==
        "0 started [] started event Go\n1 entered [first] entered \n2 noted [first] Sent & gone \n"
        "3 completed [first] completed \n");
  record.add_events("\x0a\xff");
  CHECK(journey::announce_run(record).error().type == "corrupt");
}

}  // namespace cx::test
