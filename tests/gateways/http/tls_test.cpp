#include "gateways/http/tls.hpp"

#include <doctest/doctest.h>
#include <openssl/ssl.h>
#include <thread>
#include <unistd.h>

#include "certificates.hpp"
#include "fixture.hpp"

namespace cx::http {
namespace {

/// A server that speaks TLS, with its files in a folder of their own.
struct TlsFixture : Fixture {
  TlsFixture() {
    std::filesystem::create_directories(folder);
    server_identity.write(file("server.pem"), file("server.key"));
    ca.write(file("ca.pem"), file("ca.key"));
    config.mutable_tls()->set_certificate(file("server.pem"));
    config.mutable_tls()->set_key(file("server.key"));
  }
  ~TlsFixture() {
    server.reset();
    std::filesystem::remove_all(folder);
  }
  std::string file(const std::string& name) const { return folder / name; }
  Client connect(const std::shared_ptr<ssl_ctx_st>& context) { return Client(server->port(), context.get()); }
  void ask_for_certificates(bool required) {
    config.mutable_tls()->set_client_ca(file("ca.pem"));
    config.mutable_tls()->set_require_client_certificate(required);
    door.authenticator.open = false;
  }

  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("cx-tls-" + std::to_string(::getpid()));
  const Identity ca = authority("Test CA");
  const Identity server_identity = signed_by(ca, "localhost");
};

/// The subject of the certificate that a server shows; empty where the handshake fails.
std::string shown_by(Client& client) {
  if (SSL_do_handshake(client.ssl()) != 1) return "";
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(client.ssl()),
                                                                &X509_free);
  char name[256];
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof name);
  return name;
}

}  // namespace

TEST_CASE_FIXTURE(TlsFixture, "requests and answers of every size pass through TLS 1.2 and 1.3") {
  config.set_threads(2);
  agents.at_once = [](RawRequest request) { request.reply(RawReply::document(std::move(request.body))); };
  start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto context = client_context(ca, nullptr, version);
    auto c = connect(context);
    CHECK(c.ask(get("/healthz")).body == "ok\n");
    CHECK(SSL_version(c.ssl()) == version);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{16 * 1024},
                                   std::size_t{40 * 1024}, std::size_t{1} << 20}) {
      const std::string body(size, 'x');
      std::thread sender([&] { CHECK(c.send(bid(body))); });
      CHECK(c.read().body == body);
      sender.join();
    }
    std::string burst;
    for (int i = 0; i < 100; ++i) burst += bid(std::to_string(i));
    REQUIRE(c.send(burst));
    for (int i = 0; i < 100; ++i) CHECK(c.read().body == std::to_string(i));
  }
}

TEST_CASE_FIXTURE(TlsFixture, "a request cut into records of one byte is one request") {
  start();
  const auto context = client_context(ca);
  auto c = connect(context);
  for (const char byte : get("/healthz")) REQUIRE(c.send(std::string(1, byte)));
  CHECK(c.read().body == "ok\n");
}

