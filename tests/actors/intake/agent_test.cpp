#include "actors/intake/agent.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>
#include <functional>
#include <map>
#include <rapidcheck.h>
#include <set>

#include "actors/intake/segment.hpp"
#include "runtime/entity/messages.hpp"
#include "tests/virtual_time.hpp"

namespace cx::intake {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

/// Agents before entities that do as the test says.
struct Fixture {
  Fixture() {
    entities = time.system.spawn([this](caf::event_based_actor* self) {
      return caf::behavior{[this, self](const Request& request) {
                             auto promise = self->make_response_promise();
                             asked.push_back(request);
                             if (hold)
                               held.emplace_back([=, this]() mutable { answer(promise, request); });
                             else
                               answer(promise, request);
                           },
                           [this](caf::ok_atom) {
                             std::vector<std::function<void()>> now;
                             now.swap(held);
                             for (auto& one : now) one();
                           }};
    });
    router.actor = &entities;
    agents = std::make_unique<IntakeAgents>(
        time.system, AgentParts{&router, &time.clock, &metrics.kind("intake-agent"), &probe}, 1, 1'000);
    agents->serve(services);
    Caller one;
    one.tenant = "demo";
    one.actor = "key/k1";
    caller = std::make_shared<const Caller>(std::move(one));
  }
  ~Fixture() {
    let_go();
    for (const auto& actor : agents->actors()) caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(entities, caf::exit_reason::user_shutdown);
    time.run();
  }

  void answer(caf::response_promise promise, const Request& request) {
    if (const auto* raw = dynamic_cast<const v1::TakeRaw*>(request.command.get())) {
      if (raw_fails) return promise.deliver(to_caf(*raw_fails));
      kept.push_back(*raw);
      return promise.deliver(MessagePtr(std::make_shared<v1::RawTaken>()));
    }
    const auto& take = dynamic_cast<const v1::TakeEvent&>(*request.command);
    if (const auto found = fails.find(take.user_id()); found != fails.end())
      return promise.deliver(to_caf(found->second));
    auto accepted = std::make_shared<v1::EventAccepted>();
    accepted->set_duplicate(!taken.insert(take.event_id()).second);
    promise.deliver(MessagePtr(std::move(accepted)));
  }

  /// Sends a body to the agent of a kind of call.
  void post(const std::string& call, const std::string& body) {
    RawRequest raw{body, time.clock.steady() - milliseconds(2), answers.to(), caller};
    REQUIRE(services.raw("event-" + call)->post(raw));
    time.run();
  }
  RawReply send(const std::string& call, const std::string& body) {
    post(call, body);
    REQUIRE(!answers.all.empty());
    auto reply = std::move(answers.all.back());
    answers.all.pop_back();
    return reply;
  }
  void let_go() {
    caf::anon_send(entities, caf::ok_atom::value);
    time.run();
  }

  struct : Router {
    Result<Request> request(std::string_view address, MessagePtr command) const override {
      if (address.find("//") != address.npos)
        return Error{Code::invalid_argument, "invalid-address", "No.", ""};
      Request made;
      made.to = std::string(address);
      made.command = std::move(command);
      return made;
    }
    const caf::actor& region(std::uint32_t) const override { return *actor; }
    const caf::actor* actor = nullptr;
  } router;
  Metrics metrics{"test"};
  IntakeProbe probe;
  Services services;
  test::Answers answers;
  test::VirtualTime time;
  CallerPtr caller;
  std::vector<Request> asked;
  std::vector<v1::TakeRaw> kept;
  std::set<std::string> taken;         // ids
  std::map<std::string, Error> fails;  // by user
  std::optional<Error> raw_fails;
  bool hold = false;
  std::vector<std::function<void()>> held;
  caf::actor entities;
  std::unique_ptr<IntakeAgents> agents;
};

const Error kOverloaded{Code::overloaded, "overloaded", "Too much.", ""};
const Error kUnavailable{Code::unavailable, "unavailable", "Starting.", ""};
const Error kBusy{Code::rate_limited, "customer-busy", "Too many.", ""};
const Error kRefused{Code::invalid_argument, "too-many-traits", "Too many traits.", "/traits"};
const Error kBroken{Code::internal, "handler-failed", "A fault.", ""};

std::string field(const RawReply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.metadata)
    if (key == name) return value;
  return "";
}

std::string batch_of(const std::vector<std::string>& events, const std::string& more = "") {
  std::string out = R"({"batch":[)";
  for (const auto& event : events) out.append(out.back() == '[' ? "" : ",").append(event);
  return out.append("]").append(more).append("}");
}

std::string event(const std::string& user, const std::string& id) {
  return R"({"type":"track","event":"e","userId":")" + user + R"(","messageId":")" + id + "\"}";
}

}  // namespace

