#include "gateways/openapi/openapi.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>
#include <set>

#include "gateways/openapi/docs.hpp"
#include "gateways/openapi/schema.hpp"
#include "shop.pb.h"

namespace cx::openapi {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

const Services& nothing_served() {
  static const Services services;
  return services;
}

std::vector<Method> all_methods() {
  return methods_of(contract_services(), nothing_served());
}

std::vector<Method> shop() {
  return methods_of({test::Thing::descriptor()->file()->service(0)}, nothing_served());
}

value parsed(std::span<const Method> methods) {
  return boost::json::parse(document(methods, {"Test", "1.2.3"}));
}

/// What `text` says, as JSON with single quotes.
value is(std::string text) {
  for (auto& c : text)
    if (c == '\'') c = '"';
  return boost::json::parse(text);
}

template <class Visit>
void for_each_object(const value& from, const Visit& visit) {
  if (const auto* found = from.if_object()) {
    visit(*found);
    for (const auto& [key, inner] : *found) for_each_object(inner, visit);
  } else if (const auto* list = from.if_array()) {
    for (const auto& inner : *list) for_each_object(inner, visit);
  }
}

/// Names in order, so that a failed comparison shows both sides.
std::string joined(const std::set<std::string>& names) {
  std::string out;
  for (const auto& name : names) (out += out.empty() ? "" : ", ") += name;
  return out;
}

std::string parameters(const value& operation) {
  std::set<std::string> out;
  for (const auto& parameter : operation.at("parameters").as_array()) {
    const auto* ref = parameter.as_object().if_contains("$ref");
    const std::string text(ref != nullptr ? ref->as_string() : parameter.at("name").as_string());
    out.insert(ref != nullptr ? text.substr(text.rfind('/') + 1)
                              : std::string(parameter.at("in").as_string()) + ' ' + text);
  }
  return joined(out);
}

std::set<std::string> keys(const value& from) {
  std::set<std::string> out;
  for (const auto& [key, inner] : from.as_object()) out.insert(std::string(key));
  return out;
}

}  // namespace

TEST_CASE("The document has an operation for each route of the contract, and is the same each time") {
  const auto methods = all_methods();
  CHECK(document(methods, {"Test", "1"}) == document(all_methods(), {"Test", "1"}));
  const auto out = parsed(methods);
  CHECK(out.at("openapi") == "3.1.0");
  CHECK(out.at("info").at("version") == "1.2.3");
  std::set<std::string> ids;
  for (const auto& method : methods) {
    if (method.path.empty()) continue;
    CAPTURE(method.name);
    std::string verb = method.verb;
    for (auto& c : verb) c = static_cast<char>(std::tolower(c));
    const auto& operation = out.at("paths").at(method.path).at(verb);
    CHECK(ids.insert(std::string(operation.at("operationId").as_string())).second);
    CHECK_FALSE(operation.at("summary").as_string().empty());
    CHECK(operation.at("x-permission").as_string().size() > 3);
    CHECK(operation.at("responses").as_object().contains("200"));
    CHECK(operation.at("responses").as_object().contains("503"));
  }
  CHECK(ids.contains("Campaigns.Approve"));
}

TEST_CASE("References lead somewhere, and every component is used") {
  const auto out = parsed(all_methods());
  std::set<std::string> used;
  for_each_object(out, [&](const object& at) {
    const auto* ref = at.if_contains("$ref");
    if (ref == nullptr) return;
    const std::string text(ref->as_string());
    REQUIRE(text.starts_with("#/components/"));
    boost::json::error_code error;
    CHECK_MESSAGE(out.find_pointer(text.substr(1), error) != nullptr, text);
    used.insert(text);
  });
  for (const auto& kind : {"schemas", "responses", "parameters", "headers"})
    for (const auto& name : keys(out.at("components").at(kind)))
      CHECK_MESSAGE(used.contains(std::string("#/components/") + kind + '/' + name), name);
}

