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
  const bool healthy = std::all_of(lines.begin(), lines.end(),
                                   [](const auto& shard) { return plain(at(shard, "error")).empty(); });
  report.columns = {{"shard"},         {"state"},    {"epoch"}, {"first"},  {"last"},
                    {"checkpoint"},    {"resident"}, {"dirty"}, {"outbox"}, {"uncommitted", true},
                    {"error", healthy}};
  for (const auto& shard : lines)
    if (shard.is_object()) report.rows.push_back({"shard/" + plain(at(shard, "shard")), shard.get_object()});
  (*answer)["shards"] = std::move(lines);
  report.document = to_json(*answer, true);
  return report;
}

}  // namespace

Command shards_command() {
  Command command{"shards",
                  "Show the shards of the node, the worst line first",
                  {"campaignctl shards --limit 10", "campaignctl shards --watch"}};
  command.flags = asking();
  command.flags.insert(command.flags.end(), {kWatch, kLimit, kNoHeaders});
  command.run = shards;
  return command;
}

}  // namespace cx::ctl
