#include "providers/inference/learning/offers.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "providers/inference/colanet/kernels.hpp"
#include "providers/inference/learning/logistic.hpp"

namespace cx::inference::learning {
namespace {

constexpr std::size_t kLeastOfAKind = 5;
constexpr std::size_t kLeastToJudge = 20;
constexpr double kHalf = 500;  // rows that take a column half of the way
constexpr double kDoubt = 20;  // rows by which an offer's rate is drawn to the prior's

/// Row numbers by offer.
std::vector<std::vector<std::uint32_t>> by_offer(const Examples& examples) {
  std::vector<std::vector<std::uint32_t>> out(examples.offer_ids().size());
  for (std::uint32_t i = 0; i < examples.size(); ++i)
    if (const auto offer = examples.offers()[i]; offer != kNoOffer) out[offer].push_back(i);
  return out;
}

double logit_of(double p) {
  return std::log(p / (1 - p));
}

/// The prior, shifted to forecast the rows' own rate, as far as they are to be believed.
colanet::Trainer shifted(const colanet::Trainer& prior, const Examples& rows) {
  double forecast = 0;
  for (const double z : logits(prior, rows)) forecast += sigmoid(z);
  const auto n = static_cast<double>(rows.size());
  const double expected = std::clamp(forecast / n, 1e-6, 1 - 1e-6);
  const double rate = (static_cast<double>(rows.positives()) + kDoubt * expected) / (n + kDoubt);
  auto out = prior;
  out.shift(0, logit_of(rate) - logit_of(expected));
  return out;
}

/// Whether losses are lower than others, of the same rows, by more than their standard error.
bool clearly_lower(std::span<const double> ours, std::span<const double> theirs) {
  double sum = 0, squares = 0;
  const auto n = static_cast<double>(ours.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double better = theirs[i] - ours[i];
    sum += better;
    squares += better * better;
  }
  const double mean = sum / n, variance = std::max(0.0, squares / n - mean * mean);
  return mean > 0 && mean > std::sqrt(variance / n);
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void copy_column(const colanet::Columns& from, colanet::Owned& to, std::uint32_t index) {
  std::copy(from.block.begin(), from.block.end(), to.column(index).begin());
  to.offset(index) = from.offsets[0];
}

}  // namespace

OfferColumns train_offers(const colanet::Trainer& prior, const Examples& training, const Examples& validation,
                          const TrainingOptions& options,
                          const std::function<bool(const OfferTrained&)>& on_offer) {
  const auto learn_from = by_offer(training), judge_by = by_offer(validation);
  std::vector<std::pair<std::string, colanet::Owned>> kept;
  std::size_t tried = 0;
  for (std::size_t offer = 0; offer < learn_from.size(); ++offer) {
    const auto rows = training.pick(learn_from[offer]);
    const auto positives = rows.positives();
    if (positives < kLeastOfAKind || rows.size() - positives < kLeastOfAKind || offer >= judge_by.size() ||
        judge_by[offer].size() < kLeastToJudge)
      continue;
    ++tried;
    const auto judges = validation.pick(judge_by[offer]);
    const auto n = static_cast<double>(rows.size());
    const auto own = train_further(shifted(prior, rows), n / (n + kHalf), rows, judges, options);
    const auto before = losses(logits(prior, judges), judges.labels(), options.sampling);
    const auto after = losses(logits(own.network, judges), judges.labels(), options.sampling);
    const bool better = clearly_lower(after, before);
    if (better) kept.emplace_back(training.offer_ids()[offer], own.network.quantised());
    if (on_offer &&
        !on_offer({training.offer_ids()[offer], rows.size(), mean_of(before), mean_of(after), better}))
      break;
  }
  const auto first = prior.quantised();
  OfferColumns out{{training.inputs(), static_cast<std::uint32_t>(kept.size() + 1), first.view().inhibition},
                   {},
                   tried,
                   static_cast<std::size_t>(std::count_if(learn_from.begin(), learn_from.end(),
                                                          [](const auto& rows) { return !rows.empty(); }))};
  copy_column(first.view(), out.columns, 0);
  for (auto& [id, columns] : kept) {
    const auto index = static_cast<std::uint32_t>(out.ids.size() + 1);
    copy_column(columns.view(), out.columns, index);
    out.ids.emplace_back(std::move(id), index);
  }
  return out;
}

std::vector<std::uint32_t> columns_of(
    const Examples& examples,
    const std::function<std::optional<std::uint32_t>(std::string_view)>& column_of) {
  std::vector<std::uint32_t> out;
  for (const auto& id : examples.offer_ids()) out.push_back(column_of(id).value_or(colanet::Model::kPrior));
  return out;
}

std::vector<double> logits(const colanet::Columns& columns, std::span<const std::uint32_t> column_of_offer,
                           const Examples& examples) {
  std::vector<double> out(examples.size());
  std::vector<float> inputs(examples.inputs());
  colanet::Events events;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto offer = examples.offers()[i];
    const auto column = offer < column_of_offer.size() ? column_of_offer[offer] : colanet::Model::kPrior;
    examples.fill(i, inputs);
    colanet::encode(inputs, events);
    std::array<std::int64_t, 1> z{};
    colanet::read_out(events, columns, std::array{column}, z);
    out[i] = colanet::logit(z[0]);
  }
  return out;
}

}  // namespace cx::inference::learning
