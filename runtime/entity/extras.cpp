#include "runtime/entity/extras.hpp"

#include <algorithm>

#include "runtime/entity/request.hpp"

namespace cx {
namespace {

auto named(std::string_view name) {
  return [name](const Extras::Timer& timer) { return timer.name == name; };
}

// A client that takes a new name each time must not make the entity grow.
constexpr std::ptrdiff_t kClients = 64;

bool is_client(const v1::SeenSource& seen) {
  return !is_outbox(seen.source());
}

auto from(std::string_view source) {
  return [source](const v1::SeenSource& seen) { return seen.source() == source; };
}

}  // namespace

std::int64_t Extras::due(std::string_view name) const {
  const auto found = std::find_if(reminders.begin(), reminders.end(), named(name));
  return found == reminders.end() ? 0 : found->due;
}

void Extras::set(std::string_view name, std::int64_t due) {
  const auto found = std::find_if(reminders.begin(), reminders.end(), named(name));
  if (found == reminders.end())
    reminders.push_back({std::string(name), due});
  else
    found->due = due;
}

void Extras::clear(std::string_view name) {
  std::erase_if(reminders, named(name));
}

const v1::TypedBytes* Extras::reply_to(std::string_view source, std::uint64_t sequence) const {
  const auto found = std::find_if(seen.begin(), seen.end(), from(source));
  if (found == seen.end()) return nullptr;
  for (const auto& handled : found->handled())
    if (handled.sequence() == sequence) return &handled.reply();
  return sequence < found->settled() ? &v1::TypedBytes::default_instance() : nullptr;
}

bool Extras::knows(std::string_view source) const {
  return std::find_if(seen.begin(), seen.end(), from(source)) != seen.end();
}

void Extras::handled(const v1::MessageId& id, const v1::TypedBytes& reply) {
  auto found = std::find_if(seen.begin(), seen.end(), from(id.source()));
  if (found == seen.end()) {
    found = seen.emplace(seen.end());
    found->set_source(id.source());
  }
  auto& entry = *found;
  entry.set_settled(std::max(entry.settled(), id.settled()));
  auto& all = *entry.mutable_handled();
  all.erase(
      std::remove_if(all.begin(), all.end(), [&](const auto& h) { return h.sequence() < entry.settled(); }),
      all.end());
  auto& one = *all.Add();
  one.set_sequence(id.sequence());
  if (!reply.type().empty()) *one.mutable_reply() = reply;
  if (!is_client(entry)) return;
  std::rotate(found, found + 1, seen.end());  // the longest silent come first
  if (std::count_if(seen.begin(), seen.end(), is_client) > kClients)
    seen.erase(std::find_if(seen.begin(), seen.end(), is_client));
}

void Extras::apply(const v1::JournalRecord& record) {
  for (const auto& name : record.cleared()) clear(name);
  for (const auto& reminder : record.reminders()) set(reminder.name(), reminder.due());
  if (record.has_id()) handled(record.id(), record.reply());
}

void Extras::save(v1::Snapshot& snapshot) const {
  for (const auto& [name, due] : reminders) {
    auto& reminder = *snapshot.add_reminders();
    reminder.set_name(name);
    reminder.set_due(due);
  }
  snapshot.mutable_seen()->Assign(seen.begin(), seen.end());
}

void Extras::load(const v1::Snapshot& snapshot) {
  reminders.clear();
  for (const auto& reminder : snapshot.reminders()) reminders.push_back({reminder.name(), reminder.due()});
  seen.assign(snapshot.seen().begin(), snapshot.seen().end());
}

}  // namespace cx
