#include "providers/channels/http.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <latch>
#include <openssl/ssl.h>
#include <thread>
#include <unistd.h>

#include "providers/channels/message.hpp"
#include "tests/gateways/http/certificates.hpp"
#include "tests/providers/channels/vendor.hpp"

namespace cx::channels {
namespace {

using std::chrono::milliseconds;
using test::here;
using test::post;
using test::Vendor;

/// A port of 127.0.0.1 on which nobody accepts unless told to.
struct Listener {
  explicit Listener(bool listens = true, in_addr_t at = INADDR_LOOPBACK) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(at);
    socklen_t size = sizeof(address);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    if (listens) REQUIRE(::listen(fd, 8) == 0);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
  }
  ~Listener() { ::close(fd); }
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port = 0;
};

/// Answers one request over TLS.
struct TlsServer {
  explicit TlsServer(const http::Identity& self) : context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free) {
    SSL_CTX_use_certificate(context.get(), self.certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), self.key.get());
    std::signal(SIGPIPE, SIG_IGN);  // clients that do not like us hang up
    thread = std::thread([this] {
      const int socket = ::accept(listener.fd, nullptr, nullptr);
      const std::shared_ptr<SSL> ssl(SSL_new(context.get()), &SSL_free);
      SSL_set_fd(ssl.get(), socket);
      char bytes[4096];
      if (SSL_accept(ssl.get()) == 1 && SSL_read(ssl.get(), bytes, sizeof(bytes)) > 0) {
        constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        SSL_write(ssl.get(), kAnswer.data(), static_cast<int>(kAnswer.size()));
        reached = true;
      }
      ::close(socket);
    });
  }
  ~TlsServer() { thread.join(); }
  std::shared_ptr<SSL_CTX> context;
  Listener listener{true, INADDR_ANY};  // 127.0.0.2, too
  std::atomic<bool> reached{false};
  std::thread thread;
};

HttpRequest to(const std::string& url, milliseconds timeout = milliseconds(5000)) {
  return {url, {"Content-Type: application/json"}, R"({"a":1})", timeout};
}

Account webhook() {
  auto secrets = WebhookSecrets::parse(test::kSecret);
  REQUIRE(secrets);
  return {Webhook{"", *secrets}, {}};
}

}  // namespace

TEST_CASE("every way in which a receiver can fail is told from the others") {
  Vendor vendor("");
  HttpClient client({here(), 16, ""});
  struct Case {
    const char* behaviour;
    long status;
    bool sent;
    pool::Verdict verdict;
    const char* type;
    std::int64_t after_s;
  };
  using pool::Verdict;
  const Case cases[] = {
      {"'mode':'ok'", 200, true, Verdict::done, "", 0},
      {"'mode':'throttle'", 429, true, Verdict::retry, "http-429", 0},
      {"'mode':'throttle','retry_after':7", 429, true, Verdict::retry, "http-429", 7},
      {"'mode':'error'", 503, true, Verdict::retry, "http-503", 0},
      {"'mode':'error','status':500", 500, true, Verdict::retry, "http-500", 0},
      {"'mode':'error','status':408", 408, true, Verdict::retry, "http-408", 0},
      {"'mode':'error','status':425", 425, true, Verdict::retry, "http-425", 0},
      {"'mode':'error','status':400", 400, true, Verdict::failed, "http-400", 0},
      {"'mode':'error','status':404", 404, true, Verdict::failed, "http-404", 0},
      {"'mode':'error','status':410", 410, true, Verdict::failed, "http-410", 0},
      {"'mode':'accept-then-fail'", 500, true, Verdict::retry, "http-500", 0},
      {"'mode':'redirect'", 302, true, Verdict::failed, "http-302", 0},
      {"'mode':'huge'", 200, true, Verdict::done, "", 0},
      {"'mode':'slow','delay_ms':60000", 200, true, Verdict::done, "", 0},
      {"'mode':'hang'", 0, true, Verdict::unknown, "no-response", 0},
      {"'mode':'reset'", 0, true, Verdict::unknown, "no-response", 0},
      {"'mode':'duplicate'", 0, true, Verdict::unknown, "no-response", 0},
      {"'mode':'ok','delay_ms':60000", 0, true, Verdict::unknown, "no-response", 0},
  };
  for (const auto& c : cases) {
    CAPTURE(std::string(c.behaviour));
    vendor.behave(std::string("{'path':'/hooks/a',") + c.behaviour + "}");
    const auto reply = post(client, to(vendor.hook("a"), milliseconds(400)));
    CHECK(reply.status == c.status);
    CHECK(reply.sent == c.sent);
    CHECK(reply.body.size() <= HttpReply::kMostBody);
    const auto outcome = judge(webhook(), reply, 0);
    CHECK(outcome.report.verdict == c.verdict);
    CHECK(outcome.error.type == c.type);
    CHECK(outcome.report.after == std::chrono::seconds(c.after_s));
  }
}

