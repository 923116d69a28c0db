#include "actors/bidding/catalog.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <set>

namespace cx::bidding {
namespace {

bool lists(std::span<const std::string_view> list, const std::string& category) {
  return std::any_of(list.begin(), list.end(), [&](auto l) { return within_category(category, l); });
}

// What the index must agree with: every offer looked at.
bool matches(const v1::Offer& offer, const OfferQuery& q) {
  const std::pair<int, int> size{offer.width(), offer.height()};
  const bool banner = offer.media() == v1::MEDIA_TYPE_BANNER &&
                      std::find(q.banner_sizes.begin(), q.banner_sizes.end(), size) != q.banner_sizes.end();
  const bool video = offer.media() == v1::MEDIA_TYPE_VIDEO && q.video;
  const bool for_them = !offer.has_segment() ||
                        std::find(q.segments.begin(), q.segments.end(), offer.segment()) != q.segments.end();
  const bool domain_ok = std::find(q.blocked_domains.begin(), q.blocked_domains.end(), offer.domain()) ==
                         q.blocked_domains.end();
  return (banner || video) && for_them && domain_ok && !lists(q.blocked_categories, offer.category()) &&
         (q.allowed_categories.empty() || lists(q.allowed_categories, offer.category()));
}

}  // namespace

TEST_CASE("the demo catalogue has what it is asked for and is a function of its seed") {
  const auto offers = demo_offers(42, 10'000, 1'000);
  CHECK(offers.size() == 10'000);
  std::set<std::string> ids, campaigns;
  for (const auto& offer : offers) {
    ids.insert(offer.id());
    campaigns.insert(offer.campaign_id());
    CHECK(offer.click_value_micros() >= 50'000);
    CHECK(offer.click_value_micros() <= 800'000);
    CHECK(offer.creative_url().starts_with("https://"));
  }
  CHECK(ids.size() == 10'000);
  CHECK(campaigns.size() == 1'000);
  CHECK(demo_offers(42, 50, 5)[7].SerializeAsString() == demo_offers(42, 50, 5)[7].SerializeAsString());
  CHECK(demo_offers(42, 50, 5)[7].SerializeAsString() != demo_offers(43, 50, 5)[7].SerializeAsString());
}

TEST_CASE("a category covers its parts and nothing else") {
  CHECK(within_category("IAB3", "IAB3"));
  CHECK(within_category("IAB3-1", "IAB3"));
  CHECK_FALSE(within_category("IAB31", "IAB3"));
  CHECK_FALSE(within_category("IAB3", "IAB3-1"));
}

TEST_CASE("property: the index finds exactly what a scan finds, dearest click first") {
  const Catalog catalog(demo_offers(5, 1'000, 100));
  const bool held = rc::check([&] {
    static const std::vector<std::pair<int, int>> kSizes{{300, 250}, {728, 90}, {320, 50},
                                                         {160, 600}, {1, 1},    {970, 250}};
    const auto sizes = *rc::gen::container<std::vector<std::pair<int, int>>>(rc::gen::elementOf(kSizes));
    const auto segments = *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange(0u, 70u));
    static const std::vector<std::string_view> kCategories{"IAB1",  "IAB2",    "IAB3-1", "IAB10",
                                                           "IAB99", "IAB12-2", "IAB7",   "IAB20"};
    const auto category = rc::gen::container<std::vector<std::string_view>>(rc::gen::elementOf(kCategories));
    const auto blocked = *category;
    const auto allowed = *rc::gen::oneOf(rc::gen::just(std::vector<std::string_view>{}), category);
    static const std::vector<std::string_view> kDomains{"brand-0001.example", "brand-0050.example",
                                                        "none.example"};
    const auto domains = *rc::gen::container<std::vector<std::string_view>>(rc::gen::elementOf(kDomains));
    const OfferQuery query{sizes, *rc::gen::arbitrary<bool>(), segments, blocked, allowed, domains};

    std::vector<std::uint32_t> wanted, found;
    for (std::uint32_t row = 0; row < catalog.size(); ++row)
      if (matches(catalog.offer(row), query)) wanted.push_back(row);
    catalog.match(query, [&](std::uint32_t row) {
      found.push_back(row);
      return true;
    });
    RC_ASSERT(found == wanted);
  });
  CHECK(held);
  for (std::uint32_t row = 1; row < catalog.size(); ++row)
    CHECK(catalog.offer(row - 1).click_value_micros() >= catalog.offer(row).click_value_micros());
}

}  // namespace cx::bidding
