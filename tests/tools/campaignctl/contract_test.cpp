#include "messages/contract.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>
#include <set>

#include "tools/campaignctl/cli.hpp"
#include "tools/campaignctl/contract/call.hpp"
#include "tools/campaignctl/contract/inputs.hpp"
#include "tools/campaignctl/contract/methods.hpp"
#include "tools/campaignctl/contract/names.hpp"
#include "tools/campaignctl/contract/reply.hpp"
#include "tools/campaignctl/document.hpp"
#include "tools/campaignctl/text.hpp"
#include "tools/campaignctl/when.hpp"

using namespace cx::ctl;
namespace json = boost::json;

namespace {

using Words = std::vector<std::string>;

/// The words of a line, quotes around those with spaces.
Words split(const std::string& line) {
  Words words(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ' ' && !quoted)
      words.emplace_back();
    else
      words.back() += c;
  }
  return words;
}

std::string nothing(const std::string&) {
  return "";
}

/// The request of a command line, "POST /v1/x {body}", or why there is none.
std::string request_of_line(const std::string& line) {
  const auto parsed = parse(split(line));
  if (parsed.failure) return parsed.failure->detail;
  REQUIRE(parsed.command != nullptr);
  const Call call(*parsed.command, parsed.given, nothing);
  const auto& method = method_named(parsed.command->method);
  const auto document = document_of(call, method);
  if (!document) return document.error().detail;
  const auto request = http_request(method, *document);
  if (!request) return request.error().detail;
  return request->method() + " " + request->path + (request->body.empty() ? "" : " " + request->body);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Report report_of(const std::string& method, const std::string& words, const json::object& reply) {
  const auto parsed = parse(split(words));
  REQUIRE(!parsed.failure);
  return report_on(method_named(method), Call(*parsed.command, parsed.given, nothing), reply);
}

}  // namespace

TEST_CASE("every method of the contract has a command, and every verb made from it is of one method") {
  std::set<std::string> generated;
  cx::for_each_service([&](const auto& service) {
    for (int i = 0; i < service.method_count(); ++i) {
      const auto& method = *service.method(i);
      const auto path = command_for(method);
      CAPTURE(method.full_name());
      CAPTURE(path);
      const auto* command = find_command(path);
      REQUIRE(command != nullptr);
      CHECK(command->run);
      if (reached_by_hand().contains(method.full_name())) continue;
      CHECK(generated.insert(path).second);
      CHECK(command->method == method.full_name());
    }
  });
  for (const auto& [method, path] : reached_by_hand()) {
    CHECK(google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(method) != nullptr);
    CHECK(!find_command(path)->from_contract);
  }
}

TEST_CASE("of every verb of the contract the help fits a screen and the examples work") {
  for (const auto& any : commands()) {
    if (any.method.empty() || !any.from_contract) continue;
    const Command& command = *described(any.path);
    CAPTURE(command.path);
    const auto text = help(&command);
    CHECK(std::count(text.begin(), text.end(), '\n') <= 50);
    CHECK(!command.purpose.empty());
    std::set<std::string> names;
    for (const auto& flag : command.flags) CHECK_MESSAGE(names.insert(flag.name).second, flag.name);
    for (const auto& example : command.examples) {
      CAPTURE(example);
      const auto words = split(example);
      const auto parsed = parse({words.begin() + 1, words.end()});
      CHECK_MESSAGE(!parsed.failure, parsed.failure->detail);
      CHECK(parsed.command == &command);
    }
  }
}

