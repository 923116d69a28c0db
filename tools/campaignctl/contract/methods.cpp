#include "tools/campaignctl/contract/methods.hpp"

#include <algorithm>
#include <fmt/core.h>

#include "messages/contract.hpp"
#include "tools/campaignctl/confirm.hpp"
#include "tools/campaignctl/contract/call.hpp"
#include "tools/campaignctl/contract/inputs.hpp"
#include "tools/campaignctl/contract/names.hpp"
#include "tools/campaignctl/contract/reply.hpp"

namespace cx::ctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

Effect effect_of(v1::Effect effect) {
  return effect == v1::EFFECT_DESTROYS  ? Effect::destroys
         : effect == v1::EFFECT_CHANGES ? Effect::changes
                                        : Effect::reads;
}

/// The field at "a.b", which methods_of() has found to be there.
const FieldDescriptor* field_at(const google::protobuf::Descriptor& type, std::string_view path) {
  const auto dot = path.find('.');
  const auto* field = type.FindFieldByName(std::string(path.substr(0, dot)));
  return dot == path.npos ? field : field_at(*field->message_type(), path.substr(dot + 1));
}

/// A value for an example, as a word of a shell.
std::string word_of(const std::string& text) {
  const bool plain =
      text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:@,=+") ==
      text.npos;
  return plain ? text : "\"" + text + "\"";
}

std::string sample_of(const Input& input) {
  if (!input.flag.choices.empty()) return input.flag.choices.front();
  switch (input.kind) {
    case Input::Kind::money:
      return "1500.00USD";
    case Input::Kind::map:
      return "team=growth";
    case Input::Kind::secret:
      return "secret.txt";
    default:
      return sample(*input.path.back());
  }
}

std::string flag_words(const Input& input) {
  return input.flag.is_switch() ? " --" + input.flag.name
                                : fmt::format(" --{} {}", input.flag.name, word_of(sample_of(input)));
}

/// Two command lines: the shortest that works, and one that shows what else there is.
std::vector<std::string> examples_of(const Command& command, const Method& method,
                                     const std::vector<Input>& inputs) {
  std::string line = "campaignctl " + command.path;
  std::string last;
  for (const auto& variable : variables_of(method.path))
    line += " " + (last = word_of(sample(*field_at(*method.descriptor->input_type(), variable))));
  std::string first = line, second = line;
  const Input* optional = nullptr;  // the first that is simple, or the comment
  for (const auto& input : inputs) {
    if (input.flag.required) first += flag_words(input);
    if (input.flag.required && input.kind != Input::Kind::object) second += flag_words(input);
    const bool simple = input.kind == Input::Kind::value && !input.flag.hidden;
    if (!input.flag.required && simple && (optional == nullptr || input.flag.name == "comment"))
      optional = &input;
  }
  // An edit of nothing is no example: something inside the message that it is about.
  const auto is_inside = [](const Input& input) {
    return input.path.size() > 1 && input.kind == Input::Kind::value && !input.flag.hidden;
  };
  const auto inside = std::find_if(inputs.begin(), inputs.end(), is_inside);
  if (first == line && inside != inputs.end() && command.effect == Effect::changes)
    first += flag_words(*inside);
  if (command.effect == Effect::destroys) {
    second = first + " --confirm " + (last.empty() ? command.path.substr(command.path.find(' ') + 1) : last);
  } else if (command.effect == Effect::changes) {
    second = optional != nullptr ? second + flag_words(*optional) : first + " --dry-run";
    if (!method.body.empty() && inputs.size() > 4) second = line + " -f request.yaml --dry-run";
  } else {
    second = (optional != nullptr ? first + flag_words(*optional) : first) +
             (is_list(*method.descriptor->output_type()) ? " --all -o csv" : " -o json");
  }
  return {first, second};
}

