#pragma once  // internal: includes gRPC

#include <atomic>
#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>
#include <memory>
#include <string>

#include "gateways/door.hpp"
#include "gateways/grpc/gate.hpp"
#include "runtime/raw.hpp"
#include "runtime/services.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::grpc_gateway {

/// A method of the contract as this gateway serves it.
struct Endpoint {
  const Method& method;
  std::string path;  ///< "/cx.v1.Bidding/Bid"
  EndpointProbe& probe;
  const Door& door;
};

/// The status to finish a failed call with; adds the trailers that describe the failure.
grpc::Status failed(grpc::CallbackServerContext& context, grpc::StatusCode code, Error error);

/// One call, from its request to the last byte of its answer. gRPC keeps it until OnDone; a ReplyTo or a
/// Services::Respond may keep it longer. Whoever claims it first, the answer or a cancellation, finishes it,
/// and only that one may touch what belongs to gRPC.
class Call final : public grpc::ServerUnaryReactor,
                   public ReplySink,
                   public std::enable_shared_from_this<Call> {
 public:
  /// Dispatches `request`. All arguments but `request` must stay until OnDone.
  static Call* start(const Endpoint& endpoint, Gate& gate, grpc::CallbackServerContext& context,
                     const grpc::ByteBuffer& request, grpc::ByteBuffer& response);

  Call(const Endpoint& endpoint, Gate& gate, grpc::CallbackServerContext& context, grpc::ByteBuffer& response)
      : endpoint_(endpoint), method_(endpoint.method), gate_(gate), context_(context), response_(response) {}

  void deliver(RawReply reply) noexcept override;
  void deliver(const Services::Reply& reply) noexcept;
  void OnCancel() override;
  void OnDone() override;

 private:
  void dispatch(const grpc::ByteBuffer& request);
  void post(const grpc::ByteBuffer& request, CallerPtr caller);
  void answer(const grpc::ByteBuffer& request, CallerPtr caller);
  std::string_view metadata(const std::string& name) const;
  bool claim() { return !finished_.exchange(true); }
  // The rest is for the claimant.
  void send(const google::protobuf::Message& reply, Counter& outcome);
  void fail(Error error);
  void count(Counter& outcome);

  const Endpoint& endpoint_;
  const Method& method_;
  Gate& gate_;
  grpc::CallbackServerContext& context_;
  grpc::ByteBuffer& response_;
  const SteadyTime received_ = std::chrono::steady_clock::now();
  std::atomic<bool> finished_{false};
  std::shared_ptr<Call> self_;  // gRPC's share
};

}  // namespace cx::grpc_gateway
