#include "providers/inference/linear.hpp"

#include <cmath>
#include <doctest/doctest.h>

#include "runtime/random.hpp"

namespace cx::inference {
namespace {

Item random_item(std::uint64_t seed, std::uint32_t offers) {
  Random random(seed);
  Item item;
  for (auto& x : item.features) x = static_cast<float>(random.uniform() * 2 - 1);
  for (int i = 0; i < 32; ++i) item.offers.push_back(random.below(offers));
  return item;
}

}  // namespace

TEST_CASE("the kernel agrees with arithmetic in double precision") {
  Random random(3);
  for (int round = 0; round < 200; ++round) {
    Features a, b;
    double exact = 0, magnitude = 0;
    for (std::size_t i = 0; i < kFeatures; ++i) {
      a[i] = static_cast<float>(random.normal());
      b[i] = static_cast<float>(random.normal());
      exact += static_cast<double>(a[i]) * b[i];
      magnitude += std::abs(static_cast<double>(a[i]) * b[i]);
    }
    CHECK(std::abs(dot(a.data(), b.data()) - exact) <= magnitude * 1e-6);
  }
}

TEST_CASE("a batch of 16 gives the bits that 16 single predictions give") {
  LinearCpuProvider provider(std::make_shared<LinearModel>(1, 1'000));
  std::vector<Item> items;
  for (std::uint64_t i = 0; i < 16; ++i) items.push_back(random_item(i, 1'000));
  const auto batch = provider.predict_batch(items);
  REQUIRE(batch.size() == 16);
  for (std::size_t i = 0; i < 16; ++i) {
    const auto single = provider.predict(items[i]);
    REQUIRE(batch[i]);
    CHECK(*batch[i] == *single);
    for (const float p : *single) {
      CHECK(p > 0);
      CHECK(p < 1);
    }
  }
}

TEST_CASE("the model is a function of its seed, and its name says what it is") {
  const LinearModel a(1, 100), b(1, 100), c(2, 100);
  CHECK(std::equal(a.row(0), a.row(100), b.row(0)));
  CHECK_FALSE(std::equal(a.row(0), a.row(100), c.row(0)));
  LinearCpuProvider provider(std::make_shared<LinearModel>(1, 100));
  CHECK(provider.provider_name() == "cpu/seeded-linear@1");
  CHECK_FALSE(provider.warm_up());
}

TEST_CASE("an unknown offer fails its item and no other") {
  LinearCpuProvider provider(std::make_shared<LinearModel>(1, 100));
  std::vector<Item> items{random_item(1, 100), random_item(2, 100), random_item(3, 100)};
  items[1].offers.push_back(100);
  const auto scores = provider.predict_batch(items);
  CHECK(scores[0]);
  CHECK_FALSE(scores[1]);
  CHECK(scores[2]);
}

}  // namespace cx::inference
