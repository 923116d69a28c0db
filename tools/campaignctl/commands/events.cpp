#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <fmt/core.h>
#include <fstream>
#include <iostream>
#include <random>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "runtime/uuid.hpp"
#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/commands/event_lines.hpp"
#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"
#include "tools/campaignctl/when.hpp"

namespace cx::ctl {
namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t kBatchLines = 500;
constexpr std::size_t kBatchBytes = 480'000;  // a node takes 512,000
constexpr std::size_t kShown = 20;            // rejected lines that people are told of
constexpr std::size_t kListed = 10'000;       // that a document lists
constexpr int kAttempts = 6;
constexpr milliseconds kFirstPause{250};

std::string new_message_id() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::random_device random;
  const auto number = [&] { return static_cast<std::uint64_t>(random()) << 32 | random(); };
  return uuid7(std::chrono::duration_cast<milliseconds>(now).count(), number(), number());
}

/// "total=12.5" as a member: what reads as JSON is that, everything else is text.
Outcome<void> add_member(json::object& to, const char* flag, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == text.npos)
    return usage(fmt::format("--{} {} is not NAME=VALUE", flag, printable(text)));
  const auto value = std::string_view(text).substr(equals + 1);
  boost::system::error_code error;
  auto parsed = json::parse(value, error);
  to[text.substr(0, equals)] = error ? json::value(json::string(value)) : std::move(parsed);
  return {};
}

/// What every event says: whose it is, its id and time.
Outcome<json::object> event_of(const Call& call, const char* members, const char* flag) {
  json::object event;
  for (const auto& [name, member] : {std::pair("user", "userId"), std::pair("anonymous", "anonymousId")})
    if (call.has(name)) event[member] = call.value(name);
  if (event.empty()) return usage("whose event is it? name the customer with --user, or with --anonymous");
  event["messageId"] = call.has("message-id") ? call.value("message-id") : new_message_id();
  if (call.has("timestamp")) {
    const auto time = time_of("--timestamp", call.value("timestamp"), Sense::ago);
    if (!time) return time.error();
    event["timestamp"] = *time;
  }
  json::object said;
  for (const auto& text : call.values(flag))
    if (const auto added = add_member(said, flag, text); !added) return added.error();
  event[members] = std::move(said);
  return event;
}

Outcome<Report> send_one(const Call& call, const char* method, const json::object& event) {
  auto request = request_of(method);
  request.body = json::serialize(event);
  const auto response = call.ask(request);
  if (!response) return response.error();
  const auto user = plain(at(event, event.contains("userId") ? "userId" : "anonymousId"));
  const auto id = plain(at(event, "messageId"));
  Report report;
  report.document = json::serialize(event);
  report.columns = {{"customer"}, {"event"}, {"message_id"}};
  report.rows = {{id, {{"customer", user}, {"event", at(event, "event")}, {"message_id", id}}}};
  report.notes = {fmt::format("taken in {}; sent again with --message-id {} it is not taken twice",
                              human_ms(response->ms), id)};
  return report;
}

/// How far a file is, for whoever waits: on a terminal a line that changes, else a line every ten seconds.
class Progress {
 public:
  Progress(bool shown, double bytes) : shown_(shown), terminal_(isatty(STDERR_FILENO) != 0), bytes_(bytes) {}
  ~Progress() {
    if (shown_ && terminal_ && told_) std::fputs("\r\x1b[K", stderr);
  }

