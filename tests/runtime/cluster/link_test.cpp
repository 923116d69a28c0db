#include "runtime/cluster/link.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "runtime/address.hpp"
#include "runtime/cluster/envelope.hpp"
#include "runtime/entity/route.hpp"
#include "tests/kinds/commands.hpp"
#include "tests/kinds/kinds.hpp"

// Bytes between two nodes, without sockets.

namespace cx::test {
namespace {

using cluster::Link;

struct Side final : cluster::LinkEvents {
  std::string hello(Link& from) override { return from.peer().cluster() == "c" ? "" : "another cluster"; }
  void requested(Link&, v1::PeerRequest& request) override { requests.push_back(request); }
  void replied(Link&, v1::PeerReply& reply) override { replies.push_back(reply); }

  std::vector<char> output() {
    std::vector<char> bytes;
    link.take(bytes);
    return bytes;
  }
  static v1::PeerHello greeting(const std::string& cluster = "c") {
    v1::PeerHello hello;
    hello.set_incarnation("i");
    hello.set_cluster(cluster);
    return hello;
  }

  std::vector<v1::PeerRequest> requests;
  std::vector<v1::PeerReply> replies;
  Link link{1, *this};
};

std::vector<char> raw(std::uint32_t length, const std::string& bytes) {
  const unsigned char header[] = {
      static_cast<unsigned char>(length >> 24), static_cast<unsigned char>(length >> 16),
      static_cast<unsigned char>(length >> 8), static_cast<unsigned char>(length)};
  std::vector<char> out(4 + bytes.size());
  std::copy(std::begin(header), std::end(header), out.begin());
  std::copy(bytes.begin(), bytes.end(), out.begin() + 4);
  return out;
}

Request request(const Kinds& kinds, const std::string& to, const Message& command) {
  auto copy = std::shared_ptr<Message>(command.New());
  copy->CopyFrom(command);
  auto routed = route(kinds, to, copy);
  REQUIRE(routed);
  return std::move(*routed);
}

}  // namespace

TEST_CASE("what one side sends comes out at the other in order, however the bytes are cut") {
  const auto kinds = all_kinds();
  rc::check([&] {
    Side a, b;
    a.link.greet(Side::greeting());
    std::vector<char> bytes = a.output();
    const auto count = *rc::gen::inRange<std::uint64_t>(1, 40);
    for (std::uint64_t id = 1; id <= count; ++id) {
      const auto size = *rc::gen::inRange(0, 10) == 0 ? 300'000 : *rc::gen::inRange(0, 200);
      auto sent = request(kinds, "counter/t/1", make_add(static_cast<std::int64_t>(id)));
      sent.trace.assign(static_cast<std::size_t>(size), 'x');
      RC_ASSERT(a.link.add(cluster::request_frame(id, sent, {1, 2, 3})));
      if (*rc::gen::inRange(0, 4) == 0) a.link.beat();
      if (*rc::gen::inRange(0, 3) == 0) a.link.take(bytes);
    }
    a.link.take(bytes);
    RC_ASSERT(!a.link.has_output());
    for (std::size_t at = 0; at < bytes.size();) {
      const auto piece = std::min<std::size_t>(*rc::gen::inRange<std::size_t>(1, 60'000), bytes.size() - at);
      RC_ASSERT(b.link.receive(std::span(bytes).subspan(at, piece)));
      at += piece;
    }
    RC_ASSERT(b.requests.size() == count);
    for (std::uint64_t id = 1; id <= count; ++id) RC_ASSERT(b.requests[id - 1].id() == id);
  });
}

TEST_CASE("a link begins with a hello that is accepted, and takes nothing before it") {
  Side good, other, noise, large;
  Side from;
  from.link.greet(Side::greeting("elsewhere"));
  CHECK_FALSE(other.link.receive(from.output()));
  CHECK(other.link.why() == "another cluster");
  CHECK_FALSE(noise.link.receive(raw(4, "\xff\xff\xff\xff")));
  CHECK_FALSE(large.link.receive(raw(Link::kMostHello + 1, "")));
  CHECK_FALSE(large.link.receive(raw(0, "")));  // it stays closed
  from.link.greet(Side::greeting());
  CHECK(good.link.receive(from.output()));
  CHECK(good.link.up());
  CHECK_FALSE(good.link.receive(raw(Link::kMostFrame + 1, "")));
}

TEST_CASE("whatever bytes come, a link takes or refuses them, and does not crash") {
  const auto kinds = all_kinds();
  rc::check([&] {
    Side a, b;
    a.link.greet(Side::greeting());
    RC_ASSERT(b.link.receive(a.output()));
    const auto noise = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
    b.link.receive(raw(static_cast<std::uint32_t>(noise.size()), noise));
    // A good frame with some bytes changed.
    Side c, d;
    c.link.greet(Side::greeting());
    RC_ASSERT(d.link.receive(c.output()));
    c.link.add(cluster::request_frame(1, request(kinds, "counter/t/1", make_add(1)), {1, 2, 3}));
    auto bytes = c.output();
    for (int i = *rc::gen::inRange(1, 4); i > 0; --i)
      bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = *rc::gen::arbitrary<char>();
    d.link.receive(bytes);
    for (const auto& got : d.requests) static_cast<void>(cluster::from_wire(kinds, got, 0));
    for (const auto& got : d.replies) static_cast<void>(cluster::from_wire(got));
  });
}

TEST_CASE("a request arrives with all that it was sent with") {
  const auto kinds = all_kinds();
  auto sent = request(kinds, "account/t/a", make_deposit(5));
  sent.source = "client";
  sent.sequence = 7;
  sent.settled = 6;
  sent.once = true;
  sent.actor = "user/u";
  sent.roles = {"admin", "reader"};
  sent.trace = "00-t";
  sent.along.push_back({"counter/t/2", std::make_shared<Add>(make_add(9))});
  v1::PeerFrame frame;
  REQUIRE(frame.ParseFromString(cluster::request_frame(3, sent, {4, 5, 600})));
  const auto got = cluster::from_wire(kinds, frame.requests(0), 10'000);
  REQUIRE(got);
  CHECK(got->to == sent.to);
  CHECK(got->shard == sent.shard);
  CHECK(static_cast<const Deposit&>(*got->command).amount() == 5);
  CHECK(got->source == "client");
  CHECK(got->sequence == 7);
  CHECK(got->settled == 6);
  CHECK(got->once);
  CHECK(got->actor == "user/u");
  CHECK(got->roles == sent.roles);
  CHECK(got->trace == "00-t");
  CHECK(got->deadline == 10'600);
  CHECK(got->here_only);
  REQUIRE(got->along.size() == 1);
  CHECK(got->along[0].to == "counter/t/2");
  CHECK(static_cast<const Add&>(*got->along[0].command).n() == 9);

  frame.mutable_requests(0)->set_shard((sent.shard + 1) % kShards);
  CHECK(cluster::from_wire(kinds, frame.requests(0), 0).error().type == "wrong-shard");
  frame.mutable_requests(0)->mutable_command()->set_type("cx.test.Nothing");
  CHECK(cluster::from_wire(kinds, frame.requests(0), 0).error().type == "unknown-command");
}

TEST_CASE("an answer arrives as it was: a reply, nothing, or an error") {
  const auto back = [](const Answer& answer) {
    v1::PeerFrame frame;
    REQUIRE(frame.ParseFromString(cluster::reply_frame(1, answer, 9)));
    return cluster::from_wire(frame.replies(0));
  };
  auto total = std::make_shared<Total>();
  total->set_total(5);
  const auto reply = back(MessagePtr(total));
  REQUIRE(reply);
  CHECK(dynamic_cast<const Total&>(**reply).total() == 5);
  const auto nothing = back(MessagePtr());
  REQUIRE(nothing);
  CHECK(*nothing == nullptr);
  const auto error = back(Error{Code::conflict, "shelf-full", "Full.", "/count"});
  REQUIRE_FALSE(error);
  CHECK(error.error().code == Code::conflict);
  CHECK(error.error().type == "shelf-full");
  CHECK(error.error().detail == "Full.");
  CHECK(error.error().pointer == "/count");
  v1::PeerReply strange;
  strange.mutable_error()->set_code(4711);
  CHECK(cluster::from_wire(strange).error().code == Code::internal);
  strange.Clear();
  strange.mutable_reply()->set_type("cx.v9.Unheard");
  CHECK(cluster::from_wire(strange).error().type == "unknown-message");
}

}  // namespace cx::test
