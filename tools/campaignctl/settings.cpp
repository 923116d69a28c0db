#include "tools/campaignctl/settings.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace {

const std::map<std::string, std::string> kDefaults{{"ca-file", ""},     {"color", "auto"},
                                                   {"context", ""},     {"key-file", ""},
                                                   {"output", "table"}, {"server", "http://127.0.0.1:8080"},
                                                   {"timeout", "5s"},   {"token-file", ""}};

/// The members of a context that name files.
constexpr std::pair<const char*, std::string Context::*> kFiles[] = {
    {"key_file", &Context::key_file}, {"token_file", &Context::token_file}, {"ca_file", &Context::ca_file}};

std::string variable_of(const std::string& name) {
  std::string out = "CAMPAIGN_" + upper(name);
  for (char& c : out)
    if (c == '-') c = '_';
  return out;
}

Failure refuse(const std::string& path, const YAML::Mark& mark, const std::string& what) {
  return usage(fmt::format("{}:{}: {}; correct the file by hand", path, mark.line + 1, what));
}

Outcome<Context> read_context(const std::string& path, const YAML::Node& node) {
  if (!node.IsMap()) return refuse(path, node.Mark(), "a context must be a map with the key server");
  Context context;
  for (const auto& item : node) {
    const auto key = item.first.as<std::string>();
    if (key == "server")
      context.server = item.second.as<std::string>();
    else if (key == "read_only")
      context.read_only = item.second.as<bool>();
    else if (const auto* file = std::find_if(std::begin(kFiles), std::end(kFiles),
                                             [&](const auto& known) { return key == known.first; });
             file != std::end(kFiles))
      context.*file->second = item.second.as<std::string>();
    else
      return refuse(
          path, item.first.Mark(),
          fmt::format("unknown key {}; a context has server, read_only, key_file, token_file and ca_file",
                      key));
  }
  if (context.server.empty()) return refuse(path, node.Mark(), "this context has no server");
  return context;
}

Outcome<Contexts> parse(const std::string& path, const std::string& text) {
  Contexts contexts;
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return contexts;
    if (!root.IsMap()) return refuse(path, root.Mark(), "expected the keys current and contexts");
    for (const auto& item : root) {
      const auto key = item.first.as<std::string>();
      if (key == "current") {
        contexts.current = item.second.as<std::string>();
      } else if (key == "contexts") {
        for (const auto& entry : item.second) {
          auto context = read_context(path, entry.second);
          if (!context) return context.error();
          contexts.all[entry.first.as<std::string>()] = *context;
        }
      } else {
        return refuse(path, item.first.Mark(),
                      fmt::format("unknown key {}; there are current and contexts", key));
      }
    }
  } catch (const YAML::Exception& e) {
    return refuse(path, e.mark, e.msg);
  }
  return contexts;
}

}  // namespace

Outcome<Contexts> Contexts::load(const std::string& path) {
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return Contexts{};
    return usage(fmt::format("cannot open {}: {}", path, error_text(errno)));
  }
  struct stat status {};
  fstat(file.fd(), &status);
  if (status.st_uid != geteuid() || (status.st_mode & 077) != 0)
    return usage(fmt::format("{} has mode {:04o} and may be read or changed by others; run: chmod 600 '{}'",
                             path, status.st_mode & 07777, path));
  auto text = read_all(file.fd(), path, 1 << 20);
  if (!text) return text.error();
  return parse(path, *text);
}

Outcome<void> Contexts::save(const std::string& path) const {
  YAML::Emitter yaml;
  yaml << YAML::BeginMap;
  if (!current.empty()) yaml << YAML::Key << "current" << YAML::Value << current;
  yaml << YAML::Key << "contexts" << YAML::Value << YAML::BeginMap;
  for (const auto& [name, context] : all) {
    yaml << YAML::Key << name << YAML::Value << YAML::BeginMap;
    yaml << YAML::Key << "server" << YAML::Value << context.server;
    if (context.read_only) yaml << YAML::Key << "read_only" << YAML::Value << true;
    for (const auto& [key, file] : kFiles)
      if (!(context.*file).empty()) yaml << YAML::Key << key << YAML::Value << context.*file;
    yaml << YAML::EndMap;
  }
  yaml << YAML::EndMap << YAML::EndMap;
  return write_private(path, std::string(yaml.c_str()) + "\n");
}

