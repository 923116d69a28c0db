#include "tests/bench/market.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numbers>

#include "runtime/random.hpp"

namespace cx::bench {
namespace {

constexpr std::uint32_t kTrees = 40;
constexpr double kQualitySpread = 0.35;  // of an offer, for everybody
constexpr double kSeason = 0.35;         // a category's swing
constexpr double kSeasons = 2;           // in a run
constexpr double kReadingNoise = 0.6;    // of an interest, beside a trait's spread of 1
constexpr double kMostClicks = 0.25;     // P(click) saturates here
constexpr double kPositionDecay = 0.45;  // position p is seen 1 / (1 + kPositionDecay * p) of the time
constexpr double kFirstArrival = 0.4, kLastArrival = 0.7;  // of late offers, as parts of the run

// What a tree may split by: the customer's traits, the offer's, the hour, the device, the weekend.
constexpr std::uint32_t kOfferTrait = Market::kTraits, kHour = 2 * Market::kTraits, kDevice = kHour + 1,
                        kWeekend = kHour + 2, kVariables = kHour + 3;

enum Stream : std::uint64_t { kOfCategory = 1, kOfTree, kOfCustomer, kOfOffer, kOfRequest, kOfClick };

Random stream(std::uint64_t seed, std::uint64_t kind, std::uint64_t number) {
  Random mixed(seed * 0x9e3779b97f4a7c15 ^ kind << 56 ^ number);
  return Random(mixed.next());
}

/// Which of `bins` bins of equal mass a normal number falls into.
std::uint32_t bin_of(double normal, std::uint32_t bins) {
  const double mass = 0.5 * std::erfc(-normal / std::numbers::sqrt2);
  return std::min(static_cast<std::uint32_t>(mass * bins), bins - 1);
}

/// Adds `of` inputs, all 0 but the one at `index`.
void one_hot(std::vector<float>& inputs, std::uint32_t index, std::uint32_t of) {
  inputs.insert(inputs.end(), of, 0.0F);
  inputs[inputs.size() - of + index] = 1.0F;
}

}  // namespace

Market::Market(const MarketOptions& options) : options_(options) {
  for (std::uint32_t i = 0; i < kCategories; ++i) {
    auto random = stream(options.seed, kOfCategory, i);
    auto& centre = categories_.emplace_back();
    for (auto& trait : centre) trait = random.normal();
  }
  for (std::uint32_t i = 0; i < kTrees; ++i) {
    auto random = stream(options.seed, kOfTree, i);
    auto& tree = trees_.emplace_back();
    tree.variable = {kOfferTrait + random.below(kTraits), random.below(kTraits), random.below(kVariables)};
    for (std::size_t level = 0; level < tree.variable.size(); ++level) {
      const auto variable = tree.variable[level];
      if (variable == kHour) {
        tree.threshold[level] = 1 + random.below(kHours - 1);
      } else if (variable == kDevice) {
        tree.threshold[level] = 1 + random.below(kDevices - 1);
      } else {
        tree.threshold[level] = variable == kWeekend ? 0.5 : 0.7 * random.normal();
      }
    }
    for (auto& leaf : tree.leaf) leaf = options.taste * random.normal();
  }
  for (std::uint32_t i = 0; i < options.customers; ++i) customers_.push_back(make_customer(i));
  for (std::uint32_t i = 0; i < options.offers; ++i) offers_.push_back(make_offer(i));

  // The level comes from a sample of what a random policy shows; the rate rises with it, so it is bisected.
  struct Shown {
    double appeal;
    std::uint32_t position;
  };
  std::vector<Shown> sample;
  const std::uint32_t size = std::min(options.requests, 4000U);
  for (std::uint32_t i = 0; i < size; ++i) {
    const auto asked = request(std::uint64_t{i} * options.requests / size);
    for (const auto offer : asked.candidates) sample.push_back({appeal(asked, offer), asked.position});
  }
  double low = -20, high = 5;
  for (int i = 0; i < 50; ++i) {
    level_ = (low + high) / 2;
    double sum = 0;
    for (const auto& shown : sample) sum += rate(shown.appeal, shown.position);
    (sum < options.click_rate * static_cast<double>(sample.size()) ? low : high) = level_;
  }
}

Market::Customer Market::make_customer(std::uint64_t number) const {
  auto random = stream(options_.seed, kOfCustomer, number);
  Customer customer;
  for (auto& trait : customer.traits) trait = random.normal();
  for (std::uint32_t i = 0; i < kInterests; ++i) {
    // The last ones mix two traits.
    double reading = customer.traits[i % kTraits];
    if (i >= kTraits) reading = (reading + customer.traits[(i + 3) % kTraits]) / std::numbers::sqrt2;
    reading += kReadingNoise * random.normal();
    one_hot(customer.inputs, bin_of(reading / std::hypot(1.0, kReadingNoise), kBins), kBins);
  }
  const double age =
      0.5 * customer.traits[0] - 0.5 * customer.traits[3] + random.normal() / std::numbers::sqrt2;
  one_hot(customer.inputs, bin_of(age, kAges), kAges);
  one_hot(customer.inputs, random.below(kRegions), kRegions);       // says nothing
  customer.inputs.push_back(static_cast<float>(random.uniform()));  // nor does this
  return customer;
}

Market::Offer Market::make_offer(std::uint64_t number) const {
  auto random = stream(options_.seed, kOfOffer, number);
  Offer offer;
  offer.id = fmt::format("offer-{}", number);
  offer.category = random.below(kCategories);
  for (std::uint32_t i = 0; i < kTraits; ++i)
    offer.traits[i] = 0.9 * categories_[offer.category][i] + 0.45 * random.normal();
  offer.quality = kQualitySpread * random.normal();
  if (late(static_cast<std::uint32_t>(number))) {
    const double order = static_cast<double>(number - (options_.offers - options_.late)) / options_.late;
    offer.arrives = static_cast<std::uint64_t>((kFirstArrival + (kLastArrival - kFirstArrival) * order) *
                                               options_.requests);
  }
  one_hot(offer.inputs, offer.category, kCategories);
  one_hot(offer.inputs, bin_of(offer.traits[1] + 0.3 * random.normal(), kPrices), kPrices);
  const double discount = 0.7 * offer.quality / kQualitySpread + 0.7 * random.normal();
  one_hot(offer.inputs, bin_of(discount, kDiscounts), kDiscounts);
  offer.inputs.push_back(static_cast<float>(random.uniform()));  // says nothing
  return offer;
}

std::uint32_t Market::arrived(std::uint64_t request) const {
  const auto first_late = offers_.end() - options_.late;
  const auto end = std::partition_point(first_late, offers_.end(),
                                        [&](const Offer& offer) { return offer.arrives <= request; });
  return static_cast<std::uint32_t>(end - offers_.begin());
}

Market::Request Market::request(std::uint64_t number) const {
  auto random = stream(options_.seed, kOfRequest, number);
  Request request;
  request.number = number;
  request.customer = random.below(options_.customers);
  request.hour = random.below(kHours);
  request.device = random.below(kDevices);
  request.position = random.below(kPositions);
  request.weekend = random.below(7) < 2;
  request.inputs = customers_[request.customer].inputs;
  request.inputs.reserve(kCustomerInputs);
  one_hot(request.inputs, request.hour, kHours);
  one_hot(request.inputs, request.device, kDevices);
  one_hot(request.inputs, request.position, kPositions);
  request.inputs.push_back(request.weekend ? 1.0F : 0.0F);
  const auto offers = arrived(number);
  const auto wanted = std::min(options_.candidates, offers);
  while (request.candidates.size() < wanted) {
    const auto offer = random.below(offers);
    if (std::find(request.candidates.begin(), request.candidates.end(), offer) == request.candidates.end())
      request.candidates.push_back(offer);
  }
  return request;
}

double Market::appeal(const Request& request, std::uint32_t offer) const {
  const auto& customer = customers_[request.customer];
  const auto& shown = offers_[offer];
  std::array<double, kVariables> real;
  std::copy(customer.traits.begin(), customer.traits.end(), real.begin());
  std::copy(shown.traits.begin(), shown.traits.end(), real.begin() + kOfferTrait);
  real[kHour] = request.hour;
  real[kDevice] = request.device;
  real[kWeekend] = request.weekend ? 1 : 0;
  double sum = shown.quality;
  for (const auto& tree : trees_) {
    std::size_t leaf = 0;
    for (std::size_t level = 0; level < tree.variable.size(); ++level)
      leaf = 2 * leaf + (real[tree.variable[level]] >= tree.threshold[level] ? 1 : 0);
    sum += tree.leaf[leaf];
  }
  const double time = static_cast<double>(request.number) / options_.requests;
  const double phase = static_cast<double>(shown.category) / kCategories;
  return sum + kSeason * std::sin(2 * std::numbers::pi * (kSeasons * time + phase));
}

double Market::rate(double appeal, std::uint32_t position) const {
  const double seen = 1 / (1 + kPositionDecay * position);
  return seen * kMostClicks * (1 - std::exp(-std::exp(appeal + level_) / kMostClicks));
}

double Market::truth(const Request& request, std::uint32_t offer) const {
  return rate(appeal(request, offer), request.position);
}

bool Market::clicks(const Request& request, std::uint32_t offer) const {
  auto random = stream(options_.seed, kOfClick, request.number << 24 ^ offer);
  return random.uniform() < truth(request, offer);
}

}  // namespace cx::bench
