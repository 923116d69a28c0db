#include "providers/inference/learning/decisions.hpp"

#include <algorithm>
#include <tuple>
#include <xxhash.h>

namespace cx::inference::learning {
namespace {

constexpr std::array<std::string_view, kKinds> kWords{"impression", "click", "open", "dismiss", "conversion"};
constexpr std::size_t kMostFeatures = 256;
constexpr float kUnit = 127;

/// Clocks differ: so many milliseconds before the decision an outcome may seem to be.
constexpr std::int64_t kSkew = 5 * 60'000;

/// Appends a number to what a hash is made of.
template <class T>
void feed(XXH3_state_t& state, T value) {
  XXH3_64bits_update(&state, &value, sizeof value);
}

}  // namespace

std::optional<Kind> kind_of(std::string_view word) {
  const auto found = std::find(kWords.begin(), kWords.end(), word);
  if (found == kWords.end()) return std::nullopt;
  return static_cast<Kind>(found - kWords.begin());
}

Decisions::Fate Decisions::add(const Decision& decision) {
  const auto fate = [&] {
    const auto id = XXH3_64bits(decision.id.data(), decision.id.size());
    if (ids_.contains(id)) return Fate::repeated;
    if (question_.now - decision.at < question_.window) return Fate::young;
    if (std::none_of(decision.first.begin(), decision.first.end(), [](auto& at) { return at.has_value(); }))
      return Fate::unseen;
    ids_.insert(id);
    auto used = decision.features.first(std::min(decision.features.size(), kMostFeatures));
    while (!used.empty() && used.back() <= 0) used = used.first(used.size() - 1);
    const auto offer =
        offers_.emplace(decision.offer, static_cast<std::uint32_t>(offers_.size())).first->second;
    const auto came = decision.first[static_cast<std::size_t>(question_.outcome)];
    const bool rewarded = came && *came >= decision.at - kSkew && *came - decision.at <= question_.window;
    rows_.push_back(
        {decision.at, id, features_.size(), offer, static_cast<std::uint16_t>(used.size()), rewarded});
    features_.insert(features_.end(), used.begin(), used.end());
    return Fate::taken;
  }();
  ++counts_[static_cast<std::size_t>(fate)];
  return fate;
}

void Decisions::sort() {
  std::sort(rows_.begin(), rows_.end(),
            [](const Row& a, const Row& b) { return std::tie(a.at, a.id) < std::tie(b.at, b.id); });
}

std::uint32_t Decisions::inputs(std::size_t rows) const {
  std::uint32_t most = 1;
  for (std::size_t i = 0; i < rows; ++i) most = std::max<std::uint32_t>(most, rows_[i].features);
  return most;
}

Examples Decisions::examples(std::size_t begin, std::size_t end, std::uint32_t inputs) const {
  std::vector<std::string> ids(offers_.size());
  for (const auto& [id, index] : offers_) ids[index] = id;
  Examples out(inputs, std::make_shared<std::vector<std::string>>(std::move(ids)));
  std::vector<Active> actives;
  for (auto i = begin; i < end; ++i) {
    actives.clear();
    const auto values = features(rows_[i]);
    for (std::size_t k = 0; k < values.size(); ++k)
      if (values[k] > 0)
        actives.push_back({static_cast<std::uint16_t>(k), static_cast<float>(values[k]) / kUnit});
    out.add(actives, rows_[i].rewarded, rows_[i].offer);
  }
  return out;
}

std::uint64_t Decisions::hash() const {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  XXH3_64bits_reset(state.get());
  std::vector<std::uint64_t> offers(offers_.size());
  for (const auto& [id, index] : offers_) offers[index] = XXH3_64bits(id.data(), id.size());
  for (const auto& row : rows_) {
    feed(*state, row.at);
    feed(*state, row.id);
    feed(*state, offers[row.offer]);
    feed(*state, row.rewarded);
    const auto values = features(row);
    XXH3_64bits_update(state.get(), values.data(), values.size());
  }
  return XXH3_64bits_digest(state.get());
}

}  // namespace cx::inference::learning
