#include "gateways/auth/fetch.hpp"

#include <doctest/doctest.h>

#include "gateways/auth/json_view.hpp"
#include "tests/gateways/auth/simulator.hpp"

namespace cx::auth {
TEST_CASE("only https, and http of this machine, may be fetched") {
  for (const auto good : {"https://id.example/jwks.json", "https://10.0.0.1/", "http://localhost:8080/",
                          "http://127.0.0.1/", "http://[::1]:80/x", "https://id.example:8443"})
    CHECK_FALSE(check_url(good));
  for (const auto bad :
       {"", "id.example", "http://id.example/", "http://10.0.0.1/", "ftp://id.example/", "file:///etc/passwd",
        "gopher://x/", "https://user:pw@id.example/", "https://user@id.example/", "http://localhost.example/",
        "http://127.0.0.1.example/", "javascript:alert(1)"}) {
    CAPTURE(std::string(bad));
    CHECK(check_url(bad));
  }
  CHECK(check_url("https://x/" + std::string(3000, 'a')));
  CHECK_FALSE(fetch_by_curl({"file:///etc/passwd"}));
}

TEST_CASE("a document may name servers, but no address that is not where it came from") {
  CHECK_FALSE(check_url_of("https://login.example/token", "https://id.example"));
  CHECK_FALSE(check_url_of("http://127.0.0.1:9/token", "http://127.0.0.1:8"));
  CHECK(check_url_of("http://127.0.0.1:9/token", "https://id.example"));
  CHECK(check_url_of("http://localhost/token", "https://id.example"));
  CHECK(check_url_of("https://10.0.0.1/token", "https://id.example"));
  CHECK(check_url_of("http://id.example/token", "https://id.example"));
}

TEST_CASE("a form carries any text") {
  CHECK(form_encode("aZ0-._~") == "aZ0-._~");
  CHECK(form_encode("a b&c=d/\xc3\xa9%") == "a%20b%26c%3Dd%2F%C3%A9%25");
}

TEST_CASE("an answer comes with status and age, is never too long, and sends us nowhere else") {
  const test::Simulator simulator;
  const auto keys = fetch_by_curl({simulator.url() + "/jwks.json"});
  REQUIRE(keys);
  CHECK(keys->status == 200);
  CHECK(keys->max_age == 300);
  CHECK(JsonObject::parse(keys->body)->objects("keys").size() == 1);
  CHECK(fetch_by_curl({simulator.url() + "/nothing"})->status == 404);
  CHECK(fetch_by_curl({simulator.url() + "/nothing"})->max_age == -1);
  simulator.set("mode=discovery_huge");
  const auto huge = fetch_by_curl({simulator.url() + "/.well-known/openid-configuration"});
  REQUIRE_FALSE(huge);
  CHECK(huge.error().detail.find("longer than 262144 bytes") != std::string::npos);
  simulator.set("mode=redirect");
  const auto elsewhere = fetch_by_curl({simulator.url() + "/token", "a=b"});
  REQUIRE(elsewhere);
  CHECK(elsewhere->status == 307);
  CHECK_FALSE(fetch_by_curl({"http://127.0.0.1:1/"}));
}

}  // namespace cx::auth