Outcome<Context> Contexts::find(const std::string& name) const {
  const auto found = all.find(name);
  if (found != all.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, context] : all) names.push_back(known);
  return Failure{Exit::not_found, "no-such-context",
                 fmt::format("there is no context {}{}; {}", name, did_you_mean(name, names),
                             names.empty() ? "make one with: campaignctl config set-context NAME --server URL"
                                           : "there are: " + join(names, ", ")),
                 ""};
}

std::string process_environment(const std::string& name) {
  const char* value =
      std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nothing sets variables here
  return value == nullptr ? "" : value;
}

Settings::Settings(std::map<std::string, std::string> flags, Environment environment)
    : flags_(std::move(flags)), environment_(std::move(environment)) {}

Setting Settings::get(const std::string& name) const {
  if (const auto flag = flags_.find(name); flag != flags_.end()) return {flag->second, "flag --" + name};
  if (auto value = environment_(variable_of(name)); !value.empty())
    return {std::move(value), variable_of(name)};
  return {kDefaults.at(name), "default"};
}

Outcome<std::chrono::milliseconds> Settings::timeout() const {
  const auto [value, origin] = get("timeout");
  if (const auto timeout = parse_duration(value)) return *timeout;
  return usage(
      fmt::format("the timeout {} ({}) is not a time; write 500ms, 5s or 2m, at most 24h", value, origin));
}

Outcome<std::string> Settings::contexts_path() const {
  std::string base = environment_("XDG_CONFIG_HOME");
  if (!base.starts_with('/')) {  // the XDG specification: relative paths are to be ignored
    const auto home = environment_("HOME");
    if (home.empty()) return usage("no folder for the configuration: set HOME or XDG_CONFIG_HOME");
    base = home + "/.config";
  }
  return base + "/campaign/config.yaml";
}

Outcome<Contexts> Settings::contexts() const {
  const auto path = contexts_path();
  if (!path) return Contexts{};
  return Contexts::load(*path);
}

Outcome<Setting> Settings::context() const {
  auto named = get("context");
  if (named.origin != "default") return named;
  const auto file = contexts();
  if (!file) return file.error();
  if (!file->current.empty()) return Setting{file->current, "config use-context"};
  return named;
}

Outcome<Setting> Settings::server() const {
  auto own = get("server");
  const auto chosen = context();
  if (!chosen) return chosen.error();
  if (own.origin.starts_with("flag") || chosen->value.empty()) return own;
  if (own.origin != "default" && !chosen->origin.starts_with("flag")) return own;
  const auto file = contexts();
  if (!file) return file.error();
  const auto found = file->find(chosen->value);
  if (!found) return found.error();
  return Setting{found->server, "context " + chosen->value};
}

Outcome<Context> Settings::server_context() const {
  const auto from = server();
  if (!from) return from.error();
  if (!from->origin.starts_with("context ")) return Context{};
  return contexts()->find(context()->value);
}

Outcome<bool> Settings::read_only() const {
  const auto context = server_context();
  if (!context) return context.error();
  return context->read_only;
}

Outcome<Setting> Settings::ca_file() const {
  auto own = get("ca-file");
  const auto from = server_context();
  if (!from) return from.error();
  if (own.origin != "default" || from->ca_file.empty()) return own;
  return Setting{from->ca_file, server()->origin};
}

Outcome<std::vector<std::pair<std::string, Setting>>> Settings::all() const {
  const auto chosen = context();
  if (!chosen) return chosen.error();
  const auto address = server();
  if (!address) return address.error();
  const auto authorities = ca_file();
  if (!authorities) return authorities.error();
  return std::vector<std::pair<std::string, Setting>>{{"context", *chosen},      {"server", *address},
                                                      {"ca-file", *authorities}, {"timeout", get("timeout")},
                                                      {"output", get("output")}, {"color", get("color")}};
}

}  // namespace cx::ctl
