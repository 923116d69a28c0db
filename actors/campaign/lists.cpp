#include "actors/campaign/lists.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "actors/campaign/rules.hpp"
#include "actors/campaign/timing.hpp"
#include "actors/campaign/view.hpp"
#include "runtime/on_executor.hpp"
#include "runtime/projection/page_token.hpp"

namespace cx {
namespace {

using sqlite::Value;

constexpr std::size_t kPageBytes = 3'000'000;  // after which a page ends
constexpr std::int64_t kLooks = 5'000;         // rows that a page of pending approvals may look at

// After the last row of a page: what a list is ordered by, a time and an id.
struct Position {
  std::int64_t key;
  std::string id;
};

// `first` where the request has no token.
Result<Position> position_of(const google::protobuf::Message& request, std::string_view scope,
                             Position first) {
  auto text = page_position(request, scope);
  if (!text) return text.error();
  if (text->empty()) return first;
  const auto* end = text->data() + text->size();
  const auto read = std::from_chars(text->data(), end, first.key);
  if (read.ec != std::errc() || read.ptr == end || *read.ptr != '/') return invalid_page_token();
  first.id.assign(read.ptr + 1, end);
  return first;
}

// Words as an expression of FTS5: what has each of them, or a longer one that begins so, in any of three
// columns. Quoted, as much of what people type means something to FTS5. Between phrases that just follow each
// other it leaves out those without a letter or digit; between AND such a phrase would match nothing.
std::string match_of(const std::string& tenant, std::string_view query) {
  std::string match, word;
  const auto end_word = [&] {
    if (!word.empty()) match += " {id name description} : \"" + word + "\" *";
    word.clear();
  };
  for (const char c : query) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) {
      end_word();
      continue;
    }
    word += c;
    if (c == '"') word += c;
  }
  end_word();
  return match.empty() ? match : "tenant : \"" + tenant + '"' + match;
}

std::optional<Error> check_time(const google::protobuf::Timestamp& time, const char* pointer) {
  if (campaign::is_valid(time)) return std::nullopt;
  return Error{Code::invalid_argument, "invalid-time",
               std::string(pointer + 1) + " has to be a time of the years 1 to 9999.", pointer};
}

}  // namespace

// A SELECT of state, key and id, in the order of the last two.
struct CampaignLists::Query {
  const google::protobuf::Message& request;
  const std::string& scope;  // of page tokens
  const char* sql;
  std::vector<Value> values;
  std::int64_t rows;   // of the page
  std::int64_t looks;  // rows to look at
  std::function<bool(const v1::CampaignState&)> accept = nullptr;
};

Result<v1::CampaignPage> CampaignLists::page(const Query& query, std::int64_t deadline) const {
  v1::CampaignPage page;
  v1::CampaignState state;
  std::int64_t looked = 0;
  std::size_t bytes = 0;
  bool more = false, readable = true;
  std::string position;
  const auto error = reader_.read(query.sql, query.values, deadline, [&](const sqlite::Row& row) {
    more = page.campaigns_size() == query.rows || looked == query.looks || bytes >= kPageBytes;
    if (more) return false;
    const auto stored = row.blob(0);
    readable = state.ParseFromArray(stored.data(), static_cast<int>(stored.size()));
    if (!readable) return false;
    ++looked;
    position = std::to_string(row.integer(1)) + '/';
    position += row.text(2);
    if (query.accept && !query.accept(state)) return true;
    *page.add_campaigns() = campaign::view(state);
    bytes += stored.size();
    return true;
  });
  if (error) return *error;
  if (!readable)
    return Error{Code::internal, "corrupt",
                 "A stored campaign cannot be read. Rebuild the projection campaigns.", ""};
  if (more) page.set_next_page_token(make_page_token(query.request, query.scope, position));
  return page;
}

