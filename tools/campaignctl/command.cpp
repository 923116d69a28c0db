#include "tools/campaignctl/command.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fmt/core.h>
#include <google/protobuf/descriptor.h>
#include <random>
#include <utility>

#include "cx/v1/options.pb.h"
#include "runtime/uuid.hpp"
#include "tools/campaignctl/cli.hpp"
#include "tools/campaignctl/credentials.hpp"
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
      {"server", 0, "URL", "The node to ask, http://host:port or https://host"},
      {"context", 0, "NAME", "The context to take the server from", {}, Offer::contexts},
      {"timeout", 0, "TIME", "Longest wait for an answer, as in 500ms or 5s"},
      {"verbose", 'v', "", "Say on stderr what is asked of whom"},
      {"key-file", 0, "FILE", "File with the API key to send", {}, Offer::files},
      {"token-file", 0, "FILE", "File with the access token to send", {}, Offer::files},
      {"ca-file", 0, "FILE", "PEM of whom a server's certificate may be signed by", {}, Offer::files},
  };
  return kFlags;
}

namespace {

std::vector<Command>& table() {
  static std::vector<Command> all = [] {
    std::vector<Command> made{bid_command(), topology_command(), version_command()};
    for (auto& command : entity_commands()) made.push_back(std::move(command));
    for (auto& command : shard_commands()) made.push_back(std::move(command));
    for (auto& command : storage_commands()) made.push_back(std::move(command));
    for (auto& command : dead_letter_commands()) made.push_back(std::move(command));
    for (auto& command : audit_commands()) made.push_back(std::move(command));
    for (auto& command : event_commands()) made.push_back(std::move(command));
    for (auto& command : journey_commands()) made.push_back(std::move(command));
    for (auto& command : model_commands()) made.push_back(std::move(command));
    made.push_back(model_export_command());
    for (auto& command : contract_commands()) made.push_back(std::move(command));
    for (auto& command : login_commands()) made.push_back(std::move(command));
    for (auto& command : config_commands()) made.push_back(std::move(command));
    made.push_back(explain_command());
    made.push_back(completion_command());
    for (auto& command : made)
      if (command.run) command.flags.insert(command.flags.end(), everywhere().begin(), everywhere().end());
    return made;
  }();
  return all;
}

}  // namespace

const std::vector<Command>& commands() {
  return table();
}

const Command* find_command(const std::string& path) {
  for (auto& command : table()) {
    if (command.path != path) continue;
    if (const auto fill = std::exchange(command.fill, nullptr)) fill(command);
    return &command;
  }
  return nullptr;
}

const Command* described(const std::string& path) {
  if (find_command(path) == nullptr) return nullptr;
  for (auto& command : table()) {
    if (command.path != path) continue;
    if (const auto describe = std::exchange(command.describe, nullptr)) describe(command);
    return &command;
  }
  return nullptr;
}

Request request_of(const std::string& method) {
  const auto* found = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(method);
  const auto& route = found->options().GetExtension(v1::route);
  const bool anonymous = found->options().GetExtension(v1::permission) == "public";
  if (!route.get().empty()) return {route.get(), {}, {}, {}, {}, anonymous};
  const auto& raw = found->options().GetExtension(v1::raw);
  const auto type = raw.content_type().empty() ? "application/json" : raw.content_type();
  return {route.post(), type, {}, {}, {}, anonymous};
}

