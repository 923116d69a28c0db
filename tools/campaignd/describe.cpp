#include "tools/campaignd/describe.hpp"

#include <algorithm>
#include <fmt/chrono.h>
#include <google/protobuf/util/time_util.h>

namespace cx {
namespace {

using google::protobuf::Any;
using google::protobuf::util::TimeUtil;

v1::TypedBytes unread(const std::string& type, const std::string& bytes) {
  v1::TypedBytes message;
  message.set_type(type);
  message.set_bytes(bytes);
  return message;
}

Any packed(const Message& message) {
  Any any;
  any.PackFrom(message);
  return any;
}

/// An event as it was written, which is not how it would be applied when its schema is an older one.
Any describe_event(const EntityKind& kind, std::uint32_t schema, const std::string& bytes) {
  const std::unique_ptr<Message> event(kind.event_prototype().New());
  if (schema == kind.schema() && event->ParseFromString(bytes)) return packed(*event);
  return packed(unread(event->GetTypeName(), bytes));
}

v1::GetEntityReply head_of(const Request& entity) {
  v1::GetEntityReply reply;
  reply.set_address(entity.to);
  reply.set_kind(entity.kind->name());
  reply.set_shard(entity.shard);
  reply.set_schema(entity.kind->schema());
  return reply;
}

void describe_reminder(const std::string& name, std::int64_t due, v1::PendingReminder& out) {
  out.set_name(name);
  out.set_due(to_rfc3339(due));
}

}  // namespace

std::string to_rfc3339(std::int64_t unix_ms) {
  constexpr std::int64_t kEarliest = -62'135'596'800'000, kLatest = 253'402'300'799'999;  // years 1 to 9999
  const auto ms = std::clamp(unix_ms, kEarliest, kLatest);
  const auto part = ((ms % 1000) + 1000) % 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>((ms - part) / 1000)),
                     part);
}

Result<std::int64_t> from_rfc3339(const std::string& text, const std::string& field) {
  google::protobuf::Timestamp time;
  if (TimeUtil::FromString(text, &time)) return TimeUtil::TimestampToMilliseconds(time);
  return Error{
      Code::invalid_argument, "invalid-time",
      fmt::format("{:.40} is not a time; write it as RFC 3339 does, as in 2026-11-21T10:00:00Z.", text),
      "/" + field};
}

Any describe(const v1::TypedBytes& message) {
  const auto* type =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(message.type());
  if (type == nullptr) return packed(message);
  const std::unique_ptr<Message> read(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  return read->ParseFromString(message.bytes()) ? packed(*read) : packed(message);
}

Result<v1::GetEntityReply> describe(const Request& entity, const v1::Snapshot& snapshot) {
  const auto instance = entity.kind->make(entity.to);
  if (auto error = instance->load(snapshot.schema(), snapshot.state())) return *std::move(error);
  auto reply = head_of(entity);
  reply.set_sequence(snapshot.sequence());
  *reply.mutable_state() = packed(instance->state());
  for (const auto& reminder : snapshot.reminders())
    describe_reminder(reminder.name(), reminder.due(), *reply.add_reminders());
  return reply;
}

v1::GetEntityReply describe(const Request& entity, const Past& past) {
  auto reply = head_of(entity);
  reply.set_sequence(past.sequence);
  *reply.mutable_state() = packed(past.entity->state());
  for (const auto& [name, due] : past.extras.reminders) describe_reminder(name, due, *reply.add_reminders());
  return reply;
}

v1::EntityRecord describe(const EntityKind& kind, const v1::JournalRecord& record) {
  v1::EntityRecord out;
  out.set_sequence(record.sequence());
  out.set_epoch(record.epoch());
  out.set_at(to_rfc3339(record.now()));
  out.set_actor(record.actor());
  out.set_trace(record.trace());
  out.set_schema(record.schema());
  if (record.has_command()) *out.mutable_command() = describe(record.command());
  for (const auto& event : record.events()) *out.add_events() = describe_event(kind, record.schema(), event);
  for (const auto& reminder : record.reminders()) {
    auto& set = *out.add_reminders_set();
    describe_reminder(reminder.name(), reminder.due(), set);
    *set.mutable_command() = describe(reminder.command());
  }
  *out.mutable_reminders_cleared() = record.cleared();
  for (const auto& message : record.outbox()) {
    auto& sent = *out.add_outbox();
    sent.set_to(message.to());
    *sent.mutable_command() = describe(message.command());
  }
  return out;
}

v1::Shard describe(const ShardStatus& status) {
  v1::Shard out;
  out.set_shard(status.shard);
  out.set_state(status.state);
  out.set_epoch(status.epoch);
  out.set_first(status.first);
  out.set_last(status.last);
  out.set_checkpoint(status.checkpoint);
  out.set_resident(status.resident);
  out.set_dirty(status.dirty);
  out.set_uncommitted(status.uncommitted);
  out.set_outbox(status.outbox);
  out.set_error(status.error);
  return out;
}

v1::UndeliveredMessage describe(const v1::DeadLetter& letter) {
  v1::UndeliveredMessage out;
  out.set_id(letter.id());
  out.set_from(letter.from());
  out.set_to(letter.message().to());
  *out.mutable_command() = describe(letter.message().command());
  out.set_reason(letter.reason());
  out.set_detail(letter.detail());
  out.set_attempts(letter.attempts());
  out.set_first_at(to_rfc3339(letter.first_at()));
  out.set_last_at(to_rfc3339(letter.last_at()));
  return out;
}

}  // namespace cx
