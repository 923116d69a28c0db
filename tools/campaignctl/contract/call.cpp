#include "tools/campaignctl/contract/call.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <random>
#include <unistd.h>

#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/confirm.hpp"
#include "tools/campaignctl/contract/inputs.hpp"
#include "tools/campaignctl/contract/methods.hpp"
#include "tools/campaignctl/contract/names.hpp"
#include "tools/campaignctl/contract/reply.hpp"
#include "tools/campaignctl/credentials.hpp"
#include "tools/campaignctl/document.hpp"
#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

using google::protobuf::FieldDescriptor;

constexpr std::size_t kMaxLines = 100'000;     ///< that --all gathers
constexpr std::size_t kMaxDocument = 8 << 20;  ///< bytes of a request

/// What -f holds: the whole request, or only what the route calls its body.
Outcome<json::object> read_document(const Call& call, const Method& method) {
  const auto name = call.value("file");
  if (name == "-" && call.has("no-input") && isatty(STDIN_FILENO) != 0)
    return usage("the request would be read from the terminal, and --no-input forbids that; name a file");
  const auto text = read_input(name, kMaxDocument);
  if (!text) return text.error();
  auto parsed = parse_document(*text, name == "-" ? "stdin" : name);
  if (!parsed) return parsed.error();
  if (!parsed->is_object())
    return Failure{Exit::rejected, "malformed-document",
                   fmt::format("{} does not hold an object with the fields of {}", name,
                               method.descriptor->input_type()->name()),
                   ""};
  auto& object = parsed->get_object();
  if (method.body.empty() || method.body == "*") return std::move(object);
  const auto* body = method.descriptor->input_type()->FindFieldByName(method.body);
  if (member(object, *body) != nullptr) return std::move(object);
  return json::object{{method.body, std::move(object)}};
}

void add_query(const json::value& value, const std::string& name, std::string& query) {
  if (const auto* list = value.if_array()) {
    for (const auto& item : *list) add_query(item, name, query);
  } else if (const auto* object = value.if_object()) {
    for (const auto& field : *object)
      add_query(field.value(), fmt::format("{}.{}", name, std::string_view(field.key())), query);
  } else if (!value.is_null()) {
    query +=
        fmt::format("{}{}={}", query.empty() ? '?' : '&', encode_query(name), encode_query(plain(value)));
  }
}

/// Takes the field at "a.b" out of the document; its text.
std::string take(json::object& document, std::string_view path) {
  const auto dot = path.find('.');
  const auto found = document.find(path.substr(0, dot));
  if (found == document.end()) return "";
  if (dot != path.npos)
    return found->value().is_object() ? take(found->value().get_object(), path.substr(dot + 1)) : "";
  auto text = plain(found->value());
  document.erase(found);
  return text;
}

void put_at(json::object& document, std::string_view path, const std::string& text) {
  const auto dot = path.find('.');
  if (dot == path.npos) {
    document[path] = text;
    return;
  }
  auto& inner = document[path.substr(0, dot)];
  if (!inner.is_object()) inner = json::object();
  put_at(inner.get_object(), path.substr(dot + 1), text);
}

/// What a command is about, for people and for --confirm: its last argument, or its verb where it has none.
std::string thing_of(const Call& call) {
  const auto& command = call.command();
  return command.arguments.empty() ? command.path.substr(command.path.find(' ') + 1)
                                   : call.value(command.arguments.back().name);
}

Outcome<void> confirm(const Call& call) {
  const auto& command = call.command();
  if (const auto allowed = call.check_allowed(); !allowed) return allowed;
  const auto where = call.settings().server()->value;
  if (command.effect == Effect::changes) {
    if (call.has("yes")) return {};
    if (const auto possible = can_ask(call, kYes); !possible) return possible;
    std::string words = command.path;
    for (const auto& argument : command.arguments) words += " " + call.value(argument.name);
    return ask_yes(fmt::format("{} at {}?", words, where));
  }
  if (command.effect != Effect::destroys) return {};
  const auto thing = thing_of(call);
  if (call.has("confirm")) {
    if (call.value("confirm") == thing) return {};
    return usage(
        fmt::format("--confirm {} is not {}, which {} is about", call.value("confirm"), thing, command.path));
  }
  const auto* flag = &*std::find_if(command.flags.begin(), command.flags.end(),
                                    [](const Flag& any) { return any.name == "confirm"; });
  if (const auto possible = can_ask(call, *flag); !possible) return possible;
  return ask_name(
      fmt::format("{} {} at {}: {}.", command.path, thing, where, described(command.path)->purpose), thing);
}

