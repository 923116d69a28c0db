#include "actors/journey/report.hpp"

#include <algorithm>
#include <charconv>
#include <google/protobuf/util/time_util.h>
#include <limits>
#include <map>

#include "actors/journey/address.hpp"
#include "runtime/address.hpp"
#include "runtime/on_executor.hpp"
#include "runtime/projection/page_token.hpp"

namespace cx::journey {
namespace {

using sqlite::Value;

constexpr int kFirstStatus = v1::RUN_STATUS_ACTIVE, kLastStatus = v1::RUN_STATUS_EXITED;

// "changed/number" of the last row of a page; without one, beyond every row.
Result<RunLists::Place> place_of(const v1::ListJourneyRuns& request, std::string_view scope) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const auto text = page_position(request, scope);
  if (!text) return text.error();
  RunLists::Place place{kMost, kMost};
  if (text->empty()) return place;
  const auto* end = text->data() + text->size();
  const auto changed = std::from_chars(text->data(), end, place.changed);
  if (changed.ec != std::errc() || changed.ptr == end || *changed.ptr != '/') return invalid_page_token();
  const auto number = std::from_chars(changed.ptr + 1, end, place.number);
  if (number.ec != std::errc() || number.ptr != end) return invalid_page_token();
  return place;
}

// Each status is a range of the index; what is wanted of them is merged.
std::string list_sql(v1::RunStatus status, bool of_step) {
  std::string sql;
  for (int s = kFirstStatus; s <= kLastStatus; ++s) {
    if (status != v1::RUN_STATUS_UNSPECIFIED && status != s) continue;
    sql += sql.empty() ? "" : " UNION ALL ";
    sql +=
        "SELECT * FROM (SELECT state, changed, number FROM runs WHERE tenant = ?1 AND journey = ?2 AND "
        "status = ";
    sql += std::to_string(s) + " AND (changed, number) < (?3, ?4)";
    if (of_step) sql += " AND step = ?6";
    sql += " ORDER BY changed DESC, number DESC LIMIT ?5)";
  }
  return sql + " ORDER BY changed DESC, number DESC LIMIT ?5";
}

v1::JourneyRunRow shown(const v1::InstanceState& state) {
  using google::protobuf::util::TimeUtil;
  v1::JourneyRunRow row;
  if (const auto customer = parse_address(state.customer())) row.set_customer_id(customer->key);
  row.set_key(state.key());
  row.set_status(state.status());
  row.set_step(state.step());
  row.set_revision(state.revision());
  *row.mutable_started_at() = TimeUtil::MillisecondsToTimestamp(state.started());
  *row.mutable_changed_at() = TimeUtil::MillisecondsToTimestamp(state.changed());
  if (state.status() == v1::RUN_STATUS_WAITING && state.until() != 0)
    *row.mutable_until() = TimeUtil::MillisecondsToTimestamp(state.until());
  return row;
}

Result<v1::JourneyReport> report(const RunLists& lists, const Lifecycle& lifecycle, const Catalog& catalog,
                                 const std::string& tenant, const std::string& id, std::int64_t deadline) {
  auto status = lifecycle.status(tenant, id);
  if (!status) return status.error();
  const DocumentKey key{kJourneyKind, tenant, id};
  const auto latest = catalog.get(key);
  if (!latest) return latest.error();
  const auto started = status->revision() == 0 ? latest : catalog.get(key, status->revision());
  if (!started) return started.error();
  const auto definition = read_body<v1::Journey>(*started);
  if (!definition) return definition.error();
  auto counts = lists.counts(tenant, id, deadline);
  if (!counts) return counts.error();

  v1::JourneyReport out;
  *out.mutable_status() = std::move(*status);
  out.set_latest_revision(latest->revision());
  *out.mutable_runs() = std::move(counts->runs);
  std::map<std::string, v1::StepCounts*> left;
  for (auto& step : counts->steps) left[step.step()] = &step;
  for (const auto& step : definition->steps()) {
    auto& row = *out.add_steps();
    row.set_step(step.id());
    if (const auto found = left.find(step.id()); found != left.end()) {
      row = *found->second;
      left.erase(found);
    }
  }
  for (const auto& step : counts->steps)
    if (left.contains(step.step())) *out.add_steps() = step;
  return out;
}

}  // namespace

Result<v1::JourneyRunPage> RunLists::list(const std::string& tenant, const v1::ListJourneyRuns& request,
                                          std::int64_t deadline) const {
  const auto before = place_of(request, tenant);
  if (!before) return before.error();
  const auto rows = page_rows(request.page_size());
  const std::vector<Value> values{std::string_view(tenant),
                                  std::string_view(request.id()),
                                  before->changed,
                                  before->number,
                                  rows + 1,
                                  std::string_view(request.step())};
  v1::JourneyRunPage page;
  v1::InstanceState state;
  bool more = false, readable = true;
  Place last;
  const auto error = reader_.read(list_sql(request.status(), !request.step().empty()),
                                  {values.data(), values.size() - (request.step().empty() ? 1 : 0)}, deadline,
                                  [&](const sqlite::Row& row) {
                                    more = page.runs_size() == rows;
                                    if (more) return false;
                                    const auto stored = row.blob(0);
                                    readable =
                                        state.ParseFromArray(stored.data(), static_cast<int>(stored.size()));
                                    if (!readable) return false;
                                    last = {row.integer(1), row.integer(2)};
                                    *page.add_runs() = shown(state);
                                    return true;
                                  });
  if (error) return *error;
  if (!readable)
    return Error{Code::internal, "corrupt",
                 "A stored journey run cannot be read. Rebuild the projection journeys.", ""};
  if (more)
    page.set_next_page_token(
        make_page_token(request, tenant, std::to_string(last.changed) + '/' + std::to_string(last.number)));
  return page;
}

