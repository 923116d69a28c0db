#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "fixture.hpp"
#include "gateways/http/encoding.hpp"
#include "gateways/problem.hpp"

namespace cx::http {

TEST_CASE_FIXTURE(Fixture, "a page is sent once to who keeps it, and in the coding that it likes") {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "line " + std::to_string(i) + '\n';
  door.authenticator.open = false;
  start([&](Server& s) {
    s.add("/openapi.json", Document{"application/json", text, "public, max-age=60"});
    s.add("/logo.png", Document{"image/png", text, "no-cache"});
    s.add("/.well-known/jwks.json", "application/json", [] { return RawReply::document("{\"keys\":[]}"); });
  });
  auto c = client();
  const auto plain = c.ask(get("/openapi.json"));
  CHECK(plain.body == text);
  CHECK(plain.field("content-type") == "application/json");
  CHECK(plain.field("cache-control") == "public, max-age=60");
  CHECK(plain.field("vary") == "Accept-Encoding");
  const auto tag = plain.field("etag");
  CHECK(tag.size() == 34);
  std::set<std::string> tags{tag};
  for (const auto& [name, encoding] : {std::pair("gzip", Encoding::gzip), std::pair("br", Encoding::br)}) {
    const auto fields = std::string("Accept-Encoding: ") + name + "\r\n";
    const auto packed = c.ask(get("/openapi.json", fields));
    CHECK(packed.field("content-encoding") == name);
    CHECK(*decompress(packed.body, encoding, 1 << 20) == text);
    tags.insert(packed.field("etag"));
    CHECK(c.ask(get("/openapi.json", fields + "If-None-Match: " + packed.field("etag") + "\r\n")).status ==
          304);
    CHECK(c.ask(get("/logo.png", fields)).body == text);
  }
  CHECK(tags.size() == 3);
  const auto kept = c.ask(get("/openapi.json", "If-None-Match: " + tag + "\r\n"));
  CHECK(kept.status == 304);
  CHECK(kept.field("etag") == tag);
  CHECK(kept.field("cache-control") == "public, max-age=60");
  REQUIRE(c.send("HEAD" + get("/openapi.json").substr(3)));
  CHECK(c.read(true).field("content-length") == std::to_string(text.size()));
  CHECK(c.ask(get("/.well-known/jwks.json")).body == "{\"keys\":[]}");
}

TEST_CASE_FIXTURE(Fixture, "the type of a problem leads to what it means") {
  start();
  auto c = client();
  const auto page = c.ask(get("/problems/etag-mismatch"));
  CHECK(page.status == 200);
  CHECK(page.body.find(
            "\"type\":\"/problems/etag-mismatch\",\"status\":\"412\",\"meaning\":\"It has changed") !=
        std::string::npos);
  CHECK(c.ask(get("/problems")).body.find("# Problem types") == 0);
  is_problem(c.ask(get("/problems/none-such")), 404, "unknown-path");
}

TEST_CASE("every type of problem in the sources is in the catalogue, once, and complete") {
  std::set<std::string> known;
  for (const auto& problem : problems()) {
    CAPTURE(std::string(problem.type));
    CHECK(known.emplace(problem.type).second);
    CHECK_FALSE(problem.status.empty());
    CHECK_FALSE(problem.meaning.empty());
    CHECK_FALSE(problem.remedy.empty());
  }
  const std::regex made(
      R"re((?:Code::\w+,|\b(?:complain|fail|failure|invalid|refuse|refused|Wrong)[({](?:\d+,)?)\s*"([a-z]+(?:-[a-z]+)*)")re");
  for (const auto* room : {"actors", "gateways", "providers", "runtime", "tools/campaignd"})
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::filesystem::path(CX_SOURCE_DIR) / room)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".hpp") continue;
      std::ifstream file(entry.path());
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      for (std::sregex_iterator found(text.begin(), text.end(), made), end; found != end; ++found) {
        const auto type = (*found)[1].str();
        CHECK_MESSAGE(known.count(type) == 1, entry.path().string(), " makes the problem type '", type,
                      "'; describe it in gateways/PROBLEMS.md");
      }
    }
}

}  // namespace cx::http
