#include "gateways/auth/fetch.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>

#include "gateways/auth/json_view.hpp"
#include "tests/gateways/auth/simulator.hpp"

namespace cx::auth {
namespace {

bool is_public(const std::string& text) {
  sockaddr_storage address{};
  if (text.find(':') == text.npos) {
    auto& four = reinterpret_cast<sockaddr_in&>(address);
    four.sin_family = AF_INET;
    REQUIRE(inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1);
  } else {
    auto& six = reinterpret_cast<sockaddr_in6&>(address);
    six.sin6_family = AF_INET6;
    REQUIRE(inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1);
  }
  return auth::is_public(reinterpret_cast<const sockaddr&>(address));
}

}  // namespace

TEST_CASE("addresses of the public Internet are told from all others") {
  for (const auto text :
       {"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.169.0.1",
        "169.253.0.1", "11.0.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"}) {
    CAPTURE(std::string(text));
    CHECK(is_public(text));
  }
  for (const auto text : {"0.0.0.0",
                          "10.0.0.1",
                          "10.255.255.255",
                          "100.64.0.1",
                          "127.0.0.1",
                          "127.255.0.1",
                          "169.254.169.254",
                          "172.16.0.1",
                          "172.31.255.255",
                          "192.168.1.1",
                          "192.0.0.1",
                          "192.0.2.1",
                          "198.18.0.1",
                          "198.51.100.1",
                          "203.0.113.1",
                          "224.0.0.1",
                          "239.1.1.1",
                          "240.0.0.1",
                          "255.255.255.255",
                          "::",
                          "::1",
                          "fe80::1",
                          "fc00::1",
                          "fd12::1",
                          "ff02::1",
                          "2001:db8::1",
                          "2001::1",
                          "2002:7f00:1::",
                          "64:ff9b::a00:1",
                          "::ffff:127.0.0.1",
                          "::ffff:10.0.0.1",
                          "::127.0.0.1"}) {
    CAPTURE(std::string(text));
    CHECK_FALSE(is_public(text));
  }
}

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
