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

#include "runtime/metered.hpp"

namespace cx::inference {

/// What travels between the supervisor and a provider; never leaves the node.
struct Batch {
  std::vector<Item> items;
};
struct BatchScores {
  std::string model;
  std::vector<Result<Scores>> items;
};

}  // namespace cx::inference

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::inference::Batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::inference::BatchScores)

namespace cx::inference {
namespace {

using flush_atom = caf::atom_constant<caf::atom("flush")>;

caf::error failure(const char* why) {
  return caf::make_error(caf::sec::runtime_error, std::string(why));
}

bool to_item(const v1::PredictItem& in, Item& out) {
  if (in.features().size() != sizeof(Features)) return false;
  std::memcpy(out.features.data(), in.features().data(), sizeof(Features));
  out.offers.assign(in.offers().begin(), in.offers().end());
  return true;
}

class ProviderActor : public Metered<caf::event_based_actor> {
 public:
  ProviderActor(caf::actor_config& config, KindProbe& probe, ProviderFactory make_provider)
      : Metered(config, probe), make_provider_(std::move(make_provider)), provider_(make_provider_()) {}

 protected:
  caf::behavior make_behavior() override {
    return {[this](const Batch& batch) {
      try {
        return score(batch.items);
      } catch (const std::exception& e) {  // CAF would end this actor and leave the request unanswered
        probe().failures.add();
        provider_ = make_provider_();
        const Error error{Code::internal, "provider-failed", e.what(), ""};
        return BatchScores{"", std::vector<Result<Scores>>(batch.items.size(), error)};
      }
    }};
  }

 private:
  BatchScores score(std::span<const Item> items) {
    BatchScores out{provider_->provider_name(), {}};
    for (std::size_t at = 0; at < items.size(); at += provider_->max_batch_size()) {
      const auto part = items.subspan(at, std::min(provider_->max_batch_size(), items.size() - at));
      for (auto& scores : provider_->predict_batch(part)) out.items.push_back(std::move(scores));
    }
    if (out.items.size() != items.size())
      throw std::runtime_error("the provider answered another number of items");
    return out;
  }

  ProviderFactory make_provider_;
  std::unique_ptr<CoLaNetProvider> provider_;
};

class Supervisor : public Metered<caf::event_based_actor> {
 public:
  Supervisor(caf::actor_config& config, KindProbe& own, KindProbe& providers, BatchPolicy policy,
             ProviderFactory make_provider, const Clock& clock, BatchProbe& probe)
      : Metered(config, own),
        providers_(providers),
        policy_(policy),
        make_provider_(std::move(make_provider)),
        clock_(clock),
        batch_probe_(probe) {}

 protected:
  caf::behavior make_behavior() override {
    for (std::size_t i = 0; i < policy_.pool; ++i)
      workers_.push_back({spawn<ProviderActor, caf::linked>(providers_, make_provider_)});
    return {[this](v1::Predict& request) { accept(request); },
            [this](flush_atom) {
              timer_armed_ = false;
              flush();
            }};
  }

 private:
  struct Worker {
    caf::actor actor;
    std::size_t batches = 0;  // with it now
  };
  struct Waiting {
    caf::response_promise promise;
    v1::Predict request;
    SteadyTime since;
  };

  void accept(v1::Predict& request) {
    auto promise = make_response_promise();
    const auto items = static_cast<std::size_t>(request.items_size());
    if (unanswered_ + items > policy_.max_queue) {
      batch_probe_.shed.add();
      promise.deliver(failure("inference overloaded"));
      return;
    }
    unanswered_ += items;
    waiting_items_ += items;
    waiting_.push_back({std::move(promise), std::move(request), clock_.steady()});
    flush();
  }

  /// Dispatches whatever may not or need not wait.
  void flush() {
    while (!waiting_.empty()) {
      const auto worker =
          std::min_element(workers_.begin(), workers_.end(),
                           [](const Worker& a, const Worker& b) { return a.batches < b.batches; });
      const auto waited = clock_.steady() - waiting_.front().since;
      if (worker->batches > 0 && waiting_items_ < policy_.batch_items && waited < policy_.batch_wait) {
        if (!timer_armed_) delayed_send(this, policy_.batch_wait - waited, flush_atom::value);
        timer_armed_ = true;
        return;
      }
      dispatch(static_cast<std::size_t>(worker - workers_.begin()));
    }
  }