TEST_CASE("flags become the request") {
  const std::pair<const char*, const char*> lines[] = {
      {"campaigns approve spring-sale --comment \"looks good\" --legal-reviewed",
       R"(POST /v1/campaigns/spring-sale:approve {"comment":"looks good","legal_reviewed":true})"},
      {"campaigns list --stage draft --stage in-review --query \"a b&c\" --limit 5 --cursor t/1",
       "GET "
       "/v1/campaigns?stage=CAMPAIGN_STAGE_DRAFT&stage=CAMPAIGN_STAGE_IN_REVIEW&query=a%20b%26c&page_size=5&"
       "page_token=t/1"},
      {"campaigns update spring-sale --name X --budget 1500.5USD --labels a=1 --labels b=x=y --update-mask "
       "name",
       R"(PATCH /v1/campaigns/spring-sale?update_mask=name {"name":"X","budget":{"micros":"1500500000","currency":"USD"},"labels":{"a":"1","b":"x=y"}})"},
      {"campaigns update spring-sale --budget.micros 7 --budget.currency EUR --description \"\"",
       R"(PATCH /v1/campaigns/spring-sale {"description":"","budget":{"micros":"7","currency":"EUR"}})"},
      {"campaigns create --name X --channels email --channels in-app --start 2026-12-01",
       R"(POST /v1/campaigns {"campaign":{"name":"X","channels":["CHANNEL_EMAIL","CHANNEL_IN_APP"],"start":"2026-12-01T00:00:00Z"}})"},
      {"campaigns get a/b:c%", "GET /v1/campaigns/a%2Fb%3Ac%25"},
      {"users update ana --disabled=false --roles admin",
       R"(PATCH /v1/users/ana {"roles":["admin"],"disabled":false})"},
      {"users update ana --identities provider=okta,subject=7 --identities provider",
       "--identities: provider is none of"},
      {"users update ana --identities provider=okta,subject=7",
       R"(PATCH /v1/users/ana {"identities":[{"provider":"okta","subject":"7"}]})"},
      {"users delete ana", "DELETE /v1/users/ana"},
      {"audit get 17", "GET /v1/audit/17"},
      {"api-keys rotate k1 --overlap-seconds 60", R"(POST /v1/api-keys/k1:rotate {"overlap_seconds":60})"},
      {"whoami", "GET /v1/me"},
      {"tenants get-own", "GET /v1/tenant"},
  };
  for (const auto& [line, expected] : lines) {
    CAPTURE(std::string(line));
    if (std::string(expected).starts_with("--"))
      CHECK(contains(request_of_line(line), expected));
    else
      CHECK(request_of_line(line) == expected);
  }
}

TEST_CASE("mistakes name the flag") {
  const std::pair<const char*, const char*> lines[] = {
      {"campaigns list --stage drft", "--stage cannot be drft (did you mean draft?)"},
      {"campaigns list --limit 1001", "--all follows pages"},
      {"campaigns aprove x", "did you mean approve?"},
      {"campaings list", "did you mean campaigns?"},
      {"campaigns approve x --coment y", "did you mean --comment?"},
      {"campaigns approve", "campaigns approve needs CAMPAIGN-ID"},
      {"campaigns reject x", "--comment is missing"},
      {"campaigns create", "campaign is missing; give it with flags, or with -f FILE"},
      {"campaigns get \"\"", "CAMPAIGN-ID is empty"},
      {"campaigns update x --budget 12", "--budget 12 is not an amount"},
      {"campaigns update x --labels a", "--labels a is not KEY=VALUE"},
      {"campaigns update x --start soon", "--start soon is not a time"},
      {"campaigns schedule x --start-at 15", "--start-at 15 is not a time"},
      {"users update ana --disabled=perhaps", "--disabled cannot be perhaps"},
      {"api-keys rotate k --overlap-seconds 99999999",
       "--overlap-seconds 99999999 is out of range; it is 0 to 2592000"},
      {"api-keys rotate k --overlap-seconds -1", "--overlap-seconds"},
      {"audit list --after-sequence x", "--after-sequence x is not a whole number"},
      {"audit list --outcome don", "did you mean done?"},
      {"campaigns list --idempotency-key k", "there is no flag --idempotency-key"},
      {"users get x --comment y", "no"},
      {"users create --name ana --password x", "did you mean --password-file?"},
  };
  for (const auto& [line, expected] : lines) {
    CAPTURE(std::string(line));
    const auto said = request_of_line(line);
    CHECK_MESSAGE(contains(said, expected), said);
  }
}

