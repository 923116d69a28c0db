#include "actors/bidding/catalog.hpp"

#include <algorithm>
#include <string>

namespace cx::bidding {
namespace {

void set_bit(Bits& bits, std::size_t rows, std::size_t row) {
  bits.resize((rows + 63) / 64);
  bits[row / 64] |= std::uint64_t{1} << (row % 64);
}

void add(Bits& to, const Bits& from) {
  for (std::size_t i = 0; i < from.size(); ++i) to[i] |= from[i];
}

void keep(Bits& in, const Bits& only) {
  for (std::size_t i = 0; i < in.size(); ++i) in[i] &= only[i];
}

void drop(Bits& in, const Bits& these) {
  for (std::size_t i = 0; i < these.size(); ++i) in[i] &= ~these[i];
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

}  // namespace

bool within_category(std::string_view category, std::string_view listed) {
  if (category.size() < listed.size()) return false;
  const auto same = [](char a, char b) { return lower(a) == lower(b); };
  if (!std::equal(listed.begin(), listed.end(), category.begin(), same)) return false;
  return category.size() == listed.size() || category[listed.size()] == '-';
}

Catalog::Catalog(std::vector<v1::Offer> offers) : offers_(std::move(offers)) {
  std::stable_sort(offers_.begin(), offers_.end(), [](const v1::Offer& a, const v1::Offer& b) {
    return a.click_value_micros() > b.click_value_micros();
  });
  const auto rows = offers_.size();
  for (std::size_t row = 0; row < rows; ++row) {
    const auto& offer = offers_[row];
    if (offer.media() == v1::MEDIA_TYPE_BANNER)
      set_bit(banners_[{static_cast<int>(offer.width()), static_cast<int>(offer.height())}], rows, row);
    if (offer.media() == v1::MEDIA_TYPE_VIDEO) set_bit(videos_, rows, row);
    set_bit(offer.has_segment() ? by_segment_[offer.segment() % by_segment_.size()] : untargeted_, rows, row);
    set_bit(by_category_[offer.category()], rows, row);
    set_bit(by_domain_[lower(offer.domain())], rows, row);
  }
}

const Bits& Catalog::in_categories(std::span<const std::string_view> listed, Bits& out) const {
  out.assign(out.size(), 0);
  for (const auto& [category, bits] : by_category_) {
    const auto covers = [&c = category](std::string_view l) { return within_category(c, l); };
    if (std::any_of(listed.begin(), listed.end(), covers)) add(out, bits);
  }
  return out;
}

const Bits& Catalog::evaluate(const OfferQuery& query) const {
  thread_local Bits found, scratch;
  const auto words = (offers_.size() + 63) / 64;
  found.assign(words, 0);
  for (const auto& size : query.banner_sizes)
    if (const auto bits = banners_.find(size); bits != banners_.end()) add(found, bits->second);
  if (query.video) add(found, videos_);

  scratch.assign(words, 0);
  add(scratch, untargeted_);
  for (const auto segment : query.segments)
    if (segment < by_segment_.size()) add(scratch, by_segment_[segment]);
  keep(found, scratch);

  if (!query.blocked_categories.empty()) drop(found, in_categories(query.blocked_categories, scratch));
  if (!query.allowed_categories.empty()) keep(found, in_categories(query.allowed_categories, scratch));
  for (const auto domain : query.blocked_domains)
    if (const auto bits = by_domain_.find(lower(domain)); bits != by_domain_.end()) drop(found, bits->second);
  return found;
}

}  // namespace cx::bidding
