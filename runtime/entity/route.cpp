#include "runtime/entity/route.hpp"

#include <charconv>
#include <fmt/format.h>

#include "runtime/address.hpp"
#include "runtime/journal/journal.hpp"

namespace cx {
namespace {

Error unknown_command(const EntityKind& kind, std::string_view type) {
  return {Code::invalid_argument, "unknown-command", fmt::format("A {} takes no {}.", kind.name(), type), ""};
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

Result<Request> route(const Kinds& kinds, std::string_view address, MessagePtr command) {
  auto request = route(kinds, address);
  if (!request) return request;
  request->type = request->kind->command(command->GetDescriptor());
  if (request->type == nullptr) return unknown_command(*request->kind, command->GetTypeName());
  request->command = std::move(command);
  return request;
}

Result<Request> route(const Kinds& kinds, std::string_view address, const v1::TypedBytes& command) {
  auto request = route(kinds, address);
  if (!request) return request;
  request->type = request->kind->command(command.type());
  if (request->type == nullptr) return unknown_command(*request->kind, command.type());
  auto message = std::shared_ptr<Message>(request->type->prototype->New());
  if (!message->ParseFromString(command.bytes()))
    return Error{Code::invalid_argument, "unknown-command",
                 fmt::format("The bytes are no {}.", command.type()), ""};
  request->command = std::move(message);
  return request;
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
