#include "actors/customer/timeline_reader.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <limits>
#include <memory>

#include "actors/customer/json.hpp"
#include "actors/customer/timeline.hpp"
#include "runtime/projection/page_token.hpp"

namespace cx {
namespace {

using sqlite::Value;

constexpr std::size_t kPageBytes = 3'000'000;  // after which a page ends
constexpr std::chrono::seconds kPatience{2};
constexpr int kWaiting = 256;

Error corrupt() {
  return {Code::internal, "corrupt",
          "A stored entry of a timeline cannot be read. Restore customers.db from a backup.", ""};
}

Result<std::int64_t> before(const v1::GetTimeline& request, const std::string& tenant) {
  const auto position = page_position(request, tenant);
  if (!position) return position.error();
  auto number = std::numeric_limits<std::int64_t>::max();
  if (position->empty()) return number;
  const auto* end = position->data() + position->size();
  const auto read = std::from_chars(position->data(), end, number);
  if (read.ec != std::errc() || read.ptr != end) return invalid_page_token();
  return number;
}

}  // namespace

Result<std::optional<v1::TimelinePage>> TimelineReader::list(const std::string& tenant,
                                                             const v1::GetTimeline& request,
                                                             const v1::Entries& made,
                                                             std::int64_t deadline) const {
  using Page = std::optional<v1::TimelinePage>;
  const auto from = before(request, tenant);
  if (!from) return from.error();
  const std::string_view customer = request.customer_id();
  const auto kept_since = clock_.unix_ms() - CustomerTimeline::kKept;

  if (made.count() > 0 && made.last_at() >= kept_since) {
    std::int64_t newest = 0;
    const Value who[] = {std::string_view(tenant), customer};
    const auto error = reader_.read(
        "SELECT max(ifnull((SELECT max(number) FROM timeline WHERE tenant = ?1 AND customer = ?2), 0),"
        " ifnull((SELECT upto FROM gone WHERE tenant = ?1 AND customer = ?2), 0))",
        who, deadline, [&](const sqlite::Row& row) {
          newest = row.integer(0);
          return false;
        });
    if (error && error->type == "not-ready") return Page();
    if (error) return *error;
    if (static_cast<std::uint64_t>(newest) < made.count()) return Page();
  }

  v1::TimelinePage page;
  const auto rows = page_rows(request.page_size());
  std::size_t bytes = 0;
  bool more = false, readable = true;
  const Value values[] = {std::string_view(tenant), customer, *from, kept_since, rows + 1};
  const auto error = reader_.read(
      "SELECT number, entry, details FROM timeline WHERE tenant = ?1 AND customer = ?2 AND number < ?3"
      " AND +at >= ?4 ORDER BY number DESC LIMIT ?5",
      values, deadline, [&](const sqlite::Row& row) {
        more = page.entries_size() == rows || bytes >= kPageBytes;
        if (more) return false;
        auto& entry = *page.add_entries();
        const auto stored = row.blob(1);
        readable = entry.ParseFromArray(stored.data(), static_cast<int>(stored.size()));
        entry.set_number(static_cast<std::uint64_t>(row.integer(0)));
        to_struct(row.text(2), *entry.mutable_details());
        bytes += stored.size() + row.text(2).size();
        return readable;
      });
  if (error && error->type != "not-ready") return *error;
  if (!readable) return corrupt();
  if (more)
    page.set_next_page_token(
        make_page_token(request, tenant, std::to_string(page.entries().rbegin()->number())));
  return Page(std::move(page));
}

namespace {

// One request, from when it came until it is answered.
struct Pending : std::enable_shared_from_this<Pending> {
  const TimelineReader& reader;
  Executor& later;
  CallContext call;
  std::shared_ptr<const v1::GetTimeline> request;
  Services::Respond respond;
  std::shared_ptr<std::atomic<int>> waiting;
  v1::Entries made = {};
  SteadyTime until = {};

  Pending(const TimelineReader& r, Executor& l, const CallContext& c,
          std::shared_ptr<const v1::GetTimeline> q, Services::Respond a, std::shared_ptr<std::atomic<int>> w)
      : reader(r), later(l), call(c), request(std::move(q)), respond(std::move(a)), waiting(std::move(w)) {}
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() { --*waiting; }

  void read() {
    guarded(respond, [this] {
      auto page = reader.list(call.caller->tenant, *request, made, call.deadline);
      if (!page) return respond(page.error());
      if (*page) return respond(Services::Reply(std::make_shared<v1::TimelinePage>(*std::move(*page))));
      if (reader.clock().steady() < until) return later.post([self = shared_from_this()] { self->read(); });
      respond(Error{Code::unavailable, "timeline-behind",
                    "The timeline does not show yet what has just happened to the customer. Try again in a "
                    "few seconds; if it stays so, look at the projection customers.",
                    ""});
    });
  }
};

}  // namespace

void add_timeline(Services& services, const TimelineReader& reader, Executor& executor, Executor& later,
                  AskEntity ask) {
  services.add(
      "cx.v1.Customers.Timeline",
      Services::Unary([&reader, &executor, &later, ask = std::move(ask),
                       waiting = std::make_shared<std::atomic<int>>(0)](
                          const CallContext& call, const auto& request, const Services::Respond& respond) {
        const bool room = ++*waiting <= kWaiting;
        auto pending = std::make_shared<Pending>(
            reader, later, call, std::static_pointer_cast<const v1::GetTimeline>(request), respond, waiting);
        if (!room)
          return respond(Error{Code::overloaded, "overloaded",
                               "Too many timelines are being read. Try again in a second.", ""});
        ask(call, "customer/" + call.caller->tenant + '/' + pending->request->customer_id(),
            std::make_shared<v1::GetEntries>(), [pending, &executor](Answer answer) {
              if (!answer) return pending->respond(answer.error());
              if (*answer) pending->made = static_cast<const v1::Entries&>(**answer);
              pending->until = pending->reader.clock().steady() + kPatience;
              executor.post([pending] { pending->read(); });
            });
      }));
}

}  // namespace cx
