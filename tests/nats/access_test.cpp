#include <doctest/doctest.h>
#include <fstream>

#include "runtime/nats/connection.hpp"
#include "tests/gateways/http/certificates.hpp"
#include "tests/nats/nats_server.hpp"
#include "tests/nats/waiting.hpp"

namespace cx::nats {
namespace {

using test::NatsServer;
namespace fs = std::filesystem;

/// The error's type, or "" when the connection opened.
std::string opened(v1::NatsConfig config) {
  config.set_timeout_ms(500);
  const auto connection = Connection::open(config, "test");
  if (connection) return "";
  CHECK(connection.error().detail.find("pass-word") == std::string::npos);
  return connection.error().type;
}

/// A folder for one test.
struct Folder {
  fs::path path = [] {
    auto pattern = (fs::temp_directory_path() / "cx-nats-test-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    return fs::path(pattern);
  }();
  ~Folder() { fs::remove_all(path); }

  std::string write(const char* name, const std::string& text) const {
    std::ofstream(path / name) << text;
    return path / name;
  }
};

TEST_CASE("a user with the right password is let in, and nobody else") {
  Folder folder;
  NatsServer server({.user = "me", .password = "pass-word"});
  auto config = server.config();
  CHECK(opened(config).empty());
  config.set_user("you");
  CHECK(opened(config) == "nats-refused");
  config = server.config();
  config.set_password_file(folder.write("wrong", "pass-word-2\n"));
  CHECK(opened(config) == "nats-refused");
  config.clear_user();
  config.clear_password_file();
  CHECK(opened(config) == "nats-refused");
}

TEST_CASE("so is a token") {
  Folder folder;
  NatsServer server({.token = "pass-word"});
  auto config = server.config();
  CHECK(opened(config).empty());
  config.set_token_file(folder.write("wrong", "pass-word-2"));
  CHECK(opened(config) == "nats-refused");
}

TEST_CASE("with TLS, each side shows a certificate that the other's authority signed, for the name it has") {
  Folder folder;
  const auto file = [&](const char* name) { return (folder.path / name).string(); };
  const auto ours = http::authority("ours"), theirs = http::authority("theirs");
  ours.write(file("ca"), file("ca.key"));
  theirs.write(file("other"), file("other.key"));
  http::signed_by(ours, "server").write(file("server"), file("server.key"));
  http::signed_by(theirs, "server").write(file("foreign"), file("foreign.key"));

  SUBCASE("the server's") {
    NatsServer server({.certificate = file("server"), .key = file("server.key"), .ca = file("ca")});
    auto config = server.config();
    CHECK(opened(config).empty());
    config.set_ca(file("other"));
    CHECK(opened(config) == "unavailable");
    config.clear_ca();
    CHECK(opened(config) == "unavailable");
  }
  SUBCASE("the client's") {
    NatsServer server(
        {.certificate = file("server"), .key = file("server.key"), .ca = file("ca"), .mutual = true});
    auto config = server.config();
    CHECK(opened(config).empty());
    config.set_certificate(file("foreign"));
    config.set_key(file("foreign.key"));
    CHECK(opened(config) != "");
    config.clear_certificate();
    config.clear_key();
    CHECK(opened(config) != "");
  }
  SUBCASE("a certificate for another name") {
    // The authority's own certificate names no host at all.
    NatsServer server({.certificate = file("server"), .key = file("server.key"), .ca = file("ca")});
    server.stop();
    fs::copy_file(file("ca"), file("server"), fs::copy_options::overwrite_existing);
    fs::copy_file(file("ca.key"), file("server.key"), fs::copy_options::overwrite_existing);
    server.start(false);
    CHECK(test::eventually([&] { return server.log().find("Server is ready") != std::string::npos; }));
    CHECK(opened(server.config()) == "unavailable");
  }
}

}  // namespace
}  // namespace cx::nats
