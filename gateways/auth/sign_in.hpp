#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "cx/v1/access.pb.h"
#include "gateways/auth/shared.hpp"
#include "runtime/environment/executor.hpp"

namespace cx::auth {

/// A user whom an identity provider has recognised.
struct Person {
  std::string tenant, user;
  std::string provider;       ///< "password", or its name in the configuration
  std::string password_hash;  ///< that the password was found to be of; empty when it was none
};

/// One way to find out who somebody is: a password, OpenID Connect, others later. What comes after, sessions
/// and tokens, is the same for all. Thread-safe.
class IdentityProvider {
 public:
  virtual ~IdentityProvider() = default;
  using Done = std::function<void(Result<Person>)>;
  /// `evidence` is of the type that this provider knows: what the browser or program brought. `done` is
  /// called once, on any thread. Never blocks.
  virtual void identify(const CallContext& call, MessagePtr evidence, Done done) = 0;
};

/// Users who have a password here. Evidence: v1::LoginRequest. Whether the tenant, the user or the password
/// is wrong, or the user locked, is not told, nor does it take another time: the same steps are taken for
/// all.
class LocalPasswords final : public IdentityProvider {
 public:
  /// `passwords`: threads that check them. Both outlive this.
  LocalPasswords(const Shared& shared, Executor& passwords) : shared_(shared), passwords_(passwords) {}
  void identify(const CallContext& call, MessagePtr evidence, Done done) override;

 private:
  Result<Person> check(const v1::LoginRequest& request, const std::string& hash, bool allowed) const;
  std::string upgraded(const Person& person, const std::string& password) const;

  const Shared& shared_;
  Executor& passwords_;
  std::atomic<std::uint32_t> under_way_{0};
};

/// "sign-in-failed": says nothing about why.
Error sign_in_failed();
/// Where the entity of a user's attempts and sessions is.
std::string login_address(std::string_view tenant, std::string_view user);

/// Sessions of users who were recognised, and the tokens for them. Thread-safe, never blocks.
class Sessions {
 public:
  explicit Sessions(const Shared& shared) : shared_(shared) {}

  using Done = std::function<void(Services::Reply)>;  ///< gets a v1::TokenReply
  void open(Person person, Done done) const;
  /// Errors: unauthenticated "invalid-refresh-token".
  void refresh(const CallContext& call, const std::string& token, Done done) const;
  /// Ends one session, or all when `session` is empty: when `done` is called, its tokens are refused. The
  /// number that ended.
  void end(const std::string& tenant, const std::string& user, const std::string& session,
           std::function<void(Result<std::uint32_t>)> done) const;

 private:
  /// Has access tokens of sessions refused. Blocks.
  std::optional<Error> refuse(const std::string& tenant, const std::string& user,
                              const std::vector<std::string>& sessions) const;
  v1::TokenReply tokens(const std::string& tenant, const std::string& user, const std::string& session,
                        const std::string& secret, const google::protobuf::Timestamp& session_expires) const;

  const Shared& shared_;
};

}  // namespace cx::auth
