#include "tools/kserve-sim/grpc.hpp"

#include <atomic>
#include <cstring>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <thread>

#include "providers/inference/remote/open_inference.grpc.pb.h"
#include "tools/kserve-sim/relay.hpp"

namespace cx::kserve_sim {
namespace {

using std::chrono::steady_clock;

// Bytes of an answer before a connection is cut: less than its header and its message have.
constexpr std::size_t kCutAfter = 30;
constexpr std::size_t kHuge = 8 << 20;

grpc::Status refuse(const std::string& what) {
  return {grpc::StatusCode::INVALID_ARGUMENT, what};
}

template <class T>
std::vector<T> values_of(const std::string& raw) {
  std::vector<T> values(raw.size() / sizeof(T));
  std::memcpy(values.data(), raw.data(), values.size() * sizeof(T));
  return values;
}

template <class Tensor>
bool is_matrix(const Tensor& tensor, std::string_view name, std::string_view datatype) {
  return tensor.name() == name && tensor.datatype() == datatype && tensor.shape_size() == 2 &&
         tensor.shape(0) > 0 && tensor.shape(1) > 0 && tensor.shape(0) <= 1 << 20 &&
         tensor.shape(1) <= 1 << 20;
}

}  // namespace

struct GrpcServer::Parts final : ::inference::GRPCInferenceService::Service {
  Parts(Simulator& s, std::string h, std::uint16_t p) : simulator(s), host(std::move(h)), port(p) {}

  grpc::Status ServerReady(grpc::ServerContext*, const ::inference::ServerReadyRequest*,
                           ::inference::ServerReadyResponse* reply) override {
    reply->set_ready(true);
    return grpc::Status::OK;
  }
  grpc::Status ModelReady(grpc::ServerContext*, const ::inference::ModelReadyRequest* request,
                          ::inference::ModelReadyResponse* reply) override {
    reply->set_ready(request->name() == simulator.model());
    return grpc::Status::OK;
  }
  grpc::Status ModelInfer(grpc::ServerContext* context, const ::inference::ModelInferRequest* request,
                          ::inference::ModelInferResponse* reply) override {
    const auto behaviour = simulator.next();
    if (behaviour.mode == Mode::error)
      return {behaviour.status == 503 ? grpc::StatusCode::UNAVAILABLE : grpc::StatusCode::INTERNAL,
              "Told to fail."};
    auto status = score(*request, behaviour.mode, *reply);
    if (!status.ok()) return status;
    if (behaviour.mode == Mode::reset) relay->cut_after(0);
    if (behaviour.mode == Mode::cut) relay->cut_after(kCutAfter);
    const bool never = behaviour.mode == Mode::hang || behaviour.mode == Mode::reset;
    wait(*context, behaviour.mode == Mode::slow ? behaviour.delay : simulator.latency(), never);
    return status;
  }

  grpc::Status score(const ::inference::ModelInferRequest& request, Mode mode,
                     ::inference::ModelInferResponse& reply) {
    if (request.model_name() != simulator.model())
      return {grpc::StatusCode::NOT_FOUND, "There is no such model."};
    if (request.inputs_size() != 2 || request.raw_input_contents_size() != 2 ||
        !is_matrix(request.inputs(0), "features", "FP32") ||
        !is_matrix(request.inputs(1), "offers", "INT32") ||
        request.inputs(0).shape(0) != request.inputs(1).shape(0))
      return refuse("Inputs are features, FP32 [n, 256], and offers, INT32 [n, k], as raw contents.");
    const auto features = values_of<float>(request.raw_input_contents(0));
    const auto offers = values_of<std::int32_t>(request.raw_input_contents(1));
    const auto& shape = request.inputs(1).shape();
    const auto output = simulator.score(features, offers, static_cast<std::size_t>(shape[0]),
                                        static_cast<std::size_t>(shape[1]), mode);
    if (!output) return refuse(output.error().detail);
    reply.set_model_name(simulator.model());
    auto& score = *reply.add_outputs();
    score.set_name("score");
    score.set_datatype(output->datatype);
    for (const auto size : output->shape) score.add_shape(size);
    auto& raw = *reply.add_raw_output_contents();
    raw.assign(reinterpret_cast<const char*>(output->scores.data()), output->scores.size() * sizeof(float));
    if (mode == Mode::malformed) raw.resize(raw.size() - 3);
    if (mode == Mode::huge) raw.resize(kHuge);
    return grpc::Status::OK;
  }

  /// In steps, so that neither a caller who left nor the end of the server waits for it.
  void wait(const grpc::ServerContext& context, std::chrono::microseconds time, bool forever) const {
    constexpr std::chrono::microseconds kStep{1'000};
    const auto end = steady_clock::now() + time;
    while (!stopping && !context.IsCancelled()) {
      const auto left = std::chrono::duration_cast<std::chrono::microseconds>(end - steady_clock::now());
      if (!forever && left.count() <= 0) return;
      std::this_thread::sleep_for(forever ? kStep : std::min(kStep, left));
    }
  }

  Simulator& simulator;
  const std::string host;
  const std::uint16_t port;
  std::atomic<bool> stopping{false};
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<Relay> relay;
};

GrpcServer::GrpcServer(Simulator& simulator, std::string host, std::uint16_t port)
    : parts_(std::make_unique<Parts>(simulator, std::move(host), port)) {}

GrpcServer::~GrpcServer() {
  parts_->stopping = true;
  if (parts_->server) parts_->server->Shutdown(std::chrono::system_clock::now());
}

Result<std::uint16_t> GrpcServer::start() {
  auto& p = *parts_;
  int inner = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &inner);
  builder.RegisterService(&p);
  p.server = builder.BuildAndStart();
  if (!p.server || inner == 0)
    return Error{Code::unavailable, "cannot-start", "gRPC cannot listen on 127.0.0.1.", ""};
  p.relay = std::make_unique<Relay>(p.host, p.port, static_cast<std::uint16_t>(inner));
  return p.relay->start();
}

}  // namespace cx::kserve_sim
