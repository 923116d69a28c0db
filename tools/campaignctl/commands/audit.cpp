#include <charconv>
#include <fmt/core.h>
#include <fstream>
#include <functional>
#include <iostream>

#include "actors/audit/chain.hpp"
#include "actors/audit/ndjson.hpp"
#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/contract/reply.hpp"
#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

constexpr std::size_t kPage = 10'000;          ///< entries of a request
constexpr std::size_t kMaxGathered = 100'000;  ///< entries of one document or table
constexpr std::size_t kMaxLine = 1 << 20;

Failure not_an_entry(const std::string& where, const std::string& why) {
  return {Exit::rejected, "invalid-audit-line", fmt::format("{}: {}", where, why), ""};
}

/// Calls `visit` with every line of an export that follows entry `after`, each with its line end, and the
/// entry in it, until it fails or the log ends.
Outcome<void> for_each_exported(
    const Call& call, std::uint64_t after, std::uint64_t limit,
    const std::function<Outcome<void>(std::string_view, const v1::AuditEntry&)>& visit) {
  while (limit > 0) {
    const auto page = std::min<std::uint64_t>(limit, kPage);
    const auto response =
        call.ask(request_of("cx.v1.AuditLog.Export",
                            {{"after_sequence", std::to_string(after)}, {"limit", std::to_string(page)}}));
    if (!response) return response.error();
    const std::string_view body = response->body;
    if (body.empty()) return {};
    for (std::size_t begin = 0; begin < body.size();) {
      const auto end = std::min(body.find('\n', begin), body.size() - 1) + 1;
      const auto line = body.substr(begin, end - begin);
      begin = end;
      const auto entry = audit::from_line(line);
      if (!entry)
        return Failure{Exit::server_failed, "not-understood",
                       fmt::format("the export after entry {}: {}", after, entry.error().detail), ""};
      if (entry->sequence() <= after)
        return Failure{Exit::server_failed, "not-understood",
                       fmt::format("entry {} comes after entry {}; is the server a campaignd?",
                                   entry->sequence(), after),
                       ""};
      after = entry->sequence();
      --limit;
      if (const auto done = visit(line, *entry); !done) return done;
      if (limit == 0) return {};
    }
  }
  return {};
}

Outcome<std::uint64_t> count_of(const Call& call, const char* flag) {
  const auto text = call.value(flag);
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || (error == std::errc() && end == text.data() + text.size())) return n;
  return usage(fmt::format("--{} {} is not a number of 0 or more", flag, text));
}

Outcome<Report> export_entries(const Call& call) {
  const auto after = count_of(call, "after-sequence");
  if (!after) return after.error();
  const auto limit = call.limit();
  if (!limit) return limit.error();
  const std::uint64_t most = *limit == 0 ? ~std::uint64_t{0} : *limit;
  const auto output = call.settings().get("output");
  const bool streams = output.origin == "default" || output.value == "jsonl";

  Report report;
  std::uint64_t last = *after;
  std::string block;
  json::array entries;
  const auto done = for_each_exported(
      call, *after, most, [&](std::string_view line, const v1::AuditEntry& entry) -> Outcome<void> {
        last = entry.sequence();
        if (!streams) {
          entries.push_back(json::parse(line));
          if (entries.size() < kMaxGathered) return {};
          return usage(
              fmt::format("more than {} entries are too many for -o {}; take -o jsonl, which has no end, or "
                          "--limit",
                          kMaxGathered, output.value));
        }
        block += line;
        if (!line.ends_with('\n')) block += '\n';
        if (block.size() >= (1 << 16)) {
          put(block);
          block.clear();
        }
        return {};
      });
  put(block);
  if (!done) {
    auto failure = done.error();
    if (streams && last > *after)
      failure.detail += fmt::format("; to go on: campaignctl audit export --after-sequence {}", last);
    return failure;
  }
  if (streams) {
    report.draw = [](const View&) { return std::string(); };
    return report;
  }
  report = report_on_list(*v1::AuditEntry::descriptor(), entries);
  report.document = to_json(json::object{{"entries", std::move(entries)}}, true);
  if (report.rows.empty()) report.notes = {"nothing to list"};
  return report;
}

/// "17:9f3c…": a place in the chain; the beginning where the flag was not given.
Outcome<audit::Point> point_of(const Call& call, const char* flag) {
  const auto text = call.value(flag);
  if (text.empty()) return audit::Point{};
  audit::Point point;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), point.sequence);
  point.hash = text.substr(std::min(text.find(':') + 1, text.size()));
  const bool hex =
      point.hash.size() == 64 && point.hash.find_first_not_of("0123456789abcdef") == point.hash.npos;
  if (error == std::errc() && *end == ':' && hex) return point;
  return usage(fmt::format("--{} {} is not SEQUENCE:HASH as audit verify prints it", flag, text));
}

struct Verdict {
  audit::Verifier verifier;
  std::optional<audit::Break> broken;
  std::uint64_t checked = 0;

  void take(const v1::AuditEntry& entry) {
    broken = verifier.next(entry);
    if (!broken) ++checked;
  }
};

Outcome<void> verify_lines(std::istream& in, const std::string& name, Verdict& verdict) {
  std::string line;
  for (std::size_t number = 1; !verdict.broken && std::getline(in, line); ++number) {
    if (line.empty()) continue;
    const auto where = fmt::format("{}:{}", name, number);
    if (line.size() > kMaxLine) return not_an_entry(where, "a line of more than 1 MiB is no entry");
    const auto entry = audit::from_line(line);
    if (!entry) return not_an_entry(where, entry.error().detail);
    verdict.take(*entry);
  }
  if (in.bad()) return usage(fmt::format("cannot read {}", name));
  return {};
}

