#include <algorithm>
#include <fmt/core.h>
#include <map>

#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

bool is_open(const json::value& shard) {
  return plain(at(shard, "state")) == "open";
}

/// What does not serve first, then what has most left to do.
bool worse(const json::value& a, const json::value& b) {
  if (is_open(a) != is_open(b)) return is_open(b);
  for (const char* key : {"outbox", "dirty", "uncommitted"})
    if (const auto x = number(at(a, key)), y = number(at(b, key)); x != y) return x > y;
  return number(at(a, "shard")) < number(at(b, "shard"));
}

std::string summary_of(const json::array& shards, const json::value& as_of) {
  std::map<std::string, std::size_t> states;
  double resident = 0, dirty = 0, outbox = 0;
  for (const auto& shard : shards) {
    ++states[plain(at(shard, "state"))];
    resident += number(at(shard, "resident"));
    dirty += number(at(shard, "dirty"));
    outbox += number(at(shard, "outbox"));
  }
  std::string line = fmt::format("{} shards", shards.size());
  for (const auto& [state, count] : states) line += fmt::format(" · {} {}", count, printable(state));
  return line + fmt::format(" · {} entities resident · {} dirty · {} messages in the outbox · as of {}",
                            human_count(resident), human_count(dirty), human_count(outbox),
                            printable(plain(as_of)));
}

/// What a person sees of these shards: why one is not open where one is not, and who has them where there are
/// several nodes.
std::vector<Column> columns_for(const json::array& shards) {
  const auto says = [&shards](const char* key) {
    return std::any_of(shards.begin(), shards.end(),
                       [key](const auto& shard) { return !plain(at(shard, key)).empty(); });
  };
  return {{"shard"},
          {"node", !says("node")},
          {"state"},
          {"epoch"},
          {"first"},
          {"last"},
          {"checkpoint"},
          {"resident"},
          {"dirty"},
          {"outbox"},
          {"uncommitted", true},
          {"next", !says("next")},
          {"error", !says("error")}};
}

Outcome<Report> shards(const Call& call) {
  const auto limit = call.limit();
  if (!limit) return limit.error();
  auto answer = ask_object(call, request_of("cx.v1.Operations.ListShards"));
  if (!answer) return answer.error();
  auto lines = list(at(*answer, "shards"));
  std::stable_sort(lines.begin(), lines.end(), worse);

  Report report;
  report.summary = summary_of(lines, at(*answer, "as_of"));
  if (*limit > 0 && lines.size() > *limit) lines.resize(*limit);
  report.columns = columns_for(lines);
  for (const auto& shard : lines)
    if (shard.is_object()) report.rows.push_back({"shard/" + plain(at(shard, "shard")), shard.get_object()});
  (*answer)["shards"] = std::move(lines);
  report.document = to_json(*answer, true);
  return report;
}

Outcome<Report> show(const Call& call) {
  auto number = call.value("SHARD");
  if (number.starts_with("shard/")) number.erase(0, std::string_view("shard/").size());
  auto request = request_of("cx.v1.Operations.GetShard");
  request.path = "/v1/shards/" + encode_segment(number);
  const auto shard = ask_object(call, request);
  if (!shard) return shard.error();
  Report report;
  report.document = to_json(*shard, true);
  report.columns = columns_for({*shard});
  report.rows.push_back({"shard/" + plain(at(*shard, "shard")), *shard});
  return report;
}

Outcome<Report> rebalance(const Call& call) {
  auto request = request_of("cx.v1.Operations.RebalanceShards");
  request.body = to_json(json::object{{"dry_run", call.has("dry-run")}}, false);
  const auto answer = ask_object(call, request);
  if (!answer) return answer.error();
  Report report;
  report.document = to_json(*answer, true);
  report.columns = {{"shard"}, {"from"}, {"to"}};
  for (const auto& move : list(at(*answer, "moves")))
    if (move.is_object()) report.rows.push_back({"shard/" + plain(at(move, "shard")), move.get_object()});
  report.summary = report.rows.empty() ? "every shard is where it belongs"
                                       : fmt::format("{} shards {}, as of placement {}", report.rows.size(),
                                                     call.has("dry-run") ? "would move" : "are to move",
                                                     plain(at(*answer, "table_version")));
  return report;
}

}  // namespace

std::vector<Command> shard_commands() {
  std::vector<Command> all;
  for (const char* path : {"shards", "shards list"}) {
    auto& command =
        all.emplace_back(Command{path,
                                 "Show the shards, the worst line first",
                                 {"campaignctl shards --limit 10", "campaignctl shards list --watch"}});
    command.flags = asking();
    command.flags.insert(command.flags.end(), {kWatch, kLimit, kNoHeaders});
    command.run = shards;
  }

  Command show_verb{"shards show",
                    "Show one shard: who has it, and how far its log is",
                    {"campaignctl shards show 17", "campaignctl shards show 17 -o json"}};
  show_verb.arguments = {{"SHARD", "Its number, 0 to 1023"}};
  show_verb.flags = asking();
  show_verb.flags.insert(show_verb.flags.end(), {kWatch, kNoHeaders});
  show_verb.run = show;
  all.push_back(std::move(show_verb));

  Command rebalance_verb{"shards rebalance",
                         "Have shards move to where they belong",
                         {"campaignctl shards rebalance --dry-run", "campaignctl shards rebalance"}};
  rebalance_verb.flags = asking();
  rebalance_verb.flags.insert(rebalance_verb.flags.end(),
                              {{"dry-run", 0, "", "Only show what would move"}, kNoHeaders});
  rebalance_verb.effect = Effect::changes;
  rebalance_verb.run = rebalance;
  all.push_back(std::move(rebalance_verb));
  return all;
}

}  // namespace cx::ctl
