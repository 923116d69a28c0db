#include "runtime/config.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <sstream>

#include "cx/v1/config.pb.h"

namespace cx {
namespace {

std::string refusal(const std::string& yaml) {
  v1::NodeConfig config;
  const auto error = read_yaml(yaml, "test.yaml", config);
  return error ? error->detail : "";
}

}  // namespace

TEST_CASE("what a document names is set, the rest stays") {
  v1::NodeConfig config;
  config.set_node("before");
  REQUIRE_FALSE(read_yaml("http: {port: 81}\nbidding:\n  bid_anonymous: true\n  currencies: {EUR: '0.9'}\n",
                          "t", config));
  CHECK(config.node() == "before");
  CHECK(config.http().port() == 81);
  CHECK(config.bidding().bid_anonymous());
  CHECK(config.bidding().currencies().at("EUR") == "0.9");
  CHECK_FALSE(read_yaml("", "t", config));
}

TEST_CASE("a list of messages or texts replaces the one before") {
  v1::NodeConfig config;
  config.mutable_auth()->add_issuers()->set_issuer("before");
  REQUIRE_FALSE(
      read_yaml("auth:\n  issuers:\n  - {issuer: a, audience: x}\n  - {issuer: b, audience: y}\n"
                "  oidc: [{name: one, issuer: i, client_id: c, redirect_url: r, tenant: t, roles: [v, w]}]\n",
                "t", config));
  REQUIRE(config.auth().issuers_size() == 2);
  CHECK(config.auth().issuers(1).issuer() == "b");
  CHECK(config.auth().oidc(0).roles_size() == 2);
  REQUIRE_FALSE(read_yaml("auth: {issuers: []}", "t", config));
  CHECK(config.auth().issuers_size() == 0);
}

TEST_CASE("an error names the line, the key and what would do") {
  const std::pair<const char*, const char*> cases[] = {
      {"node: a\nhttp:\n  prot: 1\n",
       "test.yaml:3:3: http.prot is not a key here; known keys are host, port"},
      {"http:\n  port: many\n", "test.yaml:2:9: http.port is 'many'; it must be number 0..65535."},
      {"http: {port: 65536}", "test.yaml:1:14: http.port is '65536'; it must be number 0..65535."},
      {"http: {port: -1}", "http.port is '-1'"},
      {"http: {port: 1.5}", "http.port is '1.5'"},
      {"http: {port: [1]}", "http.port must be a single value"},
      {"http: 7", "test.yaml:1:7: http must be a mapping"},
      {"[1, 2]", "the document must be a mapping"},
      {"log: {level: loud}", "log.level is 'loud'; it must be trace|debug|info|warn|error."},
      {"grpc: {enabled: 1}", "grpc.enabled is '1'; it must be true|false."},
      {"node: a\nnode: b\n", "test.yaml:2:1: node stands here twice"},
      {"http:\n  port: 1\n  port: 2\n", "http.port stands here twice"},
      {"bidding: {currencies: {EUR: [1]}}", "bidding.currencies must map each name to a single value"},
      {"bidding:\n  currencies: {EUR: '1', EUR: '2'}",
       "test.yaml:2:26: bidding.currencies.EUR stands here twice"},
      {"node: a\n---\nnode: b\n", "test.yaml:3:1: a second document starts here"},
      {"tenant: Acme Corp", "tenant is 'Acme Corp'; it must be 1 to 63 of a-z, 0-9, -."},
      {"a: [1\n", "not YAML"},
      {"auth: {issuers: {}}", "test.yaml:1:17: auth.issuers must be a list"},
      {"auth: {issuers: [1]}", "test.yaml:1:18: auth.issuers.1 must be a mapping of keys to values"},
      {"auth:\n  issuers:\n    - {issuer: a, audience: b}\n    - {issuer: a}\n",
       "test.yaml:4:7: auth.issuers.2 must have a value for audience"},
      {"auth: {issuers: [{issuer: a, audience: b, aud: c}]}", "auth.issuers.1.aud is not a key here"},
      {"auth: {oidc: [{name: Big One}]}", "auth.oidc.1.name is 'Big One'; it must be 1 to 63 of"},
      {"auth: {oidc: [{roles: viewer}]}", "auth.oidc.1.roles must be a list"},
      {"auth: {oidc: [{roles: [[viewer]]}]}", "auth.oidc.1.roles must hold single values"},
  };
  for (const auto& [yaml, wanted] : cases) {
    CAPTURE(std::string(yaml));
    CAPTURE(refusal(yaml));
    CHECK(refusal(yaml).find(wanted) != std::string::npos);
    CHECK(refusal(yaml) != "");
  }
}

TEST_CASE("every setting can be set as a flag, read back, and has documentation") {
  const auto settings = settings_of("cx.v1.NodeConfig");
  CHECK(settings.size() > 30);
  v1::NodeConfig config;
  for (const auto& setting : settings) {
    CAPTURE(setting.key);
    CHECK_FALSE(setting.help.empty());
    CHECK(setting.flag.starts_with("--"));
    std::string value = "x";
    if (setting.type.starts_with("number"))
      value = "1024";
    else if (setting.type.find('|') != setting.type.npos)
      value = setting.type.substr(setting.type.rfind('|') + 1);
    const auto error = set_setting(config, setting.key, value, setting.flag);
    if (!error)
      CHECK(get_setting(config, setting.key) == value);
    else
      CHECK(error->detail.find("must be number") != std::string::npos);  // 1024 is not in every range
  }
  CHECK(set_setting(config, "http.nothing", "1", "--http-nothing"));
  CHECK(set_setting(config, "node.http", "1", "--x"));
}

TEST_CASE("the shipped configuration is valid and names every setting") {
  std::ifstream file(CX_SOURCE_DIR "/config/campaignd.yaml");
  std::stringstream text;
  text << file.rdbuf();
  v1::NodeConfig config;
  REQUIRE_FALSE(read_yaml(text.str(), "campaignd.yaml", config));
  for (const auto& setting : settings_of("cx.v1.NodeConfig")) {
    const auto leaf = setting.key.substr(setting.key.rfind('.') + 1);
    CAPTURE(setting.key);
    CHECK(text.str().find(leaf + ":") != std::string::npos);
  }
}

TEST_CASE("a list of texts replaces what was there, and is one flag with commas") {
  v1::NodeConfig config;
  config.mutable_http()->add_cors_origins("https://before");
  REQUIRE_FALSE(read_yaml("http:\n  cors_origins:\n    - https://a\n    - https://b\n", "t", config));
  CHECK(get_setting(config, "http.cors_origins") == "https://a,https://b");
  REQUIRE_FALSE(set_setting(config, "http.cors_origins", "https://c,https://d", "--http-cors-origins"));
  CHECK(config.http().cors_origins_size() == 2);
  CHECK(config.http().cors_origins(1) == "https://d");
  REQUIRE_FALSE(set_setting(config, "http.cors_origins", "", "--http-cors-origins"));
  CHECK(config.http().cors_origins_size() == 0);
  REQUIRE_FALSE(read_yaml("http: {cors_origins: [], tls: {certificate: a.pem}}", "t", config));
  CHECK(config.http().tls().certificate() == "a.pem");
  CHECK(refusal("http: {cors_origins: https://a}").find("http.cors_origins must be a list") !=
        std::string::npos);
  CHECK(refusal("http: {cors_origins: [[a]]}").find("http.cors_origins must hold single values") !=
        std::string::npos);
}

}  // namespace cx
