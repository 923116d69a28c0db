#include "runtime/entity/history.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "runtime/address.hpp"
#include "runtime/entity/route.hpp"
#include "runtime/entity/stored.hpp"

namespace cx {
namespace {

/// Calls `visit` with the records of one entity after `after`, in order, until it returns false.
template <class Visit>
std::optional<Error> read_records(const Journal& journal, const Request& entity, std::uint64_t after,
                                  Visit visit) {
  std::optional<Error> broken;
  v1::JournalRecord record;
  auto error = journal.read(entity.shard, after, [&](std::uint64_t sequence, std::string_view bytes) {
    // The address stands in its records as it is; most records of a shard are of others, and not worth
    // parsing.
    if (bytes.find(entity.to) == bytes.npos) return true;
    if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      broken = unreadable(entity.shard, fmt::format("Record {}", sequence));
      return false;
    }
    return record.entity() != entity.to || visit(record);
  });
  return error ? error : broken;
}

/// What truncation left of the entity's oldest records, if it had any.
Result<std::optional<v1::Snapshot>> read_base(const Journal& journal, const Request& entity) {
  const RowKey key{entity.shard, entity.to};
  const auto row = std::move(journal.get(Table::bases, {&key, 1}).front());
  if (!row) return row.error();
  if (!*row) return std::optional<v1::Snapshot>();
  v1::Snapshot base;
  if (!base.ParseFromString(**row)) return unreadable(entity.shard, "The base of " + entity.to);
  return std::optional(std::move(base));
}

Error not_retained(const Request& entity, const Past& base) {
  using std::chrono::milliseconds;
  return {
      Code::not_found, "not-retained",
      fmt::format(
          "The log no longer holds what {} was like then. Ask for {:%Y-%m-%dT%H:%M:%S}.{:03}Z or later, or "
          "for sequence {} or later.",
          entity.to, fmt::gmtime(base.at / 1000), base.at % 1000, base.sequence),
      ""};
}

std::optional<Error> load(const v1::Snapshot& base, Past& past) {
  past.extras.load(base);
  past.sequence = base.sequence();
  past.at = base.at();
  return past.entity->load(base.schema(), base.state());
}

}  // namespace

Result<HistoryPage> history(const Journal& journal, const Kinds& kinds, std::string_view address,
                            const HistoryQuery& query) {
  const auto entity = route(kinds, address);
  if (!entity) return entity.error();
  const auto base = read_base(journal, *entity);
  if (!base) return base.error();

  HistoryPage page;
  if (*base) page.forgotten = (*base)->sequence();
  auto error = read_records(journal, *entity, query.after, [&](v1::JournalRecord& record) {
    if (query.since && record.now() < *query.since) return true;
    if (query.until && record.now() >= *query.until) return true;
    if (page.records.size() == query.limit) {
      page.next = page.records.back().sequence();
      return false;
    }
    page.records.push_back(std::move(record));
    return true;
  });
  if (error) return std::move(*error);
  return page;
}

std::optional<Error> advance(Past& past, const v1::JournalRecord& record) {
  for (const auto& event : record.events())
    if (auto error = past.entity->apply(record.schema(), event)) return error;
  past.extras.apply(record);
  past.sequence = record.sequence();
  past.at = record.now();
  return std::nullopt;
}

Result<Decision> decide_again(Past& past, const EntityKind& kind, const v1::JournalRecord& record) {
  const auto* type = kind.command(record.command().type());
  const auto command = read_typed(record.command());
  const auto address = parse_address(record.entity());
  if (type == nullptr || !command || !address)
    return unreadable(record.shard(), fmt::format("The command of record {}", record.sequence()));
  const auto facts = read_typed(record.facts());
  const std::vector<std::string> roles(record.roles().begin(), record.roles().end());
  Context context;
  context.now = record.now();
  context.self = record.entity();
  context.tenant = address->tenant;
  context.key = address->key;
  context.actor = record.actor();
  context.trace = record.trace();
  context.deadline = record.deadline();
  context.seed = record.seed();
  context.roles = roles;
  context.facts = facts.get();
  auto decision = past.entity->decide(*type, *command, context);
  if (!decision) return decision;
  past.extras.apply(record);
  past.sequence = record.sequence();
  past.at = record.now();
  return decision;
}

Result<Past> base_of(const Journal& journal, const Kinds& kinds, std::string_view address) {
  const auto entity = route(kinds, address);
  if (!entity) return entity.error();
  const auto base = read_base(journal, *entity);
  if (!base) return base.error();
  Past past;
  past.entity = entity->kind->make(address);
  if (*base)
    if (auto error = load(**base, past)) return std::move(*error);
  return past;
}

Result<Past> past_of(const Journal& journal, const Kinds& kinds, std::string_view address,
                     const Moment& moment) {
  const auto entity = route(kinds, address);
  if (!entity) return entity.error();
  auto past = base_of(journal, kinds, address);
  if (!past) return past;
  if (past->at > moment.time || past->sequence > moment.sequence) return not_retained(*entity, *past);

  std::optional<Error> broken;
  auto error = read_records(journal, *entity, past->sequence, [&](const v1::JournalRecord& record) {
    if (record.now() > moment.time || record.sequence() > moment.sequence) return false;
    broken = advance(*past, record);
    return !broken;
  });
  if (error) return std::move(*error);
  if (broken) return std::move(*broken);
  return past;
}

}  // namespace cx
