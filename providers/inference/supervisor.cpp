#include "providers/inference/supervisor.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/sec.hpp>
#include <memory>
#include <string>
#include <vector>

#include "providers/inference/worker.hpp"
#include "providers/pool/actors.hpp"

namespace cx::inference {
namespace {

caf::error failure(const std::string& why) {
  return caf::make_error(caf::sec::runtime_error, why);
}

bool well_formed(const v1::Predict& request) {
  return std::all_of(request.items().begin(), request.items().end(),
                     [](const v1::PredictItem& item) { return item.features().size() == sizeof(Features); });
}

void deliver(caf::response_promise& promise, Result<v1::Predicted> answer) {
  if (answer) return promise.deliver(std::move(*answer));
  promise.deliver(failure(answer.error().detail));
}

/// A request in parts: answers it when the last of them is.
class Whole {
 public:
  Whole(caf::response_promise promise, std::size_t parts) : promise_(std::move(promise)), parts_(parts) {}

  void settle(std::size_t part, int items, pool::Settled<v1::Predicted> answer) {
    parts_[part] = {items, std::move(answer)};
    if (++settled_ == parts_.size()) deliver(promise_, join(std::move(parts_)));
  }

 private:
  caf::response_promise promise_;
  std::vector<Part> parts_;
  std::size_t settled_ = 0;
};

/// The pool's supervisor with the interface of InferencePool.
class Supervisor final : public pool::Supervisor<v1::Predict, v1::Predicted> {
 public:
  Supervisor(caf::actor_config& config, KindProbe& own, Parts parts, const BatchPolicy& policy)
      : pool::Supervisor<v1::Predict, v1::Predicted>(config, own, std::move(parts)), policy_(policy) {}

 protected:
  caf::message_handler requests() override {
    return {[this](v1::Predict& request) { accept(request); }};
  }

 private:
  void accept(v1::Predict& request) {
    auto promise = make_response_promise();
    if (!well_formed(request)) return promise.deliver(failure("a feature vector must have 256 values"));
    const auto items = static_cast<std::size_t>(request.items_size());
    if (items > std::max<std::size_t>(1, policy_.batch_items)) return split(request, std::move(promise));
    offer(std::move(request), [promise](pool::Settled<v1::Predicted> settled) mutable {
      deliver(promise, settled.value ? Result<v1::Predicted>(std::move(*settled.value)) : settled.error);
    });
  }

  /// As many items as a batch has at a time; all of them are taken, or none.
  void split(v1::Predict& request, caf::response_promise promise) {
    if (core().weight() + static_cast<std::size_t>(request.items_size()) > policy_.max_queue) {
      counts().shed.add();
      return promise.deliver(failure(pool::error_of(pool::Ending::refused).detail));
    }
    const auto most = static_cast<int>(policy_.batch_items);
    const auto whole = std::make_shared<Whole>(
        std::move(promise), static_cast<std::size_t>((request.items_size() - 1) / most + 1));
    std::size_t number = 0;
    for (int from = 0; from < request.items_size(); from += most, ++number) {
      v1::Predict part;
      part.set_deadline(request.deadline());
      const int to = std::min(from + most, request.items_size());
      for (int i = from; i < to; ++i) part.add_items()->Swap(request.mutable_items(i));
      offer(std::move(part), [whole, number, size = to - from](pool::Settled<v1::Predicted> settled) {
        whole->settle(number, size, std::move(settled));
      });
    }
  }

  void offer(v1::Predict request, std::function<void(pool::Settled<v1::Predicted>)> settle) {
    pool::Submission<v1::Predict, v1::Predicted> submission;
    submission.weight = static_cast<std::uint32_t>(request.items_size());
    submission.deadline = SteadyTime(std::chrono::nanoseconds(request.deadline()));
    submission.item = std::make_shared<v1::Predict>(std::move(request));
    submission.settle = std::move(settle);
    take(std::make_shared<Offer>(std::move(submission), nullptr));
  }

  const BatchPolicy policy_;
};

}  // namespace

pool::Policy make_policy(const BatchPolicy& policy) {
  return {.workers = policy.pool,
          .own_threads = policy.own_threads,
          .batch_items = policy.batch_items,
          .batch_wait = policy.batch_wait,
          .batch_time = policy.batch_time,
          .hedge_every = policy.hedge_every,
          .max_queue = policy.max_queue};
}

InferencePool spawn_supervisor(caf::actor_system& system, BatchPolicy policy, ProviderFactory make_provider,
                               const Clock& clock, Metrics& metrics, BatchProbe& probe) {
  auto& own = metrics.kind("inference-supervisor");
  own.addresses = {"inference-supervisor/system/cpu"};
  const auto factory = std::make_shared<ProviderFactory>(std::move(make_provider));
  auto make_worker = [factory] { return std::make_unique<ProviderWorker>(factory); };
  auto supervisor = system.spawn<Supervisor>(own,
                                             Supervisor::Parts{make_policy(policy), 0, make_worker, clock,
                                                               metrics.kind("inference-provider"), probe},
                                             policy);
  return caf::actor_cast<InferencePool>(caf::actor_cast<caf::strong_actor_ptr>(supervisor));
}

void drain(const InferencePool& pool, std::function<void()> done) {
  caf::anon_send(caf::actor_cast<caf::actor>(pool), pool::Drain{std::move(done), true});
}

}  // namespace cx::inference