TEST_CASE("who was not reached has not got it") {
  HttpClient client({here(), 16, ""});
  const Listener deaf(false);  // refuses connections
  const auto refused = post(client, to("http://127.0.0.1:" + std::to_string(deaf.port)));
  CHECK(refused.status == 0);
  CHECK_FALSE(refused.sent);
  CHECK(judge(webhook(), refused, 0).report.verdict == pool::Verdict::retry);
  const auto nowhere = post(client, to("https://no-such-host.invalid/"));
  CHECK(nowhere.status == 0);
  CHECK_FALSE(nowhere.sent);
}

TEST_CASE("nothing that is not public is called unless it is allowed") {
  Vendor vendor("");
  HttpClient strict({});
  const auto port = vendor.url().substr(vendor.url().rfind(':'));
  for (const auto& url :
       {vendor.hook("a"), "http://localhost" + port + "/hooks/a", "https://127.0.0.1" + port + "/hooks/a",
        "https://localhost" + port + "/", "http://[::ffff:127.0.0.1]" + port + "/hooks/a",
        "https://localhost.localdomain" + port + "/", std::string("file:///etc/passwd"),
        std::string("http://169.254.169.254/latest/meta-data"), std::string("gopher://127.0.0.1/x")}) {
    CAPTURE(url);
    const auto reply = post(strict, to(url));
    CHECK(reply.status == 0);
    CHECK_FALSE(reply.sent);
  }
  CHECK(vendor.messages("/hooks/a").empty());
  HttpClient client({here(), 16, ""});
  CHECK(post(client, to("http://localhost" + port + "/hooks/a")).status == 200);
}

TEST_CASE("certificates are verified") {
  const auto root = http::authority("root"), other = http::authority("other");
  const auto folder = std::filesystem::temp_directory_path() / ("cx-channels-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  root.write(folder / "root.pem", folder / "root.key");
  const auto ca = (folder / "root.pem").string();
  const auto ask = [&](const http::Identity& self, const std::string& host, const std::string& trusted) {
    TlsServer server(self);
    HttpClient client({here(), 16, trusted});
    const auto reply = post(client, to("https://" + host + ":" + std::to_string(server.listener.port) + "/"));
    CHECK(server.reached == (reply.status == 200));
    CHECK((reply.status == 200 || !reply.sent));
    return reply.status;
  };
  CHECK(ask(http::signed_by(root, "server"), "localhost", ca) == 200);
  CHECK(ask(http::signed_by(root, "server"), "localhost", "") == 0);  // the system's authorities
  CHECK(ask(http::signed_by(other, "server"), "localhost", ca) == 0);
  CHECK(ask(http::signed_by(root, "server", -1), "localhost", ca) == 0);  // expired
  CHECK(ask(http::signed_by(root, "server"), "127.0.0.2", ca) == 0);      // another name
  std::filesystem::remove_all(folder);
}

TEST_CASE("a header with a line break in it is not sent") {
  Vendor vendor("");
  HttpClient client({here(), 16, ""});
  auto request = to(vendor.hook("a"));
  request.headers.push_back("X: y\r\nZ: injected");
  const auto reply = post(client, request);
  CHECK(reply.status == 0);
  CHECK_FALSE(reply.sent);
  CHECK(vendor.messages("/hooks/a").empty());
}

TEST_CASE("a thousand that hang hold up nobody, and stopping answers them all") {
  Vendor vendor("");
  vendor.behave("{'path':'/hooks/hangs','mode':'hang'}");
  HttpClient client({here(), 64, ""});
  std::atomic<int> answered{0};
  for (int i = 0; i < 400; ++i)
    client.post(to(vendor.hook("hangs"), milliseconds(600'000)), [&](const HttpReply& reply) {
      CHECK(reply.status == 0);
      ++answered;
    });
  constexpr int kMany = 2000;
  std::latch done(kMany);
  std::atomic<int> ok{0};
  for (int i = 0; i < kMany; ++i) {
    auto request = to(vendor.hook("ok"));
    request.headers.push_back("webhook-id: m-" + std::to_string(i));
    client.post(std::move(request), [&](const HttpReply& reply) {
      ok += reply.status == 200;
      done.count_down();
    });
  }
  done.wait();
  CHECK(ok == kMany);
  CHECK(answered == 0);
  client.stop();
  CHECK(answered == 400);
  CHECK(post(client, to(vendor.hook("ok"))).error == "the node is stopping");
  CHECK(vendor.counts("/hooks/ok").at("messages").to_number<int>() == kMany);
}

}  // namespace cx::channels