TEST_CASE("a call is answered once the customer has it, in its source's name") {
  Fixture f;
  f.hold = true;
  f.post("track", R"({"userId":"u","event":"e","messageId":"m"})");
  CHECK(f.answers.all.empty());
  f.let_go();
  REQUIRE(f.answers.all.size() == 1);
  CHECK(f.answers.all[0].body == R"({"success":true})");
  REQUIRE(f.asked.size() == 1);
  CHECK(f.asked[0].to == "customer/demo/u");
  CHECK(f.asked[0].actor == "key/k1");
  const auto& take = dynamic_cast<const v1::TakeEvent&>(*f.asked[0].command);
  CHECK(take.source() == "key/k1");
  CHECK(take.received_at() == (f.time.clock.unix_ms() - 2) * 1000);
  f.hold = false;
  CHECK(f.send("track", R"({"userId":"u","event":"e","messageId":"m"})").body == R"({"success":true})");
  CHECK(f.probe.accepted.value() == 1);
  CHECK(f.probe.duplicates.value() == 1);
}

TEST_CASE("every kind of call has its agents") {
  Fixture f;
  CHECK(f.send("identify", R"({"userId":"u"})").kind == RawReply::Kind::document);
  CHECK(f.send("page", R"({"anonymousId":"a"})").kind == RawReply::Kind::document);
  CHECK(f.send("screen", R"({"anonymousId":"a"})").kind == RawReply::Kind::document);
  CHECK(f.send("group", R"({"userId":"u","groupId":"g"})").kind == RawReply::Kind::document);
  CHECK(f.send("alias", R"({"userId":"u","previousId":"p"})").kind == RawReply::Kind::document);
  CHECK(f.send("batch", batch_of({event("u", "m")})).kind == RawReply::Kind::document);
  CHECK(f.asked.size() == 6);
  CHECK(f.agents->under_way() == 0);
}

TEST_CASE("an invalid call is refused once it is kept, without its write key") {
  Fixture f;
  f.hold = true;
  f.post("track", R"({"userId":"u","writeKey":"cx_secret","properties":{"a":1}})");
  CHECK(f.answers.all.empty());
  f.let_go();
  REQUIRE(f.answers.all.size() == 1);
  CHECK(f.answers.all[0].error.code == Code::invalid_argument);
  CHECK(f.answers.all[0].error.type == "invalid-event");
  CHECK(f.answers.all[0].error.pointer == "/event");
  REQUIRE(f.kept.size() == 1);
  CHECK(f.kept[0].type() == v1::EVENT_TYPE_TRACK);
  CHECK(f.kept[0].source() == "key/k1");
  CHECK(f.kept[0].body() == R"({"userId":"u","writeKey":"*********","properties":{"a":1}})");
  CHECK(f.asked[0].to.starts_with("intake/demo/"));
  CHECK(f.probe.rejected.value() == 1);
}

TEST_CASE("an invalid call that cannot be kept is to be sent again") {
  Fixture f;
  f.raw_fails = kUnavailable;
  const auto reply = f.send("track", R"({"userId":"u"})");
  CHECK(reply.error.type == "unavailable");
  CHECK(field(reply, "retry-after") == "1");
  CHECK(f.send("batch", batch_of({"{}", event("u", "m")})).error.type == "unavailable");
}

