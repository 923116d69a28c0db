#include <cmath>
#include <fmt/format.h>

#include "actors/bidding/catalog.hpp"
#include "runtime/random.hpp"

namespace cx::bidding {
namespace {

struct Size {
  std::uint32_t width, height, weight;
};
// The sizes that exchanges ask for, by their rough share of the traffic.
constexpr Size kSizes[] = {{300, 250, 30}, {728, 90, 18}, {320, 50, 20}, {160, 600, 9},
                           {970, 250, 5},  {300, 600, 8}, {320, 480, 3}, {336, 280, 2},
                           {468, 60, 2},   {970, 90, 1},  {250, 250, 1}, {300, 50, 1}};
constexpr std::uint32_t kVideoPercent = 20;
constexpr std::uint32_t kDurations[] = {6, 10, 15, 20, 30};
constexpr std::uint32_t kCategories = 23;  // IAB1 to IAB23: IAB24 to 26 are uncategorised or illegal

const Size& pick_size(Random& random) {
  std::uint32_t total = 0;
  for (const auto& size : kSizes) total += size.weight;
  auto at = random.below(total);
  for (const auto& size : kSizes) {
    if (at < size.weight) return size;
    at -= size.weight;
  }
  return kSizes[0];
}

}  // namespace

std::vector<v1::Offer> demo_offers(std::uint64_t seed, std::uint32_t offers, std::uint32_t campaigns) {
  if (campaigns == 0) return {};
  Random random(seed);
  struct Campaign {
    std::string category;
    std::int64_t click_value_micros;
    std::uint32_t segment;
    bool targeted;
  };
  std::vector<Campaign> all;
  for (std::uint32_t i = 0; i < campaigns; ++i) {
    // A click is worth 0.05 to 0.80 dollars, evenly on a logarithmic scale.
    const double dollars = 0.05 * std::exp(random.uniform() * std::log(16.0));
    all.push_back({fmt::format("IAB{}-{}", 1 + random.below(kCategories), 1 + random.below(4)),
                   std::llround(dollars * 1e6), random.below(64), random.below(100) < 70});
  }

  std::vector<v1::Offer> out(offers);
  for (std::uint32_t i = 0; i < offers; ++i) {
    const std::uint32_t c = i % campaigns;
    const Campaign& campaign = all[c];
    v1::Offer& offer = out[i];
    offer.set_id(fmt::format("offer-{:05}", i));
    offer.set_campaign_id(fmt::format("campaign-{:04}", c));
    offer.set_category(campaign.category);
    offer.set_domain(fmt::format("brand-{:04}.example", c));
    offer.set_creative_id(fmt::format("creative-{:05}", i));
    offer.set_landing_url(fmt::format("https://brand-{:04}.example/o/{:05}", c, i));
    offer.set_click_value_micros(campaign.click_value_micros);
    if (campaign.targeted) offer.set_segment(campaign.segment);
    if (random.below(100) < kVideoPercent) {
      offer.set_media(v1::MEDIA_TYPE_VIDEO);
      offer.set_width(1280);
      offer.set_height(720);
      offer.set_duration_seconds(kDurations[random.below(std::size(kDurations))]);
      offer.set_bitrate_kbps(800 + 100 * random.below(10));
      offer.set_mime("video/mp4");
      offer.set_creative_url(fmt::format("https://cdn.demo.example/v/{:05}.mp4", i));
    } else {
      const Size& size = pick_size(random);
      offer.set_media(v1::MEDIA_TYPE_BANNER);
      offer.set_width(size.width);
      offer.set_height(size.height);
      offer.set_mime(random.below(2) == 0 ? "image/jpeg" : "image/png");
      offer.set_creative_url(
          fmt::format("https://cdn.demo.example/b/{:05}.{}", i, offer.mime() == "image/png" ? "png" : "jpg"));
    }
  }
  return out;
}

}  // namespace cx::bidding
