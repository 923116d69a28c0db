#include "actors/bidding/agent.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>

#include "cx/v1/customer.pb.h"
#include "cx/v1/decision.pb.h"
#include "runtime/agents.hpp"
#include "runtime/entity/messages.hpp"
#include "tests/virtual_time.hpp"

namespace cx::bidding {
namespace {

using std::chrono::milliseconds;

constexpr const char* kOneBanner =
    R"({"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250}}],"user":{"id":"u"},"tmax":100})";
constexpr const char* kTwoBanners =
    R"({"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250}},{"id":"2","bidfloor":999,"banner":{"w":300,"h":250}}],)"
    R"("user":{"id":"u"},"tmax":100})";

/// An agent between a customer region and an inference pool that do as the test says.
struct Fixture {
  Fixture() {
    v1::Offer offer;
    offer.set_id("a");
    offer.set_campaign_id("c");
    offer.set_media(v1::MEDIA_TYPE_BANNER);
    offer.set_width(300);
    offer.set_height(250);
    offer.set_click_value_micros(100'000);
    auto rules = std::make_shared<Rules>();
    rules->seat = "us";
    rules->currencies = *Currencies::from({});
    const auto typed = [](const caf::actor& actor) { return caf::actor_cast<caf::strong_actor_ptr>(actor); };
    customers = time.system.spawn([this](caf::event_based_actor* self) {
      return caf::behavior{
          [this, self](const Request& request) {
            // Whoever only sends gets no answer.
            if (const auto* release = dynamic_cast<const v1::ReleaseImpressions*>(request.command.get())) {
              CHECK(release->reserved_at() == 77);
              released += release->count();
              return;
            }
            if (const auto* made = dynamic_cast<const v1::RecordDecisions*>(request.command.get())) {
              CHECK(made->reserved_at() == 77);
              released += made->release();
              recorded.push_back(*made);
              return;
            }
            auto promise = self->make_response_promise();
            const auto& reserve = dynamic_cast<const v1::ReserveImpressions&>(*request.command);
            asked.push_back(request.to);
            if (broken_customers) return promise.deliver(caf::make_error(caf::sec::runtime_error));
            auto grant = std::make_shared<v1::ImpressionsGranted>();
            grant->set_granted(std::min(room, reserve.count()));
            grant->set_reserved_at(77);
            if (hold_customers)
              held_grants.emplace_back([=]() mutable { promise.deliver(MessagePtr(grant)); });
            else
              promise.deliver(MessagePtr(grant));
          },
          [this](caf::ok_atom) { let_go(held_grants); }};
    });
    inference = time.system.spawn([this](caf::event_based_actor* self) {
      return caf::behavior{[this, self](const v1::Predict& predict) {
                             auto promise = self->make_response_promise();
                             if (broken_inference)
                               return promise.deliver(caf::make_error(caf::sec::runtime_error));
                             v1::Predicted reply;
                             reply.set_model("cpu/test@1");
                             for (const auto& item : predict.items()) {
                               auto& scores = *reply.add_items();
                               for (int i = 0; i < item.offers_size(); ++i) scores.add_values(0.02F);
                             }
                             if (hold_inference)
                               held_scores.emplace_back([=]() mutable { promise.deliver(reply); });
                             else
                               promise.deliver(reply);
                           },
                           [this](caf::ok_atom) { let_go(held_scores); }};
    });
    router.customers = &customers;
    agent = spawn_bid_agent(time.system, {"demo", std::make_shared<Catalog>(std::vector<v1::Offer>{offer}),
                                          rules, &router, caf::actor_cast<InferencePool>(typed(inference)),
                                          &time.clock, &metrics.kind("bid-agent"), &bids});
  }
  ~Fixture() {
    answer_late();
    for (const auto& actor : {agent, customers, inference})
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    time.run();
  }

  CallerPtr caller = [] {
    Caller one;
    one.tenant = "demo";
    return std::make_shared<const Caller>(std::move(one));
  }();
  void send(const std::string& body) {
    caf::anon_send(agent, RawRequest{body, time.clock.steady(), answers.to(), caller});
    time.run();
  }
  using Held = std::vector<std::function<void()>>;
  static void let_go(Held& held) {
    for (auto& deliver : held) deliver();
    held.clear();
  }
  // The customers and the pool now say what they held back.
  void answer_late() {
    for (const auto& actor : {customers, inference}) caf::anon_send(actor, caf::ok_atom::value);
    time.run();
  }
  std::string nbr(std::size_t at = 0) {
    REQUIRE(answers.all.size() > at);
    CHECK(answers.all[at].kind == RawReply::Kind::empty);
    return answers.all[at].metadata.empty() ? "" : answers.all[at].metadata[0].second;
  }

  struct : Router {
    Result<Request> request(std::string_view address, MessagePtr command) const override {
      Request request;
      request.to = std::string(address);
      request.command = std::move(command);
      return request;
    }
    const caf::actor& region(std::uint32_t) const override { return *customers; }
    const caf::actor* customers = nullptr;
  } router;
  Metrics metrics{"test"};  // what actors refer to comes before them
  BidProbe bids;
  test::Answers answers;
  test::VirtualTime time;
  std::vector<std::string> asked;
  std::vector<v1::RecordDecisions> recorded;
  Held held_grants, held_scores;
  std::uint32_t room = 10, released = 0;
  bool hold_customers = false, hold_inference = false, broken_customers = false, broken_inference = false;
  caf::actor customers, inference, agent;
};

}  // namespace

