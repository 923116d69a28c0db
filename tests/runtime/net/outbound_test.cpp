#include "runtime/net/outbound.hpp"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <thread>
#include <unistd.h>

namespace cx::net {
namespace {

/// A socket's address; its port counts where there is one.
sockaddr_storage address_of(const std::string& text, std::uint16_t port = 443) {
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
  reinterpret_cast<sockaddr_in&>(address).sin_port = htons(port);  // at the same place in both
  return address;
}
const sockaddr& generic(const sockaddr_storage& address) {
  return reinterpret_cast<const sockaddr&>(address);
}
bool is_public(const std::string& text) {
  return net::is_public(generic(address_of(text)));
}

PrivateHosts hosts(std::vector<std::string> entries) {
  auto parsed = PrivateHosts::parse(entries);
  REQUIRE(parsed);
  return *parsed;
}

CURLcode get(const std::string& url, const Guard* guard) {
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 2000L);
  set_guard(curl, guard);
  const auto code = curl_easy_perform(curl);
  curl_easy_cleanup(curl);
  return code;
}

/// Listens on a port of 127.0.0.1, and hangs up on who connects.
struct Listener {
  Listener() {
    auto address = address_of("127.0.0.1", 0);
    socklen_t size = sizeof(sockaddr_in);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd, 8) == 0);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
  }
  ~Listener() { ::close(fd); }
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port = 0;
};

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

TEST_CASE("a URL's server is read as libcurl will") {
  CHECK(host_of("https://Hooks.Example/x?y")->name == "hooks.example");
  CHECK(host_of("https://hooks.example")->port == 443);
  CHECK(host_of("http://[::1]:80/")->loopback);
  CHECK(host_of("http://127.1/")->loopback);  // spelt otherwise, the same address
  CHECK(host_of("http://2130706433/")->loopback);
  CHECK(host_of("http://localhost:1")->literal);
  CHECK_FALSE(host_of("https://hooks.example")->literal);
  for (const auto bad : {"", "x", "/x", "ftp://x/", "file:///etc/passwd", "https://user@x/", "https://u:p@x/",
                         "https://", "https://x:99999/"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(host_of(bad));
  }
  CHECK_FALSE(host_of("https://x/" + std::string(2000, 'a')));
}

TEST_CASE("private hosts are allowed one by one") {
  const auto some = hosts({"127.0.0.1:8025", "10.1.0.0/16", "[::1]:8025", "fd00::/9", "mail.internal:25"});
  const auto has = [&](const char* text, std::uint16_t port) {
    return some.has(generic(address_of(text, port)));
  };
  CHECK(has("127.0.0.1", 8025));
  CHECK(has("::ffff:127.0.0.1", 8025));
  CHECK_FALSE(has("127.0.0.1", 8026));
  CHECK_FALSE(has("127.0.0.2", 8025));
  CHECK(has("10.1.255.255", 1));
  CHECK_FALSE(has("10.2.0.0", 1));
  CHECK(has("::1", 8025));
  CHECK_FALSE(has("::1", 8026));
  CHECK(has("fd7f::1", 1));
  CHECK_FALSE(has("fd80::1", 1));
  CHECK(some.has_name("mail.internal", 25));
  CHECK_FALSE(some.has_name("mail.internal", 26));
  CHECK_FALSE(some.has_name("x.mail.internal", 25));
  CHECK_FALSE(PrivateHosts().has(generic(address_of("127.0.0.1"))));
  for (const auto* bad : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "10.0.0.0/33",
                          "10.0.0.0/", "x/8", "::1:80", "[mail]:80", ":80", "http://x:80", "fd00::/129"}) {
    CAPTURE(std::string(bad));
    const std::string entry = bad;
    const auto parsed = PrivateHosts::parse({&entry, 1});
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().type == "invalid-private-host");
  }
}

TEST_CASE("a stranger's URL is https of a public server, or one that is allowed") {
  const auto some = hosts({"127.0.0.1:8025", "10.1.0.0/16", "mail.internal:8080"});
  for (const auto good :
       {"https://hooks.example/a", "http://127.0.0.1:8025/a", "http://localhost:8025/a", "https://10.1.2.3/",
        "http://10.1.2.3/", "http://mail.internal:8080", "https://8.8.8.8/"}) {
    CAPTURE(std::string(good));
    CHECK_FALSE(check_url(good, some));
  }
  for (const auto bad :
       {"http://hooks.example/a", "https://127.0.0.1/", "https://localhost/", "http://127.0.0.1:8026/",
        "https://10.2.0.1/", "https://169.254.169.254/latest", "http://mail.internal/", "https://[::1]/",
        "https://[fe80::1]/", "https://[::ffff:10.0.0.1]/", "https://0/", "gopher://x/"}) {
    CAPTURE(std::string(bad));
    const auto error = check_url(bad, some);
    REQUIRE(error);
    CHECK(error->type == "invalid-url");
  }
}

TEST_CASE("what a name resolves to is looked at before it is connected to") {
  const Listener here;
  const auto by_address = "http://127.0.0.1:" + std::to_string(here.port);
  const auto by_name = "http://localhost:" + std::to_string(here.port);
  CHECK(get(by_address, nullptr) == CURLE_COULDNT_CONNECT);
  CHECK(get(by_name, nullptr) == CURLE_COULDNT_CONNECT);
  const auto other = hosts({"127.0.0.1:" + std::to_string(here.port ^ 1)});
  const Guard wrong{&other, false};
  CHECK(get(by_name, &wrong) == CURLE_COULDNT_CONNECT);
  const auto same = hosts({"127.0.0.1:" + std::to_string(here.port)});
  const Guard allowed{&same, false}, named{nullptr, true};
  for (const auto* guard : {&allowed, &named}) {
    std::thread hang_up([&] { ::close(::accept(here.fd, nullptr, nullptr)); });
    CHECK(get(by_address, guard) != CURLE_COULDNT_CONNECT);
    hang_up.join();
  }
}

}  // namespace cx::net