void add_flags(Command& command, const Method& method, const std::vector<Input>& inputs) {
  std::vector<Flag> flags;
  for (const auto& input : inputs) flags.push_back(input.flag);
  const auto& request = *method.descriptor->input_type();
  if (request.FindFieldByName("page_size") != nullptr) flags.push_back(kLimit);
  if (request.FindFieldByName("page_token") != nullptr)
    flags.insert(flags.end(), {kCursor, {"all", 0, "", "Follow the pages to the end, up to 100,000 lines"}});
  if (!method.body.empty())
    flags.push_back({"file",
                     'f',
                     "FILE",
                     "Read the request from it, JSON or YAML, - for stdin; flags go before it",
                     {},
                     Offer::files});
  if (method.if_match != nullptr)
    flags.push_back({"if-match", 0, "ETAG", "Only if nobody has changed it since it had this etag"});
  if (command.effect != Effect::reads) {
    if (!method.target.empty())
      flags.push_back(
          {"idempotency-key", 0, "KEY", "Done once however often it is sent; made up when not given"});
    Flag confirm = kConfirm;
    confirm.value = "NAME";
    confirm.help = "Do it without asking; repeat the name to show that you mean it";
    flags.push_back(command.effect == Effect::destroys ? confirm : kYes);
  } else if (method.verb == "GET") {
    flags.push_back(kWatch);
  }
  flags.push_back({"dry-run", 0, "", "Show the request instead of sending it"});
  flags.push_back(kNoHeaders);
  flags.insert(flags.end(), asking().begin(), asking().end());
  command.flags.insert(command.flags.begin(), flags.begin(), flags.end());
}

void fill_verb(Command& command, const Method& method) {
  const bool listed = find_command(command.path.substr(0, command.path.find(' ')) + " list") != nullptr;
  for (const auto& variable : variables_of(method.path))
    command.arguments.push_back({argument_name(variable), "", {}, listed ? Offer::ids : Offer::nothing});
  add_flags(command, method, inputs_of(method));
}

/// The first sentence of a comment is the purpose, the rest the details.
void set_purpose(Command& command, const std::string& doc) {
  command.purpose = first_sentence(doc);
  if (command.purpose.size() + 2 < doc.size()) command.details = doc.substr(command.purpose.size() + 2);
}

void describe_verb(Command& command, const Method& method) {
  set_purpose(command, doc_of(*method.descriptor));
  if (command.purpose.empty()) command.purpose = "Call " + method.name;
  const auto variables = variables_of(method.path);
  for (std::size_t i = 0; i < variables.size(); ++i) {
    auto help = first_sentence(doc_of(*field_at(*method.descriptor->input_type(), variables[i])));
    if (help.empty()) {
      help = "The " + kebab(variables[i]);
      std::replace(help.begin(), help.end(), '-', ' ');
    }
    command.arguments[i].help = std::move(help);
  }
  const auto inputs = inputs_of(method);
  for (const auto& input : inputs)
    for (auto& flag : command.flags)
      if (flag.name == input.flag.name) flag.help = meaning(input);
  command.examples = examples_of(command, method, inputs);
}

Command verb_command(const MethodDescriptor& method) {
  Command command{command_for(method), "", {}};
  command.method = method.full_name();
  command.effect = effect_of(method.options().GetExtension(v1::effect));
  command.from_contract = true;
  command.run = call_method;
  command.fill = [](Command& self) { fill_verb(self, method_named(self.method)); };
  command.describe = [](Command& self) { describe_verb(self, method_named(self.method)); };
  return command;
}

Command noun_command(const ServiceDescriptor& service, const std::string& noun) {
  Command command{noun, "", {}};
  command.from_contract = true;
  command.describe = [&service](Command& self) { set_purpose(self, doc_of(service)); };
  return command;
}

/// Whether it is called by another name than NOUN VERB without being written by hand.
const std::map<std::string, std::string>& renamed() {
  static const std::map<std::string, std::string> kNames{{"cx.v1.Tokens.WhoAmI", "whoami"}};
  return kNames;
}

}  // namespace