TEST_CASE("a bid request becomes a bid, and what was not offered is given back") {
  Fixture f;
  f.send(kTwoBanners);
  REQUIRE(f.answers.all.size() == 1);
  CHECK(f.answers.all[0].kind == RawReply::Kind::document);
  CHECK(f.answers.all[0].body.find(R"("impid":"1","price":2,)") != std::string::npos);
  CHECK(f.answers.all[0].body.find(R"("impid":"2")") == std::string::npos);
  CHECK(f.asked == std::vector<std::string>{"customer/demo/u"});
  CHECK(f.released == 1);
  CHECK(f.bids.bid.value() == 1);
}

TEST_CASE("what is bid for somebody is recorded with what it went by, after the answer, in one message") {
  Fixture f;
  f.send(R"({"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250,"pos":7}},)"
         R"({"id":"2","banner":{"w":300,"h":250}}],"user":{"id":"u"},"tmax":100})");
  REQUIRE(f.recorded.size() == 1);
  const auto& made = f.recorded[0];
  CHECK(made.release() == 1);
  CHECK(f.released == 1);
  REQUIRE(made.bids_size() == 1);
  CHECK(f.answers.all[0].body.find(R"("bid":[{"id":")" + made.id() + R"(-1")") != std::string::npos);
  CHECK(made.model() == "cpu/test@1");
  CHECK(made.currency() == "USD");
  const auto& bid = made.bids(0);
  CHECK(bid.offer_id() == "a");
  CHECK(bid.campaign_id() == "c");
  CHECK(bid.score() == 0.02F);
  CHECK(bid.price_micros() == 2'000'000);
  CHECK(bid.candidates() == 1);
  REQUIRE(bid.features().size() == 140);  // up to the position
  CHECK(bid.features().back() == 127);
}

TEST_CASE("what is bid for a child, or where tracking is limited, is not recorded") {
  for (const auto* told : {R"("regs":{"coppa":1})", R"("device":{"lmt":1})", R"("regs":{"gdpr":1})"}) {
    Fixture f;
    f.send(R"({"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250}},{"id":"2","banner":{"w":300,"h":250}}],)"
           R"("user":{"id":"u"},"tmax":100,)" +
           std::string(told) + "}");
    REQUIRE(f.answers.all.size() == 1);
    CHECK(f.answers.all[0].kind == RawReply::Kind::document);
    CHECK(f.recorded.empty());
    CHECK(f.released == 1);
  }
}

