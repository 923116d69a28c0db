#include "providers/inference/worker.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace cx::inference {
namespace {

Item to_item(const v1::PredictItem& in, SteadyTime deadline) {
  Item out;
  out.deadline = deadline;
  std::memcpy(out.features.data(), in.features().data(), sizeof(Features));
  out.offers.assign(in.offers().begin(), in.offers().end());
  return out;
}

/// Adds a name to a list of them, once.
void add_model(std::string& list, const std::string& name) {
  if (name.empty() || list == name || (", " + list + ", ").find(", " + name + ", ") != std::string::npos)
    return;
  if (!list.empty()) list += ", ";
  list += name;
}

}  // namespace

ProviderWorker::ProviderWorker(std::shared_ptr<const ProviderFactory> make_provider)
    : make_provider_(std::move(make_provider)) {
  renew();
}

void ProviderWorker::renew() {
  provider_.reset();
  auto provider = (*make_provider_)();
  if (const auto error = provider->warm_up())
    throw std::runtime_error("the provider could not be warmed up: " + error->detail);
  provider_ = std::move(provider);
}

void ProviderWorker::start(Tasks tasks, Done done) {
  items_.clear();
  for (const auto& task : tasks)
    for (const auto& item : task.item->items()) items_.push_back(to_item(item, task.expires));
  scored_.clear();
  models_.clear();
  thrown_.clear();
  score(items_);
  std::span<const Scored> rest = scored_;
  std::vector<Outcome> outcomes;
  outcomes.reserve(tasks.size());
  for (const auto& task : tasks) {
    const auto own = static_cast<std::size_t>(task.item->items_size());
    outcomes.push_back(to_outcome(rest.first(own)));
    rest = rest.subspan(own);
  }
  done(std::move(outcomes));
  if (!thrown_.empty()) throw std::runtime_error(thrown_);
}

void ProviderWorker::score(std::span<const Item> items) {
  const auto most = std::max<std::size_t>(1, provider_->max_batch_size());
  while (!items.empty()) {
    const auto part = items.first(std::min(most, items.size()));
    try {
      note(provider_->predict_batch(part), part.size());
    } catch (const std::exception& e) {
      if (items_.size() == 1) throw;  // there is nobody to protect
      thrown_ = e.what();
      score_alone(part);
    }
    items = items.subspan(part.size());
  }
}

void ProviderWorker::score_alone(std::span<const Item> items) {
  renew();
  for (const auto& item : items) {
    try {
      note(provider_->predict_batch({&item, 1}), 1);
    } catch (const std::exception& e) {
      scored_.emplace_back(Error{Code::internal, "provider-failed", e.what(), ""}, models_.size());
      models_.emplace_back();
      renew();
    }
  }
}

void ProviderWorker::note(std::vector<Result<Scores>> results, std::size_t expected) {
  if (results.size() != expected)
    throw std::runtime_error("the provider answered another number of items than it was asked");
  auto model = provider_->provider_name();
  if (models_.empty() || models_.back() != model) models_.push_back(std::move(model));
  for (auto& result : results) scored_.emplace_back(std::move(result), models_.size() - 1);
}

ProviderWorker::Outcome ProviderWorker::to_outcome(std::span<const Scored> scored) const {
  v1::Predicted reply;
  bool any = scored.empty();
  for (const auto& one : scored) {
    auto& values = *reply.add_items()->mutable_values();
    if (!one.scores) continue;
    any = true;
    values.Assign(one.scores->begin(), one.scores->end());
    add_model(*reply.mutable_model(), models_[one.model]);
  }
  if (!any) return Outcome::failed(scored.front().scores.error());
  return Outcome::done(std::move(reply));
}

Result<v1::Predicted> join(std::vector<Part> parts) {
  v1::Predicted whole;
  const Error* first = nullptr;
  bool any = false;
  for (auto& [items, answer] : parts) {
    if (!answer.value) {
      if (first == nullptr) first = &answer.error;
      for (int i = 0; i < items; ++i) whole.add_items();
      continue;
    }
    any = true;
    add_model(*whole.mutable_model(), answer.value->model());
    for (auto& scores : *answer.value->mutable_items()) whole.add_items()->Swap(&scores);
  }
  if (!any && first != nullptr) return *first;
  return whole;
}

}  // namespace cx::inference
