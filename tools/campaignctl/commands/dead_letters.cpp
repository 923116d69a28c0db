#include <fmt/core.h>

#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/confirm.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

Row row_of(const json::value& letter) {
  Row row{plain(at(letter, "id")), {}};
  for (const char* key : {"id", "from", "to", "reason", "detail", "attempts", "first_at", "last_at"})
    row.values[key] = at(letter, key);
  row.values["command"] = short_type_of(at(letter, "command"));
  return row;
}

std::vector<Column> columns() {
  return {{"id"},      {"from"},           {"to"},          {"command"}, {"reason"}, {"attempts"},
          {"last_at"}, {"first_at", true}, {"detail", true}};
}

Outcome<Report> list_letters(const Call& call) {
  if (const auto limit = call.limit(); !limit) return limit.error();
  const auto answer =
      ask_object(call, request_of("cx.v1.Operations.ListDeadLetters",
                                  {{"limit", call.value("limit")}, {"cursor", call.value("cursor")}}));
  if (!answer) return answer.error();
  Report report;
  report.document = to_json(*answer, true);
  report.columns = columns();
  for (const auto& letter : list(at(*answer, "dead_letters"))) report.rows.push_back(row_of(letter));
  if (report.rows.empty())
    report.notes.push_back("no dead letters");
  else
    report.notes.push_back("next: campaignctl deadletters show " + report.rows.front().name);
  if (const auto next = plain(at(*answer, "next")); !next.empty())
    report.notes.push_back("more: campaignctl deadletters list --cursor " + next);
  return report;
}

Outcome<json::object> read_letter(const Call& call) {
  return ask_object(call, request_of("cx.v1.Operations.GetDeadLetter", {{"id", call.value("ID")}}));
}

Outcome<Report> show(const Call& call) {
  const auto letter = read_letter(call);
  if (!letter) return letter.error();
  Report report;
  report.document = to_json(*letter, true);
  report.columns = columns();
  report.rows = {row_of(*letter)};
  report.draw = [letter = *letter](const View& view) {
    std::vector<std::pair<std::string, std::string>> lines;
    for (const auto& [key, label] :
         {std::pair("id", "id"), std::pair("from", "from"), std::pair("to", "to"),
          std::pair("reason", "reason"), std::pair("detail", "detail"), std::pair("attempts", "attempts"),
          std::pair("first_at", "first at"), std::pair("last_at", "last at")})
      lines.emplace_back(label, plain(at(letter, key)));
    return draw_details(lines, "command", at(letter, "command"), view);
  };
  const auto id = call.value("ID");
  report.notes = {
      fmt::format("next: campaignctl deadletters replay {0}, or campaignctl deadletters discard {0}", id)};
  return report;
}

std::string what_of(const json::object& letter) {
  return fmt::format("{} from {} to {} (tried {} times; {}: {})", type_of(at(letter, "command")),
                     plain(at(letter, "from")), plain(at(letter, "to")), plain(at(letter, "attempts")),
                     plain(at(letter, "reason")), plain(at(letter, "detail")));
}

Outcome<Report> resolve(const Call& call, const char* method, const char* outcome) {
  const auto id = call.value("ID");
  auto request = request_of(method);
  request.body = to_json(json::object{{"id", id}}, false);
  if (const auto answer = ask_object(call, request); !answer) return answer.error();
  Report report;
  report.columns = {{"id"}, {"outcome"}};
  report.rows = {{id, {{"id", id}, {"outcome", outcome}}}};
  report.document = to_json(report.rows.front().values, true);
  return report;
}

Outcome<Report> replay(const Call& call) {
  if (!call.has("yes")) {
    if (const auto possible = can_ask(call, kYes); !possible) return possible.error();
    const auto letter = read_letter(call);
    if (!letter) return letter.error();
    if (const auto agreed = ask_yes(fmt::format("Send {} again?", what_of(*letter))); !agreed)
      return agreed.error();
  }
  return resolve(call, "cx.v1.Operations.ReplayDeadLetter", "replayed");
}

Outcome<Report> discard(const Call& call) {
  const auto id = call.value("ID");
  if (!call.has("confirm")) {
    if (const auto possible = can_ask(call, kConfirm); !possible) return possible.error();
    const auto letter = read_letter(call);
    if (!letter) return letter.error();
    const auto warning = fmt::format("This forgets {} for good.", what_of(*letter));
    if (const auto agreed = ask_name(warning, id); !agreed) return agreed.error();
  } else if (call.value("confirm") != id) {
    return usage(fmt::format("--confirm {} is not {}, which is to be discarded", call.value("confirm"), id));
  }
  return resolve(call, "cx.v1.Operations.DiscardDeadLetter", "discarded");
}

}  // namespace

std::vector<Command> dead_letter_commands() {
  const Argument id{"ID", "The dead letter, SHARD-SEQUENCE-INDEX"};
  Command noun{"deadletters", "Messages that could not be delivered", {}};

  Command list_verb{"deadletters list",
                    "List the dead letters, by shard and then the oldest first",
                    {"campaignctl deadletters list", "campaignctl deadletters list --limit 1000 -o name"}};
  list_verb.flags = asking();
  list_verb.flags.insert(list_verb.flags.end(), {kLimit, kCursor, kNoHeaders});
  list_verb.run = list_letters;

  Command show_verb{
      "deadletters show",
      "Show a dead letter with its message",
      {"campaignctl deadletters show 17-4711-0", "campaignctl deadletters show 17-4711-0 -o json"}};
  show_verb.arguments = {id};
  show_verb.flags = asking();
  show_verb.flags.push_back(kNoHeaders);
  show_verb.run = show;

  Command replay_verb{
      "deadletters replay",
      "Send a dead letter once more",
      {"campaignctl deadletters replay 17-4711-0", "campaignctl deadletters replay 17-4711-0 --yes"}};
  replay_verb.arguments = {id};
  replay_verb.flags = asking();
  replay_verb.flags.insert(replay_verb.flags.end(), {kYes, kNoHeaders});
  replay_verb.effect = Effect::changes;
  replay_verb.run = replay;

  Command discard_verb{"deadletters discard",
                       "Forget a dead letter for good",
                       {"campaignctl deadletters discard 17-4711-0",
                        "campaignctl deadletters discard 17-4711-0 --confirm 17-4711-0"}};
  discard_verb.arguments = {id};
  discard_verb.flags = asking();
  discard_verb.flags.insert(discard_verb.flags.end(), {kConfirm, kNoHeaders});
  discard_verb.effect = Effect::destroys;
  discard_verb.run = discard;

  return {std::move(noun), std::move(list_verb), std::move(show_verb), std::move(replay_verb),
          std::move(discard_verb)};
}

}  // namespace cx::ctl
