#include <algorithm>
#include <fmt/core.h>
#include <functional>
#include <set>

#include "cx/v1/options.pb.h"
#include "messages/contract.hpp"
#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/contract/methods.hpp"
#include "tools/campaignctl/contract/names.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

/// The files of the contract that services are in, and all that these use.
const std::set<const FileDescriptor*>& files() {
  static const std::set<const FileDescriptor*> kFiles = [] {
    std::set<const FileDescriptor*> all;
    const std::function<void(const FileDescriptor&)> add = [&](const FileDescriptor& file) {
      if (file.package() != "cx.v1" || !all.insert(&file).second) return;
      for (int i = 0; i < file.dependency_count(); ++i) add(*file.dependency(i));
    };
    for_each_service([&](const ServiceDescriptor& service) { add(*service.file()); });
    return all;
  }();
  return kFiles;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

/// What a name of the contract stands for: one of these.
struct Topic {
  const Descriptor* type = nullptr;
  const EnumDescriptor* enumeration = nullptr;
  const ServiceDescriptor* service = nullptr;
  const MethodDescriptor* method = nullptr;
  const FieldDescriptor* field = nullptr;
};

/// Adds what there is at the top: calls `take` with each name.
void for_each_topic(const std::function<void(const std::string&, const Topic&)>& take) {
  for (const auto* file : files()) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      Topic topic;
      topic.type = file->message_type(i);
      take(topic.type->name(), topic);
    }
    for (int i = 0; i < file->enum_type_count(); ++i) {
      Topic topic;
      topic.enumeration = file->enum_type(i);
      take(topic.enumeration->name(), topic);
    }
    for (int i = 0; i < file->service_count(); ++i) {
      Topic topic;
      topic.service = file->service(i);
      take(topic.service->name(), topic);
      if (const auto& noun = topic.service->options().GetExtension(v1::noun); !noun.empty())
        take(noun, topic);
    }
  }
}

void for_each_part(const Topic& topic, const std::function<void(const std::string&, const Topic&)>& take) {
  const auto* type = topic.type;
  if (topic.field != nullptr)
    type = topic.field->is_map() ? topic.field->message_type()->map_value()->message_type()
                                 : topic.field->message_type();
  for (int i = 0; type != nullptr && i < type->field_count(); ++i) {
    Topic part;
    part.field = type->field(i);
    take(part.field->name(), part);
    if (part.field->json_name() != part.field->name()) take(part.field->json_name(), part);
  }
  for (int i = 0; topic.type != nullptr && i < topic.type->nested_type_count(); ++i) {
    Topic part;
    part.type = topic.type->nested_type(i);
    take(part.type->name(), part);
  }
  for (int i = 0; topic.service != nullptr && i < topic.service->method_count(); ++i) {
    Topic part;
    part.method = topic.service->method(i);
    take(part.method->name(), part);
    take(kebab(part.method->name()), part);
  }
}

Outcome<Topic> find_topic(std::string name) {
  if (name.starts_with("cx.v1.")) name.erase(0, 6);
  Topic topic;
  std::string path;
  for (std::size_t begin = 0; begin <= name.size();) {
    const auto end = std::min(name.find('.', begin), name.size());
    const auto word = name.substr(begin, end - begin);
    begin = end + 1;
    std::vector<std::string> names;
    Topic exact, loose;
    bool is_exact = false, is_loose = false;
    const auto take = [&](const std::string& known, const Topic& part) {
      names.push_back(known);
      if (known == word && !std::exchange(is_exact, true)) exact = part;
      if (lower(known) == lower(word) && !std::exchange(is_loose, true)) loose = part;
    };
    if (path.empty())
      for_each_topic(take);
    else
      for_each_part(topic, take);
    if (!is_exact && !is_loose) {
      std::vector<std::string> shown = names;
      if (shown.size() > 20) shown.clear();
      return Failure{
          Exit::not_found, "no-such-topic",
          fmt::format(
              "the contract has no {}{}{}{}", path.empty() ? "" : path + ".", word, did_you_mean(word, names),
              shown.empty() ? "; name a message, an enum, a service or a part of one: Campaign.content"
                            : "; there are " + join(shown, ", ")),
          ""};
    }
    topic = is_exact ? exact : loose;
    path += (path.empty() ? "" : ".") + word;
  }
  return topic;
}

std::string type_of(const FieldDescriptor& field) {
  if (field.is_map())
    return fmt::format("map of {} by {}", type_of(*field.message_type()->map_value()),
                       type_of(*field.message_type()->map_key()));
  std::string name = field.message_type() != nullptr ? field.message_type()->name()
                     : field.enum_type() != nullptr  ? field.enum_type()->name()
                                                     : field.type_name();
  return field.is_repeated() ? "list of " + name : name;
}

/// What the options say of a field's values: "required, 0 to 1000".
std::string rules_of(const FieldDescriptor& field) {
  const auto& options = field.options();
  std::vector<std::string> words;
  if (options.GetExtension(v1::required)) words.emplace_back("required");
  if (options.GetExtension(v1::output_only)) words.emplace_back("in replies only");
  if (options.GetExtension(v1::generated)) words.emplace_back("made up when empty");
  if (options.GetExtension(v1::secret)) words.emplace_back("secret");
  if (options.GetExtension(v1::pii)) words.emplace_back("personal");
  if (options.GetExtension(v1::if_match)) words.emplace_back("from If-Match");
  if (options.GetExtension(v1::etag)) words.emplace_back("shown as ETag");
  if (options.GetExtension(v1::name)) words.emplace_back("1 to 63 of a-z, 0-9 and '-'");
  if (options.HasExtension(v1::range))
    words.push_back(fmt::format("{} to {}", options.GetExtension(v1::range).min(),
                                options.GetExtension(v1::range).max()));
  if (const auto most = options.GetExtension(v1::max_length); most > 0)
    words.push_back(fmt::format("at most {} long", most));
  if (const auto most = options.GetExtension(v1::max_items); most > 0)
    words.push_back(fmt::format("at most {} items", most));
  std::vector<std::string> choices;
  for (const auto& word : options.GetRepeatedExtension(v1::one_of)) choices.push_back('"' + word + '"');
  if (!choices.empty()) words.push_back(join(choices, " or "));
  return join(words, ", ");
}

