#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <map>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <string>

#include "cx/v1/config.pb.h"
#include "runtime/config.hpp"
#include "tools/campaignd/log.hpp"
#include "tools/campaignd/node.hpp"
#include "tools/version.hpp"

namespace cx {

extern const std::string_view default_config_yaml;  // config/campaignd.yaml

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

int complain(const Error& error, int code) {
  fmt::print(stderr, "campaignd: {}\n", error.detail);
  return code;
}

/// Waits for SIGINT or SIGTERM, which every thread of the process blocks, and ticks meanwhile.
void serve(Node& node, const sigset_t& signals) {
  for (;;) {
    const timespec second{1, 0};
    const int signal = sigtimedwait(&signals, nullptr, &second);
    if (signal == SIGINT || signal == SIGTERM) {
      spdlog::info("{} received, draining; a second one stops at once",
                   signal == SIGINT ? "SIGINT" : "SIGTERM");
      return;
    }
    node.tick();
  }
}

int run(int argc, char** argv) {
  v1::NodeConfig config;
  if (auto error = read_yaml(default_config_yaml, "built-in configuration", config))
    return complain(*error, kFailed);

  CLI::App app(
      "campaignd: a node of Campaign Express.\n\nExamples:\n  campaignd\n  campaignd --config my.yaml "
      "--http-port 8081\n");
  app.get_formatter()->column_width(44);
  std::string file;
  bool check_only = false;
  app.add_option("--config", file, "YAML file with settings that differ from the defaults")
      ->type_name("FILE");
  app.add_flag("--check", check_only, "Validate the configuration and exit");
  app.set_version_flag("--version", fmt::format("campaignd {} ({}, {})", kVersion, kCommit, kBuild));
  const auto settings = settings_of("cx.v1.NodeConfig");
  std::map<std::string, std::string> flags;
  for (const auto& setting : settings)
    app.add_option_function<std::string>(
           setting.flag, [&flags, key = setting.key](const std::string& value) { flags[key] = value; },
           setting.help)
        ->type_name(setting.type)
        ->default_str(get_setting(config, setting.key));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : kUsage;
  }

  if (!file.empty())
    if (auto error = read_yaml_file(file, config)) return complain(*error, kUsage);
  if (const char* provider = std::getenv("INFERENCE_PROVIDER"); provider != nullptr && *provider != '\0')
    if (auto error = set_setting(config, "inference.provider", provider, "INFERENCE_PROVIDER"))
      return complain(*error, kUsage);
  for (const auto& setting : settings)
    if (const auto flag = flags.find(setting.key); flag != flags.end())
      if (auto error = set_setting(config, setting.key, flag->second, setting.flag))
        return complain(*error, kUsage);
  if (auto error = check(config)) return complain(*error, kUsage);
  if (check_only) {
    fmt::print("The configuration is valid.\n");
    return 0;
  }

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  set_up_log(config.log());

  Node node(config);
  if (auto error = node.start()) return complain(*error, kFailed);
  serve(node, signals);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // the second one has its default effect
  node.drain(std::chrono::milliseconds(config.drain_ms()));
  spdlog::info("stopped");
  return 0;
}

}  // namespace
}  // namespace cx

int main(int argc, char** argv) {
  try {
    return cx::run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "campaignd: {}\n", e.what());
    return 1;
  }
}
