#include "gateways/grpc/call.hpp"

#include <absl/strings/match.h>
#include <algorithm>
#include <grpcpp/impl/codegen/proto_utils.h>

#include "cx/v1/bidding.pb.h"
#include "gateways/metadata.hpp"
#include "gateways/problem.hpp"

namespace cx::grpc_gateway {
namespace {

using google::protobuf::Message;

// Bytes. A client takes 8 KiB of trailers by default, and the detail, which may quote what the client sent,
// is in them twice: at worst as 3 bytes each in the status, and as 6 * 4/3 in the problem.
constexpr std::size_t kMaxDetail = 512;

grpc::StatusCode status_code(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case Code::not_found:
      return grpc::StatusCode::NOT_FOUND;
    case Code::conflict:
      return grpc::StatusCode::ABORTED;
    case Code::overloaded:
    case Code::unavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case Code::deadline_exceeded:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case Code::unauthenticated:
      return grpc::StatusCode::UNAUTHENTICATED;
    case Code::permission_denied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case Code::rate_limited:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case Code::precondition_failed:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case Code::internal:
      break;
  }
  return grpc::StatusCode::INTERNAL;
}

bool parse(const grpc::ByteBuffer& bytes, Message& into) {
  grpc::ByteBuffer shared = bytes;  // the same bytes: gRPC clears what it has read
  return grpc::SerializationTraits<Message>::Deserialize(&shared, &into).ok();
}

Error not_a(const Message& request) {
  return {Code::invalid_argument, "invalid-request",
          "The request is not a " + request.GetDescriptor()->full_name() +
              "; send one message, encoded by the contract.",
          ""};
}

// An agent may echo what a stranger sent, and gRPC ends the process at a byte that a trailer may not have.
std::string printable(std::string text) {
  for (auto& c : text)
    if (c < 0x20 || c > 0x7e) c = ' ';
  return text;
}

}  // namespace

grpc::Status failed(grpc::CallbackServerContext& context, grpc::StatusCode code, Error error) {
  error.detail.resize(std::min(error.detail.size(), kMaxDetail));
  context.AddTrailingMetadata("problem-bin", problem_json(http_status(error.code), error));
  if (error.code == Code::overloaded) context.AddTrailingMetadata("grpc-retry-pushback-ms", "1000");
  return {code, error.detail};
}

Call* Call::start(const Endpoint& endpoint, Gate& gate, grpc::CallbackServerContext& context,
                  const grpc::ByteBuffer& request, grpc::ByteBuffer& response) {
  const auto call = std::make_shared<Call>(endpoint, gate, context, response);
  call->self_ = call;
  if (gate.enter())
    call->dispatch(request);
  else
    call->deliver(RawReply::failure(
        {Code::unavailable, "draining", "This node is shutting down; use another one.", ""}));
  return call.get();
}

std::string_view Call::metadata(const std::string& name) const {
  const auto found = context_.client_metadata().find(name);
  return found == context_.client_metadata().end()
             ? std::string_view()
             : std::string_view(found->second.data(), found->second.size());
}

void Call::dispatch(const grpc::ByteBuffer& request) {
  std::string certificate;
  if (const auto peer = context_.auth_context(); peer && peer->IsPeerAuthenticated())
    for (const auto& subject : peer->FindPropertyValues("x509_subject"))
      certificate.assign(subject.data(), subject.size());
  auto admitted =
      endpoint_.door.admit(method_, {metadata("authorization"), metadata("x-api-key"), certificate});
  if (!admitted) return deliver(RawReply::failure(admitted.error()));
  const auto& quota = admitted->quota;
  if (quota.limit != 0) {
    context_.AddTrailingMetadata("ratelimit-policy", rate_limit_policy(quota));
    context_.AddTrailingMetadata("ratelimit", rate_limit(quota));
  }
  if (admitted->limited) return deliver(RawReply::failure(Door::rate_limited(quota)));
  if (method_.is_raw) return post(request, std::move(admitted->caller));
  answer(request, std::move(admitted->caller));
}

