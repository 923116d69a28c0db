#include "runtime/entity/route.hpp"

#include <charconv>
#include <fmt/format.h>

#include "runtime/address.hpp"
#include "runtime/journal/journal.hpp"

namespace cx {
namespace {

/// Finds out whether whoever is at the address takes messages of this type.
const Message* prototype_of(Request& to, const std::string& type) {
  if (to.endpoint != nullptr) return to.endpoint->command(type);
  to.type = to.kind->command(type);
  return to.type == nullptr ? nullptr : to.type->prototype;
}

Error unknown_command(const Request& to, std::string_view type) {
  return {
      Code::invalid_argument, "unknown-command",
      fmt::format("A {} takes no {}.", to.endpoint != nullptr ? to.endpoint->name : to.kind->name(), type),
      ""};
}

Result<Request> with(Result<Request> to, MessagePtr command) {
  if (!to) return to;
  if (to->kind != nullptr) to->type = to->kind->command(command->GetDescriptor());  // faster than by name
  if (to->type == nullptr && prototype_of(*to, command->GetDescriptor()->full_name()) == nullptr)
    return unknown_command(*to, command->GetTypeName());
  to->command = std::move(command);
  return to;
}

Result<Request> with(Result<Request> to, const v1::TypedBytes& command) {
  if (!to) return to;
  const auto* prototype = prototype_of(*to, command.type());
  if (prototype == nullptr) return unknown_command(*to, command.type());
  auto message = std::shared_ptr<Message>(prototype->New());
  if (!message->ParseFromString(command.bytes()))
    return Error{Code::invalid_argument, "unknown-command",
                 fmt::format("The bytes are no {}.", command.type()), ""};
  to->command = std::move(message);
  return to;
}

}  // namespace

Result<Request> route(const Kinds& kinds, std::string_view address) {
  const auto parsed = parse_address(address);
  if (!parsed) return parsed.error();
  Request request;
  request.kind = kinds.find(parsed->kind);
  if (request.kind == nullptr) {
    std::string known;
    for (const auto& kind : kinds.all()) known += (known.empty() ? "" : ", ") + kind->name();
    return Error{Code::not_found, "unknown-kind",
                 fmt::format("There is no kind of entity {}; this node has {}.", parsed->kind, known), ""};
  }
  request.to = std::string(address);
  request.shard = shard_of(parsed->tenant, request.kind->affinity(parsed->key));
  return request;
}

Result<Request> route_letter(const Kinds& kinds, std::string_view address) {
  const auto* endpoint = kinds.find_endpoint(address.substr(0, address.find('/')));
  if (endpoint == nullptr) return route(kinds, address);
  if (const auto parsed = parse_address(address); !parsed) return parsed.error();
  Request request;
  request.to = std::string(address);
  request.endpoint = endpoint;
  return request;
}

Result<Request> route(const Kinds& kinds, std::string_view address, MessagePtr command) {
  return with(route(kinds, address), std::move(command));
}

Result<Request> route(const Kinds& kinds, std::string_view address, const v1::TypedBytes& command) {
  return with(route(kinds, address), command);
}

Result<Request> route_letter(const Kinds& kinds, std::string_view address, MessagePtr command) {
  return with(route_letter(kinds, address), std::move(command));
}

Result<Request> route_letter(const Kinds& kinds, std::string_view address, const v1::TypedBytes& command) {
  return with(route_letter(kinds, address), command);
}

std::string letter_name(std::uint32_t shard, std::uint64_t sequence, std::uint32_t index) {
  return fmt::format("{}-{}-{}", shard, sequence, index);
}

Result<DeadLetterPlace> parse_dead_letter(std::string_view id) {
  std::uint64_t numbers[3];
  const char* at = id.data();
  const char* const end = id.data() + id.size();
  for (int i = 0; i < 3; ++i) {
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    const bool last = i == 2;
    if (error != std::errc() || (last ? next != end : next == end || *next != '-'))
      return Error{
          Code::invalid_argument, "invalid-dead-letter",
          fmt::format("{:.40} is not the id of a dead letter, which is SHARD-SEQUENCE-INDEX, for example "
                      "17-4711-0.",
                      id),
          "/id"};
    at = next + 1;
  }
  if (numbers[0] >= kShards)
    return Error{Code::not_found, "not-found", fmt::format("There is no shard {}.", numbers[0]), "/id"};
  return DeadLetterPlace{static_cast<std::uint32_t>(numbers[0]),
                         outbox_key(numbers[1], static_cast<std::uint32_t>(numbers[2]))};
}

}  // namespace cx