Outcome<void> ask_missing_secrets(const Call& call, const std::vector<Input>& inputs,
                                  json::object& document) {
  for (const auto& input : inputs) {
    if (input.kind != Input::Kind::secret || !input.flag.required || input.path.size() != 1) continue;
    if (member(document, *input.path.back()) != nullptr || call.has("no-input") || isatty(STDIN_FILENO) == 0)
      continue;
    const auto secret = ask_secret(input.path.back()->name() + ": ");
    if (!secret) return secret.error();
    document[input.path.back()->name()] = *secret;
  }
  return {};
}

/// Hides what nobody is to see.
void mask(const google::protobuf::Descriptor& type, json::object& object) {
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& field = *type.field(i);
    for (const auto& name : {field.name(), field.json_name()}) {
      auto* value = object.if_contains(name);
      if (value == nullptr) continue;
      if (field.options().GetExtension(v1::secret))
        *value = "***";
      else if (value->is_object() && field.message_type() != nullptr && !field.is_map())
        mask(*field.message_type(), value->get_object());
    }
  }
}

std::string new_key() {
  std::random_device random;
  return fmt::format("ctl-{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

Outcome<void> add_header(const Call& call, const Method& method, std::string& key, Request& request) {
  for (const auto* name : {"if-match", "idempotency-key"})
    for (const char c : call.value(name))
      if (c < 0x21 || c > 0x7e)
        return usage(fmt::format("--{} has a character that no header can carry", name));
  if (auto etag = call.value("if-match"); !etag.empty())
    request.fields.emplace_back("If-Match", etag == "*" || etag.starts_with('"') ? etag : '"' + etag + '"');
  if (method.effect == v1::EFFECT_READS || method.target.empty()) return {};
  key = call.has("idempotency-key") ? call.value("idempotency-key") : new_key();
  request.fields.emplace_back("Idempotency-Key", key);
  if (call.has("verbose")) say(fmt::format("> idempotency key {}", key));
  return {};
}

/// A failure that says how to repeat what may or may not have been done.
Failure with_retry(Failure failure, const Call& call, const std::string& key) {
  if (failure.exit != Exit::unreachable || call.command().effect == Effect::reads) return failure;
  if (key.empty())
    failure.detail += "; it may have been done: look before you repeat it";
  else
    failure.detail += fmt::format("; it may have been done, and to repeat it is safe: {}",
                                  command_line(call, {{"idempotency-key", key}}));
  return failure;
}

Outcome<Report> show_request(const Call& call, const Request& request) {
  const auto server = call.settings().server();
  if (!server) return server.error();
  json::object headers;
  if (!request.content_type.empty()) headers["Content-Type"] = request.content_type;
  if (!request.anonymous) {
    const auto credential = describe_credential(call.settings());
    if (!credential) return credential.error();
    if (credential->value != "") headers["Authorization"] = "Bearer ***";
  }
  for (const auto& [name, value] : request.fields) headers[name] = value;
  json::object document{
      {"method", request.method()}, {"url", server->value + request.path}, {"headers", headers}};
  std::string text = fmt::format("{} {}{}\n", request.method(), server->value, request.path);
  for (const auto& field : headers)
    text += fmt::format("{}: {}\n", std::string_view(field.key()), plain(field.value()));
  if (!request.body.empty()) {
    auto body = json::parse(request.body);
    text += "\n" + to_json(body, true) + "\n";
    document["body"] = std::move(body);
  }
  Report report;
  report.document = to_json(document, true);
  report.columns = {{"method"}, {"url"}, {"headers"}, {"body"}};
  report.rows = {{request.method() + " " + request.path, document}};
  report.draw = [text](const View&) { return printable(text, "\n"); };
  report.notes = {"nothing was sent"};
  return report;
}

Outcome<json::object> parse_reply(const std::string& body, const Request& request) {
  boost::system::error_code error;
  auto answer = json::parse(body.empty() ? "{}" : body, error);
  if (!error && answer.is_object()) return std::move(answer.get_object());
  return Failure{
      Exit::server_failed, "not-understood",
      fmt::format("the answer to {} is not a JSON object; is the server a campaignd?", request.path), ""};
}

/// Pages one after the other, their lines in the first one's document.
Outcome<Report> all_pages(const Call& call, const Method& method, json::object document) {
  const auto& items = *list_field(*method.descriptor->output_type());
  if (document.find("page_size") == document.end()) document["page_size"] = 1000;
  json::object whole;
  std::string next;
  do {
    auto request = http_request(method, document);
    if (!request) return request.error();
    const auto response = call.ask(*request);
    if (!response) return response.error();
    auto page = parse_reply(response->body, *request);
    if (!page) return page.error();
    const std::string before = std::exchange(next, plain(at(*page, "next_page_token")));
    if (!next.empty() && next == before)
      return Failure{Exit::server_failed, "not-understood", "the server gave the same page twice", ""};
    if (whole.empty()) {
      whole = std::move(*page);
      if (!at(whole, items.name()).is_array()) whole[items.name()] = json::array();
    } else {
      for (const auto& item : list(at(*page, items.name())))
        whole.at(items.name()).get_array().push_back(item);
    }
    document["page_token"] = next;
  } while (!next.empty() && whole.at(items.name()).get_array().size() < kMaxLines);
  whole["next_page_token"] = next;
  auto report = report_on(method, call, whole);
  report.document = to_json(whole, true);
  return report;
}

}  // namespace

Outcome<json::object> document_of(const Call& call, const Method& method) {
  json::object document;
  if (call.has("file")) {
    auto read = read_document(call, method);
    if (!read) return read;
    document = std::move(*read);
  }
  const auto inputs = inputs_of(method);
  for (const auto& input : inputs) {
    if (!call.has(input.flag.name)) continue;
    if (const auto set = apply(input, call.values(input.flag.name), document); !set) return set.error();
  }
  for (const auto& variable : variables_of(method.path)) {
    const auto name = argument_name(variable);
    if (call.value(name).empty()) return usage(fmt::format("{} is empty", name));
    put_at(document, variable, call.value(name));
  }
  const auto limit = call.limit();
  if (!limit) return limit.error();
  if (*limit > 1000)
    return usage(fmt::format("--limit {} is more than a page has, 1000; --all follows pages", *limit));
  if (*limit > 0) document["page_size"] = *limit;
  if (call.has("cursor")) document["page_token"] = call.value("cursor");
  if (const auto asked = ask_missing_secrets(call, inputs, document); !asked) return asked.error();
  if (const auto complete = check_required(method, inputs, document); !complete) return complete.error();
  return document;
}

Outcome<Request> http_request(const Method& method, json::object document) {
  Request request;
  request.verb = method.verb;
  request.anonymous = method.access == Method::Access::everybody;
  std::string_view pattern = method.path;
  for (const auto& variable : variables_of(method.path)) {
    const auto brace = pattern.find('{');
    request.path.append(pattern.substr(0, brace)).append(encode_segment(take(document, variable)));
    pattern.remove_prefix(pattern.find('}') + 1);
  }
  request.path += pattern;
  if (!method.body.empty()) request.content_type = "application/json";
  if (method.body == "*") {
    request.body = to_json(document, false);
    return request;
  }
  if (!method.body.empty()) {
    const auto& field = *method.descriptor->input_type()->FindFieldByName(method.body);
    const auto* body = member(document, field);
    request.body = body == nullptr ? "{}" : to_json(*body, false);
    document.erase(field.name());
    document.erase(field.json_name());
  }
  std::string query;
  for (const auto& field : document) add_query(field.value(), std::string(field.key()), query);
  request.path += query;
  return request;
}

Outcome<Report> call_method(const Call& call) {
  const Method& method = method_named(call.command().method);
  auto document = document_of(call, method);
  if (!document) return document.error();
  if (call.has("dry-run")) mask(*method.descriptor->input_type(), *document);
  auto request = http_request(method, *document);
  if (!request) return request.error();
  std::string key;
  if (const auto added = add_header(call, method, key, *request); !added) return added.error();
  if (call.has("dry-run")) return show_request(call, *request);
  if (const auto confirmed = confirm(call); !confirmed) return confirmed.error();
  if (call.has("all")) return all_pages(call, method, *document);

  const auto response = call.ask(*request);
  if (!response) return with_retry(response.error(), call, key);
  const auto answer = parse_reply(response->body, *request);
  if (!answer) return answer.error();
  auto report = report_on(method, call, *answer);
  report.document = response->body.empty() ? "{}" : response->body;
  return report;
}

}  // namespace cx::ctl
