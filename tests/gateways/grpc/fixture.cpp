#include "fixture.hpp"

#include <doctest/doctest.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <thread>

#include "cx/v1/bidding.pb.h"

namespace cx::grpc_gateway {

using std::chrono::seconds;

std::string Answer::trailer(const std::string& name) const {
  const auto found = trailers.find(name);
  return found == trailers.end() ? "" : found->second;
}

Fixture::Fixture() {
  config.set_host("127.0.0.1");
  services.add("bid-agent", &agents);
  front.authenticator.open = true;
}

void Fixture::start() {
  contract = methods_of(contract_services(), services);
  server = std::make_unique<Server>(config, contract, front.door, metrics, [this] { return ready.load(); });
  const auto started = server->start();
  REQUIRE_MESSAGE(started, started.error().detail);
  port = *started;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(),
                                      arguments);
}

std::future<Answer> Fixture::call(const std::string& method, const std::string& bytes,
                                  const std::function<void(grpc::ClientContext&)>& prepare) {
  auto& exchange = exchanges_.emplace_back();
  exchange.context.set_deadline(std::chrono::system_clock::now() + seconds(30));
  if (prepare) prepare(exchange.context);
  const grpc::Slice slice(bytes);
  exchange.request = grpc::ByteBuffer(&slice, 1);
  const auto promise = std::make_shared<std::promise<Answer>>();
  auto future = promise->get_future();
  grpc::GenericStub(channel).UnaryCall(
      &exchange.context, method, {}, &exchange.request, &exchange.reply,
      [&exchange, promise](grpc::Status status) {
        Answer answer{std::move(status), {}, {}};
        grpc::Slice whole;
        if (answer.status.ok() && exchange.reply.DumpToSingleSlice(&whole).ok())
          answer.bytes.assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
        for (const auto& [name, value] : exchange.context.GetServerTrailingMetadata())
          answer.trailers.emplace(std::string(name.data(), name.size()),
                                  std::string(value.data(), value.size()));
        promise->set_value(std::move(answer));
      });
  return future;
}

bool Fixture::health_becomes(const std::string& service, const std::string& status) {
  // HealthCheckRequest{service = 1}, HealthCheckResponse{status = 1} with SERVING = 1, NOT_SERVING = 2
  const auto request =
      service.empty() ? "" : "\x0a" + std::string(1, static_cast<char>(service.size())) + service;
  const std::string wanted = status == "SERVING" ? "\x08\x01" : "\x08\x02";
  for (int tries = 0; tries < 500; ++tries) {
    if (ask(kHealth, request).bytes == wanted) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

RawRequest Fixture::take() {
  auto future = agents.held.get_future();
  REQUIRE(future.wait_for(seconds(30)) == std::future_status::ready);
  return future.get();
}

std::string raw_body(const std::string& body, const std::string& content_type) {
  v1::RawBody message;
  message.set_content_type(content_type);
  message.set_body(body);
  return message.SerializeAsString();
}

}  // namespace cx::grpc_gateway
