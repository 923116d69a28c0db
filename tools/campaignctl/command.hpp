#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tools/campaignctl/client.hpp"
#include "tools/campaignctl/failure.hpp"
#include "tools/campaignctl/report.hpp"
#include "tools/campaignctl/settings.hpp"

namespace cx::ctl {

/// What a shell may offer for a value, beyond a fixed list.
enum class Offer { nothing, files, contexts };

struct Flag {
  std::string name;   ///< "output" is --output
  char letter = 0;    ///< 'o' is -o; 0 for none
  std::string value;  ///< what help calls its value; empty for a switch; "[=2s]" where it may be left out
  std::string help;
  std::vector<std::string> choices = {};  ///< nothing else is accepted, unless empty
  Offer offer = Offer::nothing;

  bool is_switch() const { return value.empty(); }
  bool takes_word() const { return !is_switch() && value.front() != '['; }
};

struct Argument {
  std::string name;  ///< "FILE"
  std::string help;
  std::vector<std::string> choices = {};
  Offer offer = Offer::nothing;
};

/// What a command may alter: nothing, the context file, or the server, where it may be gone for good.
enum class Effect { reads, configures, changes, destroys };

class Call;

/// A noun with its verb. A noun that only groups verbs has no `run`.
struct Command {
  std::string path;  ///< "config view"
  std::string purpose;
  std::vector<std::string> examples;
  std::vector<Argument> arguments = {};  ///< all required
  std::vector<Flag> flags = {};          ///< beside everywhere(); no others are accepted
  Effect effect = Effect::reads;
  std::function<Outcome<Report>(const Call&)> run = {};
};

/// One command line that fits its command.
class Call {
 public:
  Call(const Command& command, std::map<std::string, std::vector<std::string>> given,
       Environment environment);

  const Command& command() const { return command_; }
  bool has(const std::string& name) const { return given_.contains(name); }
  /// The (last) value of a flag or argument by name; empty when it was not given.
  std::string value(const std::string& name) const;
  std::vector<std::string> values(const std::string& name) const;
  const Settings& settings() const { return settings_; }
  /// The value of --limit; 0 when it was not given.
  Outcome<std::size_t> limit() const;

  /// Asks the server of the settings. A command that changes something is refused by a read-only context.
  Outcome<Response> ask(const Request& request) const;

 private:
  const Command& command_;
  std::map<std::string, std::vector<std::string>> given_;
  Settings settings_;
};

/// Where the contract puts a method, "cx.v1.Operations.Topology", which must be in it. The body is still to
/// be set.
Request request_of(const std::string& method);
/// The same with query parameters, of which the empty ones are left out.
Request request_of(const std::string& method, const std::vector<std::pair<std::string, std::string>>& query);

/// Flags that every command takes.
const std::vector<Flag>& everywhere();
/// Flags of every command that asks a server.
const std::vector<Flag>& asking();
/// Flags with one meaning wherever they are taken.
extern const Flag kNoHeaders, kWatch, kLimit, kCursor, kSince, kUntil, kSortBy, kFilter;

/// All commands, nouns before their verbs, in the order of the help.
const std::vector<Command>& commands();

// One source each in commands/.
Command bid_command();
Command topology_command();
Command version_command();
std::vector<Command> entity_commands();
Command shards_command();
std::vector<Command> dead_letter_commands();
std::vector<Command> config_commands();
Command completion_command();

}  // namespace cx::ctl