Result<v1::CampaignPage> CampaignLists::list(const std::string& tenant, const v1::ListCampaigns& request,
                                             std::int64_t deadline) const {
  // Beyond every time and every id.
  const auto before = position_of(request, tenant, {std::numeric_limits<std::int64_t>::max(), ""});
  if (!before) return before.error();
  std::int64_t stages = 0;
  for (const auto stage : request.stage())
    if (stage >= 0 && stage < 63) stages |= std::int64_t{1} << stage;
  const auto match = match_of(tenant, request.query());

  // What a stranger chose is a value always; which conditions there are follows from what was asked for.
  std::string sql = "SELECT state, updated, id FROM campaigns WHERE tenant = ?1 AND (updated, id) < (?2, ?3)";
  if (request.stage_size() > 0) sql += " AND (?4 >> stage) & 1";
  if (request.channel() != v1::CHANNEL_UNSPECIFIED) sql += " AND (channels >> ?5) & 1";
  if (!request.owner().empty()) sql += " AND owner = ?6";
  if (!match.empty()) sql += " AND number IN (SELECT rowid FROM words WHERE words MATCH ?7)";
  sql += " ORDER BY updated DESC, id DESC LIMIT ?8";
  const auto rows = page_rows(request.page_size());
  return page({.request = request,
               .scope = tenant,
               .sql = sql.c_str(),
               .values = {std::string_view(tenant), before->key, std::string_view(before->id), stages,
                          std::int64_t{request.channel()}, std::string_view(request.owner()),
                          std::string_view(match), rows + 1},
               .rows = rows,
               .looks = rows},
              deadline);
}

Result<v1::CampaignPage> CampaignLists::calendar(const std::string& tenant, const v1::ListCalendar& request,
                                                 std::int64_t deadline) const {
  if (auto error = check_time(request.from(), "/from")) return *error;
  if (auto error = check_time(request.to(), "/to")) return *error;
  const auto from = campaign::ms_of(request.from()), to = campaign::ms_of(request.to());
  if (from >= to)
    return Error{Code::invalid_argument, "invalid-time-range", "to has to be later than from.", "/to"};
  const auto after = position_of(request, tenant, {std::numeric_limits<std::int64_t>::min(), ""});
  if (!after) return after.error();
  const auto rows = page_rows(request.page_size());
  return page(
      {.request = request,
       .scope = tenant,
       .sql = "SELECT state, starts, id FROM campaigns WHERE tenant = ?1 AND starts < ?2"
              " AND (ends IS NULL OR ends > ?3) AND (starts, id) > (?4, ?5)"
              " ORDER BY starts, id LIMIT ?6",
       .values = {std::string_view(tenant), to, from, after->key, std::string_view(after->id), rows + 1},
       .rows = rows,
       .looks = rows},
      deadline);
}

Result<v1::CampaignPage> CampaignLists::pending(const std::string& tenant, const std::string& approver,
                                                std::span<const std::string> roles,
                                                const v1::ListPendingApprovalsRequest& request,
                                                std::int64_t deadline) const {
  const auto scope = tenant + '/' + approver;
  const auto after = position_of(request, scope, {std::numeric_limits<std::int64_t>::min(), ""});
  if (!after) return after.error();
  return page({.request = request,
               .scope = scope,
               .sql = "SELECT state, submitted, id FROM campaigns WHERE tenant = ?1 AND submitted IS NOT NULL"
                      " AND (submitted, id) > (?2, ?3)"
                      " ORDER BY submitted, id LIMIT ?4",
               .values = {std::string_view(tenant), after->key, std::string_view(after->id), kLooks + 1},
               .rows = page_rows(request.page_size()),
               .looks = kLooks,
               // What the entity itself would ask.
               .accept =
                   [&](const v1::CampaignState& state) {
                     return static_cast<bool>(campaign::rules_for(state, approver, roles));
                   }},
              deadline);
}

void add_campaign_lists(Services& services, const CampaignLists& lists, Executor& executor,
                        RolesOf roles_of) {
  services.add("cx.v1.Campaigns.List",
               read_on<v1::ListCampaigns>(executor, [&lists](const CallContext& call, const auto& request) {
                 return lists.list(call.caller->tenant, request, call.deadline);
               }));
  services.add("cx.v1.Campaigns.Calendar",
               read_on<v1::ListCalendar>(executor, [&lists](const CallContext& call, const auto& request) {
                 return lists.calendar(call.caller->tenant, request, call.deadline);
               }));
  services.add("cx.v1.Campaigns.ListPendingApprovals",
               read_on<v1::ListPendingApprovalsRequest>(
                   executor,
                   [&lists, roles_of = std::move(roles_of)](const CallContext& call,
                                                            const auto& request) -> Result<v1::CampaignPage> {
                     const auto& caller = *call.caller;
                     if (request.approver().empty() || request.approver() == caller.actor)
                       return lists.pending(caller.tenant, caller.actor, caller.roles, request,
                                            call.deadline);
                     const auto roles = roles_of(caller.tenant, request.approver());
                     if (!roles)
                       return Error{Code::not_found, "no-such-user",
                                    "There is no user " + request.approver() +
                                        " whose roles are known. Approvers are named as in \"user/ana\".",
                                    "/approver"};
                     return lists.pending(caller.tenant, request.approver(), *roles, request, call.deadline);
                   }));
}

}  // namespace cx