TEST_CASE("A method that changes an entity tells all that a caller can send and get") {
  const auto out = parsed(all_methods());
  const auto& approve = out.at("paths").at("/v1/campaigns/{campaign_id}:approve").at("post");
  CHECK(parameters(approve) == "Idempotency-Key, If-Match, X-Request-Id, X-Timeout-Ms, path campaign_id");
  CHECK(approve.at("parameters").at(0).at("schema").at("pattern") == "^[a-z0-9-]{1,63}$");
  CHECK(approve.at("x-permission") == "campaign.approve");
  CHECK(approve.at("x-effect") == "changes");
  CHECK(approve.at("x-rate-cost") == 1);
  CHECK(approve.at("tags") == is("['campaigns']"));
  CHECK(approve.at("summary").as_string().starts_with("Approves what is in review"));
  const auto& body = approve.at("requestBody").at("content").at("application/json").at("schema");
  CHECK(body.at("properties").as_object().contains("comment"));
  CHECK_FALSE(body.at("properties").as_object().contains("campaign_id"));
  CHECK_FALSE(body.at("properties").as_object().contains("if_match"));
  CHECK(body.at("additionalProperties") == false);
  CHECK(joined(keys(approve.at("responses"))) ==
        "200, 400, 401, 403, 404, 409, 412, 413, 415, 429, 431, 500, 503, 504");
  CHECK(approve.at("responses").at("200").at("headers").as_object().contains("ETag"));
  CHECK(approve.at("responses").at("412") == is("{'$ref':'#/components/responses/Precondition-Failed'}"));
}

TEST_CASE("A raw method takes and gives what its media type says") {
  const auto out = parsed(all_methods());
  const auto& bid = out.at("paths").at("/v1/bid").at("post");
  CHECK(parameters(bid) == "X-Request-Id");
  CHECK(joined(keys(bid.at("requestBody").at("content"))) == "application/json");
  CHECK(bid.at("responses").as_object().contains("204"));
}

TEST_CASE("Parameters of path, query and header") {
  const auto methods = shop();
  const auto out = parsed(methods);
  const auto& search = out.at("paths").at("/v1/goods/{shelf.name}:search").at("get");
  CHECK(parameters(search) ==
        "X-Request-Id, X-Timeout-Ms, path shelf.name, query colours, query page_size, query shelf.row, query "
        "since");
  CHECK(search.at("security") == is("[]"));
  for (const auto& parameter : search.at("parameters").as_array())
    if (const auto* name = parameter.as_object().if_contains("name"); name != nullptr && *name == "colours")
      CHECK(parameter.at("schema") ==
            is("{'type':'array','items':{'$ref':'#/components/schemas/cx.test.Colour'}}"));

  const auto& replace = out.at("paths").at("/v1/goods/{name}").at("put");
  CHECK(parameters(replace) == "If-Match, X-Request-Id, X-Timeout-Ms, path name, query update_mask");
  CHECK(replace.at("requestBody") == is("{'required':true,'content':{'application/json':{'schema':"
                                        "{'$ref':'#/components/schemas/cx.test.Thing'}}}}"));
  CHECK(replace.at("x-permission") == "authenticated");
  CHECK_FALSE(replace.as_object().contains("security"));

  const auto& remove = out.at("paths").at("/v1/goods/{name}:remove").at("post");
  CHECK(parameters(remove) == "Idempotency-Key, If-Match, X-Request-Id, X-Timeout-Ms, path name");
  CHECK(remove.at("x-effect") == "destroys");
  CHECK(remove.at("x-rate-cost") == 7);
  const auto& body = remove.at("requestBody").at("content").at("application/json").at("schema");
  CHECK(body ==
        is("{'type':'object','properties':{'password':{'type':'string','minLength':1,'format':'password',"
           "'writeOnly':true}},'required':['password'],'additionalProperties':false}"));
}

