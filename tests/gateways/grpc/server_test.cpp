#include <doctest/doctest.h>
#include <stdexcept>
#include <thread>

#include "cx/v1/bidding.pb.h"
#include "cx/v1/operations.pb.h"
#include "fixture.hpp"

namespace cx::grpc_gateway {
namespace {

using grpc::StatusCode;
using std::chrono::milliseconds;
using std::chrono::seconds;

bool is_problem(const Answer& answer, StatusCode code, const std::string& type) {
  INFO(answer.status.error_message());
  const auto problem = answer.trailer("problem-bin");
  return answer.status.error_code() == code && !answer.status.error_message().empty() &&
         problem.find("\"type\":\"/problems/" + type + "\"") != std::string::npos;
}

void reply_with(Fixture& f, const RawReply& reply) {
  f.agents.on_post = [reply](RawRequest& request) {
    request.reply(reply);
    return true;
  };
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a raw request reaches its agent, and the answer comes from another thread") {
  start();
  auto pending = call(kBid, raw_body("{\"id\":1}"));
  auto request = take();
  CHECK(request.body == "{\"id\":1}");
  CHECK(request.body.capacity() >= request.body.size() + kRawPadding);
  CHECK(request.received <= std::chrono::steady_clock::now());
  std::thread([&request] {
    auto reply = RawReply::document("{\"bid\":2}");
    reply.metadata.emplace_back("x-note", "seen\r\n\xff!");
    request.reply(std::move(reply));
  }).join();
  const auto answer = pending.get();
  REQUIRE(answer.status.ok());
  CHECK(answer.bytes == raw_body("{\"bid\":2}"));
  CHECK(answer.trailer("x-note") == "seen   !");
  CHECK(bids.ok.value() == 1);
  CHECK(bids.requests.total.value() == 1);
  CHECK(bids.latency.read().count() == 1);
}

TEST_CASE_FIXTURE(Fixture, "an empty answer is an empty RawBody with its metadata") {
  start();
  auto reply = RawReply::empty();
  reply.metadata.emplace_back("x-openrtb-nbr", "8");
  reply_with(*this, reply);
  const auto answer = ask(kBid, raw_body("{}"));
  CHECK(answer.status.ok());
  CHECK(answer.bytes.empty());
  CHECK(answer.trailer("x-openrtb-nbr") == "8");
  CHECK(bids.empty.value() == 1);
}

TEST_CASE_FIXTURE(Fixture, "an error is a status and a problem") {
  start();
  const std::pair<Code, StatusCode> table[] = {
      {Code::invalid_argument, StatusCode::INVALID_ARGUMENT},
      {Code::not_found, StatusCode::NOT_FOUND},
      {Code::conflict, StatusCode::ABORTED},
      {Code::overloaded, StatusCode::UNAVAILABLE},
      {Code::deadline_exceeded, StatusCode::DEADLINE_EXCEEDED},
      {Code::unavailable, StatusCode::UNAVAILABLE},
      {Code::internal, StatusCode::INTERNAL},
  };
  for (const auto& [code, status] : table) {
    reply_with(*this, RawReply::failure({code, "some-type", "What was wrong: \xc3\xa9.", "/imp/0"}));
    const auto answer = ask(kBid, raw_body("{}"));
    CHECK(is_problem(answer, status, "some-type"));
    CHECK(answer.status.error_message() == "What was wrong: \xc3\xa9.");
    CHECK(answer.trailer("problem-bin").find("\"pointer\":\"/imp/0\"") != std::string::npos);
    CHECK(answer.trailer("grpc-retry-pushback-ms") == (code == Code::overloaded ? "1000" : ""));
  }
  CHECK(bids.client_error.value() == 3);
  CHECK(bids.refused.value() == 2);
  CHECK(bids.server_error.value() == 2);
}

TEST_CASE_FIXTURE(Fixture, "an error that quotes a long request still arrives") {
  start();
  reply_with(*this,
             RawReply::failure({Code::invalid_argument, "some-type", std::string(100'000, '\x01'), ""}));
  CHECK(is_problem(ask(kBid, raw_body("{}")), StatusCode::INVALID_ARGUMENT, "some-type"));
}

TEST_CASE_FIXTURE(Fixture, "agents without credit mean: retry in a second") {
  start();
  agents.on_post = [](RawRequest&) { return false; };
  const auto answer = ask(kBid, raw_body("{}"));
  CHECK(is_problem(answer, StatusCode::UNAVAILABLE, "overloaded"));
  CHECK(answer.trailer("grpc-retry-pushback-ms") == "1000");
  CHECK(bids.refused.value() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a request dropped unanswered is an internal error") {
  start();
  agents.on_post = [](RawRequest& request) {
    const auto dropped = std::move(request.reply);
    return true;
  };
  CHECK(is_problem(ask(kBid, raw_body("{}")), StatusCode::INTERNAL, "no-answer"));
}

TEST_CASE_FIXTURE(Fixture, "a raw request of the wrong shape never reaches an agent") {
  start();
  agents.on_post = [](RawRequest&) -> bool { throw std::logic_error("reached an agent"); };
  CHECK(is_problem(ask(kBid, "\xff"), StatusCode::INVALID_ARGUMENT, "invalid-request"));
  CHECK(is_problem(ask(kBid, raw_body("{}", "text/plain")), StatusCode::INVALID_ARGUMENT,
                   "unsupported-media-type"));
  CHECK(ask(kBid, raw_body(std::string(256 * 1024, ' '))).status.error_code() ==
        StatusCode::RESOURCE_EXHAUSTED);
  const auto compressed = call(kBid, raw_body(std::string(10'000, ' ')), [](grpc::ClientContext& context) {
                            context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
                          }).get();
  CHECK(compressed.status.error_code() == StatusCode::UNIMPLEMENTED);
}

TEST_CASE_FIXTURE(Fixture, "media types are compared without case and parameters; none is fine") {
  start();
  reply_with(*this, RawReply::document("{}"));
  CHECK(ask(kBid, raw_body("{}", "Application/JSON; charset=utf-8")).status.ok());
  CHECK(ask(kBid, raw_body("{}", "")).status.ok());
}

TEST_CASE_FIXTURE(Fixture, "a unary method answers with its message") {
  start();
  const auto answer = ask(kVersion, "");
  REQUIRE(answer.status.ok());
  v1::VersionReply reply;
  REQUIRE(reply.ParseFromString(answer.bytes));
  CHECK(reply.version() == "1.2.3");
  CHECK(metrics.endpoint("grpc cx.v1.Operations.Version").ok.value() == 1);
  CHECK(is_problem(ask(kVersion, "\xff"), StatusCode::INVALID_ARGUMENT, "invalid-request"));
}

TEST_CASE_FIXTURE(Fixture, "a unary method may fail, throw or be missing") {
  services.add("cx.v1.Operations.Version", [](const auto&) -> Services::Reply {
    return Error{Code::not_found, "no-version", "There is none.", ""};
  });
  SUBCASE("fails") {
    start();
    CHECK(is_problem(ask(kVersion, ""), StatusCode::NOT_FOUND, "no-version"));
  }
  SUBCASE("throws") {
    services.add("cx.v1.Operations.Version",
                 [](const auto&) -> Services::Reply { throw std::runtime_error("broken on purpose"); });
    start();
    CHECK(is_problem(ask(kVersion, ""), StatusCode::INTERNAL, "internal"));
  }
  SUBCASE("missing") {
    start();
    CHECK(is_problem(ask("/cx.v1.Operations/ListShards", ""), StatusCode::UNAVAILABLE, "not-served"));
  }
}

TEST_CASE_FIXTURE(Fixture, "a unary method may answer later, from another thread, once") {
  start();
  auto pending = call(kTopology, "");
  const auto respond = methods.take();
  CHECK(ask(kVersion, "").status.ok());  // nobody waits for it
  std::thread([&respond] {
    respond(test::FakeServices::topology("late"));
    respond(test::FakeServices::topology("too late"));
  }).join();
  v1::TopologyReply reply;
  REQUIRE(reply.ParseFromString(pending.get().bytes));
  CHECK(reply.nodes(0).name() == "late");
  const auto& probe = metrics.endpoint("grpc cx.v1.Operations.Topology");
  CHECK(probe.ok.value() == 1);
  CHECK(probe.requests.total.value() == 1);

  auto failing = call(kTopology, "");
  methods.take()(Error{Code::not_found, "no-topology", "There is none.", ""});
  CHECK(is_problem(failing.get(), StatusCode::NOT_FOUND, "no-topology"));
}

TEST_CASE_FIXTURE(Fixture, "a unary request dropped unanswered is an internal error") {
  start();
  auto pending = call(kTopology, "");
  methods.take();
  CHECK(is_problem(pending.get(), StatusCode::INTERNAL, "no-answer"));
}

TEST_CASE_FIXTURE(Fixture, "the late answer of a unary method may find nobody") {
  start();
  SUBCASE("past the client's deadline") {
    auto pending = call(kTopology, "", [](grpc::ClientContext& context) {
      context.set_deadline(std::chrono::system_clock::now() + milliseconds(50));
    });
    const auto respond = methods.take();
    CHECK(pending.get().status.error_code() == StatusCode::DEADLINE_EXCEEDED);
    respond(test::FakeServices::topology("late"));
    CHECK(ask(kVersion, "").status.ok());
  }
  SUBCASE("after the server's end") {
    auto pending = call(kTopology, "");
    const auto respond = methods.take();
    server.reset();
    CHECK_FALSE(pending.get().status.ok());
    respond(test::FakeServices::topology("late"));
  }
}

TEST_CASE_FIXTURE(Fixture, "an unknown method is named, and so are the services") {
  start();
  const auto answer = ask("/cx.v1.Bidding/Ask" + std::string(300, 'k'), "");
  CHECK(is_problem(answer, StatusCode::UNIMPLEMENTED, "unknown-method"));
  CHECK(answer.status.error_message().find("/cx.v1.Bidding/Askkk") != std::string::npos);
  CHECK(answer.status.error_message().find(std::string(101, 'k')) == std::string::npos);
  CHECK(answer.status.error_message().find("cx.v1.Operations") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "an answer after the client's deadline has no effect") {
  start();
  auto pending = call(kBid, raw_body("{}"), [](grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + milliseconds(50));
  });
  const auto request = take();
  CHECK(pending.get().status.error_code() == StatusCode::DEADLINE_EXCEEDED);
  while (bids.client_error.value() == 0) std::this_thread::yield();  // until the server knows, too
  request.reply(RawReply::document("late"));
  CHECK(bids.requests.total.value() == 1);
  CHECK(bids.ok.value() == 0);
  CHECK(ask(kVersion, "").status.ok());
}

TEST_CASE_FIXTURE(Fixture, "draining refuses new calls and finishes those under way") {
  start();
  auto pending = call(kBid, raw_body("{}"));
  const auto request = take();
  std::thread drain([this] { server->drain(seconds(30)); });
  CHECK(health_becomes("", "NOT_SERVING"));
  CHECK(health_becomes("cx.v1.Bidding", "NOT_SERVING"));
  while (ask(kVersion, "").status.ok()) std::this_thread::yield();
  CHECK(is_problem(ask(kVersion, ""), StatusCode::UNAVAILABLE, "draining"));
  request.reply(RawReply::document("in time"));
  drain.join();
  CHECK(pending.get().bytes == raw_body("in time"));
  CHECK_FALSE(ask(kVersion, "").status.ok());
}

TEST_CASE_FIXTURE(Fixture, "a server ends with calls under way, whose answers then have no effect") {
  start();
  auto pending = call(kBid, raw_body("{}"));
  const auto request = take();
  SUBCASE("after the grace") {
    server->drain(milliseconds(1));
  }
  SUBCASE("at once") {}
  server.reset();
  CHECK_FALSE(pending.get().status.ok());
  request.reply(RawReply::document("too late"));
  CHECK(bids.client_error.value() == 1);
}

TEST_CASE_FIXTURE(Fixture, "health follows readiness, of the server and of each service") {
  ready = false;
  start();
  CHECK(health_becomes("", "NOT_SERVING"));
  ready = true;
  CHECK(health_becomes("", "SERVING"));
  CHECK(health_becomes("cx.v1.Operations", "SERVING"));
  ready = false;
  CHECK(health_becomes("cx.v1.Bidding", "NOT_SERVING"));
}

TEST_CASE_FIXTURE(Fixture, "reflection lists the contract's services") {
  start();
  // ServerReflectionRequest{list_services = 7}
  const auto answer =
      ask("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", std::string("\x3a\x00", 2));
  CHECK(answer.bytes.find("cx.v1.Bidding") != std::string::npos);
  CHECK(answer.bytes.find("cx.v1.Operations") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a taken port is an error that says what to do") {
  start();
  config.set_port(port);
  Server second(config, contract, front.door, metrics, [] { return true; });
  const auto started = second.start();
  REQUIRE_FALSE(started);
  CHECK(started.error().detail.find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
  CHECK(started.error().detail.find("--grpc-port") != std::string::npos);
  second.drain(milliseconds(0));
}

TEST_CASE_FIXTURE(Fixture, "every method refuses who shows nothing, something wrong, or may do too little") {
  front.authenticator.open = false;
  start();
  for (const auto& method : contract) {
    if (method.access == Method::Access::everybody) continue;
    CAPTURE(method.name);
    const auto& service = method.descriptor->service()->full_name();
    const auto as = [&](const char* token) {
      return call("/" + service + "/" + method.descriptor->name(), "",
                  [token](grpc::ClientContext& context) {
                    if (*token != '\0') context.AddMetadata("authorization", std::string("Bearer ") + token);
                  })
          .get();
    };
    CHECK(is_problem(as(""), StatusCode::UNAUTHENTICATED, "no-credential"));
    CHECK(is_problem(as("bad"), StatusCode::UNAUTHENTICATED, "invalid-credential"));
    if (method.access == Method::Access::permitted)
      CHECK(is_problem(as("poor"), StatusCode::PERMISSION_DENIED, "permission-missing"));
  }
}

}  // namespace cx::grpc_gateway
