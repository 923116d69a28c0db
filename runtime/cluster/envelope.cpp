#include "runtime/cluster/envelope.hpp"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include "runtime/entity/route.hpp"

namespace cx::cluster {
namespace {

constexpr auto kLastCode = static_cast<std::uint32_t>(Code::precondition_failed);

void set(v1::TypedBytes& to, const Message& message) {
  to.set_type(message.GetDescriptor()->full_name());
  to.set_bytes(serialize(message));
}

}  // namespace

std::string request_frame(std::uint64_t id, const Request& request, const Stamp& stamp) {
  v1::PeerFrame frame;
  auto& out = *frame.add_requests();
  out.set_id(id);
  set(*out.mutable_command(), *request.command);
  out.set_table_version(stamp.table_version);
  out.set_remaining_ms(stamp.remaining_ms);
  if (request.kind == nullptr) return frame.SerializeAsString();
  out.set_shard(request.shard);
  out.set_epoch(stamp.epoch);
  out.set_to(request.to);
  if (!request.source.empty()) {
    auto& message = *out.mutable_message();
    message.set_source(request.source);
    message.set_sequence(request.sequence);
    message.set_settled(request.settled);
  }
  out.set_once(request.once);
  out.set_actor(request.actor);
  out.mutable_roles()->Assign(request.roles.begin(), request.roles.end());
  out.set_trace(request.trace);
  for (const auto& letter : request.along) {
    auto& along = *out.add_along();
    along.set_to(letter.to);
    set(*along.mutable_command(), *letter.command);
  }
  return frame.SerializeAsString();
}

Result<Request> from_wire(const Kinds& kinds, const v1::PeerRequest& from, std::int64_t unix_ms) {
  auto routed = route(kinds, from.to(), from.command());
  if (!routed) return routed;
  auto& request = *routed;
  if (request.shard != from.shard())
    return Error{Code::unavailable, "wrong-shard",
                 fmt::format("{} belongs to shard {} here, and to {} on the node that asks: their releases "
                             "do not work together.",
                             from.to(), request.shard, from.shard()),
                 ""};
  if (from.along_size() > static_cast<int>(Effects::kMostLetters))
    return Error{Code::invalid_argument, "too-many-messages",
                 fmt::format("A command carries at most {} messages along.", Effects::kMostLetters), ""};
  request.source = from.message().source();
  request.sequence = from.message().sequence();
  request.settled = from.message().settled();
  request.once = from.once();
  request.actor = from.actor();
  request.roles.assign(from.roles().begin(), from.roles().end());
  request.trace = from.trace();
  request.deadline = from.remaining_ms() == 0 ? 0 : unix_ms + from.remaining_ms();
  for (const auto& letter : from.along()) {
    auto along = route_letter(kinds, letter.to(), letter.command());
    if (!along) return along.error();
    request.along.push_back({letter.to(), std::move(along->command)});
  }
  request.here_only = true;
  return routed;
}

Result<MessagePtr> message_from(const v1::TypedBytes& bytes) {
  const auto* type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(bytes.type());
  const auto* prototype =
      type == nullptr ? nullptr : google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
  if (prototype != nullptr) {
    auto message = std::shared_ptr<Message>(prototype->New());
    if (message->ParseFromString(bytes.bytes())) return MessagePtr(std::move(message));
  }
  return Error{Code::internal, "unknown-message",
               fmt::format("Another node sent what this release does not understand, as a {:.200}; run one "
                           "release on all nodes.",
                           bytes.type()),
               ""};
}

std::string reply_frame(std::uint64_t id, const Answer& answer, std::uint64_t table_version) {
  v1::PeerFrame frame;
  auto& out = *frame.add_replies();
  out.set_id(id);
  if (!answer) {
    auto& error = *out.mutable_error();
    error.set_code(static_cast<std::uint32_t>(answer.error().code));
    error.set_type(answer.error().type);
    error.set_detail(answer.error().detail);
    error.set_pointer(answer.error().pointer);
    if (answer.error().type == kNotHere) out.set_table_version(table_version);
  } else if (*answer != nullptr) {
    set(*out.mutable_reply(), **answer);
  }
  return frame.SerializeAsString();
}

Answer from_wire(const v1::PeerReply& reply) {
  if (reply.has_error()) {
    const auto& error = reply.error();
    const auto code = error.code() <= kLastCode ? static_cast<Code>(error.code()) : Code::internal;
    return Error{code, error.type(), error.detail(), error.pointer()};
  }
  if (!reply.has_reply()) return MessagePtr();
  return message_from(reply.reply());
}

}  // namespace cx::cluster
