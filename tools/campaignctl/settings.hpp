#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/campaignctl/failure.hpp"

namespace cx::ctl {

/// A value and what set it: "flag --server", "CAMPAIGN_SERVER", "context prod" or "default".
struct Setting {
  std::string value;
  std::string origin;
};

/// A server that can be named by one word.
struct Context {
  std::string server;
  bool read_only = false;  ///< refuse commands that change something
  // Files, of which only the names stand here; empty for none.
  std::string key_file = {};    ///< an API key, sent to this server
  std::string token_file = {};  ///< an access token, sent to this server
  std::string ca_file = {};     ///< PEM of whom this server's certificate may be signed by
};

/// The context file: $XDG_CONFIG_HOME/campaign/config.yaml, ~/.config without that variable.
struct Contexts {
  std::string current;  ///< name of the one in use; empty for none
  std::map<std::string, Context> all;

  /// Refuses a file that others may read, and what it does not understand, with the line. No file: no
  /// contexts.
  static Outcome<Contexts> load(const std::string& path);
  /// Writes the file with mode 0600, whole or not at all.
  Outcome<void> save(const std::string& path) const;
  /// The named context, or a failure that lists what there is.
  Outcome<Context> find(const std::string& name) const;
};

/// Looks an environment variable up; empty when it is unset.
using Environment = std::function<std::string(const std::string& name)>;
std::string process_environment(const std::string& name);

/// What the command line, the environment and the context file come to; the first of them to set a thing
/// wins. A context that is named by --context counts as a flag.
class Settings {
 public:
  /// `flags`: the settings given as flags, by name without dashes.
  Settings(std::map<std::string, std::string> flags, Environment environment);

  /// One of "output", "color", "timeout", "key-file" ...: as flags and environment have it, without contexts.
  Setting get(const std::string& name) const;
  Outcome<std::chrono::milliseconds> timeout() const;

  /// An environment variable; empty when it is unset.
  std::string variable(const std::string& name) const { return environment_(name); }

  Outcome<std::string> contexts_path() const;
  Outcome<Contexts> contexts() const;
  Outcome<Setting> context() const;
  Outcome<Setting> server() const;
  /// The context that the server comes from; one without a server when it comes from elsewhere.
  Outcome<Context> server_context() const;
  /// PEM of whom to trust; empty for the system's authorities.
  Outcome<Setting> ca_file() const;
  /// Whether the server comes from a context that allows no changes.
  Outcome<bool> read_only() const;

  /// Every setting by name, in the order that people read them.
  Outcome<std::vector<std::pair<std::string, Setting>>> all() const;

 private:
  std::map<std::string, std::string> flags_;
  Environment environment_;
};

}  // namespace cx::ctl
