#include "actors/journey/simulate.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/core.h>
#include <fstream>
#include <iostream>

#include "actors/condition/time.hpp"
#include "actors/intake/segment.hpp"
#include "actors/journey/address.hpp"
#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/commands/event_lines.hpp"
#include "tools/campaignctl/commands/journey_file.hpp"
#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"
#include "tools/campaignctl/when.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

using condition::time_text;
using journey::SimulationOptions;

constexpr std::size_t kShown = 100;       // messages that a table has unless asked for more
constexpr std::size_t kKept = 1'000'000;  // that a document has
constexpr std::size_t kToldLines = 20;    // that could not be read

/// Something of the past.
struct Past {
  std::int64_t at = 0;
  std::string customer;
  std::shared_ptr<v1::TakeEvent> event;  ///< or else
  v1::Consent consent;
};

class History {
 public:
  Outcome<void> read(std::istream& in) {
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number)
      if (auto past = read_line(line, number))
        all_.push_back(std::move(*past));
      else if (!past.error().detail.empty() && ++bad_ <= kToldLines)
        notes_.push_back(fmt::format("line {}: {}", number, past.error().detail));
    if (in.bad()) return usage("the history cannot be read to its end");
    std::stable_sort(all_.begin(), all_.end(), [](const Past& a, const Past& b) { return a.at < b.at; });
    return {};
  }

  std::vector<Past>& all() { return all_; }
  std::size_t bad() const { return bad_; }
  std::vector<std::string>& notes() { return notes_; }

 private:
  static Failure bad_line(std::string detail) {
    return {Exit::rejected, "invalid-line", std::move(detail), ""};
  }

  Outcome<Past> read_line(const std::string& line, std::size_t number) {
    if (line.find("\"consent\"") != line.npos) {
      boost::system::error_code error;
      const auto value = json::parse(line, error);
      if (!error && plain(at(value, "type")) == "consent") return read_consent(value);
    }
    auto event = read_event_line(line, number);
    if (!event) return event.error();
    if (event->empty()) return bad_line("");  // a blank line
    body_ = "{\"batch\":[" + *event + "]}";
    auto batch = parser_.batch(body_);
    if (!batch) return bad_line(batch.error().detail);
    auto read = parser_.item(*batch, 0, {"history", now_ * 1000, random_});
    if (!read) return bad_line(read.error().detail);
    if (read->take->at() == now_) return bad_line("an event of a history needs a timestamp that is past");
    read->take->set_received_at(read->take->at() * 1000);
    const auto when = read->take->at();
    return Past{when, std::move(read->customer), std::move(read->take), {}};
  }

  /// {"type": "consent", "userId", "purpose", "channel": "email", "granted", "timestamp"}.
  static Outcome<Past> read_consent(const json::value& value) {
    Past out;
    const auto user = plain(at(value, "userId"));
    const auto when = condition::parse_time(plain(at(value, "timestamp")));
    v1::Channel channel{};
    if (user.empty() || !when || !at(value, "granted").is_bool() || plain(at(value, "purpose")).empty() ||
        !v1::Channel_Parse("CHANNEL_" + upper(plain(at(value, "channel"))), &channel))
      return bad_line("a consent needs userId, purpose, channel, granted and timestamp");
    out.at = when->unix_ms();
    out.customer = journey::customer_key(user);
    out.consent.set_purpose(plain(at(value, "purpose")));
    out.consent.set_channel(channel);
    out.consent.set_granted(at(value, "granted").as_bool());
    out.consent.set_at(out.at);
    return out;
  }

  std::vector<Past> all_;
  std::size_t bad_ = 0;
  std::vector<std::string> notes_;
  intake::Parser parser_;
  std::string body_;
  Random random_{0};
  const std::int64_t now_ = std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count();
};

Outcome<History> read_history(const Call& call) {
  const auto name = call.value("history");
  if (name.empty()) return usage("which events? name a file of them with --history");
  History history;
  if (name == "-") {
    if (const auto read = history.read(std::cin); !read) return read.error();
    return history;
  }
  std::ifstream file(name, std::ios::binary);
  if (!file) return usage(fmt::format("cannot open {}: {}", name, error_text(errno)));
  if (const auto read = history.read(file); !read) return read.error();
  return history;
}

Outcome<SimulationOptions> options_of(const Call& call) {
  SimulationOptions out;
  const auto consent = call.value("consent");
  out.consent = consent == "none"       ? SimulationOptions::Consent::none
                : consent == "recorded" ? SimulationOptions::Consent::recorded
                                        : SimulationOptions::Consent::all;
  if (call.has("policy")) {
    v1::DeliveryPolicy policy;
    if (const auto read = read_message(call.value("policy"), policy); !read) return read.error();
    auto compiled = delivery::compile_policy(policy);
    if (!compiled)
      return Failure{
          Exit::rejected, compiled.error().type,
          fmt::format("{}{}: {}", call.value("policy"), compiled.error().pointer, compiled.error().detail),
          ""};
    out.policy = std::move(*compiled);
  }
  const auto until = time_of("--until", call.value("until"), Sense::from_now);
  if (!until) return until.error();
  if (!until->empty())
    if (const auto time = condition::parse_time(*until)) out.until = time->unix_ms();
  return out;
}

