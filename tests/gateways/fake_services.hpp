#pragma once

#include <condition_variable>
#include <deque>
#include <doctest/doctest.h>
#include <memory>
#include <mutex>
#include <string>

#include "cx/v1/operations.pb.h"
#include "runtime/services.hpp"

namespace cx::test {

inline Services::Reply version(const std::string& text) {
  auto reply = std::make_shared<v1::VersionReply>();
  reply->set_version(text);
  return {std::move(reply)};
}

/// A node of version 1.2.3, which says so at once, and whose topology is up to the test: topology requests
/// wait until it takes them. Outlives the gateway.
class FakeServices {
 public:
  explicit FakeServices(Services& services) {
    services.add("cx.v1.Operations.Version", [](const auto&) { return version("1.2.3"); });
    services.add("cx.v1.Operations.Topology",
                 Services::Unary([this](const CallContext&, const auto&, Services::Respond respond) {
                   const std::lock_guard lock(mutex_);
                   waiting_.push_back(std::move(respond));
                   arrived_.notify_one();
                 }));
  }

  /// The oldest request that waits.
  Services::Respond take() {
    std::unique_lock lock(mutex_);
    REQUIRE(arrived_.wait_for(lock, std::chrono::seconds(30), [this] { return !waiting_.empty(); }));
    auto respond = std::move(waiting_.front());
    waiting_.pop_front();
    return respond;
  }

  /// A topology of one node.
  static Services::Reply topology(const std::string& node) {
    auto reply = std::make_shared<v1::TopologyReply>();
    reply->add_nodes()->set_name(node);
    return {std::move(reply)};
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Services::Respond> waiting_;
};

}  // namespace cx::test
