#include "tools/campaignctl/contract/live.hpp"

#include <boost/json.hpp>
#include <chrono>
#include <fcntl.h>
#include <fmt/core.h>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/contract/call.hpp"
#include "tools/campaignctl/contract/methods.hpp"
#include "tools/campaignctl/contract/reply.hpp"
#include "tools/campaignctl/credentials.hpp"
#include "tools/campaignctl/io.hpp"

namespace cx::ctl {
namespace json = boost::json;
using namespace std::chrono_literals;

namespace {

constexpr auto kBudget = 200ms;
constexpr std::int64_t kFresh = 5;  // seconds

/// Where names of a server, as seen by a credential, are kept; empty when there is no folder for it.
std::string cache_path(const std::string& noun, const Settings& settings) {
  std::string base = settings.variable("XDG_CACHE_HOME");
  if (!base.starts_with('/')) {
    const auto home = settings.variable("HOME");
    if (home.empty()) return "";
    base = home + "/.cache";
  }
  const auto server = settings.server();
  const auto credential = describe_credential(settings);
  if (!server || !credential) return "";
  const auto of = server->value + " " + credential->value + " " + credential->origin + " " + noun;
  return fmt::format("{}/campaign/{}-{:016x}.json", base, noun, std::hash<std::string>{}(of));
}

std::vector<std::string> strings(const std::string& text) {
  std::vector<std::string> names;
  boost::system::error_code error;
  const auto parsed = json::parse(text, error);
  if (error) return names;
  for (const auto& name : list(parsed)) names.push_back(plain(name));
  return names;
}

}  // namespace

std::vector<std::string> live_names(const std::string& noun, const Settings& settings) {
  const auto* command = find_command(noun + " list");
  if (command == nullptr || command->method.empty()) return {};
  const auto path = cache_path(noun, settings);
  if (path.empty()) return {};
  if (const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC)); file) {
    struct stat status {};
    fstat(file.fd(), &status);
    if (status.st_uid == geteuid() && std::time(nullptr) - status.st_mtime < kFresh)
      if (const auto text = read_all(file.fd(), path, 1 << 20)) return strings(*text);
  }

  const auto& method = method_named(command->method);
  const auto* items = list_field(*method.descriptor->output_type());
  const auto credential = find_credential(settings);
  const auto authorities = settings.ca_file();
  if (items == nullptr || !credential || !authorities) return {};
  auto request = http_request(method, {{"page_size", 1000}});
  if (!request) return {};
  if (!credential->secret.empty())
    request->fields.emplace_back("Authorization", "Bearer " + credential->secret);
  const auto response = exchange(*settings.server(), *request, kBudget, authorities->value);
  if (!response) return {};
  boost::system::error_code error;
  const auto reply = json::parse(response->body, error);
  if (error || !reply.is_object()) return {};
  std::vector<std::string> names;
  for (const auto& row : report_on_list(*items->message_type(), list(at(reply, items->name()))).rows)
    names.push_back(row.name);
  static_cast<void>(write_private(path, to_json(json::array(names.begin(), names.end()), false)));
  return names;
}

}  // namespace cx::ctl
