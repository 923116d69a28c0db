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
enum class Offer { nothing, files, contexts, ids };  ///< ids: what `NOUN list` lists

struct Flag {
  std::string name;   ///< "output" is --output
  char letter = 0;    ///< 'o' is -o; 0 for none
  std::string value;  ///< what help calls its value; empty for a switch; "[=2s]" where it may be left out
  std::string help;
  std::vector<std::string> choices = {};  ///< nothing else is accepted, unless empty
  Offer offer = Offer::nothing;
  bool required = false;  ///< only shown: the command checks it, as a file may give it as well
  bool hidden = false;    ///< taken, but not in help

  bool is_switch() const { return value.empty(); }
  bool takes_word() const { return !is_switch() && value.front() != '['; }
};

struct Argument {
  std::string name;  ///< "FILE"
  std::string help;
  std::vector<std::string> choices = {};
  Offer offer = Offer::nothing;
  bool optional = false;  ///< of the last one
};

/// What a command may alter: nothing, the context file, or the server, where it may be gone for good.
enum class Effect { reads, configures, changes, destroys };

class Call;

/// A noun with its verb. A noun that only groups verbs has no `run`.
struct Command {
  std::string path;  ///< "config view"
  std::string purpose;
  std::vector<std::string> examples;
  std::vector<Argument> arguments = {};
  std::vector<Flag> flags = {};  ///< beside everywhere(); no others are accepted
  Effect effect = Effect::reads;
  std::function<Outcome<Report>(const Call&)> run = {};
  std::string details = {};  ///< more of help, a paragraph
  std::string method = {};   ///< of the contract, whose permission a refusal names; empty for none or several
  bool from_contract = false;
  /// Adds arguments and flags when somebody looks for the command: see find_command().
  std::function<void(Command&)> fill = {};
  /// Adds what only people read, when they do: see described().
  std::function<void(Command&)> describe = {};
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
  const std::map<std::string, std::vector<std::string>>& given() const { return given_; }
  const Settings& settings() const { return settings_; }
  /// The value of --limit; 0 when it was not given.
  Outcome<std::size_t> limit() const;

  /// A failure for a command that changes something where the context is read-only.
  Outcome<void> check_allowed() const;
  /// Asks the server of the settings, under the credential of the settings and an id for the request. A
  /// command that changes something is refused by a read-only context.
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

/// As a URL has it in its query, or in a segment of its path.
std::string encode_query(std::string_view text);
std::string encode_segment(std::string_view text);

/// The command line of `call` for a shell, its flags changed by `flags`: the empty ones are left out.
std::string command_line(const Call& call, const std::map<std::string, std::string>& flags);

/// Flags that every command takes.
const std::vector<Flag>& everywhere();
/// Flags of every command that asks a server.
const std::vector<Flag>& asking();
/// Flags with one meaning wherever they are taken.
extern const Flag kNoHeaders, kWatch, kLimit, kCursor, kSince, kUntil, kSortBy, kFilter;

/// All commands, those written by hand first. Of those made from the contract, only path, effect, method and
/// `run` are there before they are asked for.
const std::vector<Command>& commands();
/// The command of this path with all that belongs to it; null where there is none. Not thread-safe.
const Command* find_command(const std::string& path);
/// The same with purpose, details, examples and the help of flags and arguments.
const Command* described(const std::string& path);

// One source each in commands/.
Command bid_command();
Command topology_command();
Command version_command();
std::vector<Command> entity_commands();
std::vector<Command> shard_commands();
std::vector<Command> storage_commands();
std::vector<Command> dead_letter_commands();
std::vector<Command> config_commands();
Command completion_command();
Command explain_command();
std::vector<Command> login_commands();
std::vector<Command> audit_commands();
std::vector<Command> event_commands();
std::vector<Command> journey_commands();
std::vector<Command> model_commands();
Command model_export_command();
Command simulate_command();
/// Made from the contract: a noun for each service that has one, a verb for each method that no other command
/// reaches.
std::vector<Command> contract_commands();

}  // namespace cx::ctl
