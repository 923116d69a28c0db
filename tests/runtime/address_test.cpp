#include "runtime/address.hpp"

#include <doctest/doctest.h>
#include <map>

#include "runtime/uuid.hpp"

namespace cx {

TEST_CASE("an address is kind, tenant and key; the key may hold anything printable") {
  const auto address = parse_address("journey/acme/welcome:c-81f/2");
  REQUIRE(address);
  CHECK(address->kind == "journey");
  CHECK(address->tenant == "acme");
  CHECK(address->key == "welcome:c-81f/2");
  CHECK(address->text() == "journey/acme/welcome:c-81f/2");
}

TEST_CASE("what is not an address is refused with what would be one") {
  const std::string long_name(64, 'a');
  for (const std::string& text :
       {std::string(""), std::string("customer"), std::string("customer/acme"), std::string("customer/acme/"),
        std::string("/acme/x"), std::string("customer//x"), std::string("Customer/acme/x"),
        std::string("customer/ac me/x"), "customer/" + long_name + "/x",
        "customer/acme/" + std::string(256, 'x'), std::string("customer/acme/a\nb"),
        std::string("customer/acme/a\x7f"), std::string("customer/acme/a\xff")}) {
    CAPTURE(text);
    const auto address = parse_address(text);
    REQUIRE_FALSE(address);
    CHECK(address.error().code == Code::invalid_argument);
    CHECK_FALSE(address.error().detail.empty());
  }
}

TEST_CASE("any identifier becomes a valid key, the same one each time") {
  CHECK(key_from("c-81f") == "c-81f");
  const std::string huge(100'000, 'x');
  CHECK(key_from(huge) == key_from(huge));
  CHECK(key_from(huge) != key_from(huge + "x"));
  for (const std::string& identifier : {std::string(), std::string("a\0b", 3), std::string("\x1b[31m"), huge})
    CHECK(parse_address("customer/acme/" + key_from(identifier)));
}

TEST_CASE("shards depend on tenant and affinity, and are evenly used") {
  CHECK(shard_of("a", "bc") != shard_of("ab", "c"));
  std::map<std::uint32_t, int> used;
  for (int i = 0; i < 102'400; ++i) ++used[shard_of("acme", "c-" + std::to_string(i))];
  CHECK(used.size() == kShards);
  for (const auto& [shard, count] : used) {
    CHECK(shard < kShards);
    CHECK(count > 50);  // 100 expected, standard deviation 10
    CHECK(count < 150);
  }
}

TEST_CASE("a UUIDv7 carries its time, version and variant") {
  const auto id = uuid7(0x0123456789ab, ~0ULL, ~0ULL);
  CHECK(id == "01234567-89ab-7fff-bfff-ffffffffffff");
  CHECK(uuid7(1, 0, 0) == "00000000-0001-7000-8000-000000000000");
  CHECK(uuid7(1, 5, 5) < uuid7(2, 0, 0));
}

}  // namespace cx
