#include "gateways/auth/shared.hpp"

#include <chrono>
#include <spdlog/spdlog.h>
#include <thread>

#include "cx/v1/audit.pb.h"

namespace cx::auth {
namespace {

constexpr std::chrono::milliseconds kSettle{1000}, kLook{1};

}  // namespace

void Shared::run(std::function<void()> task) const {
  work.post([task = std::move(task)] {
    try {
      task();
    } catch (const std::exception& e) {
      spdlog::error("a request about access failed: {}", e.what());
    }
  });
}

void Shared::answer(const Services::Respond& respond, std::function<Services::Reply()> task) const {
  if (under_way.fetch_add(1) >= kMostUnderWay) {
    under_way.fetch_sub(1);
    return respond(Error{Code::overloaded, "overloaded", "Too many requests wait; retry in a second.", ""});
  }
  // Whatever becomes of the task, it is counted off.
  const std::shared_ptr<const Shared> counted(this,
                                              [](const Shared* shared) { shared->under_way.fetch_sub(1); });
  run([counted, respond, task = std::move(task)] { respond(task()); });
}

void Shared::settle(std::uint64_t change) const {
  const auto end = std::chrono::steady_clock::now() + kSettle;
  while (directory.status().change < change && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(kLook);
}

void Shared::audit(const CallContext& call, const std::string& of, const std::string& user,
                   const std::string& method, const std::optional<Error>& refusal) const {
  auto command = std::make_shared<v1::AppendAudit>();
  auto& entry = *command->mutable_entry();
  *entry.mutable_at() = timestamp(clock.unix_ms());
  entry.set_actor("user/" + user);
  entry.set_method("cx.v1.Tokens." + method);
  entry.set_resource("user/" + user);
  entry.set_outcome(refusal ? "refused" : "done");
  if (refusal) entry.set_problem(refusal->type);
  entry.set_request_id(call.request_id);
  entry.set_trace(call.trace);
  ask("audit/" + of + "/log", std::move(command), [](const Result<MessagePtr>& answer) {
    if (!answer) spdlog::error("an entry of the audit log was not written: {}", answer.error().detail);
  });
}

}  // namespace cx::auth
