#include "tools/campaignctl/credentials.hpp"

#include <boost/json.hpp>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <google/protobuf/util/time_util.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "tools/campaignctl/client.hpp"
#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/report.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

/// Where a credential is to be had, without looking into it.
struct Source {
  enum class Kind { none, file, value, login } kind = Kind::none;
  std::string where;  ///< of a file
  std::string origin;
};

/// The node's first key on this machine; empty where there is none.
std::string first_key() {
  std::vector<std::filesystem::path> folders{"."};
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (const auto build = self.rfind("/build/"); !error && build != std::string::npos)
    folders.emplace_back(self.substr(0, build));
  for (const auto& folder : folders) {
    const auto file = (folder / "data/admin.key").lexically_normal().string();
    struct stat status {};
    // Somebody else's file says nothing about our node.
    if (stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid())
      return file;
  }
  return "";
}

Outcome<std::string> logins_path(const Settings& settings) {
  auto path = settings.contexts_path();
  if (!path) return path;
  return std::filesystem::path(*path).replace_filename("logins.json").string();
}

Outcome<json::object> read_logins(const Settings& settings) {
  const auto path = logins_path(settings);
  if (!path || access(path->c_str(), F_OK) != 0) return json::object();
  const auto text = read_secret_file(*path);
  if (!text) return text.error();
  boost::system::error_code error;
  auto parsed = json::parse(*text, error);
  if (!error && parsed.is_object()) return std::move(parsed.get_object());
  return usage(fmt::format("{} is not understood; remove it, and log in anew", *path));
}

std::string text_at(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  return value == nullptr ? "" : plain(*value);
}

Login login_of(const json::object& entry) {
  return {text_at(entry, "access_token"), text_at(entry, "refresh_token"), text_at(entry, "expires_at"),
          text_at(entry, "tenant"), text_at(entry, "actor")};
}

Outcome<Source> source_of(const Settings& settings) {
  for (const char* name : {"key-file", "token-file"})
    if (const auto flag = settings.get(name); flag.origin.starts_with("flag"))
      return Source{Source::Kind::file, flag.value, flag.origin};
  for (const char* name : {"key-file", "token-file"})
    if (const auto variable = settings.get(name); !variable.value.empty())
      return Source{Source::Kind::file, variable.value, variable.origin};
  if (!settings.variable("CAMPAIGN_KEY").empty()) return Source{Source::Kind::value, "", "CAMPAIGN_KEY"};
  const auto login = stored_login(settings);
  if (!login) return login.error();
  if (!login->refresh_token.empty())
    return Source{Source::Kind::login, fmt::format("{} of {}", login->actor, login->tenant), "login"};
  const auto context = settings.server_context();
  if (!context) return context.error();
  const auto server = settings.server();
  for (const auto* file : {&context->key_file, &context->token_file})
    if (!file->empty()) return Source{Source::Kind::file, *file, server->origin};
  if (is_loopback(server->value))
    if (auto file = first_key(); !file.empty()) return Source{Source::Kind::file, file, "default"};
  return Source{};
}

bool is_over(const std::string& time) {
  google::protobuf::Timestamp end;
  if (!google::protobuf::util::TimeUtil::FromString(time, &end)) return true;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  constexpr int kEarly = 10;  // seconds: it has to last for the request
  return end.seconds() - kEarly <= std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

/// A login whose access token is good. A refresh token is good for one use: only one of several processes
/// uses it, the others wait and find the new one.
Outcome<Login> renewed_login(const Settings& settings) {
  const auto path = logins_path(settings);
  if (!path) return path.error();
  const File lock(open((*path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || flock(lock.fd(), LOCK_EX) != 0)
    return usage(fmt::format("cannot lock {}.lock: {}", *path, error_text(errno)));
  auto login = stored_login(settings);
  if (!login || !is_over(login->expires_at)) return login;
  const auto server = settings.server();
  const auto timeout = settings.timeout();
  if (!timeout) return timeout.error();
  const auto authorities = settings.ca_file();
  if (!authorities) return authorities.error();
  auto request = request_of("cx.v1.Tokens.Refresh");
  request.body = json::serialize(json::object{{"refresh_token", login->refresh_token}});
  const auto response = exchange(*server, request, *timeout, authorities->value);
  if (!response) {
    auto failure = response.error();
    if (failure.exit == Exit::denied || failure.exit == Exit::rejected) {
      failure.exit = Exit::denied;
      failure.detail += fmt::format("; the login at {} is over; run: campaignctl login", server->value);
    }
    return failure;
  }
  auto fresh = read_login(response->body);
  if (!fresh) return fresh;
  if (const auto kept = store_login(settings, *fresh); !kept) return kept.error();
  return fresh;
}

}  // namespace

Outcome<Login> read_login(const std::string& document) {
  boost::system::error_code error;
  const auto parsed = json::parse(document, error);
  auto login = !error && parsed.is_object() ? login_of(parsed.get_object()) : Login{};
  if (!login.access_token.empty() && !login.refresh_token.empty()) return login;
  return Failure{Exit::server_failed, "not-understood",
                 "the answer holds no tokens; is the server a campaignd?", ""};
}

Outcome<Login> stored_login(const Settings& settings) {
  const auto server = settings.server();
  if (!server) return server.error();
  const auto logins = read_logins(settings);
  if (!logins) return logins.error();
  const auto* entry = logins->if_contains(server->value);
  return entry != nullptr && entry->is_object() ? login_of(entry->get_object()) : Login{};
}

Outcome<void> store_login(const Settings& settings, const Login& login) {
  const auto path = logins_path(settings);
  if (!path) return path.error();
  const auto server = settings.server();
  if (!server) return server.error();
  auto logins = read_logins(settings);
  if (!logins) return logins.error();
  logins->erase(server->value);
  if (!login.refresh_token.empty())
    logins->emplace(server->value, json::object{{"access_token", login.access_token},
                                                {"refresh_token", login.refresh_token},
                                                {"expires_at", login.expires_at},
                                                {"tenant", login.tenant},
                                                {"actor", login.actor}});
  return write_private(*path, to_json(*logins, false) + "\n");
}

Outcome<Credential> find_credential(const Settings& settings) {
  const auto source = source_of(settings);
  if (!source) return source.error();
  switch (source->kind) {
    case Source::Kind::none:
      return Credential{};
    case Source::Kind::value: {
      const auto key = settings.variable("CAMPAIGN_KEY");
      for (const char c : key)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f)
          return usage("CAMPAIGN_KEY is not an API key");
      return Credential{key, source->origin};
    }
    case Source::Kind::file: {
      auto secret = read_secret_file(source->where);
      if (!secret) return secret.error();
      return Credential{std::move(*secret), source->origin == "default"
                                                ? source->where
                                                : fmt::format("{} ({})", source->where, source->origin)};
    }
    case Source::Kind::login:
      break;
  }
  auto login = stored_login(settings);
  if (login && is_over(login->expires_at)) login = renewed_login(settings);
  if (!login) return login.error();
  return Credential{std::move(login->access_token), "login of " + login->actor};
}

Outcome<Setting> describe_credential(const Settings& settings) {
  const auto source = source_of(settings);
  if (!source) return source.error();
  if (source->kind == Source::Kind::none) return Setting{"", "default"};
  return Setting{source->kind == Source::Kind::value ? "a key" : source->where, source->origin};
}

}  // namespace cx::ctl
