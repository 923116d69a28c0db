#include "gateways/http/encoding.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "fixture.hpp"

namespace cx::http {
namespace {

const std::string kGzip = "Content-Encoding: gzip\r\n", kBr = "Content-Encoding: br\r\n";

std::string book_of(std::size_t size) {
  return "{\"id\":\"a\",\"title\":\"" + std::string(size, 'x') + "\"}";
}

}  // namespace

TEST_CASE("the coding that a client likes best is chosen among ours") {
  const std::pair<const char*, Encoding> cases[] = {
      {"", Encoding::identity},
      {"gzip", Encoding::gzip},
      {"br", Encoding::br},
      {"GZIP, deflate, Br", Encoding::br},
      {"gzip, deflate, br, zstd", Encoding::br},
      {"gzip;q=1.0, br;q=0.5", Encoding::gzip},
      {"gzip;q=0.5,br;q=0.501", Encoding::br},
      {"x-gzip", Encoding::gzip},
      {"*", Encoding::br},
      {"*;q=0.1, br;q=0", Encoding::gzip},
      {"gzip;q=0", Encoding::identity},
      {"gzip;q=0, *", Encoding::br},
      {"identity", Encoding::identity},
      {"identity, gzip;q=0.5", Encoding::identity},
      {"identity;q=0", Encoding::identity},
      {"deflate, zstd", Encoding::identity},
      {"gzip;q=2", Encoding::identity},
      {"gzip;q=0.1234", Encoding::identity},
      {"gzip;level=9", Encoding::identity},
      {"gzip; q=0.8 ", Encoding::gzip},
      {",,;;,gzip", Encoding::gzip},
      {"gzip;q=", Encoding::identity},
      {"gzip;q=1.001", Encoding::identity},
  };
  for (const auto& [field, expected] : cases) {
    CAPTURE(std::string(field));
    CHECK(preferred(field) == expected);
  }
  rc::check("whatever the field is", [](const std::string& field) { preferred(field); });
}

TEST_CASE("what is compressed comes back, within the limit") {
  for (const auto encoding : {Encoding::gzip, Encoding::br})
    rc::check([encoding](std::string text) {
      while (text.size() < 3000 && !text.empty()) text += text;
      for (const auto effort : {Effort::quick, Effort::best}) {
        const auto small = compress(text, encoding, effort);
        const auto back = decompress(small, encoding, text.size());
        RC_ASSERT(static_cast<bool>(back));
        RC_ASSERT(*back == text);
        if (text.empty()) continue;
        RC_ASSERT(decompress(small, encoding, text.size() - 1).error().type == "body-too-large");
        RC_ASSERT(decompress(small.substr(0, small.size() - 1), encoding, text.size()).error().type ==
                  "malformed-encoding");
        RC_ASSERT(decompress(small + 'x', encoding, text.size()).error().type == "malformed-encoding");
      }
    });
}

TEST_CASE("damaged data is refused or yields something within the limit, never more") {
  for (const auto encoding : {Encoding::gzip, Encoding::br})
    rc::check([encoding] {
      auto bytes = compress(std::string(5000, 'a') + "tail", encoding, Effort::quick);
      const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
      bytes[at] = *rc::gen::arbitrary<char>();
      const auto out = decompress(bytes, encoding, 5004);
      if (out) RC_ASSERT(out->size() <= 5004u);
    });
}

TEST_CASE("a bomb is put down early") {
  const std::string zeros(64 << 20, '\0');
  for (const auto encoding : {Encoding::gzip, Encoding::br}) {
    const auto bomb = compress(zeros, encoding, Effort::quick);
    CHECK(bomb.size() < (1U << 20));
    CHECK(decompress(bomb, encoding, 1 << 20).error().type == "body-too-large");
  }
}

TEST_CASE_FIXTURE(Fixture, "large documents are compressed for who accepts that, small ones never") {
  library.answer = [](const Services::Message& request) -> Services::Reply {
    auto book = std::make_shared<test::http::Book>();
    const auto* asked = dynamic_cast<const test::http::BookRequest*>(&request);
    book->set_title(std::string(asked != nullptr && asked->id() == "small" ? 10 : 5000, 'x'));
    return {std::move(book)};
  };
  start();
  auto c = client();
  const auto plain = c.ask(get("/v1/library/books/large"));
  CHECK(plain.body.size() > 5000);
  CHECK(plain.field("content-encoding").empty());
  CHECK(plain.field("vary") == "Accept-Encoding");
  for (const auto& [name, encoding] : {std::pair("gzip", Encoding::gzip), std::pair("br", Encoding::br)}) {
    const auto fields = std::string("Accept-Encoding: ") + name + "\r\n";
    const auto packed = c.ask(get("/v1/library/books/large", fields));
    CHECK(packed.field("content-encoding") == name);
    CHECK(packed.field("vary") == "Accept-Encoding");
    CHECK(packed.body.size() < 1000);
    CHECK(*decompress(packed.body, encoding, 10000) == plain.body);
    const auto small = c.ask(get("/v1/library/books/small", fields));
    CHECK(small.field("content-encoding").empty());
    CHECK(small.field("vary").empty());
    REQUIRE(c.send("HEAD" + get("/v1/library/books/large", fields).substr(3)));
    CHECK(c.read(true).field("content-encoding") == name);
  }
}

TEST_CASE_FIXTURE(Fixture, "a raw answer is compressed only when it is asked for and large") {
  agents.at_once = [](RawRequest request) {
    request.reply(RawReply::document(std::string(std::stoul(request.body), 'x')));
  };
  start();
  auto c = client();
  CHECK(c.ask(bid("2000", "Accept-Encoding: gzip\r\n")).body == std::string(2000, 'x'));
  CHECK(c.ask(bid("100000")).body == std::string(100000, 'x'));
  CHECK(c.ask(bid("100000", "Accept-Encoding: gzip\r\n")).field("content-encoding") == "gzip");
}

TEST_CASE_FIXTURE(Fixture, "compressed bodies are taken within the limit, damaged and unknown ones refused") {
  config.set_max_body(4096);
  start();
  auto c = client();
  const auto create = [&](const std::string& body, const std::string& fields) {
    return c.ask(with_body("POST", "/v1/library/books", body, fields));
  };
  for (const auto& [encoding, fields] : {std::pair(Encoding::gzip, kGzip), std::pair(Encoding::br, kBr)}) {
    const auto packed = compress(book_of(4000), encoding, Effort::quick);
    CHECK(create(packed, fields).status == 200);
    CHECK(library.asked<test::http::CreateBookRequest>().book().title().size() == 4000);
    const auto bomb = create(compress(book_of(100'000), encoding, Effort::quick), fields);
    is_problem(bomb, 413, "body-too-large");
    CHECK(bomb.field("connection").empty());  // it was read: the connection can go on
    is_problem(create(packed.substr(0, packed.size() / 2), fields), 400, "malformed-encoding");
    is_problem(create("", fields), 400, "malformed-encoding");
  }
  for (const auto* coding : {"deflate", "gzip, br", "gzip, gzip", "zstd"}) {
    const auto refused = create("x", std::string("Content-Encoding: ") + coding + "\r\n");
    is_problem(refused, 415, "unsupported-content-encoding");
    CHECK(refused.field("accept-encoding") == "br, gzip");
  }
  CHECK(create("{}", "Content-Encoding: identity\r\n").status == 200);
}

}  // namespace cx::http