void Call::post(const grpc::ByteBuffer& request, CallerPtr caller) {
  if (method_.raw == nullptr) return deliver(RawReply::failure(Door::not_served(method_)));
  v1::RawBody in;
  if (!parse(request, in)) return deliver(RawReply::failure(not_a(in)));
  const auto type = in.content_type().substr(0, in.content_type().find(';'));
  if (!type.empty() && !absl::EqualsIgnoreCase(type, method_.content_type))
    return deliver(
        RawReply::failure({Code::invalid_argument, "unsupported-media-type",
                           "Send a body of content_type " + method_.content_type + ".", "/content_type"}));
  RawRequest raw{std::move(*in.mutable_body()), received_, ReplyTo(shared_from_this()), std::move(caller)};
  raw.body.reserve(raw.body.size() + kRawPadding);
  if (method_.raw->post(raw)) return;
  raw.reply(RawReply::failure({Code::overloaded, "overloaded",
                               "As many requests are under way as this node takes; retry in a second.", ""}));
}

void Call::answer(const grpc::ByteBuffer& request, CallerPtr caller) {
  const Services::Respond respond(
      [self = shared_from_this()](const Services::Reply& reply) { self->deliver(reply); });
  std::unique_ptr<Message> in(method_.request->New());
  if (!parse(request, *in)) return respond(not_a(*in));
  CallContext call;
  call.caller = std::move(caller);
  auto& door = endpoint_.door;
  call.request_id = request_id(metadata("x-request-id"), door.environment());
  context_.AddTrailingMetadata("x-request-id", call.request_id);
  call.trace = trace_id(metadata("traceparent"), door.environment());
  const auto key = idempotency_key(method_, metadata("idempotency-key"));
  if (!key) return respond(key.error());
  call.idempotency_key = *key;
  const auto deadline = context_.deadline();
  if (deadline != std::chrono::system_clock::time_point::max())
    call.deadline =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline.time_since_epoch()).count();
  door.call(method_, std::move(call), std::move(in), respond);
}

void Call::deliver(const Services::Reply& reply) noexcept {
  if (!claim()) return;
  if (reply) return send(**reply, endpoint_.probe.ok);
  fail(reply.error());
}

void Call::deliver(RawReply reply) noexcept {
  if (!claim()) return;
  for (auto& [name, value] : reply.metadata)
    context_.AddTrailingMetadata(std::string(name), printable(std::move(value)));
  if (reply.kind == RawReply::Kind::error) return fail(std::move(reply.error));
  v1::RawBody out;
  if (reply.kind == RawReply::Kind::empty) return send(out, endpoint_.probe.empty);
  out.set_content_type(method_.content_type);
  out.set_body(std::move(reply.body));
  send(out, endpoint_.probe.ok);
}

// The client has hung up or its deadline has passed, which look alike from here, or the server is ending:
// nobody reads the answer.
void Call::OnCancel() {
  if (!claim()) return;
  count(endpoint_.probe.client_error);
  Finish(grpc::Status::CANCELLED);
}

void Call::OnDone() {
  gate_.leave();
  self_.reset();
}

void Call::send(const Message& reply, Counter& outcome) {
  bool owned;
  const auto status = grpc::SerializationTraits<Message>::Serialize(reply, &response_, &owned);
  count(status.ok() ? outcome : endpoint_.probe.server_error);
  Finish(status);
}

void Call::fail(Error error) {
  const auto code = error.code;
  count(endpoint_.probe.outcome(http_status(code)));
  Finish(failed(context_, status_code(code), std::move(error)));
}

void Call::count(Counter& outcome) {
  endpoint_.probe.requests.total.add();
  outcome.add();
  const auto took =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - received_);
  endpoint_.probe.latency.record(static_cast<std::uint64_t>(took.count()));
}

}  // namespace cx::grpc_gateway
