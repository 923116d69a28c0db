// A service that nothing in the product knows, with a kind of entity for it: a .proto and a handle() are all
// that it takes to be served over HTTP and gRPC, with checks, permissions, the audit log and documentation.
#include <caf/actor_system.hpp>
#include <doctest/doctest.h>
#include <future>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <thread>

#include "actors/audit/audit.hpp"
#include "cx/v1/audit.pb.h"
#include "gateways/grpc/server.hpp"
#include "gateways/openapi/openapi.hpp"
#include "runtime/entity/kind_of.hpp"
#include "runtime/entity/serve.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/system.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/gateways/http/fixture.hpp"
#include "tests/kinds/shelf.hpp"
#include "tests/virtual_time.hpp"

namespace cx {
namespace {

using test::FakeAuthenticator;
using test::FaultEnvironment;
using test::GetShelf;
using test::PutThings;
using test::Shelf;
using test::ShelfKind;
using test::VirtualTime;

struct Node {
  Node() {
    kinds.add(make_kind(ShelfKind{}));
    kinds.add(make_kind(Audit{}));
    auto opened = RocksJournal::open("/data", environment);
    REQUIRE(opened);
    journal = std::move(*opened);
    entities.emplace(Entities::Parts{system, environment, kinds, *journal, commits, reads, metrics, "node"},
                     HostOptions{}, true, 2);
    REQUIRE_FALSE(entities->start());

    serve_entities(services, kinds, *entities, table);
    methods = methods_of(services, table);
    door.emplace(authenticator, environment, [this](const std::string& to, auto message, const auto& done) {
      auto request = entities->request(to, std::move(message));
      REQUIRE(request);
      entities->ask(*std::move(request), [done](const Answer& answer) {
        done(answer ? std::nullopt : std::optional(answer.error()));
      });
    });
    const auto ready = [] { return true; };
    v1::HttpConfig at_http;
    at_http.set_host("127.0.0.1");
    at_http.set_threads(1);
    at_http.set_max_connections(10);
    at_http.set_max_body(10'000);
    at_http.set_read_timeout_ms(10'000);
    at_http.set_idle_timeout_ms(10'000);
    at_http.set_write_timeout_ms(10'000);
    at_http.set_max_pipeline(4);
    http_server.emplace(at_http, methods, *door, metrics, ready);
    const auto http_port = http_server->start();
    REQUIRE(http_port);
    client.emplace(*http_port);
    v1::GrpcConfig at_grpc;
    at_grpc.set_host("127.0.0.1");
    grpc_server.emplace(at_grpc, methods, *door, metrics, ready);
    const auto grpc_port = grpc_server->start();
    REQUIRE(grpc_port);
    channel =
        grpc::CreateChannel("127.0.0.1:" + std::to_string(*grpc_port), grpc::InsecureChannelCredentials());
  }
  ~Node() {
    client.reset();
    http_server.reset();
    grpc_server.reset();
    entities.reset();
  }

  http::Response ask(const std::string& verb, const std::string& path, const std::string& body,
                     const std::string& token = "good") {
    const auto fields = "Authorization: Bearer " + token + "\r\n";
    return client->ask(
        verb == "GET" ? http::get(path, fields)
                      : http::with_body(verb, path, body, fields + "Content-Type: application/json\r\n"));
  }

  grpc::Status call(const std::string& method, const google::protobuf::Message& message, Shelf& reply,
                    const std::string& token = "good") {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    const grpc::Slice slice(message.SerializeAsString());
    grpc::ByteBuffer request(&slice, 1), response;
    std::promise<grpc::Status> done;
    grpc::GenericStub(channel).UnaryCall(&context, "/cx.test.Shelves/" + method, {}, &request, &response,
                                         [&](grpc::Status status) { done.set_value(std::move(status)); });
    auto status = done.get_future().get();
    grpc::Slice whole;
    if (status.ok() && response.DumpToSingleSlice(&whole).ok())
      CHECK(reply.ParseFromArray(whole.begin(), static_cast<int>(whole.size())));
    return status;
  }

  v1::AuditState audit() {
    std::promise<Result<v1::Snapshot>> promise;
    entities->inspect("audit/demo/log",
                      [&](Result<v1::Snapshot> seen) { promise.set_value(std::move(seen)); });
    const auto seen = promise.get_future().get();
    REQUIRE(seen);
    v1::AuditState state;
    REQUIRE(state.ParseFromString(seen->state()));
    return state;
  }

  FaultEnvironment environment;
  Metrics metrics{"node"};
  SystemConfig config{VirtualTime::Config::limits()};
  caf::actor_system system{config};
  Kinds kinds;
  std::unique_ptr<Journal> journal;
  ThreadPool commits{1}, reads{1};
  std::optional<Entities> entities;
  const ServiceDescriptors services{PutThings::descriptor()->file()->FindServiceByName("Shelves")};
  Services table;
  std::vector<Method> methods;
  FakeAuthenticator authenticator;
  std::optional<Door> door;
  std::optional<http::Server> http_server;
  std::optional<http::Client> client;
  std::optional<grpc_gateway::Server> grpc_server;
  std::shared_ptr<grpc::Channel> channel;
};

}  // namespace

TEST_CASE_FIXTURE(Node, "a new method needs a .proto and a handle, and is everything that methods are") {
  // HTTP, with path, body, enforced ranges, the caller as the actor.
  const auto put = ask("POST", "/v1/shelves/top:put", R"({"count": 3, "note": "psst"})");
  REQUIRE(put.status == 200);
  CHECK(put.body == R"({"id":"top","things":"3","last_actor":"user/test","witness":""})");
  CHECK(http::is_problem(ask("POST", "/v1/shelves/top:put", R"({"count": 101})"), 400, "out-of-range"));
  CHECK(http::is_problem(ask("POST", "/v1/shelves/top:put", R"({"witness": "me"})"), 400, "unknown-field"));
  CHECK(http::is_problem(ask("POST", "/v1/shelves/top:put", R"({"count": 98})"), 409, "shelf-full"));
  // Permissions.
  CHECK(http::is_problem(ask("GET", "/v1/shelves/top", "", "poor"), 403, "permission-missing"));
  CHECK(http::is_problem(ask("GET", "/v1/shelves/top", "", "bad"), 401, "invalid-credential"));

  // gRPC, where nobody can set what is the node's to set, either.
  Shelf shelf;
  PutThings things;
  things.set_shelf_id("top");
  things.set_count(4);
  things.set_witness("me");
  REQUIRE(call("Put", things, shelf).ok());
  CHECK(shelf.things() == 7);
  CHECK(shelf.witness().empty());
  GetShelf get;
  get.set_shelf_id("top");
  REQUIRE(call("Get", get, shelf).ok());
  CHECK(shelf.things() == 7);
  things.set_count(0);
  CHECK(call("Put", things, shelf).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(call("Get", get, shelf, "poor").error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(call("Get", get, shelf, "bad").error_code() == grpc::StatusCode::UNAUTHENTICATED);

  // The audit log: two that were done and one that was refused, none that only looked or made no sense.
  for (int tries = 0; audit().count() < 3 && tries < 3'000; ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(audit().count() == 3);

  // Documentation.
  const auto document = openapi::document(methods, {.version = "1"});
  for (const auto* part :
       {"\"/v1/shelves/{shelf_id}:put\"", "\"x-permission\":\"creative.write\"", "\"maximum\":100"})
    CHECK_MESSAGE(document.find(part) != std::string::npos, part);
}

}  // namespace cx