Result<RunLists::Counts> RunLists::counts(const std::string& tenant, const std::string& journey,
                                          std::int64_t deadline) const {
  const std::vector<Value> values{std::string_view(tenant), std::string_view(journey)};
  Counts out;
  auto error = reader_.read("SELECT status, runs FROM counts WHERE tenant = ?1 AND journey = ?2", values,
                            deadline, [&](const sqlite::Row& row) {
                              const auto runs = static_cast<std::uint64_t>(row.integer(1));
                              switch (row.integer(0)) {
                                case v1::RUN_STATUS_ACTIVE:
                                  out.runs.set_active(runs);
                                  break;
                                case v1::RUN_STATUS_WAITING:
                                  out.runs.set_waiting(runs);
                                  break;
                                case v1::RUN_STATUS_PAUSED:
                                  out.runs.set_paused(runs);
                                  break;
                                case v1::RUN_STATUS_COMPLETED:
                                  out.runs.set_completed(runs);
                                  break;
                                default:
                                  out.runs.set_exited(runs);
                              }
                              return true;
                            });
  if (error && error->type == "not-ready") return out;
  if (error) return *error;
  error = reader_.read(
      "SELECT step, sum(entered), sum(there), sum(sent), sum(refused), sum(failed) FROM steps"
      " WHERE tenant = ?1 AND journey = ?2 GROUP BY step ORDER BY max(revision) DESC, step",
      values, deadline, [&](const sqlite::Row& row) {
        auto& step = out.steps.emplace_back();
        step.set_step(std::string(row.text(0)));
        step.set_entered(static_cast<std::uint64_t>(row.integer(1)));
        step.set_there(static_cast<std::uint64_t>(row.integer(2)));
        step.set_sent(static_cast<std::uint64_t>(row.integer(3)));
        step.set_refused(static_cast<std::uint64_t>(row.integer(4)));
        step.set_failed(static_cast<std::uint64_t>(row.integer(5)));
        return true;
      });
  if (error) return *error;
  return out;
}

Result<std::vector<RunLists::Open>> RunLists::open() const {
  std::vector<Open> out;
  const auto error =
      reader_.read("SELECT tenant, journey, status, runs FROM counts WHERE status IN (1, 2, 3) AND runs > 0",
                   {}, 0, [&](const sqlite::Row& row) {
                     out.push_back({std::string(row.text(0)), std::string(row.text(1)),
                                    static_cast<v1::RunStatus>(row.integer(2)), row.integer(3)});
                     return true;
                   });
  if (error) return *error;
  return out;
}

Result<std::vector<std::string>> RunLists::addresses(const Open& of, Place& after, std::int64_t limit) const {
  std::vector<std::string> out;
  const std::vector<Value> values{std::string_view(of.tenant),
                                  std::string_view(of.journey),
                                  std::int64_t{of.status},
                                  after.changed,
                                  after.number,
                                  limit};
  const auto error = reader_.read(
      "SELECT instance, changed, number FROM runs WHERE tenant = ?1 AND journey = ?2 AND status = ?3"
      " AND (changed, number) > (?4, ?5) ORDER BY changed, number LIMIT ?6",
      values, 0, [&](const sqlite::Row& row) {
        out.push_back("journey/" + of.tenant + '/' + std::string(row.text(0)));
        after = {row.integer(1), row.integer(2)};
        return true;
      });
  if (error) return *error;
  return out;
}

void add_reports(Services& services, const RunLists& lists, const Lifecycle& lifecycle,
                 const Catalog& catalog, Executor& executor) {
  services.add("cx.v1.Journeys.Status",
               read_on<v1::GetJourneyStatus>(executor, [&lists, &lifecycle, &catalog](const CallContext& call,
                                                                                      const auto& request) {
                 return report(lists, lifecycle, catalog, call.caller->tenant, request.id(), call.deadline);
               }));
  services.add(
      "cx.v1.Journeys.ListRuns",
      read_on<v1::ListJourneyRuns>(
          executor,
          [&lists, &lifecycle](const CallContext& call, const auto& request) -> Result<v1::JourneyRunPage> {
            const auto status = lifecycle.status(call.caller->tenant, request.id());
            if (!status) return status.error();
            return lists.list(call.caller->tenant, request, call.deadline);
          }));
}

}  // namespace cx::journey
