#include "runtime/raw.hpp"

#include <doctest/doctest.h>

#include "tests/virtual_time.hpp"

namespace cx {

TEST_CASE("a request is answered once, however many hold the right to") {
  test::Answers answers;
  const auto to = answers.to();
  const auto copy = to;
  copy(RawReply::document("first"));
  to(RawReply::document("second"));
  REQUIRE(answers.all.size() == 1);
  CHECK(answers.all[0].body == "first");
}

TEST_CASE("a request that everybody drops is answered with an error, and its credit returns") {
  test::Answers answers;
  const auto credit = std::make_shared<std::atomic<std::uint32_t>>(0);
  {
    const auto to = answers.to();
    to.charge(credit);
    CHECK(*credit == 1);
    const auto copy = to;
    CHECK(answers.all.empty());
  }
  REQUIRE(answers.all.size() == 1);
  CHECK(answers.all[0].kind == RawReply::Kind::error);
  CHECK(answers.all[0].error.code == Code::internal);
  CHECK(*credit == 0);
}

}  // namespace cx
