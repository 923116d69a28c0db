#pragma once

#include <google/protobuf/util/time_util.h>
#include <rapidcheck.h>
#include <string>
#include <vector>

#include "actors/audit/audit.hpp"

namespace cx::test {

/// Somebody did something, at a time in Unix milliseconds.
inline v1::AuditEntry deed(std::int64_t at, const std::string& actor = "user/ana",
                           const std::string& resource = "campaign/spring-sale",
                           const std::string& method = "cx.v1.Campaigns.Approve",
                           const std::string& problem = "") {
  v1::AuditEntry entry;
  *entry.mutable_at() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(at);
  entry.set_actor(actor);
  entry.add_roles("manager");
  entry.set_method(method);
  entry.set_resource(resource);
  entry.set_outcome(problem.empty() ? "done" : "refused");
  entry.set_problem(problem);
  entry.set_request_id("req-" + std::to_string(at));
  entry.set_trace("4bf92f3577b34da6a3ce929d0e0e4736");
  entry.set_details(R"({"comment":"looks good"})");
  return entry;
}

/// Has the log of `tenant`, whose state is `state`, append `entry`.
inline v1::AuditAppended append_to(v1::AuditState& state, const std::string& tenant,
                                   const v1::AuditEntry& entry) {
  Context context;
  context.now = 1'000;
  context.tenant = tenant;
  v1::AppendAudit command;
  *command.mutable_entry() = entry;
  auto outcome = Audit::handle(state, command, context);
  Audit::apply(state, outcome.events.at(0));
  return outcome.events[0];
}

/// A log of `n` entries with whatever texts.
inline std::vector<v1::AuditEntry> any_log(int n) {
  const auto text = [] { return *rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)); };
  v1::AuditState state;
  std::vector<v1::AuditEntry> log;
  for (int i = 0; i < n; ++i) {
    auto entry = deed(*rc::gen::inRange<std::int64_t>(-1'000'000, 2'000'000'000'000), text(), text(), text(),
                      *rc::gen::arbitrary<bool>() ? "role-missing" : "");
    for (auto roles = *rc::gen::inRange(0, 3); roles > 0; --roles) entry.add_roles(text());
    entry.set_details(text());
    entry.set_request_id(text());
    log.push_back(append_to(state, "acme", entry).entry());
  }
  return log;
}

}  // namespace cx::test
