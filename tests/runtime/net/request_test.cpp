#include "runtime/net/request.hpp"

#include <curl/curl.h>
#include <doctest/doctest.h>
#include <string>

namespace cx::net {

TEST_CASE("a header has the lines that were added, and none of what would be more than one") {
  HeaderLines header;
  CHECK(header.get() == nullptr);
  CHECK(header.add("Accept: application/json"));
  CHECK(header.add("Expect:"));
  for (const auto& bad :
       {std::string("A: 1\r\nB: 2"), std::string("A: 1\n"), std::string("A: \r"), std::string("A: \0 1", 6)})
    CHECK_FALSE(header.add(bad));
  const auto* first = header.get();
  REQUIRE(first != nullptr);
  CHECK(std::string(first->data) == "Accept: application/json");
  REQUIRE(first->next != nullptr);
  CHECK(std::string(first->next->data) == "Expect:");
  CHECK(first->next->next == nullptr);
}

}  // namespace cx::net
