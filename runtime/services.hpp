#pragma once

#include <atomic>
#include <functional>
#include <google/protobuf/message.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/access/caller.hpp"
#include "runtime/error.hpp"
#include "runtime/raw.hpp"

namespace cx {

/// What comes with a request, beside the message.
struct CallContext {
  CallerPtr caller;             ///< never null; of no tenant in a public method
  std::string trace;            ///< W3C trace id, 32 hexadecimal digits; empty when there is none
  std::string request_id;       ///< names the request in logs, in the audit log and to the caller
  std::string idempotency_key;  ///< empty when there is none
  std::int64_t deadline = 0;    ///< Unix milliseconds; 0 for none
  /// A message to an entity, to be sent if, and only if, what the request changes is committed: with it. A
  /// handler that can do so sets `sent`; otherwise the message is sent once the handler has succeeded.
  struct Along {
    std::string to;
    std::shared_ptr<const google::protobuf::Message> command;
    bool sent = false;
  };
  std::shared_ptr<Along> along;
};

/// What stands behind the methods of the contract on this node. Filled before the gateways start, read-only
/// after.
class Services {
 public:
  using Message = google::protobuf::Message;
  /// A message of the method's output type, or why there is none.
  using Reply = Result<std::shared_ptr<const Message>>;

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

  /// Serves requests of the method's input type. Called on a gateway's I/O thread: must not block. An
  /// exception answers the request, too.
  using Unary =
      std::function<void(const CallContext& call, std::shared_ptr<const Message> request, Respond respond)>;

  /// `method`: full name, e.g. "cx.v1.Operations.Topology".
  void add(std::string method, Unary handler) { unary_[std::move(method)] = std::move(handler); }
  /// The same for what can be answered at once, without asking who calls.
  template <class Immediate>
  requires std::is_invocable_r_v<Reply, Immediate, const Message&>
  void add(std::string method, Immediate handler) {
    add(std::move(method),
        Unary([handler = std::move(handler)](const CallContext&, const auto& request,
                                             const Respond& respond) { respond(handler(*request)); }));
  }
  /// `agent`: the name in the method's `raw` option. `target` must outlive this object.
  void add(std::string agent, RawTarget* target) { raw_[std::move(agent)] = target; }

  /// Null where there is none.
  const Unary* unary(const std::string& method) const { return find(unary_, method); }
  RawTarget* raw(const std::string& agent) const {
    const auto found = raw_.find(agent);
    return found == raw_.end() ? nullptr : found->second;
  }

 private:
  template <class Map>
  static const typename Map::mapped_type* find(const Map& map, const std::string& key) {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
  }

  std::map<std::string, Unary> unary_;
  std::map<std::string, RawTarget*> raw_;
};

/// Runs `work`, which sees to the answer; should it throw, that is answered. For threads that must not see
/// exceptions.
void guarded(const Services::Respond& respond, const std::function<void()>& work);
/// The same, answering with what `work` returns.
void answer(const Services::Respond& respond, const std::function<Services::Reply()>& work);

}  // namespace cx
