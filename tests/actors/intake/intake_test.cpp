#include "actors/intake/intake.hpp"

#include <doctest/doctest.h>

#include "actors/intake/segment.hpp"

namespace cx {
namespace {

v1::TakeRaw raw(v1::EventType type, const std::string& body) {
  v1::TakeRaw command;
  command.set_type(type);
  command.set_source("key/k1");
  command.set_received_at(1'790'000'000'000'000);
  command.set_body(body);
  return command;
}

Context at(std::uint64_t seed = 7) {
  Context context;
  context.now = 1'790'000'100'000;
  context.self = "intake/demo/3";
  context.tenant = "demo";
  context.key = "3";
  context.seed = seed;
  return context;
}

}  // namespace

TEST_CASE("what is invalid is buried with its bytes and the reason, to be tried here again") {
  const auto command = raw(v1::EVENT_TYPE_TRACK, R"({"userId":"u"})");
  const auto out = Intake::handle({}, command, at());
  REQUIRE(out.buried.size() == 1);
  CHECK(out.outbox.empty());
  CHECK(out.buried[0].letter.to == "intake/demo/3");
  CHECK(out.buried[0].letter.command->SerializeAsString() == command.SerializeAsString());
  CHECK(out.buried[0].why.type == "invalid-event");
  CHECK(out.buried[0].why.detail.ends_with("See /event."));
  CHECK(out.reply.reason() == "invalid-event");
  v1::IntakeState state;
  Intake::apply(state, out.events.at(0));
  CHECK(state.buried() == 1);
  CHECK(state.taken() == 0);
}

TEST_CASE("what is valid goes to its customer, as it came first") {
  const auto out = Intake::handle({}, raw(v1::EVENT_TYPE_TRACK, R"({"userId":"u","event":"e"})"), at());
  REQUIRE(out.outbox.size() == 1);
  CHECK(out.buried.empty());
  CHECK(out.outbox[0].to == "customer/demo/u");
  const auto& take = dynamic_cast<const v1::TakeEvent&>(*out.outbox[0].command);
  CHECK(take.at() == 1'790'000'000'000);
  CHECK(take.source() == "key/k1");
  CHECK(out.reply.reason().empty());
  v1::IntakeState state;
  Intake::apply(state, out.events.at(0));
  CHECK(state.taken() == 1);
}

TEST_CASE("an event of a batch names its type, and what is neither is buried") {
  const auto none = v1::EVENT_TYPE_UNSPECIFIED;
  const auto out = Intake::handle({}, raw(none, R"({"batch":[{"type":"page","anonymousId":"a"}]})"), at());
  REQUIRE(out.outbox.size() == 1);
  CHECK(out.outbox[0].to == "customer/demo/anonymous:a");
  for (const std::string bad : {"", "{", "{}", R"({"batch":[]})", R"({"batch":[{},{}]})",
                                R"({"userId":"u","type":"page"})", "\xff\xfe"}) {
    CAPTURE(bad);
    CHECK(Intake::handle({}, raw(none, bad), at()).buried.size() == 1);
  }
  CHECK(Intake::handle({}, raw(v1::EVENT_TYPE_TRACK, std::string(intake::kMaxEvent + 10'000, ' ')), at())
            .buried.size() == 1);
}

TEST_CASE("a decision follows from what it was told alone") {
  const auto command = raw(v1::EVENT_TYPE_TRACK, R"({"userId":"u","event":"e"})");
  const auto id = [&](std::uint64_t seed) {
    const auto out = Intake::handle({}, command, at(seed));
    return dynamic_cast<const v1::TakeEvent&>(*out.outbox.at(0).command).event_id();
  };
  CHECK(id(7) == id(7));
  CHECK(id(7) != id(8));
}

}  // namespace cx