  void tell(std::size_t lines, std::size_t done) {
    const auto now = steady_clock::now();
    if (!shown_ || now < next_) return;
    next_ = now + (terminal_ ? milliseconds(100) : milliseconds(10'000));
    if (!terminal_ && !told_) return void(told_ = true);  // the first sign of life in ten seconds
    const auto seconds = std::chrono::duration<double>(now - begin_).count();
    auto line = fmt::format("{} lines", lines);
    if (bytes_ > 0 && seconds > 0 && done > 0) {
      const auto part = std::min(static_cast<double>(done) / bytes_, 1.0);
      line += fmt::format(" · {:.0f} % · {} lines/s · {:.0f} s left", part * 100,
                          human_count(static_cast<double>(lines) / seconds), seconds * (1 - part) / part);
    }
    std::fputs((terminal_ ? "\r" + line + "\x1b[K" : line + "\n").c_str(), stderr);
    told_ = true;
  }

 private:
  const bool shown_, terminal_;
  const double bytes_;
  const steady_clock::time_point begin_ = steady_clock::now();
  steady_clock::time_point next_ = begin_;
  bool told_ = false;
};

/// Sends the lines of a file in batches. A line has the same messageId whenever it is sent: nothing is taken
/// twice.
class Sending {
 public:
  explicit Sending(const Call& call) : call_(call) {}

  Outcome<Report> run(std::istream& in, double bytes) {
    Progress progress(!call_.has("quiet"), bytes);
    std::string line;
    while (std::getline(in, line)) {
      ++lines_;
      read_ += line.size() + 1;
      auto event = read_event_line(line, lines_);
      if (!event) {
        reject(lines_, "invalid-line", event.error().detail, "");
      } else if (!event->empty()) {
        if (batch_.size() == kBatchLines || size_ + event->size() > kBatchBytes)
          if (const auto sent = send(); !sent) return sent.error();
        size_ += event->size() + 1;
        batch_.push_back({lines_, std::move(*event)});
      }
      progress.tell(lines_, read_);
    }
    if (in.bad()) return usage("the events cannot be read to their end");
    if (const auto sent = send(); !sent) return sent.error();
    return report();
  }

 private:
  struct Line {
    std::size_t number;
    std::string event;
  };

  void reject(std::size_t line, const std::string& type, const std::string& detail,
              const std::string& pointer) {
    if (++rejected_count_ > kListed) return;
    rejected_.push_back(
        json::object{{"line", line}, {"type", type}, {"detail", detail}, {"pointer", pointer}});
  }

  Outcome<void> send() {
    if (batch_.empty()) return {};
    auto request = request_of("cx.v1.Events.Batch");
    request.body = "{\"batch\":[";
    for (const auto& line : batch_)
      request.body.append(request.body.back() == '[' ? "" : ",").append(line.event);
    request.body += "]}";
    auto pause = kFirstPause;
    for (int attempt = 1;; ++attempt, pause *= 2) {
      auto answer = ask_object(call_, request);
      if (answer) return take(*answer);
      auto failure = answer.error();
      if (failure.exit == Exit::unreachable && attempt < kAttempts) {
        std::this_thread::sleep_for(pause);
        continue;
      }
      failure.detail += fmt::format(
          "; the lines before line {} are taken: send the file again, none is taken twice "
          "within 24 hours",
          batch_.front().number);
      return failure;
    }
  }

  Outcome<void> take(const json::object& answer) {
    accepted_ += static_cast<std::uint64_t>(number(at(answer, "accepted")));
    duplicates_ += static_cast<std::uint64_t>(number(at(answer, "duplicates")));
    for (const auto& one : list(at(answer, "rejected"))) {
      const auto index = static_cast<std::size_t>(number(at(one, "index")));
      const auto line = index < batch_.size() ? batch_[index].number : 0;
      auto pointer = plain(at(one, "pointer"));
      const auto prefix = fmt::format("/batch/{}", index);
      if (pointer.starts_with(prefix)) pointer.erase(0, prefix.size());
      reject(line, plain(at(one, "type")), plain(at(one, "detail")), pointer);
    }
    batch_.clear();
    size_ = 0;
    return {};
  }

  Report report() {
    Report out;
    const json::object counts{{"lines", lines_},
                              {"accepted", accepted_},
                              {"duplicates", duplicates_},
                              {"rejected", rejected_count_}};
    auto document = counts;
    document["rejected_lines"] = rejected_;
    out.document = json::serialize(document);
    out.columns = {{"lines"}, {"accepted"}, {"duplicates"}, {"rejected"}};
    out.rows = {{call_.value("file"), counts}};
    for (const auto& one : rejected_) {
      if (out.notes.size() == kShown) break;
      const auto pointer = plain(at(one, "pointer"));
      out.notes.push_back(fmt::format("line {}: {}{}", plain(at(one, "line")), plain(at(one, "detail")),
                                      pointer.empty() ? "" : fmt::format(" (at {})", pointer)));
    }
    if (rejected_count_ > out.notes.size())
      out.notes.push_back(
          fmt::format("and {} lines more; all of them: -o json", rejected_count_ - out.notes.size()));
    if (rejected_count_ > 0) out.exit = Exit::rejected;
    return out;
  }

  const Call& call_;
  std::vector<Line> batch_;
  std::size_t size_ = 0, lines_ = 0, read_ = 0;
  std::uint64_t accepted_ = 0, duplicates_ = 0, rejected_count_ = 0;
  json::array rejected_;
};

Outcome<Report> send_file(const Call& call) {
  const auto name = call.value("file");
  for (const char* flag : {"user", "anonymous", "property", "message-id", "timestamp"})
    if (call.has(flag))
      return usage(fmt::format("--file and --{} exclude each other: its lines say that", flag));
  if (name == "-") {
    if (call.has("no-input") && isatty(STDIN_FILENO) != 0)
      return usage("the events would be read from the terminal, and --no-input forbids that; name a file");
    return Sending(call).run(std::cin, 0);
  }
  std::ifstream file(name, std::ios::binary);
  struct stat status {};
  if (!file || stat(name.c_str(), &status) != 0)
    return usage(fmt::format("cannot open {}: {}", name, error_text(errno)));
  if (S_ISDIR(status.st_mode)) return usage(fmt::format("{} is a folder; name a file", name));
  return Sending(call).run(file, static_cast<double>(status.st_size));
}

Outcome<Report> send_event(const Call& call) {
  if (call.has("file"))
    return call.has("EVENT") ? usage("--file and an EVENT exclude each other: its lines say that")
                             : send_file(call);
  if (!call.has("EVENT"))
    return usage("what happened? name it, as in \"Order Completed\", or send a file with --file");
  auto event = event_of(call, "properties", "property");
  if (!event) return event.error();
  (*event)["event"] = call.value("EVENT");
  return send_one(call, "cx.v1.Events.Track", *event);
}

Outcome<Report> identify(const Call& call) {
  const auto event = event_of(call, "traits", "trait");
  if (!event) return event.error();
  return send_one(call, "cx.v1.Events.Identify", *event);
}

}  // namespace

std::vector<Command> event_commands() {
  const Flag user{"user", 0, "ID", "The customer's id"};
  const Flag anonymous{"anonymous", 0, "ID", "The id of a customer who is not known yet"};
  const Flag message_id{"message-id", 0, "ID",
                        "Names the event, so that it is not taken twice; made up without"};
  const Flag timestamp{"timestamp", 0, "TIME",
                       "When it happened: 2026-11-21T10:00:00Z, or 15m for that long ago"};
  Command noun{"events", "What customers do, as sources tell it", {}};

  Command send{"events send",
               "Send an event of a customer, or a file of events",
               {"campaignctl events send --user u1 \"Order Completed\" --property total=12.5",
                "campaignctl events send --file events.ndjson"}};
  send.arguments = {{"EVENT", "What happened", {}, Offer::nothing, true}};
  send.flags = asking();
  send.flags.insert(
      send.flags.end(),
      {user,
       anonymous,
       {"property", 0, "NAME=VALUE", "A property, JSON where it reads as such, else text; repeat for more"},
       message_id,
       timestamp,
       {"file",
        0,
        "FILE",
        "Events in Segment's form, one JSON object a line; - reads stdin",
        {},
        Offer::files},
       kNoHeaders});
  send.effect = Effect::changes;
  send.method = "cx.v1.Events.Track";
  send.details =
      "A line of a file is an event as /v1/batch takes it, of any type; one without a messageId gets one "
      "that follows "
      "from the line and its number, so that a file can be sent again: what was taken within 24 hours is not "
      "taken twice.";
  send.run = send_event;

  Command identify_verb{"events identify",
                        "Tell traits of a customer",
                        {"campaignctl events identify --user u1 --trait email=ana@example.com --trait age=40",
                         "campaignctl events identify --user u1 --trait 'address={\"city\":\"Bandung\"}'"}};
  identify_verb.flags = asking();
  identify_verb.flags.insert(
      identify_verb.flags.end(),
      {user,
       anonymous,
       {"trait", 0, "NAME=VALUE", "A trait, JSON where it reads as such, else text; repeat for more"},
       message_id,
       timestamp,
       kNoHeaders});
  identify_verb.effect = Effect::changes;
  identify_verb.method = "cx.v1.Events.Identify";
  identify_verb.run = identify;
  return {std::move(noun), std::move(send), std::move(identify_verb)};
}

}  // namespace cx::ctl
