#include "tools/campaignctl/text.hpp"

#include <doctest/doctest.h>

#include "tools/campaignctl/commands/no_bid.hpp"

using namespace cx::ctl;
using namespace std::chrono_literals;

TEST_CASE("counts keep two to four digits and move to the next unit in time") {
  CHECK(human_count(0) == "0");
  CHECK(human_count(7) == "7");
  CHECK(human_count(0.44) == "0.4");
  CHECK(human_count(999) == "999");
  CHECK(human_count(1000) == "1.0 k");
  CHECK(human_count(9800) == "9.8 k");
  CHECK(human_count(14100) == "14.1 k");
  CHECK(human_count(982000) == "982 k");
  CHECK(human_count(999990) == "1.0 M");
  CHECK(human_count(1.2e9) == "1.2 G");
}

TEST_CASE("bytes and times") {
  CHECK(human_bytes(512) == "512 B");
  CHECK(human_bytes(2147483648.0) == "2.0 G");
  CHECK(human_ms(0) == "0 ms");
  CHECK(human_ms(0.04) == "0.04 ms");
  CHECK(human_ms(0.4) == "0.4 ms");
  CHECK(human_ms(9.96) == "10 ms");
  CHECK(human_ms(210) == "210 ms");
  CHECK(human_ms(1900) == "1.9 s");
  CHECK(human_uptime(42.7) == "42 s");
  CHECK(human_uptime(10920) == "3 h 2 m");
  CHECK(human_uptime(-1) == "0 s");
}

TEST_CASE("a duration has a number and a unit") {
  CHECK(parse_duration("500ms") == 500ms);
  CHECK(parse_duration("1.5s") == 1500ms);
  CHECK(parse_duration("2m") == 120s);
  CHECK(parse_duration("24h") == 24h);
  for (const char* wrong : {"", "5", "s", "-5s", "5 s", "0s", "25h", "5sec", "1e3s", "nan", "inf"})
    CHECK_MESSAGE(!parse_duration(wrong), wrong);
}

TEST_CASE("nothing that a server sends steers the terminal") {
  CHECK(printable("caf\u00e9 · 日本") == "caf\u00e9 · 日本");
  CHECK(printable("\x1b[2Jx\n") == "\\x1b[2Jx\\x0a");
  CHECK(printable("a\u009bb") == "a\\u009bb");
  CHECK(printable("a\u202eb") == "a\\u202eb");
  CHECK(printable("\xff\xc0\x80") == "\\xff\\xc0\\x80");
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // a surrogate
  CHECK(printable("\xe2\x82") == "\\xe2\\x82");           // cut short
}

TEST_CASE("width and cut count columns, not bytes or colours") {
  const auto red = paint("abcdef", Color::red, true);
  CHECK(width(red) == 6);
  CHECK(cut(red, 6) == red);
  CHECK(cut(red, 4) == "\x1b[31mabc…\x1b[0m");
  CHECK(cut("äöüß", 3) == "äö…");
  CHECK(paint("x", Color::red, false) == "x");
}

TEST_CASE("a typo of at most two edits is guessed") {
  const std::vector<std::string> words{"topology", "bid", "version"};
  CHECK(nearest("topolgy", words) == "topology");
  CHECK(nearest("topoolgy", words) == "topology");
  CHECK(nearest("verison", words) == "version");
  CHECK(nearest("bdi", words) == "bid");
  CHECK(nearest("tpolgo", words).empty());
  CHECK(nearest("xyz", words).empty());
  CHECK(did_you_mean("bidd", words) == " (did you mean bid?)");
}

TEST_CASE("no-bid reasons") {
  CHECK(no_bid_reason(2) == "invalid request");
  CHECK(no_bid_reason(9) == "the user's daily cap is met");
  CHECK(no_bid_reason(15) == "not enough time for the auction");
  CHECK(no_bid_reason(499) == "a reason that the standard does not name");
  CHECK(no_bid_reason(500) == "a reason of this bidder's own");
}