Outcome<void> verify_file(const std::string& name, Verdict& verdict) {
  if (name == "-") return verify_lines(std::cin, "stdin", verdict);
  std::ifstream file(name);
  if (!file) return usage(fmt::format("cannot open {}: {}", name, error_text(errno)));
  return verify_lines(file, name, verdict);
}

/// What the log itself says of where it ends, asked before it is read: entries may be added meanwhile.
Outcome<audit::Point> ask_head(const Call& call) {
  const auto head = ask_object(call, request_of("cx.v1.AuditLog.Head"));
  if (!head) return head.error();
  audit::Point point;
  const auto count = plain(at(*head, "count"));
  std::from_chars(count.data(), count.data() + count.size(), point.sequence);
  if (const auto hash = plain(at(*head, "hash")); !hash.empty()) point.hash = hash;
  return point;
}

Outcome<Report> verify(const Call& call) {
  const auto start = point_of(call, "after");
  if (!start) return start.error();
  auto head = point_of(call, "head");
  if (!head) return head.error();
  const auto file = call.value("FILE");
  bool expects_head = call.has("head");
  Verdict verdict{audit::Verifier(*start), {}, 0};
  std::optional<std::string> at_head;  // the hash of the entry that the head is
  if (head->sequence == start->sequence) at_head = start->hash;
  if (!file.empty()) {
    if (const auto read = verify_file(file, verdict); !read) return read.error();
  } else {
    if (!expects_head) {
      head = ask_head(call);
      if (!head) return head.error();
      if (head->sequence == start->sequence) at_head = start->hash;
      expects_head = true;
    }
    const auto read = for_each_exported(call, start->sequence, ~std::uint64_t{0},
                                        [&](std::string_view, const v1::AuditEntry& entry) -> Outcome<void> {
                                          verdict.take(entry);
                                          if (entry.sequence() == head->sequence) at_head = entry.hash();
                                          if (verdict.broken) return Failure{Exit::bad, "broken", "", ""};
                                          return {};
                                        });
    if (!read && !verdict.broken) return read.error();
  }
  const auto& end = verdict.verifier.at();
  if (!file.empty() && end.sequence == head->sequence) at_head = end.hash;
  if (!verdict.broken && expects_head && head->sequence >= start->sequence && at_head != head->hash)
    verdict.broken = audit::Break{
        head->sequence,
        at_head || end.sequence > head->sequence
            ? fmt::format("Entry {} is not the one that the head of the log names.", head->sequence)
            : fmt::format("The log ends at entry {}; its head says that there are {}.", end.sequence,
                          head->sequence)};

  const bool good = !verdict.broken;
  json::object values{{"verdict", good ? "good" : "bad"},
                      {"checked", verdict.checked},
                      {"count", end.sequence},
                      {"head", fmt::format("{}:{}", end.sequence, end.hash)}};
  Report report;
  report.columns = {{"verdict"}, {"checked"}, {"count"}, {"head"}};
  if (!good) {
    values["broken"] = verdict.broken->sequence;
    values["why"] = verdict.broken->why;
    report.columns.insert(report.columns.end(), {{"broken"}, {"why"}});
    report.exit = Exit::bad;
  }
  report.rows = {{good ? "good" : "bad", values}};
  report.document = to_json(values, true);
  report.draw = [values, good](const View& view) {
    if (good)
      return fmt::format("good: {} entries form a chain\nhead {}\n", plain(at(values, "checked")),
                         plain(at(values, "head")));
    return fmt::format("{} at entry {}: {}\nentries before it that form a chain: {}\n",
                       paint("bad", Color::red, view.color), plain(at(values, "broken")),
                       printable(plain(at(values, "why"))), plain(at(values, "checked")));
  };
  if (good)
    report.notes = {"keep the head in a safe place: --head will prove that nothing before it has changed"};
  return report;
}

}  // namespace

std::vector<Command> audit_commands() {
  Command export_verb{"audit export",
                      "Print the audit log as lines of JSON, to be kept elsewhere and verified",
                      {"campaignctl audit export > audit.ndjson",
                       "campaignctl audit export --after-sequence 4711 >> audit.ndjson"}};
  export_verb.method = "cx.v1.AuditLog.Export";
  export_verb.flags = {{"after-sequence", 0, "N", "Only entries after the one of this number"},
                       {"limit", 0, "N", "At most N entries"}};
  export_verb.flags.push_back(kNoHeaders);
  export_verb.flags.insert(export_verb.flags.end(), asking().begin(), asking().end());
  export_verb.run = export_entries;

  Command verify_verb{"audit verify",
                      "Recompute the chain of hashes of the audit log, or of an export of it",
                      {"campaignctl audit verify", "campaignctl audit verify audit.ndjson"}};
  verify_verb.details =
      "Exits with 10 when an entry was changed, removed or put in, and names the first one.";
  verify_verb.method = "cx.v1.AuditLog.Export";
  verify_verb.arguments = {
      {"FILE", "An export; - for stdin. The server's log when left out", {}, Offer::files, true}};
  verify_verb.flags = {
      {"after", 0, "SEQUENCE:HASH", "Begin after this entry: the head of an earlier verification"},
      {"head", 0, "SEQUENCE:HASH", "What the log has to contain; the server is asked when left out"}};
  verify_verb.flags.push_back(kNoHeaders);
  verify_verb.flags.insert(verify_verb.flags.end(), asking().begin(), asking().end());
  verify_verb.run = verify;
  return {std::move(export_verb), std::move(verify_verb)};
}

}  // namespace cx::ctl
