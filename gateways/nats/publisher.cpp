#include "gateways/nats/publisher.hpp"

namespace cx::nats_gateway {

Publisher::Publisher(nats::JetStream& jetstream, EventStreamOptions options, Kinds kinds,
                     std::function<bool(std::uint32_t)> is_mine)
    : prefix_(options.prefix),
      kinds_(std::move(kinds)),
      is_mine_(std::move(is_mine)),
      sink_(jetstream, std::move(options)) {
  for (const auto& [name, _] : kinds_) names_.push_back(name);
}

std::optional<Error> Publisher::project(std::span<const v1::JournalRecord> records) {
  for (const auto& record : records) {
    const auto address = parse_address(record.entity());
    if (!address) return address.error();
    const auto announce = kinds_.find(address->kind);
    if (announce == kinds_.end()) continue;
    const auto said = announce->second(record);
    if (!said) return said.error();
    for (const auto& one : *said)
      if (auto error = sink_.add(event_message(prefix_, *address, record, one))) return error;
  }
  return std::nullopt;
}

}  // namespace cx::nats_gateway
