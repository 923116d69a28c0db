#include "providers/inference/remote/fallback.hpp"

#include <algorithm>
#include <iterator>
#include <spdlog/spdlog.h>

namespace cx::inference::remote {
namespace {

/// What a request lacks is no fault of the server.
bool blames_server(const Error& error) {
  return error.type != "no-time" && error.code != Code::invalid_argument;
}

}  // namespace

bool Breaker::admits() {
  const std::lock_guard lock(mutex_);
  if (!open_) return true;
  const auto now = clock_.steady();
  if (now < next_try_) return false;
  next_try_ = now + policy_.pause;  // the others wait for what this one finds, or for another pause
  return true;
}

bool Breaker::report(bool ok) {
  const std::lock_guard lock(mutex_);
  const bool was_open = open_;
  failures_ = ok ? 0 : failures_ + 1;
  open_ = failures_ >= policy_.failures;
  if (!ok && open_) next_try_ = clock_.steady() + policy_.pause;
  return open_ != was_open;
}

bool Breaker::open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

FallbackProvider::FallbackProvider(std::unique_ptr<RemoteProvider> server,
                                   std::unique_ptr<CoLaNetProvider> fallback,
                                   std::shared_ptr<Breaker> breaker, RemoteProbe& probe)
    : server_(std::move(server)),
      fallback_(std::move(fallback)),
      breaker_(std::move(breaker)),
      probe_(probe) {}

void FallbackProvider::report(const Error* error) {
  const bool changed = breaker_->report(error == nullptr);
  probe_.resting = breaker_->open();
  if (!changed) return;
  if (error == nullptr)
    spdlog::info("{} answers again.", server_->provider_name());
  else
    spdlog::warn("{} rests after failures in a row, and {} answers: {}", server_->provider_name(),
                 fallback_->provider_name(), error->detail);
}

std::optional<std::vector<Scores>> FallbackProvider::ask_server(std::span<const Item> items) {
  if (!breaker_->admits()) {
    probe_.skipped.add();
    return std::nullopt;
  }
  auto scores = server_->ask(items);
  if (scores) {
    report(nullptr);
    probe_.answered.add();
    return std::move(*scores);
  }
  if (!blames_server(scores.error())) {
    probe_.skipped.add();
    return std::nullopt;
  }
  spdlog::debug("{}", scores.error().detail);
  report(&scores.error());
  probe_.failed.add();
  return std::nullopt;
}

std::vector<Result<Scores>> FallbackProvider::predict_batch(std::span<const Item> items) {
  std::vector<Result<Scores>> out;
  out.reserve(items.size());
  auto scores = ask_server(items);
  by_server_ = scores.has_value();
  if (scores) {
    std::move(scores->begin(), scores->end(), std::back_inserter(out));
    return out;
  }
  for (std::size_t at = 0; at < items.size();) {
    const auto part = items.subspan(at, std::min(fallback_->max_batch_size(), items.size() - at));
    auto some = fallback_->predict_batch(part);
    std::move(some.begin(), some.end(), std::back_inserter(out));
    at += part.size();
  }
  return out;
}

Result<Scores> FallbackProvider::predict(const Item& item) {
  return std::move(predict_batch({&item, 1}).front());
}

std::string FallbackProvider::provider_name() const {
  return by_server_ ? server_->provider_name() : fallback_->provider_name();
}

std::optional<Error> FallbackProvider::warm_up() {
  if (auto error = fallback_->warm_up()) return error;
  if (const auto error = server_->warm_up())
    spdlog::warn("{} is not there yet, and {} answers: {}", server_->provider_name(),
                 fallback_->provider_name(), error->detail);
  return std::nullopt;
}

}  // namespace cx::inference::remote
