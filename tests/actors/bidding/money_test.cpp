#include "actors/bidding/money.hpp"

#include <doctest/doctest.h>
#include <limits>

#include "actors/bidding/response.hpp"

namespace cx::bidding {

TEST_CASE("a rate is a decimal above 0 with at most six decimals") {
  CHECK(*parse_rate("1") == 1'000'000);
  CHECK(*parse_rate("0.92") == 920'000);
  CHECK(*parse_rate("151.123456") == 151'123'456);
  CHECK(*parse_rate(".5") == 500'000);
  for (const char* text : {"", "0", "0.000000", "-1", "1e3", "1,5", "1.2.3", "1.1234567", "1000000000",
                           "99999999999999999999", " 1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rate(text));
  }
}

TEST_CASE("the dollar is always there and always 1") {
  CHECK(Currencies::from({})->rate("USD") == 1'000'000);
  CHECK(Currencies::from({{"EUR", "0.9"}})->rate("EUR") == 900'000);
  CHECK_FALSE(Currencies::from({})->rate("EUR"));
  CHECK_FALSE(Currencies::from({{"USD", "2"}}));
  CHECK_FALSE(Currencies::from({{"EUR", "cheap"}}));
}

TEST_CASE("floors round up, prices round down, and nothing overflows") {
  CHECK(convert_up(1, 3, 1) == 1);
  CHECK(convert_down(1, 3, 1) == 0);
  CHECK(convert_up(900, 3, 1) == 300);
  CHECK(convert_down(900, 3, 1) == 300);
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  CHECK(convert_up(kMax, 1, 1'000'000) == kMax);
  CHECK(convert_down(kMax, 1'000'000, 1'000'000) == kMax);
}

TEST_CASE("micros are written as the number that they are") {
  const std::pair<std::int64_t, const char*> cases[] = {{0, "0"},           {1, "0.000001"},
                                                        {1'000'000, "1"},   {1'234'500, "1.2345"},
                                                        {10'000'000, "10"}, {123'456'789, "123.456789"}};
  for (const auto& [micros, wanted] : cases) {
    std::string out = "x";
    append_units(out, micros);
    CHECK(out == std::string("x") + wanted);
  }
}

}  // namespace cx::bidding
