#include "tools/campaignctl/watch.hpp"

#include <chrono>
#include <fmt/core.h>
#include <optional>
#include <thread>
#include <tuple>
#include <unistd.h>

#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace {

using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

std::string change(const char* type, const std::string& name, const boost::json::object& values) {
  return to_json(boost::json::object{{"type", type}, {"name", name}, {"object", values}}, false) + "\n";
}

/// Redraws from the top left corner without clearing first, which would flicker.
void repaint(const std::string& text, bool first, std::size_t lines) {
  std::string out = first ? "\x1b[2J\x1b[H" : "\x1b[H";
  std::size_t begin = 0;
  for (std::size_t line = 1; line < lines && begin < text.size(); ++line) {
    const auto end = text.find('\n', begin);
    out += text.substr(begin, end - begin) + "\x1b[K\n";
    begin = end == text.npos ? text.size() : end + 1;
  }
  put(out + "\x1b[J");
}

}  // namespace

std::string changes(std::map<std::string, boost::json::object>& known, const std::vector<Row>& rows) {
  std::string out;
  std::map<std::string, boost::json::object> now;
  for (const auto& row : rows) {
    const auto before = known.find(row.name);
    if (before == known.end())
      out += change("ADDED", row.name, row.values);
    else if (before->second != row.values)
      out += change("CHANGED", row.name, row.values);
    now.insert_or_assign(row.name, row.values);
  }
  for (const auto& [name, values] : known)
    if (!now.contains(name)) out += change("DELETED", name, values);
  known = std::move(now);
  return out;
}

Failure watch(const Call& call, const View& view) {
  const std::string text = call.value("watch");
  const auto interval = parse_duration(text.empty() ? "2s" : text);
  if (!interval || *interval < 100ms)
    return usage(fmt::format("--watch={} is not a time of 100ms or more", text));
  if (!for_people(view.format) && view.format != Format::jsonl)
    return usage("--watch never ends, so it has no one document: use it with -o table, wide or jsonl");

  std::map<std::string, boost::json::object> known;
  std::optional<Report> last;
  auto answered = Steady::now();
  auto said = answered - 10s;
  for (bool first = true;; first = false) {
    const auto begun = Steady::now();
    auto report = call.command().run(call);
    std::string stale;
    if (report) {
      last = std::move(*report);
      answered = Steady::now();
    } else {
      const auto exit = report.error().exit;
      if (!last && exit != Exit::unreachable && exit != Exit::server_failed) return report.error();
      const auto age = std::chrono::duration_cast<std::chrono::seconds>(Steady::now() - answered).count();
      stale = fmt::format("stale {} s: {}", age, problem_text(report.error()));
    }
    if (view.columns > 0 && for_people(view.format)) {
      View now = view;
      std::size_t lines = 0;
      std::tie(now.columns, lines) = terminal_size(STDOUT_FILENO);
      std::string picture = last ? render(*last, now) : "";
      if (!stale.empty()) picture.insert(0, cut(paint(stale, Color::yellow, view.color), now.columns) + "\n");
      repaint(picture, first, lines);
    } else if (!stale.empty()) {
      if (Steady::now() - said >= 10s && !call.has("quiet")) {
        say(stale);
        said = Steady::now();
      }
    } else {
      put(view.format == Format::jsonl ? changes(known, last->rows) : render(*last, view));
    }
    std::this_thread::sleep_until(begun + *interval);
  }
}

}  // namespace cx::ctl