const std::map<std::string, std::string>& reached_by_hand() {
  static const std::map<std::string, std::string> kCommands{
      {"cx.v1.Bidding.Bid", "bid"},
      {"cx.v1.Operations.Topology", "topology"},
      {"cx.v1.Operations.Version", "version"},
      {"cx.v1.Operations.GetEntity", "entity show"},
      {"cx.v1.Operations.ListEntityHistory", "entity history"},
      {"cx.v1.Operations.ListShards", "shards list"},
      {"cx.v1.Operations.GetShard", "shards show"},
      {"cx.v1.Operations.RebalanceShards", "shards rebalance"},
      {"cx.v1.Operations.ListDeadLetters", "deadletters list"},
      {"cx.v1.Operations.GetDeadLetter", "deadletters show"},
      {"cx.v1.Operations.ReplayDeadLetter", "deadletters replay"},
      {"cx.v1.Operations.DiscardDeadLetter", "deadletters discard"},
      {"cx.v1.AuditLog.Export", "audit export"},
      {"cx.v1.Events.Track", "events send"},
      {"cx.v1.Events.Batch", "events send"},
      {"cx.v1.Events.Identify", "events identify"},
      // Their events travel in files, too.
      {"cx.v1.Events.Page", "events send"},
      {"cx.v1.Events.Screen", "events send"},
      {"cx.v1.Events.Group", "events send"},
      {"cx.v1.Events.Alias", "events send"},
      {"cx.v1.Journeys.Validate", "journeys validate"},
      {"cx.v1.Journeys.Put", "journeys apply"},
      {"cx.v1.Tokens.Login", "login"},
      {"cx.v1.Tokens.Refresh", "login"},  // by itself, when the access token has run out
      {"cx.v1.Tokens.Logout", "logout"},
  };
  return kCommands;
}

std::string command_for(const MethodDescriptor& method) {
  for (const auto* names : {&reached_by_hand(), &renamed()})
    if (const auto found = names->find(method.full_name()); found != names->end()) return found->second;
  const auto& noun = method.service()->options().GetExtension(v1::noun);
  return noun.empty() ? "" : noun + " " + kebab(method.name());
}

const Method& method_named(const std::string& name) {
  static std::map<std::string, std::vector<Method>> known;  // by service
  const auto* found = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name);
  auto& methods = known[found->service()->full_name()];
  if (methods.empty()) methods = methods_of({found->service()}, Services{});
  return methods[static_cast<std::size_t>(found->index())];
}

std::string sample(const FieldDescriptor& field) {
  static const std::map<std::string, std::string> kKnown{{"campaign_id", "spring-sale"},
                                                         {"rule_id", "big-budgets"},
                                                         {"key_id", "3f9c2a71"},
                                                         {"name", "ana"},
                                                         {"comment", "looks good"},
                                                         {"provider", "okta"},
                                                         {"role", "manager"},
                                                         {"roles", "manager"},
                                                         {"display_name", "Ana"},
                                                         {"time_zone", "Asia/Jakarta"}};
  const auto doc = doc_of(field);
  if (const auto quote = doc.find('"');
      quote != doc.npos && field.cpp_type() == FieldDescriptor::CPPTYPE_STRING)
    if (const auto end = doc.find('"', quote + 1); end != doc.npos)
      return doc.substr(quote + 1, end - quote - 1);
  if (const auto known = kKnown.find(field.name()); known != kKnown.end()) return known->second;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return kebab(field.name());
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true";
    case FieldDescriptor::CPPTYPE_ENUM:
      return short_names(*field.enum_type()).front();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return field.message_type()->full_name() == "google.protobuf.Timestamp"   ? "2026-12-01T08:00:00Z"
             : field.message_type()->full_name() == "google.protobuf.FieldMask" ? "name"
                                                                                : "{}";
    default:
      return "10";
  }
}

std::vector<Command> contract_commands() {
  std::vector<Command> all;
  for_each_service([&](const ServiceDescriptor& service) {
    const auto& noun = service.options().GetExtension(v1::noun);
    if (noun.empty()) return;
    const auto before = all.size();
    for (int i = 0; i < service.method_count(); ++i)
      if (!reached_by_hand().contains(service.method(i)->full_name()))
        all.push_back(verb_command(*service.method(i)));
    const auto is_under = [&](const Command& command) { return command.path.starts_with(noun + " "); };
    if (std::any_of(all.begin() + static_cast<std::ptrdiff_t>(before), all.end(), is_under))
      all.insert(all.begin() + static_cast<std::ptrdiff_t>(before), noun_command(service, noun));
  });
  return all;
}

}  // namespace cx::ctl
