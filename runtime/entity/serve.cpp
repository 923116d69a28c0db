#include "runtime/entity/serve.hpp"

#include <fmt/format.h>
#include <stdexcept>
#include <xxhash.h>

#include "runtime/entity/route.hpp"

namespace cx {
namespace {

std::uint64_t fingerprint(const Message& command) {
  const auto name = command.GetTypeName();
  const auto bytes = serialize(command);
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), XXH3_64bits(name.data(), name.size())) | 1;
}

/// Names an idempotency key of a caller in 32 hexadecimal digits.
std::string once(const std::string& actor, const std::string& key) {
  const auto text = actor + '\n' + key;
  const auto hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("once/{:016x}{:016x}", hash.high64, hash.low64);
}

/// Serves one method.
struct Serve {
  const Entities& entities;
  std::string target;
  const Message* reply;  ///< prototype
  bool query;

  void operator()(const CallContext& call, const std::shared_ptr<const Message>& command,
                  const Services::Respond& respond) const {
    const auto& caller = *call.caller;
    const auto address = expand(target, *command, caller.tenant);
    if (!address) return respond(address.error());
    auto request = request_for(call, entities, *address, command);
    if (!request) return respond(request.error());
    if (!query && !call.idempotency_key.empty()) {
      request->source = once(caller.actor, call.idempotency_key);
      request->sequence = fingerprint(*command);
      request->once = true;
    }
    if (!query && call.along) {
      request->along.push_back({call.along->to, call.along->command});
      call.along->sent = true;
    }
    entities.ask(std::move(*request), [respond, prototype = reply](Answer answer) {
      if (!answer) return respond(answer.error());
      if (*answer) return respond(std::move(*answer));
      respond(std::shared_ptr<const Message>(prototype->New()));
    });
  }
};

}  // namespace

Result<Request> request_for(const CallContext& call, const Entities& entities, std::string_view address,
                            MessagePtr command) {
  auto request = entities.request(address, std::move(command));
  if (!request) return request;
  request->actor = call.caller->actor;
  request->roles = call.caller->roles;
  request->trace = call.trace;
  request->deadline = call.deadline;
  return request;
}

void serve_entities(const ServiceDescriptors& services, const Kinds& kinds, const Entities& entities,
                    Services& table) {
  for (const auto& method : methods_of(services, table)) {
    if (method.target.empty() || method.unary != nullptr) continue;
    const auto* kind = kinds.find(method.target.substr(0, method.target.find('/')));
    if (kind == nullptr) continue;
    const auto* command = kind->command(method.descriptor->input_type());
    if (command == nullptr)
      throw std::logic_error(fmt::format("{}: a {} takes no {}", method.name, kind->name(),
                                         method.descriptor->input_type()->full_name()));
    if (command->query != (method.effect == v1::EFFECT_READS))
      throw std::logic_error(method.name + ": its effect says otherwise than what handles it");
    table.add(method.name, Services::Unary(Serve{entities, method.target, method.reply, command->query}));
  }
}

}  // namespace cx