TEST_CASE("Fields of every kind") {
  const auto methods = shop();
  const auto out = parsed(methods);
  const auto& thing = out.at("components").at("schemas").at("cx.test.Thing");
  const std::map<std::string, std::string> expected = {
      {"name", "{'type':'string','pattern':'^[a-z0-9-]{1,63}$'}"},
      {"title", "{'type':'string','minLength':1,'maxLength':100}"},
      {"a", "{'type':'integer','format':'int32','minimum':-2147483648,'maximum':2147483647}"},
      {"b", "{'type':'integer','format':'uint32','minimum':1,'maximum':9}"},
      {"c", "{'type':['string','integer'],'format':'int64','pattern':'^(0|-?[1-9][0-9]{0,18})$'}"},
      {"d", "{'type':['string','integer'],'format':'uint64','pattern':'^(0|[1-9][0-9]{0,19})$','minimum':0}"},
      {"e",
       "{'type':['string','integer'],'format':'int64','pattern':'^(0|[1-9][0-9]{0,19})$','minimum':0,"
       "'maximum':1000}"},
      {"f", "{'type':'number','format':'double'}"},
      {"g", "{'type':'number','format':'float'}"},
      {"h", "{'type':'boolean'}"},
      {"i", "{'type':'string','contentEncoding':'base64'}"},
      {"j", "{'$ref':'#/components/schemas/cx.test.Colour'}"},
      {"k", "{'type':'string','format':'date-time','examples':['2026-01-31T08:30:00Z']}"},
      {"o", "{'type':'object'}"},
      {"p", "{}"},
      {"q", "{'type':'array','items':{}}"},
      {"r", "{'type':'string'}"},
      {"s", "{'type':['string','integer'],'format':'int64','pattern':'^(0|-?[1-9][0-9]{0,18})$'}"},
      {"t",
       "{'type':'object','additionalProperties':{'$ref':'#/components/schemas/"
       "cx.test.Colour'},'maxProperties':3}"},
      {"u", "{'type':'array','items':{'type':'string','maxLength':10},'maxItems':5}"},
      {"v", "{'$ref':'#/components/schemas/cx.test.Thing'}"},
      {"y", "{'type':'string','enum':['big','small','']}"},
      {"made", "{'type':'string','pattern':'^[a-z0-9-]{0,63}$','description':'Made up when it is empty.'}"},
      {"shown", "{'type':'string','readOnly':true}"},
      {"secret", "{'type':'string','format':'password'}"},
      {"email", "{'type':'string','description':'E-mail address.','x-personal':true}"},
  };
  for (const auto& [name, schema] : expected) {
    CAPTURE(name);
    CHECK(thing.at("properties").at(name) == is(schema));
  }
  CHECK_FALSE(thing.at("properties").as_object().contains("z"));  // internal
  CHECK(thing.at("required") == is("['name','title']"));
  CHECK(thing.at("not") == is("{'anyOf':[{'required':['w','x']}]}"));
  CHECK(thing.at("additionalProperties") == false);
  CHECK(out.at("components").at("schemas").at("cx.test.Colour").at("enum") ==
        is("['COLOUR_UNSPECIFIED','COLOUR_RED']"));
}

TEST_CASE("What only replies use says what is always there, and may grow") {
  const auto methods = shop();
  const auto out = parsed(methods);
  const auto& goods = out.at("components").at("schemas").at("cx.test.Goods");
  CHECK(goods.at("required") == is("['things','count']"));
  CHECK_FALSE(goods.as_object().contains("additionalProperties"));
}

TEST_CASE("Nothing that is internal or kept can be seen") {
  const auto out = document(all_methods(), {"Test", "1"});
  for (const auto* word : {"password_hash", "secret_sha256", "CampaignState", "UserDocument", "LoginState"})
    CHECK_MESSAGE(out.find("\"" + std::string(word)) == out.npos, word);
}

TEST_CASE("The first sentence of a comment") {
  CHECK(first_sentence("") == "");
  CHECK(first_sentence("One user.") == "One user");
  CHECK(first_sentence("Adds a user. Nobody can.") == "Adds a user");
  CHECK(first_sentence("A name, e.g. a word. Or not.") == "A name, e.g. a word");
  CHECK(first_sentence("No stop") == "No stop");
}

TEST_CASE("The page lists the endpoints, loads nothing from elsewhere, and runs no script of its own text") {
  const auto methods = all_methods();
  const auto all = documents(methods, {"<Test>", "1"});
  REQUIRE(all.size() >= 3);
  CHECK(all.at(0).path == "/openapi.json");
  const auto& page = all.at(1);
  CHECK(page.path == "/docs");
  CHECK(page.content_type == "text/html; charset=utf-8");
  for (const auto& method : methods)
    if (!method.path.empty())
      CHECK_MESSAGE(page.body.find(method.path + "</code>") != page.body.npos, method.name);
  CHECK(page.body.find("&lt;Test&gt; API") != page.body.npos);
  for (const auto* bad : {"http:", "https:", "src=\"//", "href=\"//", "<script>", "onload=", "style="})
    CHECK_MESSAGE(page.body.find(bad) == page.body.npos, bad);
  CHECK(page.security_policy.starts_with("default-src 'none'; script-src 'self';"));

  // What it loads is there.
  std::set<std::string> paths;
  for (const auto& one : all) {
    CHECK_FALSE(one.body.empty());
    paths.insert(one.path);
  }
  for (const auto* attribute : {"href=\"", "src=\""})
    for (auto at = page.body.find(attribute); at != page.body.npos; at = page.body.find(attribute, at + 1)) {
      const auto begin = at + std::string(attribute).size();
      const auto target = page.body.substr(begin, page.body.find('"', begin) - begin);
      if (target != "data:,") CHECK_MESSAGE(paths.contains(target), target);
    }
  CHECK(has_viewer() == paths.contains("/docs/viewer.js"));
  CHECK(has_viewer() == (page.body.find("built without the viewer") == page.body.npos));
}

}  // namespace cx::openapi
