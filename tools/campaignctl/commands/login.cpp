#include <fmt/core.h>
#include <unistd.h>

#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/confirm.hpp"
#include "tools/campaignctl/credentials.hpp"
#include "tools/campaignctl/io.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

/// The value of a flag, or what somebody types.
Outcome<std::string> ask_for(const Call& call, const char* flag) {
  if (call.has(flag)) return call.value(flag);
  if (call.has("no-input") || isatty(STDIN_FILENO) == 0)
    return usage(fmt::format("login needs --{}, and nobody is there to be asked", flag));
  auto line = ask_line(fmt::format("{}: ", flag));
  if (line.empty()) return usage(fmt::format("login needs a {}", flag));
  return line;
}

Outcome<std::string> password_of(const Call& call) {
  if (call.has("password-file")) return read_secret_file(call.value("password-file"));
  if (call.has("no-input") || isatty(STDIN_FILENO) == 0)
    return usage(
        "login asks for the password, and nobody is there to answer; give --password-file FILE, - for stdin");
  return ask_secret("password: ");
}

Outcome<Report> login(const Call& call) {
  const auto tenant = ask_for(call, "tenant");
  if (!tenant) return tenant.error();
  const auto user = ask_for(call, "user");
  if (!user) return user.error();
  const auto password = password_of(call);
  if (!password) return password.error();
  auto request = request_of("cx.v1.Tokens.Login");
  request.body = to_json(json::object{{"tenant", *tenant}, {"user", *user}, {"password", *password}}, false);
  const auto response = call.ask(request);
  if (!response) {
    auto failure = response.error();
    // The advice to send a credential is of no use where one is asked for.
    if (const auto advice = failure.detail.find("; nothing was sent");
        failure.status == 401 && advice != std::string::npos)
      failure.detail.erase(advice, failure.detail.find(" (request") - advice);
    return failure;
  }
  const auto kept = read_login(response->body);
  if (!kept) return kept.error();
  if (const auto stored = store_login(call.settings(), *kept); !stored) return stored.error();
  const auto answer = json::parse(response->body);
  json::object values;  // never the tokens
  for (const char* key : {"tenant", "actor", "expires_at", "session_expires_at"})
    values[key] = at(answer, key);
  Report report;
  report.columns = {{"tenant"}, {"actor"}, {"expires_at"}, {"session_expires_at"}};
  report.rows = {{kept->actor, values}};
  report.document = to_json(values, true);
  if (const auto used = describe_credential(call.settings()); used && used->origin != "login")
    report.notes = {fmt::format("the credential of {} still goes before this login", used->origin)};
  return report;
}

Outcome<Report> logout(const Call& call) {
  const auto& settings = call.settings();
  const auto kept = stored_login(settings);
  if (!kept) return kept.error();
  if (kept->refresh_token.empty())
    return Failure{Exit::not_found, "no-login",
                   fmt::format("nobody is logged in at {}; campaignctl config view shows what is used there",
                               settings.server()->value),
                   ""};
  if (const auto used = describe_credential(settings); used && used->origin != "login")
    return usage(fmt::format("the credential of {} is in the way of the login; leave it out", used->origin));
  auto request = request_of("cx.v1.Tokens.Logout");
  request.body = call.has("all-sessions") ? R"({"all_sessions":true})" : "{}";
  const auto response = call.ask(request);
  // A session that is over already is what was wanted.
  if (!response && response.error().exit != Exit::denied) return response.error();
  if (const auto forgotten = store_login(settings, {}); !forgotten) return forgotten.error();
  json::object values{{"actor", kept->actor}, {"tenant", kept->tenant}, {"outcome", "logged out"}};
  Report report;
  report.columns = {{"actor"}, {"tenant"}, {"outcome"}};
  report.rows = {{kept->actor, values}};
  report.document = to_json(values, true);
  return report;
}

}  // namespace

std::vector<Command> login_commands() {
  Command in{"login",
             "Sign in by password, and keep the tokens for this server",
             {"campaignctl login --tenant acme --user ana",
              "campaignctl login --tenant acme --user ana --password-file - < password.txt"}};
  in.details =
      "The tokens are in logins.json beside the contexts, for you alone, and renewed when they run out.";
  in.flags = {{"tenant", 0, "NAME", "Whose user it is; asked for when not given"},
              {"user", 0, "NAME", "Who it is; asked for when not given"},
              {"password-file",
               0,
               "FILE",
               "Read the password from it, - for stdin; asked for when not given",
               {},
               Offer::files},
              kNoHeaders};
  in.flags.insert(in.flags.end(), asking().begin(), asking().end());
  in.effect = Effect::configures;
  in.run = login;

  Command out{"logout",
              "End the session that login began, and forget its tokens",
              {"campaignctl logout", "campaignctl logout --all-sessions"}};
  out.flags = {{"all-sessions", 0, "", "End all sessions of the user, on other machines, too"}, kNoHeaders};
  out.flags.insert(out.flags.end(), asking().begin(), asking().end());
  out.effect = Effect::configures;
  out.run = logout;
  return {std::move(in), std::move(out)};
}

}  // namespace cx::ctl
