#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "runtime/access/authenticator.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/method.hpp"

namespace cx {

/// Where every gateway takes its requests: who may come in, and what happens to a request that came in. What
/// it refuses, it refuses alike over every protocol. Thread-safe, never blocks.
class Door {
 public:
  /// Sends a message to the entity at an address, and tells whether it is committed.
  using Post = std::function<void(const std::string& to, std::shared_ptr<const google::protobuf::Message>,
                                  std::function<void(std::optional<Error>)>)>;
  /// `post` carries entries to the audit log. All outlive the door.
  Door(const Authenticator& authenticator, Environment& environment, Post post)
      : authenticator_(authenticator), environment_(environment), post_(std::move(post)) {}

  /// Whether `credential` may call `method`; to be asked before a byte of the body is looked at, but for a
  /// credential in it. Who is a source may call what takes such a credential, and nothing else. An admission
  /// that is `limited` is a refusal, too: rate_limited(). In a public method there is a caller without a
  /// tenant. Errors: those of Authenticator, and permission_denied "permission-missing", "events-only".
  Result<Admission> admit(const Method& method, const Credential& credential) const;
  static Error rate_limited(const Quota& quota);
  static Error not_served(const Method& method);

  /// Serves a request of an admitted caller: makes up what is to be made up, checks it against the contract,
  /// hands it to what serves the method, and sees to the audit log. `call.caller` is set. Never throws.
  void call(const Method& method, CallContext call, std::unique_ptr<google::protobuf::Message> request,
            Services::Respond respond) const;

  Environment& environment() const { return environment_; }

 private:
  void serve(const Method& method, CallContext call, std::unique_ptr<google::protobuf::Message> request,
             Services::Respond respond) const;
  Services::Respond audited(const Method& method, CallContext& call, const google::protobuf::Message& request,
                            Services::Respond respond) const;

  const Authenticator& authenticator_;
  Environment& environment_;
  const Post post_;
};

}  // namespace cx
