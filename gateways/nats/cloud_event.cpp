#include "gateways/nats/cloud_event.hpp"

#include <fmt/format.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>

#include "gateways/json/codec.hpp"

namespace cx::nats_gateway {

std::string header_value(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c > ' ' && c < '\x7f' && c != '"' && c != '%')
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

EventMessage event_message(const std::string& prefix, const Address& address, const v1::JournalRecord& record,
                           const Announcement& said) {
  using google::protobuf::util::TimeUtil;
  EventMessage out;
  out.entity = record.entity();
  out.subject = fmt::format("{}.events.{}.{}.{}", prefix, address.tenant, address.kind, said.type);
  const auto id = fmt::format("{}-{}-{}", record.shard(), record.sequence(), said.index);
  out.headers = {{"ce-specversion", "1.0"},
                 {"ce-id", id},
                 {"ce-source", fmt::format("/{}/{}", prefix, address.tenant)},
                 {"ce-type", fmt::format("cx.{}.{}", address.kind, said.type)},
                 {"ce-subject", header_value(address.key)},
                 {"ce-time", TimeUtil::ToString(TimeUtil::MillisecondsToTimestamp(said.at))},
                 {"content-type", "application/json"},
                 {"Nats-Msg-Id", id}};
  json::print(*said.body, out.payload);
  return out;
}

}  // namespace cx::nats_gateway
