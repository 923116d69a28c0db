#include "tools/campaignctl/settings.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using namespace cx::ctl;

namespace {

/// A configuration folder of its own, and an environment that points there.
struct Home {
  Home() {
    std::string pattern = (std::filesystem::temp_directory_path() / "campaignctl-XXXXXX").string();
    variables["XDG_CONFIG_HOME"] = mkdtemp(pattern.data());
  }
  ~Home() { std::filesystem::remove_all(variables["XDG_CONFIG_HOME"]); }
  std::string path() { return variables["XDG_CONFIG_HOME"] + "/campaign/config.yaml"; }
  void save(const Contexts& contexts) { REQUIRE(contexts.save(path()).has_value()); }
  Settings settings(std::map<std::string, std::string> flags = {}) {
    return Settings(std::move(flags), [this](const std::string& name) {
      const auto found = variables.find(name);
      return found == variables.end() ? "" : found->second;
    });
  }
  std::map<std::string, std::string> variables;
};

void check_server(const Settings& settings, const std::string& value, const std::string& origin) {
  const auto server = settings.server();
  REQUIRE(server.has_value());
  CHECK(server->value == value);
  CHECK(server->origin == origin);
}

}  // namespace

TEST_CASE("flag, then environment, then context, then default") {
  Home home;
  check_server(home.settings(), "http://127.0.0.1:8080", "default");
  home.save({"prod", {{"prod", {"http://prod:1", true}}, {"dev", {"http://dev:2", false}}}});
  check_server(home.settings(), "http://prod:1", "context prod");
  home.variables["CAMPAIGN_CONTEXT"] = "dev";
  check_server(home.settings(), "http://dev:2", "context dev");
  home.variables["CAMPAIGN_SERVER"] = "http://env:3";
  check_server(home.settings(), "http://env:3", "CAMPAIGN_SERVER");
  check_server(home.settings({{"context", "prod"}}), "http://prod:1", "context prod");
  check_server(home.settings({{"context", "prod"}, {"server", "http://flag:4"}}), "http://flag:4",
               "flag --server");
}

TEST_CASE("a context is read-only only for its own server") {
  Home home;
  home.save({"prod", {{"prod", {"http://prod:1", true}}}});
  CHECK(*home.settings().read_only());
  CHECK(!*home.settings({{"server", "http://flag:4"}}).read_only());
}

TEST_CASE("an unknown context is not found, and the guess is named") {
  Home home;
  home.save({"", {{"prod", {"http://prod:1", false}}}});
  const auto server = home.settings({{"context", "prd"}}).server();
  REQUIRE(server.has_error());
  CHECK(server.error().exit == Exit::not_found);
  CHECK(server.error().detail.find("did you mean prod?") != std::string::npos);
}

TEST_CASE("contexts survive the file, which only its owner may read") {
  Home home;
  home.save({"a", {{"a", {"http://a:1", true}}, {"b.c-d_e", {"http://b:2", false}}}});
  struct stat status {};
  REQUIRE(stat(home.path().c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  const auto contexts = Contexts::load(home.path());
  REQUIRE(contexts.has_value());
  CHECK(contexts->current == "a");
  CHECK(contexts->all.at("a").read_only);
  CHECK(contexts->all.at("b.c-d_e").server == "http://b:2");

  chmod(home.path().c_str(), 0640);
  const auto open = Contexts::load(home.path());
  REQUIRE(open.has_error());
  CHECK(open.error().detail.find("chmod 600") != std::string::npos);
}

TEST_CASE("what the file does not mean is refused with its line") {
  Home home;
  home.save({});
  for (const char* text :
       {"contexts:\n  a:\n    servr: http://x\n", "curent: a\n", "contexts:\n  a: 5\n", "[1, 2\n",
        "contexts:\n  a: {read_only: maybe, server: x}\n", "contexts:\n  a: {}\n"}) {
    std::ofstream(home.path()) << text;
    const auto contexts = Contexts::load(home.path());
    REQUIRE_MESSAGE(contexts.has_error(), text);
    CHECK_MESSAGE(contexts.error().detail.starts_with(home.path() + ":"), contexts.error().detail);
  }
}

TEST_CASE("timeouts come from anywhere and must make sense") {
  Home home;
  CHECK(*home.settings().timeout() == std::chrono::seconds(5));
  home.variables["CAMPAIGN_TIMEOUT"] = "soon";
  const auto timeout = home.settings().timeout();
  REQUIRE(timeout.has_error());
  CHECK(timeout.error().detail.find("CAMPAIGN_TIMEOUT") != std::string::npos);
  CHECK(*home.settings({{"timeout", "250ms"}}).timeout() == std::chrono::milliseconds(250));
}

TEST_CASE("what an HTTP status means to a script") {
  CHECK(exit_for(400) == Exit::rejected);
  CHECK(exit_for(403) == Exit::denied);
  CHECK(exit_for(404) == Exit::not_found);
  CHECK(exit_for(412) == Exit::conflict);
  CHECK(exit_for(500) == Exit::server_failed);
  CHECK(exit_for(503) == Exit::unreachable);
}
