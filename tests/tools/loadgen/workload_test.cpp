#include "tools/loadgen/workload.hpp"

#include <doctest/doctest.h>
#include <set>
#include <simdjson.h>
#include <string>

#include "tools/loadgen/response.hpp"
#include "tools/loadgen/target.hpp"

namespace cx::loadgen {
namespace {

using State = ResponseScanner::State;

Target target() {
  return *parse_target("http://127.0.0.1:8080/v1/bid");
}

TEST_CASE("generated requests are distinct OpenRTB documents of a realistic size") {
  simdjson::dom::parser parser;
  for (const std::uint64_t seed : {1, 2, 99}) {
    std::set<std::string> seen;
    std::set<std::size_t> imp_counts;
    std::set<std::int64_t> widths;
    bool site = false, app = false, video = false;
    for (Template& request : generate_bid_requests(target(), 256, 80, seed)) {
      request.fill(0, 0);
      const simdjson::padded_string body(request.body());
      CHECK(body.size() >= 700);
      CHECK(body.size() <= 1'500);
      seen.insert(std::string(request.body()));
      const auto document = parser.parse(body);
      REQUIRE(document.error() == simdjson::SUCCESS);
      CHECK(std::int64_t(document["tmax"]) == 80);
      CHECK(std::string_view(document["device"]["geo"]["country"]).size() == 3);
      imp_counts.insert(document["imp"].get_array().size());
      for (const auto imp : document["imp"]) {
        CHECK(double(imp["bidfloor"]) > 0);
        std::int64_t w = 0;
        if (imp["banner"]["w"].get(w) == simdjson::SUCCESS)
          widths.insert(w);
        else
          video = std::string_view(imp["video"]["mimes"].at(0)) == "video/mp4";
      }
      site |= document["site"].error() == simdjson::SUCCESS;
      app |= document["app"].error() == simdjson::SUCCESS;
    }
    CHECK(seen.size() == 256);
    CHECK(imp_counts == std::set<std::size_t>{1, 2, 3});
    for (const int w : {300, 728, 320, 160, 970}) CHECK(widths.count(w) == 1);
    CHECK(site);
    CHECK(app);
    CHECK(video);
  }
}

TEST_CASE("filling a request patches both ids and nothing else") {
  simdjson::dom::parser parser;
  auto requests = generate_bid_requests(target(), 8, 100, 1);
  for (Template& request : requests) {
    const std::string before(request.fill(0, 0));
    const std::string after(request.fill(0xfedcba9876543210, 987'654'321));
    CHECK(after.size() == before.size());
    CHECK(request.request_id() == "fedcba9876543210");
    CHECK(after.starts_with("POST /v1/bid HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"));
    CHECK(after.find("Content-Length: " + std::to_string(request.body().size()) + "\r\n") !=
          std::string::npos);
    CHECK(after.ends_with(request.body()));
    const auto document = parser.parse(simdjson::padded_string(request.body()));
    CHECK(std::string_view(document["id"]) == "fedcba9876543210");
    CHECK(std::string_view(document["user"]["id"]) == "u987654321");
    CHECK(std::string(request.fill(0, 0)) == before);
  }
}

TEST_CASE("the same seed generates the same requests") {
  const auto bodies = [](std::uint64_t seed) {
    std::string all;
    for (const Template& request : generate_bid_requests(target(), 16, 100, seed)) all += request.body();
    return all;
  };
  CHECK(bodies(5) == bodies(5));
  CHECK(bodies(5) != bodies(6));
}

TEST_CASE("only this machine is a target") {
  for (const char* url :
       {"http://127.0.0.1:8080/v1/bid", "http://localhost/", "http://127.9.9.9:1", "http://[::1]:80/x"})
    CHECK_MESSAGE(parse_target(url), url);
  for (const char* url :
       {"http://10.0.0.1:8080/", "http://example.com/", "http://128.0.0.1/", "https://127.0.0.1/",
        "http://127.0.0.1.example.com/", "http://127.0.0.1:0/", "http://127.0.0.1:65536/",
        "http://127.0.0.1:80x/", "http://127.0.0.1:/", "http:///v1/bid", "http://0.0.0.0:80/",
        "http://user@127.0.0.1/", "http://[::1", "http://[::2]:80/", "http://127.0.0.1/a b", ""}) {
    const auto refused = parse_target(url);
    CHECK_MESSAGE(!refused, url);
    if (!refused) CHECK(refused.error().detail.find(url) != std::string::npos);
  }
  CHECK(parse_target("http://127.0.0.1:8080")->path == "/");
}

/// Scans `response` as it would arrive in two reads, for every place to cut it.
void scan_everywhere(const std::string& response, State expected, int status, const std::string& body) {
  CAPTURE(response);
  for (std::size_t cut = 0; cut < response.size(); ++cut) {
    ResponseScanner scanner;
    State state = scanner.scan(std::string_view(response).substr(0, cut));
    REQUIRE(state == State::more);
    state = scanner.scan(response);
    REQUIRE(state == expected);
    if (state != State::complete) continue;
    REQUIRE(scanner.status() == status);
    REQUIRE(scanner.body(response) == body);
  }
}

TEST_CASE("a response is found whole wherever reads cut it") {
  scan_everywhere("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", State::complete, 200, "hello");
  scan_everywhere("HTTP/1.1 200 OK\r\nX: y\r\ncontent-LENGTH:  4 \r\n\r\n\r\n\r\n", State::complete, 200,
                  "\r\n\r\n");
  scan_everywhere("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", State::complete, 503, "");
  scan_everywhere("HTTP/1.1 204 No Content\r\nX-OpenRTB-NBR: 2\r\n\r\n", State::complete, 204, "");
}

TEST_CASE("a response is kept alive unless it says otherwise") {
  const auto keep_alive = [](const std::string& field) {
    ResponseScanner scanner;
    CHECK(scanner.scan("HTTP/1.1 204 No Content\r\n" + field + "\r\n") == State::complete);
    return scanner.keep_alive();
  };
  CHECK(keep_alive(""));
  CHECK(keep_alive("Connection: keep-alive\r\n"));
  CHECK_FALSE(keep_alive("connection: Close\r\n"));
}

TEST_CASE("what is no response that we understand is malformed") {
  for (const char* response :
       {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\nmore",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", "\r\n\r\n"}) {
    ResponseScanner scanner;
    CHECK_MESSAGE(scanner.scan(response) == State::malformed, response);
  }
  ResponseScanner scanner;
  CHECK(scanner.scan(std::string(20'000, 'x')) == State::malformed);
}

TEST_CASE("bids are counted by their impid keys") {
  CHECK(count_bids("") == 0);
  CHECK(count_bids(R"({"id":"1","nbr":2})") == 0);
  CHECK(count_bids(
            R"({"seatbid":[{"bid":[{"id":"a","impid":"1"},{"impid" : "2"}]},{"bid":[{"impid":"3"}]}]})") ==
        3);
  CHECK(count_bids(R"({"bid":[{"impid":"impid","adm":"{\"impid\":\"9\"}"}]})") == 1);
  CHECK(count_bids(R"(["impid","impid"])") == 0);
  CHECK(count_bids(R"("impid")") == 0);
}

}  // namespace
}  // namespace cx::loadgen
