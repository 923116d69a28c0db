#include "tools/campaignctl/command.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>
#include <google/protobuf/descriptor.h>

#include "cx/v1/options.pb.h"
#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {

const Flag kNoHeaders{"no-headers", 0, "", "Leave out the line of heads"};
const Flag kWatch{"watch", 'w', "[=2s]", "Ask again and again, until interrupted"};
const Flag kLimit{"limit", 0, "N", "Show at most N lines of each list"};
const Flag kCursor{"cursor", 0, "CURSOR", "Go on where the list before ended, as its note says"};
const Flag kSince{"since", 0, "TIME", "Only from then on: 2026-11-21T10:00:00Z, or 15m for that long ago"};
const Flag kUntil{"until", 0, "TIME", "Only before then"};
const Flag kSortBy{"sort-by", 0, "FIELD", "Order by a field, largest number first"};
const Flag kFilter{"filter", 0, "FIELD=VALUE", "Show only what has this value; repeat to narrow"};

const std::vector<Flag>& everywhere() {
  static const std::vector<Flag> kFlags{
      {"output", 'o', "FORMAT", "Shape of the output", format_names()},
      {"color", 0, "WHEN", "Colours: auto, always, never", {"auto", "always", "never"}},
      {"quiet", 'q', "", "No notes on stderr, only errors"},
      {"no-input", 0, "", "Never wait for somebody at the terminal"},
      {"help", 'h', "", "This help"},
  };
  return kFlags;
}

const std::vector<Flag>& asking() {
  static const std::vector<Flag> kFlags{
      {"server", 0, "URL", "The node to ask, http://host:port"},
      {"context", 0, "NAME", "The context to take the server from", {}, Offer::contexts},
      {"timeout", 0, "TIME", "Longest wait for an answer, as in 500ms or 5s"},
      {"verbose", 'v', "", "Say on stderr what is asked of whom"},
  };
  return kFlags;
}

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands = [] {
    std::vector<Command> all{bid_command(), topology_command(), version_command()};
    for (auto& command : entity_commands()) all.push_back(std::move(command));
    all.push_back(shards_command());
    for (auto& command : dead_letter_commands()) all.push_back(std::move(command));
    for (auto& command : config_commands()) all.push_back(std::move(command));
    all.push_back(completion_command());
    for (auto& command : all)
      if (command.run) command.flags.insert(command.flags.end(), everywhere().begin(), everywhere().end());
    return all;
  }();
  return kCommands;
}

Request request_of(const std::string& method) {
  const auto* found = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(method);
  const auto& route = found->options().GetExtension(v1::route);
  if (!route.get().empty()) return {route.get()};
  const auto& raw = found->options().GetExtension(v1::raw);
  return {route.post(), raw.content_type().empty() ? "application/json" : raw.content_type()};
}

namespace {

/// As the query of a URL takes it (RFC 3986, section 3.4).
std::string encoded(const std::string& text) {
  constexpr std::string_view kPlain = "-._~/:";
  std::string out;
  for (const char c : text) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    out += word || kPlain.find(c) != kPlain.npos ? std::string(1, c)
                                                 : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::map<std::string, std::string> last_values(const std::map<std::string, std::vector<std::string>>& given) {
  std::map<std::string, std::string> flags;
  for (const auto& [name, values] : given) flags[name] = values.back();
  return flags;
}

}  // namespace

Request request_of(const std::string& method, const std::vector<std::pair<std::string, std::string>>& query) {
  Request request = request_of(method);
  char mark = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    request.path += fmt::format("{}{}={}", mark, name, encoded(value));
    mark = '&';
  }
  return request;
}

Call::Call(const Command& command, std::map<std::string, std::vector<std::string>> given,
           Environment environment)
    : command_(command), given_(std::move(given)), settings_(last_values(given_), std::move(environment)) {}

std::string Call::value(const std::string& name) const {
  const auto found = given_.find(name);
  return found == given_.end() ? "" : found->second.back();
}

std::vector<std::string> Call::values(const std::string& name) const {
  const auto found = given_.find(name);
  return found == given_.end() ? std::vector<std::string>{} : found->second;
}

Outcome<std::size_t> Call::limit() const {
  const auto text = value("limit");
  if (text.empty()) return std::size_t{0};
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size() || limit == 0)
    return usage(fmt::format("--limit {} is not a number of lines, 1 or more", text));
  return limit;
}

Outcome<Response> Call::ask(const Request& request) const {
  const auto server = settings_.server();
  if (!server) return server.error();
  const auto timeout = settings_.timeout();
  if (!timeout) return timeout.error();
  if (command_.effect == Effect::changes || command_.effect == Effect::destroys) {
    const auto read_only = settings_.read_only();
    if (!read_only) return read_only.error();
    if (*read_only)
      return Failure{
          Exit::denied, "read-only-context",
          fmt::format("{} is read-only and {} changes something; choose another with --context or --server",
                      server->origin, command_.path),
          ""};
  }
  if (has("verbose"))
    say(fmt::format("> {} {}{} ({})", request.content_type.empty() ? "GET" : "POST", printable(server->value),
                    request.path, server->origin));
  auto response = exchange(*server, request, *timeout);
  if (has("verbose") && response)
    say(fmt::format("< {}, {} bytes, {}", response->status, response->body.size(), human_ms(response->ms)));
  return response;
}

}  // namespace cx::ctl