TEST_CASE("amounts of money keep every micro") {
  const auto money = [](const char* text) { return *parse_money("--budget", text); };
  CHECK(money("1500.00USD") == std::pair(std::int64_t{1'500'000'000}, std::string("USD")));
  CHECK(money("0.000001 EUR") == std::pair(std::int64_t{1}, std::string("EUR")));
  CHECK(money("999999999999.999999IDR").first == 999'999'999'999'999'999);
  for (const char* wrong : {"", "USD", "1", "1.USD", "1.0000001USD", "-1USD", "1usd", "1USDX", "1,5USD",
                            "1e3USD", "99999999999999USD", " 1USD"})
    CHECK_MESSAGE(!parse_money("--budget", wrong), wrong);
}

TEST_CASE("a time without a sign leads where its flag points") {
  const std::chrono::system_clock::time_point now{std::chrono::seconds(1767323045)};  // 2026-01-02T03:04:05Z
  const auto at = [&](const char* text, Sense sense) { return *time_of("--at", text, sense, now); };
  CHECK(at("15m", Sense::ago) == "2026-01-02T02:49:05Z");
  CHECK(at("15m", Sense::from_now) == "2026-01-02T03:19:05Z");
  CHECK(at("-7d", Sense::from_now) == "2025-12-26T03:04:05Z");
  CHECK(at("+2h", Sense::ago) == "2026-01-02T05:04:05Z");
  CHECK(at("now", Sense::ago) == "2026-01-02T03:04:05Z");
  CHECK(at("2026-02-28", Sense::ago) == "2026-02-28T00:00:00Z");
  CHECK(at("2026-02-28T01:02:03+07:00", Sense::ago) == "2026-02-28T01:02:03+07:00");
  CHECK(at("", Sense::ago).empty());
  for (const char* wrong : {"2026-02-30", "soon", "d", "0d", "-", "7", "40000d"})
    CHECK_MESSAGE(!time_of("--at", wrong, Sense::ago, now), wrong);
}

TEST_CASE("names of the contract as people type them") {
  CHECK(kebab("WhoAmI") == "who-am-i");
  CHECK(kebab("GoLive") == "go-live");
  CHECK(kebab("StartOidcLogin") == "start-oidc-login");
  CHECK(kebab("HTTPServer") == "http-server");
  CHECK(kebab("update_mask") == "update-mask");
  const auto& stages =
      *google::protobuf::DescriptorPool::generated_pool()->FindEnumTypeByName("cx.v1.CampaignStage");
  CHECK(short_names(stages).front() == "draft");
  CHECK(find_value(stages, "in-review")->name() == "CAMPAIGN_STAGE_IN_REVIEW");
  CHECK(find_value(stages, "Campaign_Stage_Live")->number() == find_value(stages, "LIVE")->number());
  CHECK(find_value(stages, "") == nullptr);
  CHECK(first_sentence("Makes it. Or not.") == "Makes it");
  CHECK(wrap("aa bb cc", 5) == Words{"aa bb", "cc"});
}

TEST_CASE("documents are JSON or YAML, quoted words are texts, and no alias makes a file explode") {
  CHECK(*parse_document("{\"a\": 1}", "f") == json::value{{"a", 1}});
  CHECK(*parse_document("a: 1\nb: '1'\nc: [x, true, ~]\nd: 1.5\ne: 2026-01-01\n", "f") ==
        json::value{{"a", 1}, {"b", "1"}, {"c", {"x", true, nullptr}}, {"d", 1.5}, {"e", "2026-01-01"}});
  CHECK(contains(parse_document("a: [1", "f").error().detail, "f:"));
  CHECK(!parse_document("a: 1\na: 2\n", "f"));
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    const std::string before(1, static_cast<char>(c - 1)), name(1, c);
    bomb += name + ": &" + name + " [";
    for (int i = 0; i < 9; ++i) bomb += (i > 0 ? ",*" : "*") + before;
    bomb += "]\n";
  }
  CHECK(contains(parse_document(bomb, "f").error().detail, "100,000"));
  CHECK(!parse_document(std::string(100, '[') + std::string(100, ']'), "f"));
}

TEST_CASE("a campaign's line says most with eight columns, and csv has raw units") {
  const auto reply =
      json::parse(R"({"campaigns":[{"id":"spring-sale","stage":"CAMPAIGN_STAGE_IN_REVIEW","owner":"user/ana",
    "content":{"name":"Spring","channels":["CHANNEL_EMAIL","CHANNEL_IN_APP"],"budget":{"micros":"1500500000","currency":"USD"},
    "start":"2026-12-01T00:00:00.123Z","labels":{"a":"b"}},"approvals":[{"actor":"user/bo"}],"of_a_newer_server":1}],
    "next_page_token":"t/2"})")
          .as_object();
  const auto report =
      report_of("cx.v1.Campaigns.List", "campaigns list --stage in-review --query \"it's\"", reply);
  CHECK(render(report, {}) ==
        "ID           NAME    STAGE      OWNER     CHANNELS      BUDGET       START                 END\n"
        "spring-sale  Spring  in-review  user/ana  email in-app  1500.50 USD  2026-12-01T00:00:00Z\n");
  CHECK(render(report, {Format::name}) == "spring-sale\n");
  const auto csv = render(report, {Format::csv});
  for (const char* part :
       {"content.budget.micros", "1500500000", "CAMPAIGN_STAGE_IN_REVIEW", "content.owner"})
    CHECK_MESSAGE(contains(csv, part), csv);
  CHECK(contains(render(report, {Format::jsonl}), "of_a_newer_server"));
  CHECK(report.notes ==
        Words{"more: campaignctl campaigns list --query='it'\\''s' --stage=in-review --cursor t/2"});
}