TEST_CASE_FIXTURE(TlsFixture,
                  "100 Continue, a pause at the pipeline's limit and a late answer work as without TLS") {
  config.set_max_pipeline(2);
  start();
  const auto context = client_context(ca);
  auto c = connect(context);
  REQUIRE(c.send("POST /v1/bid HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
  CHECK(c.read().status == 100);
  REQUIRE(c.send("a" + bid("b") + bid("c") + bid("d")));
  auto first = agents.take(), second = agents.take();
  CHECK(agents.waiting() == 0);
  second.reply(RawReply::document(second.body));
  first.reply(RawReply::document(first.body));
  CHECK(c.read().body == "a");
  CHECK(c.read().body == "b");
  for (int i = 0; i < 2; ++i) {
    auto next = agents.take();
    next.reply(RawReply::document(next.body));
  }
  CHECK(c.read().body == "c");
  CHECK(c.read().body == "d");
}

TEST_CASE_FIXTURE(TlsFixture, "the end of a connection is said, and heard") {
  start();
  const auto context = client_context(ca);
  auto closing = connect(context);
  CHECK(closing.ask(get("/healthz", "Connection: close\r\n")).status == 200);
  char byte;
  CHECK(SSL_get_error(closing.ssl(), SSL_read(closing.ssl(), &byte, 1)) == SSL_ERROR_ZERO_RETURN);
  auto half = connect(context);
  REQUIRE(half.send(bid("x")));
  auto request = agents.take();
  SSL_shutdown(half.ssl());  // no more requests, but the answer is still wanted
  request.reply(RawReply::document("y"));
  CHECK(half.read().body == "y");
}

TEST_CASE_FIXTURE(TlsFixture, "whoever says that no more will come still has every answer") {
  config.set_max_pipeline(2);
  start();
  const auto context = client_context(ca);
  auto c = connect(context);
  std::string burst;
  for (int i = 0; i < 10; ++i) burst += bid(std::to_string(i));
  REQUIRE(c.send(burst));
  SSL_shutdown(c.ssl());
  for (int i = 0; i < 10; ++i) {
    auto request = agents.take();
    request.reply(RawReply::document(request.body));
  }
  for (int i = 0; i < 10; ++i) CHECK(c.read().body == std::to_string(i));
}

TEST_CASE_FIXTURE(TlsFixture, "a record that was tampered with ends the connection") {
  start();
  const auto context = client_context(ca);
  auto c = connect(context);
  CHECK(c.ask(get("/healthz")).status == 200);
  const std::string forged("\x17\x03\x03\x00\x20" + std::string(32, 'x'));
  REQUIRE(::write(SSL_get_fd(c.ssl()), forged.data(), forged.size()) == static_cast<long>(forged.size()));
  CHECK(c.ended());
}

TEST_CASE_FIXTURE(TlsFixture, "a client's verified certificate is its credential") {
  ask_for_certificates(false);
  start();
  const auto ssp = signed_by(ca, "ssp-1"), stranger = signed_by(authority("Other CA"), "ssp-1"),
             expired = signed_by(ca, "ssp-1", -1);
  auto known = connect(client_context(ca, &ssp));
  CHECK(known.ask(get("/v1/library/books/a")).status == 200);
  CHECK(library.called().caller->actor == "CN=ssp-1,O=Acme");
  auto nobody = connect(client_context(ca));
  is_problem(nobody.ask(get("/v1/library/books/a")), 401, "no-credential");
  for (const auto* other : {&stranger, &expired})
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const auto context = client_context(ca, other, version);
      auto refused = connect(context);
      CHECK(refused.ask(get("/healthz")).status == 0);
      CHECK(refused.ended());
    }
}

TEST_CASE_FIXTURE(TlsFixture,
                  "a resumed session has its certificate, and only while its authority is trusted") {
  ask_for_certificates(true);
  start();
  const auto ssp = signed_by(ca, "ssp-1");
  const auto context = client_context(ca, &ssp);
  SSL_SESSION* session = nullptr;
  {
    auto first = connect(context);
    REQUIRE(first.ask(get("/v1/library/books/a")).status == 200);
    session = SSL_get1_session(first.ssl());
    SSL_shutdown(first.ssl());  // a session that breaks off is not kept
  }
  {
    auto again = connect(context);
    SSL_set_session(again.ssl(), session);
    CHECK(again.ask(get("/v1/library/books/a")).status == 200);
    CHECK(SSL_session_reused(again.ssl()) == 1);
    CHECK(library.called().caller->actor == "CN=ssp-1,O=Acme");
    SSL_shutdown(again.ssl());
  }
  authority("Another CA").write(file("ca.pem"), file("ca.key"));
  bool refused = false;
  for (int i = 0; i < 200 && !refused; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    auto later = connect(context);
    SSL_set_session(later.ssl(), session);
    refused = later.ask(get("/v1/library/books/a")).status == 0;
    SSL_shutdown(later.ssl());
  }
  CHECK(refused);
  SSL_SESSION_free(session);
}

TEST_CASE_FIXTURE(TlsFixture, "where a certificate is required, nobody comes in without one") {
  ask_for_certificates(true);
  start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto context = client_context(ca, nullptr, version);
    auto refused = connect(context);
    CHECK(refused.ask(get("/healthz")).status == 0);
  }
}

