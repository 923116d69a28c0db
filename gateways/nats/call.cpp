#include "gateways/nats/call.hpp"

#include <spdlog/spdlog.h>

namespace cx::nats_gateway {

bool Outlet::enter(std::size_t most) {
  const std::lock_guard lock(count_mutex_);
  if (count_ >= most) return false;
  ++count_;
  return true;
}

void Outlet::leave() {
  const std::lock_guard lock(count_mutex_);
  if (--count_ == 0) none_.notify_all();
}

void Outlet::wait(std::chrono::milliseconds grace) {
  std::unique_lock lock(count_mutex_);
  none_.wait_for(lock, grace, [this] { return count_ == 0; });
}

void Outlet::close() {
  const std::lock_guard lock(mutex_);
  connection_ = nullptr;
}

Call::Call(std::shared_ptr<Outlet> outlet, EndpointProbe& probe, std::string reply_to, std::string request_id)
    : about{std::move(request_id), "application/json", {}},
      outlet_(std::move(outlet)),
      probe_(probe),
      reply_to_(std::move(reply_to)) {}

Call::~Call() {
  if (entered_) outlet_->leave();
}

void Call::deliver(RawReply reply) noexcept {
  if (answered_.exchange(true)) return;
  try {
    outlet_->use([&](nats::Connection& connection) { send(std::move(reply), connection); });
  } catch (const std::exception& e) {
    spdlog::error("An answer over NATS could not be sent: {}", e.what());
  }
}

void Call::send(RawReply reply, nats::Connection& connection) {
  const bool failed = reply.kind == RawReply::Kind::error;
  const auto type = failed ? reply.error.type : std::string();
  const auto answer = answer_of(std::move(reply), about, connection.max_payload());
  probe_.requests.total.add();
  probe_.outcome(answer.status).add();
  const auto took = std::chrono::steady_clock::now() - received_;
  probe_.latency.record(static_cast<std::uint64_t>(std::chrono::nanoseconds(took).count()));
  if (reply_to_.empty()) {
    if (!failed) return;
    outlet_->unanswered.add();
    spdlog::debug("{} over NATS failed, which nobody waits to hear: {} (request {})", probe_.route, type,
                  about.request_id);
    return;
  }
  if (const auto error = connection.publish(reply_to_, answer.payload, answer.headers)) {
    outlet_->unanswered.add();
    spdlog::debug("An answer over NATS could not be sent (request {}): {}", about.request_id, error->detail);
  }
}

}  // namespace cx::nats_gateway
