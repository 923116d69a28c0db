#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cx::bench {

struct MarketOptions {
  std::uint32_t offers = 1000;
  /// The last so many of them arrive one after the other between 0.4 and 0.7 of the run.
  std::uint32_t late = 100;
  std::uint32_t customers = 20'000;
  std::uint32_t candidates = 20;  // of a request
  std::uint32_t requests = 200'000;
  double click_rate = 0.015;  // of an offer shown at random
  /// How far apart the appeals of offers to customers are: standard deviation of a tree's leaves.
  double taste = 0.15;
  std::uint64_t seed = 1;
};

/// A market that is simulated: customers who click or do not. The same seed makes the same one.
///
/// Whether somebody clicks is not of the form of a model that learns it: trees of depth three over what
/// customer, offer and situation really are, of which the inputs show only noisy readings in bins; seasons
/// that move a category's appeal; a rate that saturates, and falls with the position on the page.
class Market {
 public:
  struct Request {
    std::uint64_t number = 0;  // in [0, requests)
    std::uint32_t customer = 0;
    std::uint32_t hour = 0;      // of six parts of a day
    std::uint32_t device = 0;    // of three
    std::uint32_t position = 0;  // of four
    bool weekend = false;
    std::vector<float> inputs;              // kCustomerInputs, each in [0, 1]
    std::vector<std::uint32_t> candidates;  // distinct offers that have arrived
  };

  static constexpr std::uint32_t kTraits = 6;     // what a customer or an offer really is: normal numbers
  static constexpr std::uint32_t kInterests = 8;  // readings of a customer, each in one of kBins bins
  static constexpr std::uint32_t kBins = 4;
  static constexpr std::uint32_t kAges = 5, kRegions = 8, kHours = 6, kDevices = 3, kPositions = 4;
  static constexpr std::uint32_t kCustomerInputs =
      kInterests * kBins + kAges + kRegions + kHours + kDevices + kPositions + 2;
  static constexpr std::uint32_t kCategories = 12, kPrices = 4, kDiscounts = 4;
  static constexpr std::uint32_t kOfferInputs = kCategories + kPrices + kDiscounts + 1;

  explicit Market(const MarketOptions& options);

  const MarketOptions& options() const { return options_; }
  /// The `number`th request of the run; each is drawn from the seed and its number alone.
  Request request(std::uint64_t number) const;
  std::span<const float> offer_inputs(std::uint32_t offer) const { return offers_[offer].inputs; }
  const std::string& offer_id(std::uint32_t offer) const { return offers_[offer].id; }
  bool late(std::uint32_t offer) const { return offer >= options_.offers - options_.late; }
  /// P(click) if the offer is shown. No learner may ask.
  double truth(const Request& request, std::uint32_t offer) const;
  /// Whether it is clicked: the same answer however often it is asked, so that policies can be compared in
  /// pairs.
  bool clicks(const Request& request, std::uint32_t offer) const;

 private:
  struct Customer {
    std::array<double, kTraits> traits;
    std::vector<float> inputs;  // those that no situation changes
  };
  struct Offer {
    std::string id;
    std::array<double, kTraits> traits;
    double quality = 0;
    std::uint32_t category = 0;
    std::uint64_t arrives = 0;  // with which request
    std::vector<float> inputs;
  };
  /// Splits by a trait of the offer, one of the customer, and then one of either or the situation.
  struct Tree {
    std::array<std::uint32_t, 3> variable;
    std::array<double, 3> threshold;
    std::array<double, 8> leaf;
  };

  double appeal(const Request& request, std::uint32_t offer) const;
  double rate(double appeal, std::uint32_t position) const;
  Customer make_customer(std::uint64_t number) const;
  Offer make_offer(std::uint64_t number) const;
  std::uint32_t arrived(std::uint64_t request) const;

  MarketOptions options_;
  std::vector<Tree> trees_;
  std::vector<std::array<double, kTraits>> categories_;  // traits of their offers, on average
  std::vector<Customer> customers_;
  std::vector<Offer> offers_;
  double level_ = 0;  // of appeal, at which an offer shown at random is clicked at click_rate
};

}  // namespace cx::bench