TEST_CASE_FIXTURE(TlsFixture, "what is not TLS, too old, or another protocol, is turned away") {
  start();
  auto plain = client();
  is_problem(plain.ask(get("/healthz")), 400, "tls-required");
  CHECK(plain.ended());
  auto noise = client();
  REQUIRE(noise.send(std::string(100, '\xff')));
  CHECK(noise.read().status == 0);
  const auto old = client_context(ca, nullptr, TLS1_1_VERSION);
  SSL_CTX_set_min_proto_version(old.get(), TLS1_VERSION);
  SSL_CTX_set_security_level(old.get(), 0);
  auto aged = connect(old);
  CHECK(SSL_do_handshake(aged.ssl()) != 1);
  const auto context = client_context(ca);
  auto h2 = connect(context);
  SSL_set_alpn_protos(h2.ssl(), reinterpret_cast<const unsigned char*>("\x02h2"), 3);
  CHECK(SSL_do_handshake(h2.ssl()) != 1);
  auto both = connect(context);
  SSL_set_alpn_protos(both.ssl(), reinterpret_cast<const unsigned char*>("\x02h2\x08http/1.1"), 12);
  CHECK(both.ask(get("/healthz")).status == 200);
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(both.ssl(), &chosen, &size);
  CHECK(std::string(reinterpret_cast<const char*>(chosen), size) == "http/1.1");
}

TEST_CASE_FIXTURE(TlsFixture, "a handshake that dawdles is given up, one over the limit is not begun") {
  config.set_read_timeout_ms(40);
  config.set_max_connections(2);
  start();
  auto silent = client(), slow = client();
  REQUIRE(slow.send(std::string("\x16\x03\x01\x01", 4)));
  auto over = client();
  CHECK(over.ended());
  CHECK(silent.ended());
  CHECK(slow.ended());
}

TEST_CASE_FIXTURE(TlsFixture, "clients that vanish in a handshake leave nothing behind") {
  start();
  const auto context = client_context(ca);
  for (int i = 0; i < 50; ++i) {
    auto c = connect(context);
    SSL_set_quiet_shutdown(c.ssl(), 1);
    if (i % 2 == 0) REQUIRE(SSL_do_handshake(c.ssl()) == 1);
    c.reset();
  }
  auto c = connect(context);
  CHECK(c.ask(get("/healthz")).status == 200);
}

TEST_CASE_FIXTURE(TlsFixture, "new files are served without a restart, wrong ones never") {
  start();
  auto before = connect(client_context(ca));
  CHECK(shown_by(before) == "localhost");
  std::filesystem::rename(file("server.key"), file("kept.key"));  // half of a change: the old pair stays
  signed_by(ca, "unused").write(file("unused.pem"), file("server.key"));
  const auto sweep = std::chrono::seconds(1);
  std::this_thread::sleep_for(sweep);
  auto meanwhile = connect(client_context(ca));
  CHECK(shown_by(meanwhile) == "localhost");
  signed_by(ca, "renewed").write(file("server.pem"), file("server.key"));
  std::string shown;
  for (int i = 0; i < 200 && shown != "renewed"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    auto after = connect(client_context(ca));
    shown = shown_by(after);
  }
  CHECK(shown == "renewed");
  CHECK(before.ask(get("/healthz")).status == 200);
}

TEST_CASE_FIXTURE(TlsFixture, "a setting that cannot work is explained at start") {
  const auto refusal = [this] {
    const auto load = TlsContext::load(config.tls());
    return load ? std::string() : load.error().detail;
  };
  CHECK(refusal().empty());
  config.mutable_tls()->set_key(file("ca.key"));
  CHECK(refusal().find("http.tls.key: " + file("ca.key")) == 0);
  config.mutable_tls()->set_key(file("missing.key"));
  CHECK(refusal().find("http.tls.key: " + file("missing.key")) == 0);
  config.mutable_tls()->set_certificate(file("server.key"));
  CHECK(refusal().find("http.tls.certificate: " + file("server.key")) == 0);
  config.mutable_tls()->set_certificate(file("server.pem"));
  config.mutable_tls()->set_key(file("server.key"));
  config.mutable_tls()->set_client_ca(file("server.key"));
  CHECK(refusal().find("http.tls.client_ca: ") == 0);
  config.mutable_tls()->clear_client_ca();
  config.mutable_tls()->set_require_client_certificate(true);
  CHECK(refusal().find("needs http.tls.client_ca") != std::string::npos);
  CHECK_FALSE(Server(config, contract, door.door, metrics, [] { return true; }).start());
}

}  // namespace cx::http
