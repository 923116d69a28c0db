#include "providers/inference/colanet/provider.hpp"

#include <fmt/format.h>
#include <numeric>

#include "providers/inference/colanet/kernels.hpp"

namespace cx::inference::colanet {

ColanetProvider::ColanetProvider(std::shared_ptr<const ModelHolder> models) : models_(std::move(models)) {
  name(*models_->current());
}

void ColanetProvider::name(const Served& served) {
  name_ = "cpu/" + served.label;
}

Result<Scores> ColanetProvider::predict(const Item& item) {
  const auto served = models_->current();
  name(*served);
  return predict(*served, item);
}

std::vector<Result<Scores>> ColanetProvider::predict_batch(std::span<const Item> items) {
  const auto served = models_->current();
  name(*served);
  std::vector<Result<Scores>> out;
  out.reserve(items.size());
  for (const auto& item : items) out.push_back(predict(*served, item));
  return out;
}

Result<Scores> ColanetProvider::predict(const Served& served, const Item& item) {
  const Columns& columns = served.model.columns();
  const auto& column_of_row = served.column_of_row;
  which_.clear();
  for (const auto row : item.offers) {
    if (row >= column_of_row.size())
      return Error{Code::invalid_argument, "unknown-offer",
                   fmt::format("Offer row {} is not in the table of {} offers.", row, column_of_row.size()),
                   ""};
    which_.push_back(column_of_row[row]);
  }
  encode(std::span(item.features).first(columns.inputs), events_);
  z_.resize(which_.size());
  read_out(events_, columns, which_, z_);
  Scores scores;
  scores.reserve(z_.size());
  for (const auto z : z_)
    scores.push_back(static_cast<float>(served.model.calibration().probability(logit(z))));
  return scores;
}

std::optional<Error> ColanetProvider::warm_up() {
  Item item{};
  item.offers.resize(models_->current()->column_of_row.size());
  std::iota(item.offers.begin(), item.offers.end(), 0U);
  const auto scores = predict(item);
  return scores ? std::nullopt : std::optional(scores.error());
}

}  // namespace cx::inference::colanet
