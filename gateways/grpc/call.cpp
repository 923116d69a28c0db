#include "gateways/grpc/call.hpp"

#include <absl/strings/match.h>
#include <algorithm>
#include <exception>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <spdlog/spdlog.h>

#include "cx/v1/bidding.pb.h"
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

Call* Call::start(const Method& method, Gate& gate, grpc::CallbackServerContext& context,
                  const grpc::ByteBuffer& request, grpc::ByteBuffer& response) {
  const auto call = std::make_shared<Call>(method, gate, context, response);
  call->self_ = call;
  if (gate.enter())
    call->dispatch(request);
  else
    call->deliver(RawReply::failure(
        {Code::unavailable, "draining", "This node is shutting down; use another one.", ""}));
  return call.get();
}

void Call::dispatch(const grpc::ByteBuffer& request) {
  if (method_.raw != nullptr) return post(request);
  if (method_.unary != nullptr) return answer(request);
  deliver(RawReply::failure({Code::unavailable, "not-served",
                             "This node does not serve " + method_.name + "; ask another node.", ""}));
}

void Call::post(const grpc::ByteBuffer& request) {
  v1::RawBody in;
  if (!parse(request, in)) return deliver(RawReply::failure(not_a(in)));
  const auto type = in.content_type().substr(0, in.content_type().find(';'));
  if (!type.empty() && !absl::EqualsIgnoreCase(type, method_.content_type))
    return deliver(
        RawReply::failure({Code::invalid_argument, "unsupported-media-type",
                           "Send a body of content_type " + method_.content_type + ".", "/content_type"}));
  RawRequest raw{std::move(*in.mutable_body()), received_, ReplyTo(shared_from_this())};
  raw.body.reserve(raw.body.size() + kRawPadding);
  if (method_.raw->post(raw)) return;
  raw.reply(RawReply::failure({Code::overloaded, "overloaded",
                               "As many requests are under way as this node takes; retry in a second.", ""}));
}

void Call::answer(const grpc::ByteBuffer& request) {
  const Services::Respond respond(
      [self = shared_from_this()](const Services::Reply& reply) { self->deliver(reply); });
  try {
    const std::unique_ptr<Message> in(method_.request->New());
    if (!parse(request, *in)) return respond(not_a(*in));
    (*method_.unary)(*in, respond);
  } catch (const std::exception& e) {
    spdlog::error("{} failed: {}", method_.name, e.what());
    deliver(RawReply::failure(
        {Code::internal, "internal", method_.name + " failed; the node's log says why.", ""}));
  }
}

void Call::deliver(const Services::Reply& reply) noexcept {
  if (!claim()) return;
  if (reply) return send(**reply, method_.probe->ok);
  fail(reply.error());
}

void Call::deliver(RawReply reply) noexcept {
  if (!claim()) return;
  for (auto& [name, value] : reply.metadata)
    context_.AddTrailingMetadata(std::string(name), printable(std::move(value)));
  if (reply.kind == RawReply::Kind::error) return fail(std::move(reply.error));
  v1::RawBody out;
  if (reply.kind == RawReply::Kind::empty) return send(out, method_.probe->empty);
  out.set_content_type(method_.content_type);
  out.set_body(std::move(reply.body));
  send(out, method_.probe->ok);
}

// The client has hung up or its deadline has passed, which look alike from here, or the server is ending:
// nobody reads the answer.
void Call::OnCancel() {
  if (!claim()) return;
  count(method_.probe->client_error);
  Finish(grpc::Status::CANCELLED);
}

void Call::OnDone() {
  gate_.leave();
  self_.reset();
}

void Call::send(const Message& reply, Counter& outcome) {
  bool owned;
  const auto status = grpc::SerializationTraits<Message>::Serialize(reply, &response_, &owned);
  count(status.ok() ? outcome : method_.probe->server_error);
  Finish(status);
}

void Call::fail(Error error) {
  const auto code = error.code;
  count(method_.probe->outcome(http_status(code)));
  Finish(failed(context_, status_code(code), std::move(error)));
}

void Call::count(Counter& outcome) {
  method_.probe->requests.total.add();
  outcome.add();
  const auto took =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - received_);
  method_.probe->latency.record(static_cast<std::uint64_t>(took.count()));
}

}  // namespace cx::grpc_gateway
