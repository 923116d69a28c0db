#include "runtime/nats/subscription.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <fmt/format.h>
#include <mutex>
#include <spdlog/spdlog.h>
#include <thread>

namespace cx::nats {
namespace {

std::string_view header_of(natsMsg* message, const char* name) {
  const char* value = nullptr;
  if (natsMsgHeader_Get(message, name, &value) != NATS_OK || !value) return {};
  return value;
}

Headers headers_of(natsMsg* message) {
  Headers headers;
  const char** names = nullptr;
  int count = 0;
  if (natsMsgHeader_Keys(message, &names, &count) != NATS_OK) return headers;
  for (int i = 0; i < count; ++i) {
    const char** values = nullptr;
    int several = 0;
    if (natsMsgHeader_Values(message, names[i], &values, &several) != NATS_OK) continue;
    for (int j = 0; j < several; ++j) headers.emplace_back(names[i], values[j]);
    std::free(values);
  }
  std::free(names);
  return headers;
}

/// Shared by the subscription and the library, whose thread may outlast it.
struct Feed {
  Connection::Handler handler;
  std::function<void(std::uint64_t)> dropped;
  std::uint64_t told = 0;
  std::atomic<std::thread::id> thread;
  std::atomic<bool> stopping = false;
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
};

void deliver(Feed& feed, natsSubscription* subscription, natsMsg* message) {
  feed.thread = std::this_thread::get_id();
  if (feed.stopping) return;
  const auto text = [](const char* c) { return c ? std::string_view(c) : std::string_view(); };
  Incoming incoming{text(natsMsg_GetSubject(message)), text(natsMsg_GetReply(message)),
                    std::string_view(natsMsg_GetData(message), natsMsg_GetDataLength(message)),
                    [message](const char* name) { return header_of(message, name); },
                    [message] { return headers_of(message); }};
  try {
    feed.handler(incoming);
    std::int64_t count = 0;
    if (!feed.dropped || feed.stopping || natsSubscription_GetDropped(subscription, &count) != NATS_OK)
      return;
    if (static_cast<std::uint64_t>(count) == feed.told) return;
    feed.told = static_cast<std::uint64_t>(count);
    feed.dropped(feed.told);
  } catch (const std::exception& e) {
    // Nothing may pass through the library, which is C.
    spdlog::error("NATS: handling a message of {} failed: {}", incoming.subject, e.what());
  }
}

class NatsSubscription final : public Subscription {
 public:
  NatsSubscription(natsSubscription* subscription, std::shared_mutex& flushing, std::shared_ptr<Feed> feed)
      : subscription_(subscription), flushing_(flushing), feed_(std::move(feed)) {}

  ~NatsSubscription() override {
    feed_->stopping = true;
    natsSubscription_Unsubscribe(subscription_);
    if (feed_->thread.load() != std::this_thread::get_id()) {
      std::unique_lock lock(feed_->mutex);
      feed_->changed.wait(lock, [this] { return feed_->done; });
    }
    natsSubscription_Destroy(subscription_);
  }

  bool drain(std::chrono::milliseconds grace) override {
    if (grace.count() <= 0) return false;
    const std::shared_lock no_flush(flushing_);
    if (natsSubscription_DrainTimeout(subscription_, grace.count()) != NATS_OK) return false;
    std::unique_lock lock(feed_->mutex);
    return feed_->changed.wait_for(lock, grace, [this] { return feed_->done; }) &&
           natsSubscription_DrainCompletionStatus(subscription_) == NATS_OK;
  }

 private:
  natsSubscription* subscription_;
  std::shared_mutex& flushing_;
  std::shared_ptr<Feed> feed_;
};

}  // namespace

Result<std::unique_ptr<Subscription>> make_subscription(natsConnection* connection,
                                                        std::shared_mutex& flushing,
                                                        const std::string& subject, const std::string& queue,
                                                        Connection::Handler handler, std::size_t pending,
                                                        std::function<void(std::uint64_t)> dropped) {
  auto feed = std::make_shared<Feed>();
  feed->handler = std::move(handler);
  feed->dropped = std::move(dropped);
  const natsMsgHandler on_message = [](natsConnection*, natsSubscription* subscription, natsMsg* message,
                                       void* closure) {
    // By value: the handler may destroy the subscription.
    const auto held = *static_cast<std::shared_ptr<Feed>*>(closure);
    deliver(*held, subscription, message);
    natsMsg_Destroy(message);
  };
  const natsOnCompleteCB on_complete = [](void* closure) {
    const std::unique_ptr<std::shared_ptr<Feed>> held(static_cast<std::shared_ptr<Feed>*>(closure));
    {
      std::lock_guard lock((*held)->mutex);
      (*held)->done = true;
    }
    (*held)->changed.notify_all();
  };
  auto held = std::make_unique<std::shared_ptr<Feed>>(feed);
  natsSubscription* subscription = nullptr;
  auto status = queue.empty() ? natsConnection_Subscribe(&subscription, connection, subject.c_str(),
                                                         on_message, held.get())
                              : natsConnection_QueueSubscribe(&subscription, connection, subject.c_str(),
                                                              queue.c_str(), on_message, held.get());
  if (status == NATS_OK) {
    natsSubscription_SetPendingLimits(subscription, pending ? static_cast<int>(pending) : -1, -1);
    status = natsSubscription_SetOnCompleteCB(subscription, on_complete, held.get());
  }
  if (status != NATS_OK) {
    // The library's thread may be at it: what it holds is left to it, once.
    if (subscription) {
      feed->stopping = true;
      held.release();
      natsSubscription_Destroy(subscription);
    }
    return Error{Code::internal, "nats-failed",
                 fmt::format("subscribing to {}: {}", subject, natsStatus_GetText(status)), ""};
  }
  held.release();
  return std::unique_ptr<Subscription>(
      std::make_unique<NatsSubscription>(subscription, flushing, std::move(feed)));
}

}  // namespace cx::nats
