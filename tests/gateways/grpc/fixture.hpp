#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>
#include <map>
#include <memory>
#include <string>

#include "gateways/grpc/server.hpp"
#include "tests/gateways/fake_door.hpp"
#include "tests/gateways/fake_services.hpp"

namespace cx::grpc_gateway {

inline const std::string kBid = "/cx.v1.Bidding/Bid";
inline const std::string kVersion = "/cx.v1.Operations/Version";
inline const std::string kTopology = "/cx.v1.Operations/Topology";
inline const std::string kHealth = "/grpc.health.v1.Health/Check";

/// What a call came to; `bytes` is the encoded reply.
struct Answer {
  grpc::Status status;
  std::string bytes;
  std::multimap<std::string, std::string> trailers;
  std::string trailer(const std::string& name) const;
};

/// Agents that do with a request what the test says; by default they keep the last one in `held`.
struct FakeAgents final : RawTarget {
  bool post(RawRequest& request) override { return on_post(request); }

  std::promise<RawRequest> held;
  std::function<bool(RawRequest&)> on_post = [this](RawRequest& request) {
    held.set_value(std::move(request));
    return true;
  };
};

/// A server on a free port of the loopback, and a client of it.
struct Fixture {
  Fixture();
  void start();
  /// Starts a call that sends `bytes`.
  std::future<Answer> call(const std::string& method, const std::string& bytes,
                           const std::function<void(grpc::ClientContext&)>& prepare = {});
  Answer ask(const std::string& method, const std::string& bytes) { return call(method, bytes).get(); }
  /// Asks for the health of a service until it is `status` ("SERVING"); false if it does not become that.
  bool health_becomes(const std::string& service, const std::string& status);
  /// The request that the agents hold.
  RawRequest take();

  v1::GrpcConfig config;
  Services services;
  FakeAgents agents;
  test::FakeServices methods{services};
  Metrics metrics{"test"};
  EndpointProbe& bids = metrics.endpoint("grpc cx.v1.Bidding.Bid");
  std::atomic<bool> ready{true};
  std::uint16_t port = 0;
  test::FakeDoor front;
  std::vector<Method> contract;  ///< set by start()
  std::unique_ptr<Server> server;
  std::shared_ptr<grpc::Channel> channel;

 private:
  struct Exchange {
    grpc::ClientContext context;
    grpc::ByteBuffer request, reply;
  };
  // Not the callback's: the last reference to a channel must not go away on a thread of gRPC's.
  std::deque<Exchange> exchanges_;
};

/// An encoded RawBody.
std::string raw_body(const std::string& body, const std::string& content_type = "application/json");

}  // namespace cx::grpc_gateway
