#include <algorithm>
#include <filesystem>
#include <fmt/core.h>

#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/credentials.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

Outcome<Report> view(const Call& call) {
  auto settings = call.settings().all();
  if (!settings) return settings.error();
  const auto credential = describe_credential(call.settings());
  if (!credential) return credential.error();
  settings->insert(settings->begin() + 2, {"credential", *credential});
  const bool origin = call.has("origin");
  Report report;
  report.columns = {{"setting"}, {"value"}, {"origin", !origin}};
  json::object document;
  for (const auto& [name, setting] : *settings) {
    report.rows.push_back({name, {{"setting", name}, {"value", setting.value}, {"origin", setting.origin}}});
    if (origin)
      document[name] = json::object{{"value", setting.value}, {"origin", setting.origin}};
    else
      document[name] = setting.value;
  }
  report.document = to_json(document, true);
  return report;
}

Row row_of(const Contexts& contexts, const std::string& name) {
  const auto& context = contexts.all.at(name);
  return {name,
          {{"name", name},
           {"current", contexts.current == name},
           {"server", context.server},
           {"read_only", context.read_only},
           {"key_file", context.key_file},
           {"token_file", context.token_file},
           {"ca_file", context.ca_file}}};
}

Report report_on(const Contexts& contexts, const std::vector<std::string>& names) {
  Report report;
  report.columns = {{"name"},           {"current"},          {"server"},       {"read_only"},
                    {"key_file", true}, {"token_file", true}, {"ca_file", true}};
  for (const auto& name : names) report.rows.push_back(row_of(contexts, name));
  return report;
}

Report report_on_one(const Contexts& contexts, const std::string& name) {
  Report report = report_on(contexts, {name});
  report.document = to_json(report.rows.front().values, true);
  return report;
}

Outcome<Report> get_contexts(const Call& call) {
  const auto contexts = call.settings().contexts();
  if (!contexts) return contexts.error();
  std::vector<std::string> names;
  for (const auto& [name, context] : contexts->all) names.push_back(name);
  Report report = report_on(*contexts, names);
  json::array document;
  for (const auto& row : report.rows) document.push_back(row.values);
  report.document = to_json(document, true);
  if (names.empty())
    report.notes = {"no contexts; make one with: campaignctl config set-context NAME --server URL"};
  return report;
}

/// Loads the contexts, lets `change` alter them and saves them.
template <class Change>
Outcome<Contexts> edit(const Call& call, Change change) {
  const auto path = call.settings().contexts_path();
  if (!path) return path.error();
  auto contexts = Contexts::load(*path);
  if (!contexts) return contexts;
  if (const Outcome<void> changed = change(*contexts); !changed) return changed.error();
  if (const auto saved = contexts->save(*path); !saved) return saved.error();
  return contexts;
}

Outcome<Report> set_context(const Call& call) {
  const std::string name = call.value("NAME");
  const auto plain_char = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (!std::all_of(name.begin(), name.end(), plain_char))
    return usage(fmt::format("{} is no name for a context; use letters, digits, - _ and .", name));
  const Setting server{call.value("server"), "flag --server"};
  if (server.value.empty()) return usage("config set-context needs --server URL");
  if (const auto url = check_url(server); !url) return url.error();
  std::vector<std::string> files;
  for (const char* flag : {"key-file", "token-file", "ca-file"}) {
    const auto value = call.value(flag);
    files.push_back(value.empty() ? "" : std::filesystem::absolute(value).lexically_normal().string());
  }
  const auto contexts = edit(call, [&](Contexts& file) -> Outcome<void> {
    file.all[name] = {server.value, call.has("read-only"), files[0], files[1], files[2]};
    return {};
  });
  if (!contexts) return contexts.error();
  Report report = report_on_one(*contexts, name);
  if (contexts->current != name) report.notes = {"next: campaignctl config use-context " + name};
  return report;
}

Outcome<Report> use_context(const Call& call) {
  const std::string name = call.value("NAME");
  const auto contexts = edit(call, [&](Contexts& file) -> Outcome<void> {
    if (const auto found = file.find(name); !found) return found.error();
    file.current = name;
    return {};
  });
  if (!contexts) return contexts.error();
  return report_on_one(*contexts, name);
}

}  // namespace

std::vector<Command> config_commands() {
  Command noun{"config", "Settings of this tool, and the contexts that name servers", {}};

  Command view_verb{"config view",
                    "Show the settings in force",
                    {"campaignctl config view", "campaignctl config view --origin -o json"}};
  view_verb.flags = {{"origin", 0, "", "Show what set each of them"}, kNoHeaders};
  for (const auto& flag : asking())
    if (flag.name != "verbose") view_verb.flags.push_back(flag);
  view_verb.run = view;

  Command set_verb{
      "config set-context",
      "Make or replace a context",
      {"campaignctl config set-context local --server http://127.0.0.1:8080",
       "campaignctl config set-context prod --server https://cx.example --key-file ~/.cx-key --read-only"}};
  set_verb.arguments = {{"NAME", "What to call it", {}, Offer::contexts}};
  set_verb.flags = {{"server", 0, "URL", "The node to ask, http://host:port or https://"},
                    {"read-only", 0, "", "Refuse commands that change something"},
                    {"key-file", 0, "FILE", "File with the API key to send there", {}, Offer::files},
                    {"token-file", 0, "FILE", "File with an access token to send there", {}, Offer::files},
                    {"ca-file", 0, "FILE", "PEM of whom its certificate may be signed by", {}, Offer::files},
                    kNoHeaders};
  set_verb.effect = Effect::configures;
  set_verb.run = set_context;

  Command use_verb{"config use-context",
                   "Choose the context that commands use from now on",
                   {"campaignctl config use-context prod", "campaignctl config use-context local -q"}};
  use_verb.arguments = {{"NAME", "The context", {}, Offer::contexts}};
  use_verb.flags = {kNoHeaders};
  use_verb.effect = Effect::configures;
  use_verb.run = use_context;

  Command get_verb{"config get-contexts",
                   "List the contexts",
                   {"campaignctl config get-contexts", "campaignctl config get-contexts -o name"}};
  get_verb.flags = {kNoHeaders};
  get_verb.run = get_contexts;

  return {std::move(noun), std::move(view_verb), std::move(set_verb), std::move(use_verb),
          std::move(get_verb)};
}

}  // namespace cx::ctl