TEST_CASE("what is no JSON, or too large, is kept nowhere") {
  Fixture f;
  CHECK(f.send("track", "{").error.type == "malformed-json");
  CHECK(f.send("track", std::string(40'000, ' ')).error.type == "body-too-large");
  CHECK(f.send("batch", "{").error.type == "malformed-json");
  CHECK(f.send("batch", "{}").error.type == "invalid-batch");
  CHECK(f.send("batch", std::string(520'000, ' ')).error.type == "body-too-large");
  CHECK(f.asked.empty());
  CHECK(f.send("track", R"({"userId":"u","event":"e"})").kind ==
        RawReply::Kind::document);  // the agent is fine
}

TEST_CASE("a batch tells what became of its events") {
  Fixture f;
  f.fails["no"] = kRefused;
  f.fails["broken"] = kBroken;
  const auto reply = f.send("batch", batch_of({event("a", "1"), event("b", "1"), "{}", event("a", "2"),
                                               event("no", "3"), "[1]", event("broken", "4")},
                                              R"(,"writeKey":"cx_secret","sentAt":"2020-01-01T00:00:00Z")"));
  REQUIRE(reply.kind == RawReply::Kind::document);
  CHECK(json::parse(reply.body) ==
        json::parse(R"({"success":true,"accepted":3,"duplicates":1,"rejected":[
      {"index":2,"type":"invalid-event","pointer":"/batch/2/type","detail":"type is missing; an event of a batch says )"
                    R"(what it is: track, identify, page, screen, group or alias."},
      {"index":4,"type":"too-many-traits","pointer":"/traits","detail":"Too many traits."},
      {"index":5,"type":"malformed-json","pointer":"/batch/5","detail":"This is no JSON object; send one."}]})"));
  REQUIRE(f.kept.size() == 4);
  std::multiset<std::string> bodies;
  for (const auto& raw : f.kept) bodies.insert(raw.body());
  const std::string end = R"(],"sentAt":"2020-01-01T00:00:00Z"})";
  CHECK(bodies == std::multiset<std::string>{R"({"batch":[{})" + end, R"({"batch":[[1])" + end,
                                             R"({"batch":[)" + event("no", "3") + end,
                                             R"({"batch":[)" + event("broken", "4") + end});
  CHECK(json::parse(f.send("batch", batch_of({})).body) ==
        json::parse(R"({"success":true,"accepted":0,"duplicates":0,"rejected":[]})"));
}

TEST_CASE("what a customer cannot take now is to be sent again, all of it") {
  Fixture f;
  for (const auto& [why, retry_after] : {std::pair(kOverloaded, ""), std::pair(kBusy, ""),
                                         std::pair(kUnavailable, "1")}) {  // "": the gateway sets it
    f.fails["u"] = why;
    for (const auto& reply : {f.send("track", R"({"userId":"u","event":"e"})"),
                              f.send("batch", batch_of({event("a", "1"), event("u", "2"), "{}"}))}) {
      CHECK(reply.error.code == why.code);
      CHECK(reply.error.type == why.type);
      CHECK(field(reply, "retry-after") == retry_after);
    }
  }
  CHECK(f.probe.put_off.value() == 6);
  f.fails.clear();
  const auto again = f.send("batch", batch_of({event("a", "1"), event("u", "2"), "{}"}));
  CHECK(again.body.starts_with(R"({"success":true,"accepted":1,"duplicates":1,)"));
}

TEST_CASE(
    "what a customer refuses for good is a dead letter, and a fault of ours no reason to send it again") {
  Fixture f;
  f.fails["u"] = kRefused;
  const auto refused = f.send("track", R"({"userId":"u","event":"e"})");
  CHECK(refused.error.type == "too-many-traits");
  CHECK(f.kept.size() == 1);
  f.fails["u"] = kBroken;
  CHECK(f.send("track", R"({"userId":"u","event":"e"})").body == R"({"success":true})");
  CHECK(f.kept.size() == 2);
  CHECK(f.kept[1].body() == R"({"userId":"u","event":"e"})");
  f.raw_fails = kBroken;
  CHECK(f.send("track", R"({"userId":"u","event":"e"})").error.code == Code::internal);
}

TEST_CASE("an event that leads to no address is kept, too") {
  Fixture f;
  Caller nobody;  // whose addresses are none
  nobody.actor = "key/k1";
  f.caller = std::make_shared<const Caller>(std::move(nobody));
  CHECK(f.send("track", R"({"userId":"u","event":"e"})").error.type == "invalid-address");
  CHECK(f.send("batch", batch_of({event("a", "1"), event("b", "2"), "{}"})).error.type == "invalid-address");
  CHECK(f.agents->under_way() == 0);
}

TEST_CASE("a large batch asks for some events at a time, in order, and others get their turn") {
  Fixture f;
  f.hold = true;
  std::vector<std::string> events;
  for (int i = 0; i < 500; ++i) events.push_back(event("u", std::to_string(i)));
  f.post("batch", batch_of(events));
  CHECK(f.asked.size() == 64);
  f.post("track", R"({"userId":"v","event":"e"})");
  CHECK(f.asked.size() == 65);
  for (int i = 0; i < 10 && f.answers.all.size() < 2; ++i) f.let_go();
  REQUIRE(f.answers.all.size() == 2);
  CHECK(f.answers.all[0].body == R"({"success":true})");
  CHECK(f.answers.all[1].body.starts_with(R"({"success":true,"accepted":500,)"));
  std::vector<std::string> order;
  for (const auto& request : f.asked)
    if (request.to == "customer/demo/u")
      order.push_back(dynamic_cast<const v1::TakeEvent&>(*request.command).event_id());
  CHECK(order.size() == 500);
  CHECK(std::is_sorted(order.begin(), order.end(),
                       [](const auto& a, const auto& b) { return std::stoi(a) < std::stoi(b); }));
}

TEST_CASE("a batch that is refused halfway asks for no more, and answers when all is settled") {
  Fixture f;
  f.hold = true;
  std::vector<std::string> events;
  for (int i = 0; i < 300; ++i) events.push_back(event(i == 5 ? "bad" : "u", std::to_string(i)));
  f.fails["bad"] = kOverloaded;
  f.post("batch", batch_of(events));
  f.let_go();  // all of the first window
  f.let_go();
  REQUIRE(f.answers.all.size() == 1);
  CHECK(f.answers.all[0].error.type == "overloaded");
  CHECK(f.asked.size() < 300);
  CHECK(f.held.empty());
}

TEST_CASE("many batches at once keep apart, whatever comes of their events") {
  rc::check([] {
    Fixture f;
    f.hold = true;
    f.fails["no"] = kRefused;
    const auto sizes = *rc::gen::container<std::vector<int>>(8, rc::gen::inRange(0, 200));
    std::vector<std::size_t> accepted, rejected;
    for (std::size_t b = 0; b < sizes.size(); ++b) {
      std::vector<std::string> events;
      std::size_t bad = 0;
      for (int i = 0; i < sizes[b]; ++i) {
        const auto kind = *rc::gen::inRange(0, 4);
        bad += kind < 2 ? 1 : 0;
        events.push_back(kind == 0   ? "{}"
                         : kind == 1 ? event("no", "x")
                                     : event("u", std::to_string(b) + '-' + std::to_string(i)));
      }
      accepted.push_back(events.size() - bad);
      rejected.push_back(bad);
      f.post("batch", batch_of(events));
    }
    for (int i = 0; i < 20; ++i) f.let_go();
    RC_ASSERT(f.answers.all.size() == sizes.size());
    std::vector<std::pair<std::size_t, std::size_t>> told, expected;
    for (std::size_t b = 0; b < sizes.size(); ++b) {
      const auto reply = json::parse(f.answers.all[b].body).as_object();
      told.emplace_back(reply.at("accepted").to_number<std::size_t>(),
                        reply.at("rejected").as_array().size());
      expected.emplace_back(accepted[b], rejected[b]);
    }
    std::sort(told.begin(), told.end());
    std::sort(expected.begin(), expected.end());
    RC_ASSERT(told == expected);
    RC_ASSERT(f.agents->under_way() == 0u);
  });
}

}  // namespace cx::intake
