#include "actors/journey/reconcile.hpp"

#include <algorithm>
#include <spdlog/spdlog.h>

namespace cx::journey {
namespace {

constexpr std::int64_t kPage = 1'000;

/// Whether a run of that status cannot stay as it is.
bool is_behind(v1::RunStatus status, v1::JourneyStage stage) {
  if (stage == v1::JOURNEY_STAGE_ARCHIVED) return true;
  return status == v1::RUN_STATUS_PAUSED &&
         (stage == v1::JOURNEY_STAGE_ACTIVE || stage == v1::JOURNEY_STAGE_COMPLETED);
}

}  // namespace

// Instances that have been asked and have not answered. Answers may come when the reconciler is gone.
struct Reconciler::Flights {
  std::atomic<std::size_t> under_way{0};
  std::mutex mutex;  // guards task
  SerialTask* task = nullptr;

  void landed() {
    // A turn stops at kUnderWay, so that on the way down from there this is passed.
    if (under_way.fetch_sub(1) != kUnderWay / 2 + 1) return;
    const std::lock_guard lock(mutex);
    if (task != nullptr) task->wake();
  }
};

Reconciler::Reconciler(const Book& book, const RunLists& lists, Executor& executor, Send send)
    : book_(book),
      lists_(lists),
      send_(std::move(send)),
      flights_(std::make_shared<Flights>()),
      task_(executor, [this] { return turn(); }) {
  flights_->task = &task_;
}

Reconciler::~Reconciler() {
  {
    const std::lock_guard lock(flights_->mutex);
    flights_->task = nullptr;
  }
  task_.stop();
}

void Reconciler::poll() {
  asked_ = true;
  task_.wake();
}

bool Reconciler::turn() {
  for (;;) {
    while (!next_.empty()) {
      if (flights_->under_way.load() >= kUnderWay) return false;  // landed() wakes
      flights_->under_way.fetch_add(1);
      sent_.add();
      send_(next_.front(), [flights = flights_] { flights->landed(); });
      next_.pop_front();
    }
    if (!load()) return false;
  }
}

/// Whether there may be something in next_.
bool Reconciler::load() {
  const auto failed = [this](const Error& error) {  // the next poll tries again
    if (error.type != "not-ready") spdlog::warn("journeys are not reconciled: {}", error.detail);
    sweeps_.clear();
    return false;
  };
  if (sweeps_.empty()) {
    if (!asked_.exchange(false)) return false;
    auto open = lists_.open();
    if (!open) return failed(open.error());
    for (auto& of : *open)
      if (is_behind(of.status, book_.stage(of.tenant, of.journey))) sweeps_.push_back({std::move(of), {}});
    return !sweeps_.empty();
  }
  auto& sweep = sweeps_.front();
  const auto limit = std::min(kPage, sweep.of.runs);
  auto page = lists_.addresses(sweep.of, sweep.after, limit);
  if (!page) return failed(page.error());
  next_.assign(std::make_move_iterator(page->begin()), std::make_move_iterator(page->end()));
  // No further than what there was at the beginning: what changes meanwhile comes again at the end.
  sweep.of.runs -= limit;
  if (static_cast<std::int64_t>(next_.size()) < limit || sweep.of.runs == 0) sweeps_.pop_front();
  return true;
}

}  // namespace cx::journey
