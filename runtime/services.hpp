#pragma once

#include <atomic>
#include <functional>
#include <google/protobuf/message.h>
#include <map>
#include <memory>
#include <string>

#include "runtime/error.hpp"
#include "runtime/raw.hpp"

namespace cx {

/// What stands behind the methods of the contract on this node. Filled before the gateways start, read-only
/// after.
class Services {
 public:
  using Message = google::protobuf::Message;
  /// A message of the method's output type, or why there is none.
  using Reply = Result<std::unique_ptr<Message>>;

  /// The right to answer one request, once, now or later. Copies share that right. Thread-safe. When the last
  /// copy goes away unanswered, the caller gets an `internal` error instead of silence.
  class Respond {
   public:
    /// `deliver` is called exactly once, from any thread; it must neither block nor throw.
    explicit Respond(std::function<void(Reply)> deliver)
        : once_(std::make_shared<Once>(std::move(deliver))) {}

    /// Answers, if nobody has answered before.
    void operator()(Reply reply) const { once_->answer(std::move(reply)); }

   private:
    struct Once {
      explicit Once(std::function<void(Reply)> d) : deliver(std::move(d)) {}
      Once(const Once&) = delete;
      Once& operator=(const Once&) = delete;
      ~Once() {
        answer(Error{Code::internal, "no-answer", "The request was dropped unanswered; retry it.", ""});
      }
      void answer(Reply reply) {
        if (!answered.exchange(true)) deliver(std::move(reply));
      }
      const std::function<void(Reply)> deliver;
      std::atomic<bool> answered{false};
    };
    std::shared_ptr<Once> once_;
  };

  /// Serves requests of the method's input type. Called on a gateway's I/O thread: must not block. `request`
  /// ends with the call. An exception answers the request, too.
  using Unary = std::function<void(const Message& request, Respond respond)>;
  /// The same for what can be answered at once.
  using Immediate = std::function<Reply(const Message& request)>;

  /// `method`: full name, e.g. "cx.v1.Operations.Topology".
  void add(std::string method, Unary handler) { unary_[std::move(method)] = std::move(handler); }
  void add(std::string method, Immediate handler) {
    add(std::move(method),
        Unary([handler = std::move(handler)](const Message& request, const Respond& respond) {
          respond(handler(request));
        }));
  }
  /// `agent`: the name in the method's `raw` option. `target` must outlive this object.
  void add(std::string agent, RawTarget* target) { raw_[std::move(agent)] = target; }

  const Unary* unary(const std::string& method) const {
    const auto found = unary_.find(method);
    return found == unary_.end() ? nullptr : &found->second;
  }
  RawTarget* raw(const std::string& agent) const {
    const auto found = raw_.find(agent);
    return found == raw_.end() ? nullptr : found->second;
  }

 private:
  std::map<std::string, Unary> unary_;
  std::map<std::string, RawTarget*> raw_;
};

}  // namespace cx
