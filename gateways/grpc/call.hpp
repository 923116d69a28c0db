#pragma once  // internal: includes gRPC

#include <atomic>
#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>
#include <memory>
#include <string>

#include "gateways/grpc/gate.hpp"
#include "runtime/raw.hpp"
#include "runtime/services.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::grpc_gateway {

/// A method of the contract and what serves it here: `raw`, `unary`, or neither.
struct Method {
  std::string name;                                    ///< "cx.v1.Bidding.Bid"
  std::string path;                                    ///< "/cx.v1.Bidding/Bid"
  const google::protobuf::Message* request = nullptr;  ///< prototype
  const Services::Unary* unary = nullptr;
  RawTarget* raw = nullptr;
  std::string content_type;  ///< of a raw method
  EndpointProbe* probe = nullptr;
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
  static Call* start(const Method& method, Gate& gate, grpc::CallbackServerContext& context,
                     const grpc::ByteBuffer& request, grpc::ByteBuffer& response);

  Call(const Method& method, Gate& gate, grpc::CallbackServerContext& context, grpc::ByteBuffer& response)
      : method_(method), gate_(gate), context_(context), response_(response) {}

  void deliver(RawReply reply) noexcept override;
  void deliver(const Services::Reply& reply) noexcept;
  void OnCancel() override;
  void OnDone() override;

 private:
  void dispatch(const grpc::ByteBuffer& request);
  void post(const grpc::ByteBuffer& request);
  void answer(const grpc::ByteBuffer& request);
  bool claim() { return !finished_.exchange(true); }
  // The rest is for the claimant.
  void send(const google::protobuf::Message& reply, Counter& outcome);
  void fail(Error error);
  void count(Counter& outcome);

  const Method& method_;
  Gate& gate_;
  grpc::CallbackServerContext& context_;
  grpc::ByteBuffer& response_;
  const SteadyTime received_ = std::chrono::steady_clock::now();
  std::atomic<bool> finished_{false};
  std::shared_ptr<Call> self_;  // gRPC's share
};

}  // namespace cx::grpc_gateway
