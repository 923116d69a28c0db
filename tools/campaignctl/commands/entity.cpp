#include <fmt/core.h>

#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/when.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

std::vector<std::pair<std::string, std::string>> lines_of(const json::object& entity) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const auto& [key, label] : {std::pair("address", "address"), std::pair("shard", "shard"),
                                   std::pair("sequence", "sequence"), std::pair("as_of", "as of")})
    lines.emplace_back(label, plain(at(entity, key)));
  const auto& reminders = list(at(entity, "reminders"));
  if (reminders.empty()) lines.emplace_back("reminders", "none");
  for (const auto& reminder : reminders)
    lines.emplace_back(&reminder == &reminders.front() ? "reminders" : "",
                       fmt::format("{} at {}", plain(at(reminder, "name")), plain(at(reminder, "due"))));
  return lines;
}

Report report_on(const json::object& entity) {
  Report report;
  report.document = to_json(entity, true);
  report.columns = {{"address"}, {"kind"},  {"shard"},     {"sequence"},
                    {"schema"},  {"as_of"}, {"reminders"}, {"state"}};
  report.rows = {{plain(at(entity, "address")), entity}};
  report.draw = [entity](const View& view) {
    return draw_details(lines_of(entity), "state", at(entity, "state"), view);
  };
  if (number(at(entity, "sequence")) == 0)
    report.notes = {"nothing has happened to it by then: this is what it would wake up as"};
  return report;
}

Outcome<Report> look(const Call& call, const std::string& time) {
  const auto entity = ask_object(
      call, request_of("cx.v1.Operations.GetEntity", {{"address", call.value("ADDRESS")}, {"at", time}}));
  if (!entity) return entity.error();
  return report_on(*entity);
}

Outcome<Report> show(const Call& call) {
  return look(call, "");
}

Outcome<Report> show_at(const Call& call) {
  const auto time = time_of("TIME", call.value("TIME"), Sense::ago);
  if (!time) return time.error();
  if (time->empty()) return usage("TIME is empty; write 2026-11-21T10:00:00Z, or 15m for that long ago");
  return look(call, *time);
}

/// What happened, in a word: an event that is one of several is named by which it is, the only message in it.
std::string event_name(const json::value& event) {
  std::string name;
  std::size_t messages = 0;
  if (const auto* fields = event.if_object())
    for (const auto& field : *fields)
      if (field.value().is_object() && ++messages == 1) name = field.key();
  return messages == 1 ? name : short_type_of(event);
}

Row row_of(const json::value& record) {
  json::array events, reminders, outbox;
  for (const auto& event : list(at(record, "events"))) events.emplace_back(event_name(event));
  for (const auto& set : list(at(record, "reminders_set"))) reminders.emplace_back(plain(at(set, "name")));
  for (const auto& sent : list(at(record, "outbox"))) outbox.push_back(at(sent, "to"));
  const std::string sequence = plain(at(record, "sequence"));
  return {sequence,
          {{"seq", sequence},
           {"at", at(record, "at")},
           {"command", short_type_of(at(record, "command"))},
           {"events", events},
           {"actor", at(record, "actor")},
           {"epoch", at(record, "epoch")},
           {"trace", at(record, "trace")},
           {"reminders", reminders},
           {"cleared", at(record, "reminders_cleared")},
           {"outbox", outbox}}};
}

Outcome<Report> history(const Call& call) {
  const std::string address = call.value("ADDRESS");
  const auto since = time_of("--since", call.value("since"), Sense::ago);
  if (!since) return since.error();
  const auto until = time_of("--until", call.value("until"), Sense::ago);
  if (!until) return until.error();
  if (const auto limit = call.limit(); !limit) return limit.error();
  const auto answer =
      ask_object(call, request_of("cx.v1.Operations.ListEntityHistory", {{"address", address},
                                                                         {"after", call.value("cursor")},
                                                                         {"limit", call.value("limit")},
                                                                         {"since", *since},
                                                                         {"until", *until}}));
  if (!answer) return answer.error();

  Report report;
  report.document = to_json(*answer, true);
  report.columns = {{"seq"},           {"at"},          {"command"},     {"events"},
                    {"actor"},         {"epoch", true}, {"trace", true}, {"reminders", true},
                    {"cleared", true}, {"outbox", true}};
  for (const auto& record : list(at(*answer, "records"))) report.rows.push_back(row_of(record));
  if (report.rows.empty()) report.notes.push_back("no records");
  if (const auto& forgotten = at(*answer, "forgotten"); number(forgotten) > 0)
    report.notes.push_back(fmt::format("records up to {} are no longer kept", plain(forgotten)));
  if (const auto& next = at(*answer, "next"); number(next) > 0)
    report.notes.push_back(
        fmt::format("more: campaignctl entity history {} --cursor {}", address, plain(next)));
  return report;
}

}  // namespace

std::vector<Command> entity_commands() {
  const Argument address{"ADDRESS", "The entity, kind/tenant/key"};
  Command noun{"entity", "Entities: their state, and how they came to it", {}};

  Command show_verb{
      "entity show",
      "Show the state of an entity",
      {"campaignctl entity show customer/demo/c-81f", "campaignctl entity show customer/demo/c-81f -o json"}};
  show_verb.arguments = {address};
  show_verb.flags = asking();
  show_verb.flags.insert(show_verb.flags.end(), {kWatch, kNoHeaders});
  show_verb.run = show;

  Command history_verb{"entity history",
                       "List the decisions of an entity, the newest last",
                       {"campaignctl entity history customer/demo/c-81f",
                        "campaignctl entity history customer/demo/c-81f --since 15m -o wide"}};
  history_verb.arguments = {address};
  history_verb.flags = asking();
  history_verb.flags.insert(history_verb.flags.end(), {kSince, kUntil, kLimit, kCursor, kNoHeaders});
  history_verb.run = history;

  Command at_verb{"entity at",
                  "Show the state that an entity had at a time",
                  {"campaignctl entity at 2026-11-21T10:00:00Z customer/demo/c-81f",
                   "campaignctl entity at 15m customer/demo/c-81f"}};
  at_verb.arguments = {{"TIME", "2026-11-21T10:00:00Z, or 15m for that long ago"}, address};
  at_verb.flags = asking();
  at_verb.flags.push_back(kNoHeaders);
  at_verb.run = show_at;

  return {std::move(noun), std::move(show_verb), std::move(history_verb), std::move(at_verb)};
}

}  // namespace cx::ctl