TEST_CASE("one resource is told line by line, lists below") {
  const auto reply =
      json::parse(R"({"id":"x","stage":"CAMPAIGN_STAGE_PAUSED","paused_from":"CAMPAIGN_STAGE_LIVE",
    "content":{"name":"\u001b[2J"},"approvals":[{"actor":"user/bo","at":"2026-12-01T00:00:00Z"}]})")
          .as_object();
  const auto text = render(report_of("cx.v1.Campaigns.Get", "campaigns get x", reply), {});
  CHECK(contains(text, "id           x\n"));
  CHECK(contains(text, "paused from  live\n"));
  CHECK(contains(text, "\\x1b[2J"));
  CHECK(contains(text, "approvals\n  - actor: user/bo\n"));
  const auto key = json::parse(R"({"api_key":{"key_id":"3f","name":"ssp"},"secret":"cx_3f_s"})").as_object();
  const auto report = report_of("cx.v1.ApiKeys.Create", "api-keys create --name ssp -y", key);
  CHECK(report.rows.front().name == "3f");
  CHECK(contains(render(report, {}), "cx_3f_s"));
}

TEST_CASE("completion of verbs, flags and values comes from the contract") {
  const auto completed = [](const Words& words) { return complete(words, Settings({}, nothing)); };
  CHECK(completed({"campaigns", "app"}) == "approve\n");
  CHECK(completed({"campaigns", "list", "--stage", "in"}) == "in-review\n");
  CHECK(completed({"campaigns", "list", "--stage=dr"}) == "--stage=draft\n");
  CHECK(completed({"campaigns", "approve", "--comm"}) == "--comment\n");
  CHECK(completed({"--stage", "dr"}) == "");
  CHECK(completed({"campaigns", "update", "x", "--budget"}) == "--budget\n");
  CHECK(completed({"campaigns", "update", "-f", ""}) == ":files\n");
}