json::object row_of(const journey::SimulatedMessage& message) {
  const auto& send = message.step->send();
  auto channel = v1::Channel_Name(send.channel());
  if (channel.starts_with("CHANNEL_")) channel.erase(0, 8);
  return {{"at", time_text(message.at)}, {"customer", message.customer},
          {"step", message.step->id()},  {"channel", channel},
          {"via", send.via()},           {"template", send.template_()},
          {"outcome", message.outcome},  {"rule", message.rule},
          {"detail", message.detail}};
}

std::string steps_table(const journey::SimulationReport& result) {
  std::vector<std::vector<std::string>> lines = {{"STEP", "ENTERED", "THERE", "SENT", "REFUSED", "DEFERRED"}};
  for (const auto& step : result.steps)
    lines.push_back({step.step, std::to_string(step.entered), std::to_string(step.there),
                     std::to_string(step.sent), std::to_string(step.refused), std::to_string(step.deferred)});
  std::string out;
  for (const auto& line : align(lines, {false, true, true, true, true, true})) out += line + "\n";
  return out;
}

json::object document_of(const journey::SimulationReport& result) {
  json::array steps;
  for (const auto& step : result.steps)
    steps.push_back(json::object{{"step", step.step},
                                 {"entered", step.entered},
                                 {"there", step.there},
                                 {"sent", step.sent},
                                 {"refused", step.refused},
                                 {"deferred", step.deferred}});
  return {{"events", result.events},
          {"duplicates", result.duplicates},
          {"customers", result.customers},
          {"until", time_text(result.until)},
          {"runs",
           {{"started", result.started},
            {"completed", result.completed},
            {"exited", result.exited},
            {"under_way", result.started - result.completed - result.exited}}},
          {"steps", std::move(steps)}};
}

Failure failed(const Error& error, const std::string& where) {
  return {Exit::rejected, error.type, where + error.pointer + ": " + error.detail, ""};
}

Outcome<Report> simulate(const Call& call) {
  const auto file = read_journey(call.value("FILE"));
  if (!file) return file.error();
  if (!file->problems.empty()) return refused(*file);
  auto options = options_of(call);
  if (!options) return options.error();
  const auto limit = call.limit();
  if (!limit) return limit.error();
  const auto format = parse_format(call.settings().get("output").value).value_or(Format::table);
  const auto most = *limit > 0 ? *limit : for_people(format) ? kShown : kKept;
  auto history = read_history(call);
  if (!history) return history.error();

  Report report;
  report.columns = {{"at"},       {"customer"}, {"step"}, {"channel"},     {"via", true},
                    {"template"}, {"outcome"},  {"rule"}, {"detail", true}};
  json::array messages;
  std::size_t count = 0;
  auto made =
      journey::Simulation::make(file->journey, *options, [&](const journey::SimulatedMessage& message) {
        if (++count > most) return;
        auto row = row_of(message);
        report.rows.push_back(
            {fmt::format("{} {} {}", plain(row.at("at")), message.customer, message.step->id()), row});
        messages.push_back(std::move(row));
      });
  if (!made) return failed(made.error(), file->name);
  auto& simulation = **made;
  for (auto& past : history->all()) {
    const auto error = past.event ? simulation.take(past.customer, std::move(*past.event))
                                  : simulation.take(past.customer, past.consent);
    if (error) return failed(*error, time_text(past.at));
    past.event.reset();
  }
  const auto result = simulation.finish();
  if (!result) return failed(result.error(), file->name);

  auto document = document_of(*result);
  document["messages"] = std::move(messages);
  document["unreadable_lines"] = history->bad();
  report.document = to_json(document, true);
  report.summary = fmt::format(
      "{} events of {} customers · {} started, {} completed, {} exited, {} under way at {}\n\n{}",
      result->events, result->customers, result->started, result->completed, result->exited,
      result->started - result->completed - result->exited, time_text(result->until), steps_table(*result));
  report.notes = std::move(history->notes());
  if (history->bad() > report.notes.size())
    report.notes.push_back(
        fmt::format("and {} lines more that are no events", history->bad() - report.notes.size()));
  if (count > most)
    report.notes.push_back(
        fmt::format("{} messages, of which {} are shown; more: --limit {}", count, most, count));
  report.notes.push_back("nothing was sent");
  return report;
}

}  // namespace

Command simulate_command() {
  Command out{
      "journeys simulate",
      "Say who would have got what, had a definition been active: nothing is sent",
      {"campaignctl journeys simulate welcome.yaml --history events.ndjson",
       "campaignctl journeys simulate welcome.yaml --history events.ndjson --policy policy.yaml -o csv"}};
  out.arguments = {{"FILE", "The definition, JSON or YAML", {}, Offer::files}};
  out.flags = {{"history",
                0,
                "FILE",
                "Events in Segment's form, one JSON object a line; - reads stdin",
                {},
                Offer::files,
                true},
               {"policy",
                0,
                "FILE",
                "A delivery policy, JSON or YAML; without: no caps, no quiet hours",
                {},
                Offer::files},
               {"consent",
                0,
                "WHO",
                "Who has consented: all, none, or as the history says",
                {"all", "none", "recorded"}},
               {"until", 0, "TIME",
                "Where it ends: 2026-11-21, or 30d from now; without: 366 days after the last event"},
               kLimit,
               kNoHeaders};
  out.details =
      "Needs no server. With --consent recorded, lines as {\"type\": \"consent\", \"userId\": \"u1\", "
      "\"purpose\": "
      "\"marketing\", \"channel\": \"email\", \"granted\": true, \"timestamp\": \"2026-03-01T00:00:00Z\"} "
      "say who has "
      "consented.";
  out.run = simulate;
  return out;
}

}  // namespace cx::ctl
