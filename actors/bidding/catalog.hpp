#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cx/v1/bidding.pb.h"

namespace cx::bidding {

/// A set of catalogue rows, one bit each.
using Bits = std::vector<std::uint64_t>;

/// Which offers a query may return. Every list is what the bid request says; empty lists restrict nothing.
struct OfferQuery {
  std::span<const std::pair<int, int>> banner_sizes;  ///< offers of exactly one of these; empty: no banners
  bool video = false;                                 ///< also video offers
  std::span<const std::uint32_t> segments;  ///< of the customer: offers for one of these, or for everyone
  std::span<const std::string_view> blocked_categories, allowed_categories, blocked_domains;
};

/// An immutable, indexed set of offers. A row is an offer's position here and in the model's offer table;
/// rows run from the most valuable click to the least. Thread-safe: agents share one and read it without a
/// lock.
class Catalog {
 public:
  explicit Catalog(std::vector<v1::Offer> offers);

  const v1::Offer& offer(std::uint32_t row) const { return offers_[row]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(offers_.size()); }

  /// Calls `take(row)` for each match, most valuable click first, until it returns false. Not reentrant on
  /// one thread.
  template <class Take>
  void match(const OfferQuery& query, Take&& take) const {
    const Bits& bits = evaluate(query);
    for (std::size_t word = 0; word < bits.size(); ++word)
      for (auto left = bits[word]; left != 0; left &= left - 1)
        if (!take(static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(__builtin_ctzll(left)))))
          return;
  }

 private:
  using Index = std::map<std::string, Bits, std::less<>>;

  const Bits& evaluate(const OfferQuery& query) const;
  /// Sets `out`, which has its size, to the offers of the listed categories.
  const Bits& in_categories(std::span<const std::string_view> listed, Bits& out) const;

  std::vector<v1::Offer> offers_;
  std::map<std::pair<int, int>, Bits> banners_;
  Bits videos_, untargeted_;
  std::array<Bits, 64> by_segment_;
  Index by_category_, by_domain_;
};

/// Whether IAB content category `category` is `listed` or a part of it: IAB3-1 is within IAB3. Ignores case.
bool within_category(std::string_view category, std::string_view listed);

/// The demo tenant's catalogue: `offers` offers of `campaigns` campaigns, a function of the seed alone.
std::vector<v1::Offer> demo_offers(std::uint64_t seed, std::uint32_t offers, std::uint32_t campaigns);

}  // namespace cx::bidding
