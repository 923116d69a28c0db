#include "actors/audit/audit.hpp"

#include <google/protobuf/util/time_util.h>
#include <simdjson.h>
#include <string>

#include "actors/audit/chain.hpp"

namespace cx {
namespace {

using google::protobuf::util::TimeUtil;

// Text that is not UTF-8 could be written, but never read again.
void tidy(std::string& text, std::size_t most) {
  if (text.size() > most) {
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
    text.resize(most);
  }
  if (simdjson::validate_utf8(text.data(), text.size())) return;
  for (auto& c : text)
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
}

void tidy(v1::AuditEntry& entry) {
  for (auto* text :
       {entry.mutable_actor(), entry.mutable_method(), entry.mutable_resource(), entry.mutable_outcome(),
        entry.mutable_problem(), entry.mutable_request_id(), entry.mutable_trace()})
    tidy(*text, Audit::kMostText);
  tidy(*entry.mutable_details(), Audit::kMostDetails);
  auto& roles = *entry.mutable_roles();
  if (roles.size() > Audit::kMostRoles)
    roles.DeleteSubrange(Audit::kMostRoles, roles.size() - Audit::kMostRoles);
  for (auto& role : roles) tidy(role, Audit::kMostText);
  entry.DiscardUnknownFields();
}

}  // namespace

Outcome<Audit::Event, NoReply> Audit::handle(const State& state, const v1::AppendAudit& command,
                                             const Context& context) {
  Outcome<Event, NoReply> out;
  auto& entry = *out.events.emplace_back().mutable_entry();
  entry = command.entry();
  tidy(entry);
  auto& at = *entry.mutable_at();
  at.set_nanos(at.nanos() / 1'000'000 * 1'000'000);
  if (!command.entry().has_at() || !audit::whole_ms(at)) at = TimeUtil::MillisecondsToTimestamp(context.now);
  entry.set_tenant(std::string(context.tenant));
  entry.set_sequence(state.count() + 1);
  entry.set_previous_hash(state.count() == 0 ? audit::kNoHash : state.hash());
  entry.set_hash(audit::hash_of(entry));
  return out;
}

v1::AuditHead Audit::handle(const State& state, const v1::GetAuditHead&, const Context&) {
  v1::AuditHead head;
  head.set_count(state.count());
  head.set_hash(state.count() == 0 ? audit::kNoHash : state.hash());
  if (state.has_last_at()) *head.mutable_last_at() = state.last_at();
  return head;
}

void Audit::apply(State& state, const Event& event) {
  state.set_count(event.entry().sequence());
  state.set_hash(event.entry().hash());
  *state.mutable_last_at() = event.entry().at();
}

}  // namespace cx
