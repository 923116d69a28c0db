#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "runtime/environment/executor.hpp"
#include "runtime/services.hpp"

namespace cx {

/// What serves a method by a query that may block: `query(const CallContext&, const Request&)`, a Result of
/// the reply, on a thread of `executor`, which outlives the services. Where too many wait, it refuses at
/// once.
template <class Request, class Query>
Services::Unary read_on(Executor& executor, Query query) {
  constexpr int kWaiting = 256;
  // Given back when the task is gone, run or not.
  struct Waiting {
    explicit Waiting(std::shared_ptr<std::atomic<int>> c) : count(std::move(c)) {}
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() { --*count; }
    std::shared_ptr<std::atomic<int>> count;
  };
  return [&executor, query = std::move(query), count = std::make_shared<std::atomic<int>>(0)](
             const CallContext& call, const auto& request, const Services::Respond& respond) {
    const bool room = ++*count <= kWaiting;
    auto waiting = std::make_shared<Waiting>(count);
    if (!room)
      return respond(Error{Code::overloaded, "overloaded",
                           "Too many queries of this kind wait for their turn. Try again in a second.", ""});
    executor.post([query, call, request, respond, waiting] {
      answer(respond, [&]() -> Services::Reply {
        auto reply = query(call, static_cast<const Request&>(*request));
        if (!reply) return reply.error();
        using Reply = std::remove_reference_t<decltype(*reply)>;
        return std::shared_ptr<const google::protobuf::Message>(std::make_shared<Reply>(*std::move(reply)));
      });
    });
  };
}

}  // namespace cx
