#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "gateways/door.hpp"

namespace cx::test {

/// Lets in whoever says "Bearer good" or shows the key "good", as a user of tenant "demo" who may do
/// everything, and "Bearer poor", as one who may do nothing; "Bearer source" is a source.
struct FakeAuthenticator final : Authenticator {
  Result<Admission> admit(const Credential& credential, std::uint32_t cost) const override {
    if (credential.empty() && !open)
      return Error{Code::unauthenticated, "no-credential", "Send a credential.", ""};
    const bool poor = credential.authorization == "Bearer poor";
    const bool source = credential.authorization == "Bearer source";
    if (!credential.empty() && !poor && !source && credential.authorization != "Bearer good" &&
        credential.api_key != "good" && credential.certificate.empty())
      return Error{Code::unauthenticated, "invalid-credential", "The credential is not valid.", ""};
    Admission admission;
    auto caller = std::make_shared<Caller>();
    caller->tenant = "demo";
    caller->actor = credential.certificate.empty() ? "user/test" : std::string(credential.certificate);
    if (!poor) {
      caller->roles = {source ? "source" : "admin"};
      caller->permissions = all_permissions();
      caller->operates = true;
    }
    admission.caller = std::move(caller);
    admission.quota = quota;
    if (quota.limit != 0) admission.limited = cost > tokens.fetch_sub(cost);
    return admission;
  }
  bool open = false;  ///< whether no credential is needed
  Quota quota;        ///< with a limit, `tokens` run out
  mutable std::atomic<std::int64_t> tokens{0};
};

/// A door with that authenticator; what it posts to the audit log is kept.
struct FakeDoor {
  FakeAuthenticator authenticator;
  std::vector<std::shared_ptr<const google::protobuf::Message>> posted;
  Door door{authenticator, system_environment(), [this](const auto&, auto message, const auto& done) {
              posted.push_back(std::move(message));
              done(std::nullopt);
            }};
};

}  // namespace cx::test