TEST_CASE("what is not a bid request is answered with where it is wrong") {
  Fixture f;
  f.send(R"({"id":"r","imp":[{"banner":{}}]})");
  REQUIRE(f.answers.all.size() == 1);
  CHECK(f.answers.all[0].error.code == Code::invalid_argument);
  CHECK(f.answers.all[0].error.pointer == "/imp/0/id");
  f.send(kOneBanner);  // the agent is fine
  CHECK(f.answers.all[1].kind == RawReply::Kind::document);
}

TEST_CASE("no room under the cap is a no-bid with its reason") {
  Fixture f;
  f.room = 0;
  f.send(kOneBanner);
  CHECK(f.nbr() == "9");
  CHECK(f.released == 0);
}

TEST_CASE("too little time is a no-bid at once, and nobody is asked") {
  Fixture f;
  f.send(R"({"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250}}],"user":{"id":"u"},"tmax":8})");
  CHECK(f.nbr() == "15");
  CHECK(f.asked.empty());
  CHECK(f.bids.timeout.value() == 1);
}

TEST_CASE("a customer who answers too late is told that nothing was offered") {
  Fixture f;
  f.hold_customers = true;
  f.send(kTwoBanners);
  CHECK(f.answers.all.empty());
  f.time.advance(milliseconds(100));
  CHECK(f.nbr() == "15");
  f.answer_late();
  CHECK(f.released == 2);
  CHECK(f.answers.all.size() == 1);
}

TEST_CASE("scores that come too late bid nothing and hold nothing") {
  Fixture f;
  f.hold_inference = true;
  f.send(kTwoBanners);
  f.time.advance(milliseconds(100));
  CHECK(f.nbr() == "15");
  CHECK(f.released == 2);
  f.answer_late();
  CHECK(f.answers.all.size() == 1);
  CHECK(f.released == 2);
  CHECK(f.recorded.empty());
}

TEST_CASE(
    "a broken part is a no-bid for a technical reason, counted apart, and its reservation is returned") {
  Fixture f;
  f.broken_customers = true;
  f.send(kOneBanner);
  CHECK(f.nbr() == "1");
  f.broken_customers = false;
  f.broken_inference = true;
  f.send(kOneBanner);
  CHECK(f.nbr(1) == "1");
  CHECK(f.released == 1);
  CHECK(f.bids.failed.value() == 2);
}

TEST_CASE("nobody in particular is bid for without asking anybody") {
  Fixture f;
  f.send(R"({"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250}}]})");
  CHECK(f.answers.all[0].kind == RawReply::Kind::document);
  CHECK(f.asked.empty());
  CHECK(f.released == 0);
  CHECK(f.recorded.empty());
}

TEST_CASE("many conversations at once keep apart") {
  Fixture f;
  f.hold_customers = true;
  for (int i = 0; i < 50; ++i) {
    const auto n = std::to_string(i);
    f.send(R"({"id":"r)" + n + R"(","imp":[{"id":"i)" + n +
           R"(","banner":{"w":300,"h":250}}],"user":{"id":"u)" + n + R"("}})");
  }
  f.answer_late();
  REQUIRE(f.answers.all.size() == 50);
  for (const auto& answer : f.answers.all) {
    const auto id = answer.body.substr(7, answer.body.find('"', 8) - 7);
    CHECK(answer.body.find(R"("impid":"i)" + id.substr(1) + '"') != std::string::npos);
  }
}

TEST_CASE("a pool spreads requests, bounds what is under way, and takes more when there is room") {
  Fixture f;
  f.hold_customers = true;
  AgentPool pool({f.agent}, 3);
  const auto post = [&] {
    RawRequest request{kOneBanner, f.time.clock.steady(), f.answers.to(), f.caller};
    const bool taken = pool.post(request);
    if (!taken) request.reply(RawReply::empty());
    f.time.run();
    return taken;
  };
  CHECK(post());
  CHECK(post());
  CHECK(post());
  CHECK_FALSE(post());
  CHECK(pool.under_way() == 3);
  f.answer_late();
  CHECK(pool.under_way() == 0);
  CHECK(post());
}

}  // namespace cx::bidding
