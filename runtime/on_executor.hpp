#pragma once

#include <atomic>
#include <memory>
#include <type_traits>
#include <utility>

#include "runtime/environment/executor.hpp"
#include "runtime/services.hpp"

namespace cx {

/// What serves a method by work that may block: `work(call, request, respond)` on a thread of `executor`,
/// which outlives the services, sees to the answer; should it throw, that is answered. Where too many wait
/// already, it refuses at once.
template <class Work>
Services::Unary on_executor(Executor& executor, Work work) {
  constexpr int kWaiting = 256;
  // Given back when the task is gone, run or not.
  struct Waiting {
    explicit Waiting(std::shared_ptr<std::atomic<int>> c) : count(std::move(c)) {}
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() { --*count; }
    std::shared_ptr<std::atomic<int>> count;
  };
  return [&executor, work = std::move(work), count = std::make_shared<std::atomic<int>>(0)](
             const CallContext& call, const auto& request, const Services::Respond& respond) {
    const bool room = ++*count <= kWaiting;
    auto waiting = std::make_shared<Waiting>(count);
    if (!room)
      return respond(Error{Code::overloaded, "overloaded",
                           "Too many requests of this kind wait for their turn. Try again in a second.", ""});
    executor.post(
        [work, call, request, respond, waiting] { guarded(respond, [&] { work(call, request, respond); }); });
  };
}

/// The same for `query(const CallContext&, const Request&)`, which returns a Result of the reply.
template <class Request, class Query>
Services::Unary read_on(Executor& executor, Query query) {
  return on_executor(executor, [query = std::move(query)](const CallContext& call, const auto& request,
                                                          const Services::Respond& respond) {
    auto reply = query(call, static_cast<const Request&>(*request));
    if (!reply) return respond(reply.error());
    using Reply = std::remove_reference_t<decltype(*reply)>;
    respond(std::shared_ptr<const google::protobuf::Message>(std::make_shared<Reply>(*std::move(reply))));
  });
}

}  // namespace cx