Row row_of(const std::string& name, const std::string& type, const std::string& rules,
           const std::string& doc) {
  return {name, {{"name", name}, {"type", type}, {"rules", rules}, {"description", doc}}};
}

void add_fields(const Descriptor& type, std::vector<Row>& rows) {
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& field = *type.field(i);
    if (!field.options().GetExtension(v1::internal))
      rows.push_back(row_of(field.name(), type_of(field), rules_of(field), doc_of(field)));
  }
}

void add_values(const EnumDescriptor& type, std::vector<Row>& rows) {
  for (int i = 0; i < type.value_count(); ++i)
    rows.push_back(row_of(type.value(i)->name(), short_name(*type.value(i)), "", doc_of(*type.value(i))));
}

std::string describe(const MethodDescriptor& method) {
  const auto& m = method_named(method.full_name());
  const char* effect = m.effect == v1::EFFECT_READS     ? "Only reads."
                       : m.effect == v1::EFFECT_CHANGES ? "Changes something."
                                                        : "Destroys something.";
  const auto command = command_for(method);
  return fmt::format("{} {} {}; permission {}.{}", m.verb, m.path, effect,
                     method.options().GetExtension(v1::permission),
                     command.empty() ? "" : " Command: campaignctl " + command + ".");
}

Outcome<Report> explain(const Call& call) {
  const auto name = call.value("TOPIC");
  const auto topic = find_topic(name);
  if (!topic) return topic.error();
  std::string title, doc, more;
  std::vector<Row> rows;
  if (topic->field != nullptr) {
    const auto& field = *topic->field;
    title = fmt::format("{}: {}", field.name(), type_of(field));
    doc = doc_of(field);
    more = rules_of(field);
    if (field.enum_type() != nullptr)
      add_values(*field.enum_type(), rows);
    else if (field.message_type() != nullptr && !field.is_map() && !is_well_known(field.message_type()))
      add_fields(*field.message_type(), rows);
    else
      rows.push_back(row_of(field.name(), type_of(field), more, doc));
  } else if (topic->type != nullptr) {
    title = topic->type->name() + ": message";
    doc = doc_of(*topic->type);
    add_fields(*topic->type, rows);
  } else if (topic->enumeration != nullptr) {
    title = topic->enumeration->name() + ": enum";
    doc = doc_of(*topic->enumeration);
    add_values(*topic->enumeration, rows);
  } else if (topic->method != nullptr) {
    title = fmt::format("{}: takes {}, gives {}", topic->method->name(), topic->method->input_type()->name(),
                        topic->method->output_type()->name());
    doc = doc_of(*topic->method);
    more = describe(*topic->method);
    add_fields(*topic->method->input_type(), rows);
  } else {
    title = topic->service->name() + ": service";
    doc = doc_of(*topic->service);
    for (int i = 0; i < topic->service->method_count(); ++i) {
      const auto& method = *topic->service->method(i);
      rows.push_back(row_of(method.name(), command_for(method), "", doc_of(method)));
    }
  }
  if (rows.empty()) rows.push_back(row_of(name, "", "", doc));

  Report report;
  report.columns = {{"name"}, {"type"}, {"rules"}, {"description"}};
  json::array parts;
  for (const auto& row : rows) parts.push_back(row.values);
  report.document =
      to_json(json::object{{"title", title}, {"description", doc}, {"rules", more}, {"parts", parts}}, true);
  report.draw = [title, doc, more, rows](const View& view) {
    std::string out = paint(title, Color::bold, view.color) + "\n";
    for (const auto* text : {&doc, &more})
      for (const auto& line : wrap(*text, 100)) out += line + "\n";
    std::vector<std::vector<std::string>> heads;
    for (const auto& row : rows)
      heads.push_back({plain(row.values.at("name")), plain(row.values.at("type"))});
    const auto lines = align(heads, {false, false});
    for (std::size_t i = 0; i < rows.size(); ++i) {
      out += "\n  " + lines[i] + "\n";
      auto text = plain(rows[i].values.at("description"));
      if (const auto rules = plain(rows[i].values.at("rules")); !rules.empty())
        text += (text.empty() ? "[" : " [") + rules + "]";
      for (const auto& line : wrap(text, 92)) out += "      " + line + "\n";
    }
    return out;
  };
  report.rows = std::move(rows);
  return report;
}

}  // namespace

Command explain_command() {
  Command command{"explain",
                  "Explain a message, a field, a method or an enum of the contract",
                  {"campaignctl explain Campaign.content.budget", "campaignctl explain campaigns.approve"}};
  command.arguments = {
      {"TOPIC", "Campaign, Campaign.content.budget, CampaignStage, Campaigns.Approve, campaigns"}};
  command.flags = {kNoHeaders};
  command.run = explain;
  return command;
}

}  // namespace cx::ctl
