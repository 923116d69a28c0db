#include "providers/inference/remote/kserve_grpc.hpp"

#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <iterator>

#include "providers/inference/remote/open_inference.grpc.pb.h"
#include "runtime/net/outbound.hpp"

namespace cx::inference::remote {
namespace {

using std::chrono::milliseconds;

static_assert(std::endian::native == std::endian::little, "tensors are sent as they lie in memory");

constexpr int kMostAnswer = 4 << 20;

std::shared_ptr<grpc::ChannelCredentials> credentials_of(const net::Host& host, const std::string& ca_file) {
  if (host.scheme != "https") return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  if (!ca_file.empty()) {
    std::ifstream in(ca_file, std::ios::binary);
    options.pem_root_certs.assign(std::istreambuf_iterator<char>(in), {});
    if (options.pem_root_certs.empty()) options.pem_root_certs = "none";  // not the system's: trust nobody
  }
  return grpc::SslCredentials(options);
}

std::shared_ptr<grpc::Channel> connect(const std::string& url, const std::string& ca_file) {
  const auto host = net::host_of(url);
  if (!host) return grpc::CreateChannel("", grpc::InsecureChannelCredentials());  // fails every call
  const bool v6 = host->name.find(':') != std::string::npos;
  const auto target = fmt::format("{}{}{}:{}", v6 ? "[" : "", host->name, v6 ? "]" : "", host->port);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMostAnswer);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // The breaker decides when a server is tried again; gRPC's own pauses stay below its.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2'000);  // how long an attempt may take
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // What one provider suffers is not another's.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target, credentials_of(*host, ca_file), arguments);
}

template <class Tensor>
void describe(Tensor& tensor, std::string_view name, const char* datatype, std::size_t rows,
              std::size_t columns) {
  tensor.set_name(std::string(name));
  tensor.set_datatype(datatype);
  tensor.add_shape(static_cast<std::int64_t>(rows));
  tensor.add_shape(static_cast<std::int64_t>(columns));
}

Error failed(std::string_view protocol, const grpc::Status& status, milliseconds timeout) {
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    return {Code::deadline_exceeded, "remote-timeout",
            fmt::format("{}: no complete answer within {} ms.", protocol, timeout.count()), ""};
  const bool unreachable = status.error_code() == grpc::StatusCode::UNAVAILABLE;
  return {Code::unavailable, unreachable ? "remote-unreachable" : "remote-refused",
          fmt::format("{}: status {}: {}", protocol, static_cast<int>(status.error_code()),
                      excerpt(status.error_message())),
          ""};
}

}  // namespace

struct KserveGrpc::Stub {
  Stub(const std::string& url, const std::string& ca_file)
      : stub(::inference::GRPCInferenceService::NewStub(connect(url, ca_file))) {}
  std::unique_ptr<::inference::GRPCInferenceService::Stub> stub;
};

KserveGrpc::KserveGrpc(const std::string& url, std::string model, const std::string& ca_file)
    : model_(std::move(model)), stub_(std::make_unique<Stub>(url, ca_file)) {}
KserveGrpc::~KserveGrpc() = default;

Result<std::vector<float>> KserveGrpc::infer(const Batch& batch, milliseconds timeout) {
  ::inference::ModelInferRequest request;
  request.set_model_name(model_);
  describe(*request.add_inputs(), kFeaturesName, "FP32", batch.rows, kFeatures);
  describe(*request.add_inputs(), kOffersName, "INT32", batch.rows, batch.width);
  request.add_outputs()->set_name(std::string(kScoreName));
  request.add_raw_input_contents(batch.features.data(), batch.features.size() * sizeof(float));
  request.add_raw_input_contents(batch.offers.data(), batch.offers.size() * sizeof(std::int32_t));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  ::inference::ModelInferResponse answer;
  const auto status = stub_->stub->ModelInfer(&context, request, &answer);
  if (!status.ok()) return failed(name(), status, timeout);

  const auto broken = [&](std::string_view what) { return malformed(name(), what); };
  if (answer.outputs_size() != 1) return broken("does not have exactly one output");
  const auto& output = answer.outputs(0);
  const auto& shape = output.shape();
  if (auto wrong = check_output(name(), output.name(), output.datatype(),
                                {shape.data(), static_cast<std::size_t>(shape.size())}, batch))
    return std::move(*wrong);
  if (answer.raw_output_contents_size() == 0) {
    const auto& values = output.contents().fp32_contents();
    if (static_cast<std::size_t>(values.size()) != batch.cells())
      return broken(fmt::format("has {} scores instead of {}", values.size(), batch.cells()));
    return std::vector<float>(values.begin(), values.end());
  }
  const auto& raw = answer.raw_output_contents(0);
  if (answer.raw_output_contents_size() != 1 || raw.size() != batch.cells() * sizeof(float))
    return broken(fmt::format("has {} raw contents, the first of {} bytes, instead of one of {}",
                              answer.raw_output_contents_size(), raw.size(), batch.cells() * sizeof(float)));
  std::vector<float> scores(batch.cells());
  std::memcpy(scores.data(), raw.data(), raw.size());
  return scores;
}

std::optional<Error> KserveGrpc::ready(milliseconds timeout) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  ::inference::ModelReadyRequest request;
  request.set_name(model_);
  ::inference::ModelReadyResponse answer;
  const auto status = stub_->stub->ModelReady(&context, request, &answer);
  if (!status.ok()) return failed(name(), status, timeout);
  if (answer.ready()) return std::nullopt;
  return Error{Code::unavailable, "remote-refused", fmt::format("{}: model {} is not ready.", name(), model_),
               ""};
}

}  // namespace cx::inference::remote
