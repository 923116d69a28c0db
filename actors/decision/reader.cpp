#include "actors/decision/reader.hpp"

#include <algorithm>

#include "actors/campaign/timing.hpp"
#include "actors/decision/board.hpp"
#include "actors/decision/id.hpp"
#include "runtime/on_executor.hpp"
#include "runtime/projection/page_token.hpp"

namespace cx::decision {
namespace {

constexpr std::size_t kPageBytes = 3'000'000;  // after which a page ends
constexpr std::size_t kMostLooks = 100'000;    // rows, after which it ends too

Error corrupt() {
  return {Code::internal, "corrupt", "A stored decision cannot be read. Rebuild the projection decisions.",
          ""};
}

Result<std::int64_t> ms_of(const google::protobuf::Timestamp& time, const char* pointer) {
  if (campaign::is_valid(time)) return campaign::ms_of(time);
  return Error{Code::invalid_argument, "invalid-time",
               std::string(pointer + 1) + " has to be a time of the years 1 to 9999.", pointer};
}

/// Rows of one decision, until the next one's come.
class Joined {
 public:
  /// False for a row that cannot be read.
  bool add(const RowName& name, std::string_view row) {
    const auto size = static_cast<int>(row.size());
    if (name.id != id_) {
      id_ = name.id;
      outcomes_.clear();
    }
    if (!name.rest.empty()) return outcomes_.emplace_back().ParseFromArray(row.data(), size);
    return decision_.ParseFromArray(row.data(), size);
  }
  bool has(v1::Outcome outcome) const {
    return outcome == v1::OUTCOME_UNSPECIFIED ||
           std::any_of(outcomes_.begin(), outcomes_.end(),
                       [&](const auto& one) { return one.outcome() == outcome; });
  }
  const v1::Decision& decision() const { return decision_; }
  /// What was added last is the decision's own row, or, where `backwards` is false, its last outcome's.
  void take(v1::Decision& out, bool backwards) {
    out.Swap(&decision_);
    out.set_decision_id(id_);
    *out.mutable_decided_at() = campaign::time_of(decided_at(id_).value_or(0));
    if (backwards) std::reverse(outcomes_.begin(), outcomes_.end());
    for (auto& one : outcomes_) out.add_outcomes()->Swap(&one);
    outcomes_.clear();
  }

 private:
  std::string id_;
  v1::Decision decision_;
  std::vector<v1::ReportedOutcome> outcomes_;
};

}  // namespace

Result<v1::Decision> DecisionReader::get(const std::string& tenant, const v1::GetDecision& request) const {
  const auto& id = request.decision_id();
  Joined joined;
  bool found = false, readable = true;
  const auto at = decided_at(id);
  if (at && *at >= clock_.unix_ms() - kept_) {
    const auto error =
        rows_.scan(row_key(tenant, id) + '\0', [&](std::string_view key, std::string_view row) {
          const auto name = parse_row_key(key);
          if (name.tenant != tenant || name.id != id) return false;
          found |= name.rest.empty();
          return readable = joined.add(name, row);
        });
    if (error) return *error;
  }
  if (!readable) return corrupt();
  if (!found)
    return Error{Code::not_found, "no-such-decision",
                 "There is no decision " + id +
                     ". Send the id of a bid as its response had it, a second after it; bids for nobody in "
                     "particular are not kept, others for as long as decisions.retention_hours says.",
                 "/decision_id"};
  v1::Decision out;
  joined.take(out, false);
  return out;
}

Result<v1::DecisionPage> DecisionReader::list(const std::string& tenant,
                                              const v1::ListDecisions& request) const {
  auto oldest = clock_.unix_ms() - kept_;
  auto before = tenant + '\1';
  if (request.has_from()) {
    const auto from = ms_of(request.from(), "/from");
    if (!from) return from.error();
    oldest = std::max(oldest, *from);
  }
  if (request.has_to()) {
    const auto to = ms_of(request.to(), "/to");
    if (!to) return to.error();
    if (request.has_from() && campaign::ms_of(request.from()) >= *to)
      return Error{Code::invalid_argument, "invalid-time-range", "to has to be later than from.", "/to"};
    before = row_key(tenant, first_id(*to));
  }
  const auto position = page_position(request, tenant);
  if (!position) return position.error();
  if (!position->empty()) {
    if (!decided_at(*position)) return invalid_page_token();
    before = std::min(before, row_key(tenant, *position));
  }

  const auto last = row_key(tenant, first_id(oldest));
  const auto rows = page_rows(request.page_size());
  v1::DecisionPage page;
  Joined joined;
  std::string id;  // that is being read; once another one's rows come, the last that was
  std::size_t bytes = 0, looks = 0;
  bool more = false, readable = true;
  const auto error = rows_.scan_back(before, [&](std::string_view key, std::string_view row) {
    if (key < last) return false;
    const auto name = parse_row_key(key);
    if (name.id != id) {
      more = page.decisions_size() == rows || bytes >= kPageBytes || looks >= kMostLooks;
      if (more) return false;
      id = name.id;
    }
    ++looks;
    readable = joined.add(name, row);
    if (!readable || !name.rest.empty()) return readable;
    const bool offered = request.offer_id().empty() || joined.decision().offer_id() == request.offer_id();
    if (!offered || !joined.has(request.outcome())) return true;
    auto& out = *page.add_decisions();
    joined.take(out, true);
    if (!request.features()) out.clear_features();
    bytes += out.ByteSizeLong();
    return true;
  });
  if (error) return *error;
  if (!readable) return corrupt();
  if (more) page.set_next_page_token(make_page_token(request, tenant, id));
  return page;
}

void add_decisions(Services& services, const DecisionReader& reader, Executor& executor) {
  services.add("cx.v1.Decisions.Get",
               read_on<v1::GetDecision>(executor, [&reader](const CallContext& call, const auto& request) {
                 return reader.get(call.caller->tenant, request);
               }));
  services.add("cx.v1.Decisions.List",
               read_on<v1::ListDecisions>(executor, [&reader](const CallContext& call, const auto& request) {
                 return reader.list(call.caller->tenant, request);
               }));
}

}  // namespace cx::decision