namespace {

std::string encoded(std::string_view text, std::string_view plain) {
  std::string out;
  for (const char c : text) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    out += word || plain.find(c) != plain.npos ? std::string(1, c)
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

std::string encode_query(std::string_view text) {
  return encoded(text, "-._~/:");  // RFC 3986, section 3.4
}

std::string encode_segment(std::string_view text) {
  return encoded(text, "-._~");
}

Request request_of(const std::string& method, const std::vector<std::pair<std::string, std::string>>& query) {
  Request request = request_of(method);
  char mark = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    request.path += fmt::format("{}{}={}", mark, name, encode_query(value));
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

Outcome<void> Call::check_allowed() const {
  if (command_.effect != Effect::changes && command_.effect != Effect::destroys) return {};
  const auto context = settings_.server_context();
  if (!context) return context.error();
  if (!context->read_only) return {};
  return Failure{
      Exit::denied, "read-only-context",
      fmt::format("{} is read-only and {} changes something; choose another with --context or --server",
                  settings_.server()->origin, command_.path),
      ""};
}

namespace {

std::string new_request_id() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::random_device random;
  const auto number = [&] { return static_cast<std::uint64_t>(random()) << 32 | random(); };
  return uuid7(std::chrono::duration_cast<std::chrono::milliseconds>(now).count(), number(), number());
}

/// What to do about a refusal.
std::string advice(const Failure& failure, const Credential& credential, const Command& command) {
  if (failure.exit != Exit::denied) return "";
  const auto& type = failure.status;
  if (type == 401 && credential.secret.empty())
    return "; nothing was sent that says who you are: give an API key with --key-file, or run: campaignctl "
           "login";
  if (type == 401)
    return fmt::format(
        "; it was sent the credential of {}; give another with --key-file, or run: campaignctl login",
        credential.origin);
  std::string needed;
  if (!command.method.empty())
    if (const auto* method =
            google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(command.method))
      needed = method->options().GetExtension(v1::permission);
  return fmt::format("; this needs {}, and what the credential of {} may do is shown by: campaignctl whoami",
                     needed.empty() ? "a permission" : "the permission " + needed,
                     credential.secret.empty() ? "nobody" : credential.origin);
}

}  // namespace

Outcome<Response> Call::ask(const Request& asked) const {
  const auto server = settings_.server();
  if (!server) return server.error();
  const auto timeout = settings_.timeout();
  if (!timeout) return timeout.error();
  const auto authorities = settings_.ca_file();
  if (!authorities) return authorities.error();
  if (const auto allowed = check_allowed(); !allowed) return allowed.error();
  Credential credential;
  if (!asked.anonymous) {
    auto found = find_credential(settings_);
    if (!found) return found.error();
    credential = std::move(*found);
  }
  Request request = asked;
  if (!credential.secret.empty()) {
    request.fields.emplace_back("Authorization", "Bearer " + credential.secret);
    if (server->value.starts_with("http://") && !is_loopback(server->value) && !has("quiet"))
      say(fmt::format("the credential of {} travels to {} without encryption; https hides it",
                      printable(credential.origin), printable(server->value)));
  }
  const auto id = new_request_id();
  request.fields.emplace_back("X-Request-Id", id);
  if (has("verbose"))
    say(fmt::format("> {} {}{} ({}) as {}, request {}", request.method(), printable(server->value),
                    request.path, server->origin,
                    credential.secret.empty() ? "nobody" : printable(credential.origin), id));
  auto response = exchange(*server, request, *timeout, authorities->value);
  if (has("verbose") && response)
    say(fmt::format("< {}, {} bytes, {}", response->status, response->body.size(), human_ms(response->ms)));
  if (response || response.error().status == 0) return response;
  Failure failure = response.error();
  failure.detail += advice(failure, credential, command_) + fmt::format(" (request {})", id);
  return failure;
}

std::string command_line(const Call& call, const std::map<std::string, std::string>& flags) {
  const auto quoted = [](const std::string& text) {
    constexpr std::string_view kPlain = "-._~/:@%+,=";
    const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             kPlain.find(c) != kPlain.npos;
    });
    if (plain) return text;
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
  };
  const Command& command = call.command();
  std::string line = "campaignctl " + command.path;
  for (const auto& argument : command.arguments)
    if (call.has(argument.name)) line.append(" ").append(quoted(call.value(argument.name)));
  for (const auto& [name, values] : call.given()) {
    const auto* flag = find_flag(command.flags, name);
    if (flag == nullptr || flags.contains(name)) continue;
    for (const auto& value : values) {
      if (!flag->is_switch())
        line += fmt::format(" --{}={}", name, quoted(value));
      else
        line += value == "true" ? fmt::format(" --{}", name) : fmt::format(" --{}={}", name, quoted(value));
      if (flag->is_switch()) break;
    }
  }
  for (const auto& [name, value] : flags)
    if (!value.empty()) line += fmt::format(" --{} {}", name, quoted(value));
  return line;
}

}  // namespace cx::ctl
