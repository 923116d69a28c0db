#include "providers/inference/supervisor.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/sec.hpp>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "providers/pool/actors.hpp"

namespace cx::inference {
namespace {

using Outcome = pool::Outcome<v1::Predicted>;

caf::error failure(const std::string& why) {
  return caf::make_error(caf::sec::runtime_error, why);
}

bool well_formed(const v1::Predict& request) {
  return std::all_of(request.items().begin(), request.items().end(),
                     [](const v1::PredictItem& item) { return item.features().size() == sizeof(Features); });
}

Item to_item(const v1::PredictItem& in) {
  Item out;
  std::memcpy(out.features.data(), in.features().data(), sizeof(Features));
  out.offers.assign(in.offers().begin(), in.offers().end());
  return out;
}

/// A provider as a worker: joins the requests of a batch for it, and takes its answer apart.
class ProviderWorker final : public pool::Worker<v1::Predict, v1::Predicted> {
 public:
  explicit ProviderWorker(std::unique_ptr<CoLaNetProvider> provider) : provider_(std::move(provider)) {}

  void start(Tasks tasks, Done done) override {
    std::size_t size = 0;
    for (const auto& task : tasks) size += static_cast<std::size_t>(task.item->items_size());
    std::vector<Item> items;
    items.reserve(size);
    for (const auto& task : tasks)
      for (const auto& item : task.item->items()) items.push_back(to_item(item));
    const auto scores = score(items);
    const auto model = provider_->provider_name();
    std::span<const Result<Scores>> rest = scores;
    std::vector<Outcome> outcomes;
    outcomes.reserve(tasks.size());
    for (const auto& task : tasks) {
      const auto own = static_cast<std::size_t>(task.item->items_size());
      outcomes.push_back(to_outcome(rest.first(own), model));
      rest = rest.subspan(own);
    }
    done(std::move(outcomes));
  }

 private:
  std::vector<Result<Scores>> score(std::span<const Item> items) {
    std::vector<Result<Scores>> out;
    out.reserve(items.size());
    for (std::size_t at = 0; at < items.size(); at += provider_->max_batch_size()) {
      const auto part = items.subspan(at, std::min(provider_->max_batch_size(), items.size() - at));
      for (auto& scores : provider_->predict_batch(part)) out.push_back(std::move(scores));
    }
    if (out.size() != items.size()) throw std::runtime_error("the provider answered another number of items");
    return out;
  }

  /// One item's error is its request's.
  static Outcome to_outcome(std::span<const Result<Scores>> scores, const std::string& model) {
    v1::Predicted reply;
    reply.set_model(model);
    for (const auto& one : scores) {
      if (!one) return Outcome::failed(one.error());
      reply.add_items()->mutable_values()->Assign(one->begin(), one->end());
    }
    return Outcome::done(std::move(reply));
  }

  std::unique_ptr<CoLaNetProvider> provider_;
};

/// The pool's supervisor with the interface of InferencePool.
class Supervisor final : public pool::Supervisor<v1::Predict, v1::Predicted> {
 public:
  using pool::Supervisor<v1::Predict, v1::Predicted>::Supervisor;

 protected:
  caf::message_handler requests() override {
    return {[this](v1::Predict& request) { accept(request); }};
  }

 private:
  void accept(v1::Predict& request) {
    auto promise = make_response_promise();
    if (!well_formed(request)) return promise.deliver(failure("a feature vector must have 256 values"));
    pool::Submission<v1::Predict, v1::Predicted> submission;
    submission.weight = static_cast<std::uint32_t>(request.items_size());
    submission.deadline = SteadyTime(std::chrono::nanoseconds(request.deadline()));
    submission.item = std::make_shared<v1::Predict>(std::move(request));
    submission.settle = [promise](pool::Settled<v1::Predicted> settled) mutable {
      deliver(promise, std::move(settled));
    };
    take(std::make_shared<Offer>(std::move(submission), nullptr));
  }

  static void deliver(caf::response_promise& promise, pool::Settled<v1::Predicted> settled) {
    switch (settled.ending) {
      case pool::Ending::done:
        return promise.deliver(std::move(*settled.value));
      case pool::Ending::refused:
        return promise.deliver(failure("inference overloaded"));
      case pool::Ending::expired:
        return promise.deliver(failure("past the deadline"));
      default:
        return promise.deliver(failure(settled.error.detail));
    }
  }
};

}  // namespace

InferencePool spawn_supervisor(caf::actor_system& system, BatchPolicy policy, ProviderFactory make_provider,
                               const Clock& clock, Metrics& metrics, BatchProbe& probe) {
  auto& own = metrics.kind("inference-supervisor");
  own.addresses = {"inference-supervisor/system/cpu"};
  auto make_worker = [make_provider = std::move(make_provider)] {
    return std::make_unique<ProviderWorker>(make_provider());
  };
  const pool::Policy general{.workers = policy.pool,
                             .batch_items = policy.batch_items,
                             .batch_wait = policy.batch_wait,
                             .max_queue = policy.max_queue};
  auto supervisor = system.spawn<Supervisor>(
      own, Supervisor::Parts{general, 0, make_worker, clock, metrics.kind("inference-provider"), probe});
  return caf::actor_cast<InferencePool>(caf::actor_cast<caf::strong_actor_ptr>(supervisor));
}

}  // namespace cx::inference