  void dispatch(std::size_t worker) {
    const auto now = clock_.steady();
    batch_probe_.wait_ns.record(static_cast<std::uint64_t>((now - waiting_.front().since).count()));
    auto batch = std::make_shared<std::vector<Waiting>>();
    Batch work;
    std::size_t taken = 0;
    for (; taken < waiting_.size(); ++taken) {
      auto& next = waiting_[taken];
      const auto items = static_cast<std::size_t>(next.request.items_size());
      if (!work.items.empty() && work.items.size() + items > policy_.batch_items) break;
      waiting_items_ -= items;
      const auto first = work.items.size();
      if (next.request.deadline() <= now.time_since_epoch().count()) {
        batch_probe_.expired.add();
        answer(next, failure("past the deadline"));
      } else if (!append(next.request, work.items)) {
        work.items.resize(first);
        answer(next, failure("a feature vector must have 256 values"));
      } else {
        batch->push_back(std::move(next));
      }
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
    if (batch->empty()) return;
    batch_probe_.items.record(work.items.size());
    ++workers_[worker].batches;
    request(workers_[worker].actor, caf::infinite, std::move(work))
        .then([this, worker, batch](BatchScores& scores) { finished(worker, *batch, scores); },
              [this, worker, batch](const caf::error& error) { lost(worker, *batch, error); });
  }

  static bool append(const v1::Predict& request, std::vector<Item>& items) {
    for (const auto& item : request.items())
      if (!to_item(item, items.emplace_back())) return false;
    return true;
  }

  template <class Answer>
  void answer(Waiting& waiting, Answer&& reply) {
    unanswered_ -= static_cast<std::size_t>(waiting.request.items_size());
    waiting.promise.deliver(std::forward<Answer>(reply));
  }

  void finished(std::size_t worker, std::vector<Waiting>& batch, BatchScores& scores) {
    --workers_[worker].batches;
    std::size_t at = 0;
    for (auto& waiting : batch) {
      v1::Predicted reply;
      reply.set_model(scores.model);
      const Error* error = nullptr;
      for (int i = 0; i < waiting.request.items_size(); ++i, ++at) {
        if (scores.items[at])
          reply.add_items()->mutable_values()->Assign(scores.items[at]->begin(), scores.items[at]->end());
        else
          error = &scores.items[at].error();
      }
      if (error == nullptr) {
        answer(waiting, std::move(reply));
      } else {
        batch_probe_.failed.add();
        answer(waiting, failure(error->detail.c_str()));
      }
    }
    flush();
  }

  void lost(std::size_t worker, std::vector<Waiting>& batch, const caf::error& error) {
    --workers_[worker].batches;
    batch_probe_.failed.add(static_cast<std::int64_t>(batch.size()));
    for (auto& waiting : batch) answer(waiting, error);
    flush();
  }

  KindProbe& providers_;
  const BatchPolicy policy_;
  ProviderFactory make_provider_;
  const Clock& clock_;
  BatchProbe& batch_probe_;
  std::vector<Worker> workers_;
  std::vector<Waiting> waiting_;
  std::size_t waiting_items_ = 0;
  std::size_t unanswered_ = 0;
  bool timer_armed_ = false;
};

}  // namespace

InferencePool spawn_supervisor(caf::actor_system& system, BatchPolicy policy, ProviderFactory make_provider,
                               const Clock& clock, Metrics& metrics, BatchProbe& probe) {
  auto& own = metrics.kind("inference-supervisor");
  own.addresses = {"inference-supervisor/system/cpu"};
  auto supervisor = system.spawn<Supervisor>(own, metrics.kind("inference-provider"), policy,
                                             std::move(make_provider), clock, probe);
  return caf::actor_cast<InferencePool>(caf::actor_cast<caf::strong_actor_ptr>(supervisor));
}

}  // namespace cx::inference
